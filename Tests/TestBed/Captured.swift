import Foundation
import Glibc

/// Runs a program to its end and returns its exit status (128 plus the signal if it was killed by one) and standard
/// output. Keeps the calling thread: for programs that take some milliseconds, or a test's only business.
///
/// The output goes through a file, and the end is asked of the kernel. A pipe or a socket, as Foundation's Process has
/// one, would end only when everybody who holds its other end has gone, and a child that another test starts in the
/// same instant inherits it: the wait would last as long as that child lives.
/// - Parameter program: its absolute path.
public func captured(
    _ program: String, _ arguments: [String], input: URL? = nil, errors: Bool = false
) throws -> (status: Int32, output: Data) {
    let file = FileManager.default.temporaryDirectory.appending(path: "captured-\(UUID().uuidString)")
    try Data().write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    var source: Int32?
    if let input {
        let descriptor = open(input.path(percentEncoded: false), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TestBedError("\(input) cannot be opened (errno \(errno))") }
        source = descriptor
    }
    defer { if let source { close(source) } }
    let child = try ChildProcess(
        [program] + arguments, input: source, output: file.path(percentEncoded: false), keepsErrors: errors)
    while true {
        if let status = child.status {
            return (status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F), try Data(contentsOf: file))
        }
        usleep(1000)
    }
}
