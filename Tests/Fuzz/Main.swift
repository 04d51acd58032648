import Glibc

/// The target that the environment names; without one (or with a wrong name) nothing can be run.
private let chosen: Target = {
    guard let name = getenv("FUZZ_TARGET").map({ String(cString: $0) }), let target = Target(rawValue: name) else {
        fatalError("FUZZ_TARGET must be one of \(Target.allCases.map(\.rawValue))")
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    chosen.run([UInt8](UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}
