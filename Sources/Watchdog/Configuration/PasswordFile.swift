import Glibc
import MySQLWire

/// A file that holds a password and nothing else.
enum PasswordFile {
    /// Why, to be read behind the file's name.
    struct Failure: Error, CustomStringConvertible {
        var description: String
        static func reason(_ text: String) -> Failure { Failure(description: text) }
    }

    /// - Throws: in words, if it cannot be read, is readable by everybody, is empty or holds more than one line.
    static func read(_ path: String) throws(Failure) -> Secret {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard file >= 0 else { throw .reason("cannot be opened: \(systemText(errno))") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .reason("cannot be examined: \(systemText(errno))") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .reason("is no regular file") }
        if let why = tooOpen(status.st_mode) { throw .reason("\(why): chmod o-rwx \(path)") }
        var buffer = [UInt8](repeating: 0, count: 4097)
        let count = Glibc.read(file, &buffer, buffer.count)
        guard count >= 0 else { throw .reason("cannot be read: \(systemText(errno))") }
        guard count < buffer.count else { throw .reason("is longer than a password can be (4096 bytes)") }
        var bytes = buffer[..<count]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw .reason("is empty") }
        guard !bytes.contains(UInt8(ascii: "\n")), !bytes.contains(0) else {
            throw .reason("holds more than one line; it must hold the password and nothing else")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .reason("is no UTF-8 text") }
        return Secret(text)
    }

    /// Why a file with this mode is no place for a secret; nil if it is one.
    static func tooOpen(_ mode: mode_t) -> String? {
        guard mode & 0o007 != 0 else { return nil }
        return "is open to everybody (mode \(String(mode & 0o7777, radix: 8)))"
    }
}
