import Foundation
import Glibc
import MySQLWire
import Synchronization
import Testing

@testable import Watchdog

/// A password that changes while agents run.
@Suite struct PasswordSourceTests {
    private let folder = NSTemporaryDirectory() + "repl-watchdog-password-\(UUID().uuidString)"
    private var file: String { folder + "/password" }
    private let a = ServerAddress.tcp(host: "10.0.0.1", port: 3306)
    private let b = ServerAddress.tcp(host: "10.0.0.2", port: 3306)

    private func write(_ text: String, mode: mode_t = 0o600) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        chmod(file, mode)
    }

    private func clear() { try? FileManager.default.removeItem(atPath: folder) }

    @Test func aRefusedPasswordIsLookedUpInItsFile() throws {
        defer { clear() }
        let (one, two) = (Secret("one"), Secret("two"))
        try write("one")
        let source = PasswordSource(one, file: file)
        #expect(source.other(than: one, at: a) == nil)
        try write("two")
        // Nobody has refused the old one yet.
        #expect(source.password(for: a) == one)
        #expect(source.other(than: one, at: a) == two)
        #expect(source.password(for: a) == two)
    }

    /// The account's new password reaches the replica later than the primary.
    @Test func eachServerIsGivenTheOneThatItTakes() throws {
        defer { clear() }
        let (one, two) = (Secret("one"), Secret("two"))
        try write("two")
        let source = PasswordSource(one, file: file)
        #expect(source.other(than: one, at: a) == two)
        #expect(source.other(than: two, at: b) == one)
        #expect(source.password(for: a) == two && source.password(for: b) == one)
        #expect(source.other(than: one, at: b) == two)
        #expect(source.password(for: b) == two)
    }

    /// Told to read it again before the account was changed.
    @Test func theOneBeforeIsTriedToo() {
        let (one, two) = (Secret("one"), Secret("two"))
        let source = PasswordSource(one)
        source.adopt(PasswordSource(two))
        #expect(source.password(for: a) == two)
        #expect(source.other(than: two, at: a) == one && source.password(for: a) == one)
        #expect(source.other(than: one, at: a) == two && source.password(for: a) == two)
    }

    @Test func aFileThatIsOfNoUseIsSaidOnceAndChangesNothing() throws {
        defer { clear() }
        let one = Secret("one")
        let said = Mutex<[String?]>([])
        let source = PasswordSource(one, file: file)
        source.report { _, problem in said.withLock { $0.append(problem) } }
        for text in ["", "", "two lines\nin it", "two"] {
            try write(text, mode: text == "two" ? 0o644 : 0o600)
            #expect(source.other(than: one, at: a) == nil)
        }
        let problems = said.withLock { $0 }
        #expect(problems.count == 3 && !problems.contains(nil), "\(problems)")
        try write("two")
        #expect(source.other(than: one, at: a) == Secret("two"))
        #expect(said.withLock { $0.last } == .some(nil))
    }
}
