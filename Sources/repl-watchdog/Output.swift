import ArgumentParser
import Glibc
import MySQLWire
import Watchdog

/// Standard output for results, standard error for complaints.
enum Output {
    /// Writes a text and its line end to standard output. It may have several lines, but nothing that a terminal would
    /// not show but do: some of it is a server's word.
    static func line(_ text: String) throws { try write(Array((shown(text) + "\n").utf8)) }

    private static func shown(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { PrintableText.line(String($0)) }
            .joined(separator: "\n")
    }

    static func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count < 0 {
                if errno == EINTR { continue }
                // Whoever read it has seen enough.
                if errno == EPIPE { throw ExitCode(ExitStatus.ok) }
                complain("cannot write to standard output (errno \(errno))")
                throw ExitCode(ExitStatus.unknown)
            }
            done += count
        }
    }

    static func complain(_ text: String) { EventLog.writeToStandardError("repl-watchdog: \(shown(text))\n") }
}
