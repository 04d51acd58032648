import Testing

@testable import Watchdog

/// What a server says of its semi-synchronous replication, read.
@Suite struct SemiSyncAnswerTests {
    private static let variables = [
        "rpl_semi_sync_source_enabled": "ON", "rpl_semi_sync_source_wait_point": "AFTER_SYNC",
        "rpl_semi_sync_source_wait_no_replica": "ON", "rpl_semi_sync_source_timeout": "3600000",
        "rpl_semi_sync_source_wait_for_replica_count": "1",
    ]
    private static let status =
        "Rpl_semi_sync_source_status=ON,Rpl_semi_sync_source_clients=2,Rpl_semi_sync_source_wait_sessions=3"

    private static func answer(_ changes: [String: String?] = [:], status: String? = status) -> SemiSync {
        let variables = variables.merging(changes.compactMapValues { $0 }) { $1 }.filter {
            changes[$0.key] != .some(nil)
        }
        let text = variables.map { "\($0)=\($1)" }.joined(separator: ",")
        return SemiSync(variables: text, status: status, acknowledgers: "AB-1,ab-2")
    }

    @Test func readsWhatIsThere() {
        let seen = Self.answer()
        #expect(seen.installed && seen.enabled && seen.active && seen.withoutFallback && seen.guarantees)
        #expect((seen.clients, seen.waiting) == (2, 3))
        #expect(seen.acknowledgers == ["ab-1", "ab-2"])
    }

    @Test func aServerWithoutThePluginGuaranteesNothing() {
        #expect(Self.answer(["rpl_semi_sync_source_enabled": nil]) == SemiSync())
        #expect(SemiSync(variables: nil, status: Self.status) == SemiSync())
        #expect(!Self.answer(["rpl_semi_sync_source_enabled": "OFF"]).enabled)
    }

    /// Each alone lets a commit be acknowledged that no replica has.
    @Test(arguments: [
        ("rpl_semi_sync_source_wait_point", "AFTER_COMMIT"), ("rpl_semi_sync_source_wait_no_replica", "OFF"),
        ("rpl_semi_sync_source_timeout", "3599999"), ("rpl_semi_sync_source_timeout", "?"),
        ("rpl_semi_sync_source_wait_for_replica_count", "0"), ("rpl_semi_sync_source_wait_point", nil),
        ("rpl_semi_sync_source_timeout", nil), ("rpl_semi_sync_source_wait_for_replica_count", nil),
    ])
    func oneWrongSettingIsAFallback(_ name: String, _ value: String?) {
        let seen = Self.answer([name: value])
        #expect(seen.active && !seen.withoutFallback && !seen.guarantees)
    }

    @Test func brokenTextIsNothing() {
        #expect(!Self.answer(status: nil).active)
        #expect(!Self.answer(status: "Rpl_semi_sync_source_status,=,x=").guarantees)
        #expect(Self.answer(status: "Rpl_semi_sync_source_clients=99999999999999999999").clients == 0)
    }
}
