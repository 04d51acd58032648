import MySQLWire
import Testing

@testable import Watchdog

@Suite struct CloneConditionTests {
    private func condition(_ change: (inout CloneCondition) -> Void = { _ in }) -> String? {
        let side = CloneCondition.Side(version: ServerVersion("9.7.4"), platform: "Linux x86_64 16384")
        var condition = CloneCondition(
            allowed: true, restarts: true, donor: side, recipient: side, donorIsReachable: true)
        change(&condition)
        return condition.objection
    }

    @Test func eachObjectionIsSaid() {
        #expect(condition() == nil)
        #expect(condition { $0.allowed = false }?.contains("rebuild.clone") == true)
        #expect(condition { $0.restarts = false }?.contains("rebuild.restart") == true)
        #expect(condition { $0.donorIsReachable = false }?.contains("socket") == true)
        #expect(condition { $0.donor.version = ServerVersion("9.6.0") }?.contains("cannot be cloned") == true)
        #expect(condition { $0.recipient.platform = "Linux aarch64 16384" }?.contains("two kinds") == true)
        #expect(condition { $0.donor.otherTables = 2 }?.contains("not InnoDB") == true)
        // Of the recipient they are replaced anyway.
        #expect(condition { $0.recipient.otherTables = 2 } == nil)
    }

    @Test(arguments: [
        ("8.0.36", "8.0.36", true), ("8.0.36", "8.0.37", false), ("8.0.37", "8.0.42", true),
        ("8.0.16", "8.0.16", false), ("8.4.0", "8.4.5", true), ("8.4.5", "9.0.1", false), ("8.2.0", "8.2.0", true),
        ("9.7.4", "9.7.6", true), ("26.7.0", "26.7.1", true), ("9.7.4", "26.7.0", false),
        ("10.11.6-MariaDB", "10.11.6-MariaDB", false),
    ]) func versionsGoTogether(_ donor: String, _ recipient: String, _ together: Bool) {
        #expect(CloneCondition.goTogether(ServerVersion(donor), ServerVersion(recipient)) == together)
    }
}
