import Foundation
import Glibc
import TestBed

/// Real servers for a script, until its end of the pipe is closed: a line `NAME SOCKET PORT` for each that answers. They
/// are the test bed's: free ports, accounts of the tests, and a guard that clears them away however this ends.
@main struct Main {
    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        let names = Array(words.prefix { $0 != "--" })
        guard !names.isEmpty, !names.contains(where: { $0.hasPrefix("-") }) else {
            FileHandle.standardError.write(Data("usage: serve NAME... [-- OPTION OF mysqld...]\n".utf8))
            exit(64)
        }
        do {
            try await withServers(
                names.map { (kind: .mysql, name: $0) }, options: Array(words.dropFirst(names.count + 1))
            ) { servers in
                for server in servers { print(server.name, server.socketPath, server.port) }
                fflush(nil)
                await endOfInput()
            }
        } catch {
            FileHandle.standardError.write(Data("serve: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func endOfInput() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            // Reading waits for as long as the script runs.
            Thread.detachNewThread {
                while readLine() != nil {}
                done.resume()
            }
        }
    }
}
