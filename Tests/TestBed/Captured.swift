import Foundation

/// Runs a program to its end and returns its exit status and standard output.
///
/// The output goes through a file. A pipe would end only when everybody who holds its other end has gone, and a child
/// that another test starts in the same instant inherits it: reading would wait for that child's end.
public func captured(
    _ program: String, _ arguments: [String], input: URL? = nil, errors: Bool = false
) throws -> (status: Int32, output: Data) {
    let file = FileManager.default.temporaryDirectory.appending(path: "captured-\(UUID().uuidString)")
    try Data().write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    let output = try FileHandle(forWritingTo: file)
    process.standardOutput = output
    process.standardError = errors ? output : FileHandle.nullDevice
    if let input { process.standardInput = try FileHandle(forReadingFrom: input) }
    try process.run()
    process.waitUntilExit()
    try output.close()
    return (process.terminationStatus, try Data(contentsOf: file))
}
