import MySQLWire

/// What the two servers must have in common, and who is who: pure.
struct CheckPair {
    let configuration: Configuration
    let a: ServerSettings
    let b: ServerSettings

    private static let subject = "both servers"
    private func finding(_ level: Finding.Level, _ text: String, _ remedy: String? = nil) -> Finding {
        Finding(level, Self.subject, text, remedy: remedy)
    }

    func findings() -> [Finding] {
        guard a.facts.uuid != b.facts.uuid else {
            return [
                finding(
                    .critical,
                    "they have one server_uuid: the addresses lead to one server, or a data directory was copied",
                    "correct [servers]; or stop the copy, remove auto.cnf from its data directory, and start it")
            ]
        }
        let found = identity() + alike() + roles()
        return found.isEmpty ? [finding(.ok, "one replicates from the other, and they are alike")] : found
    }

    private func identity() -> [Finding] {
        guard a.facts.serverID == b.facts.serverID else { return [] }
        return [
            finding(
                .critical, "they have one server_id, \(a.facts.serverID): neither replicates from the other",
                "my.cnf of one of them, [mysqld]: server_id = \(a.facts.serverID == 1 ? 2 : 1)")
        ]
    }

    /// What makes one server refuse, or read differently, what the other one writes.
    private func alike() -> [Finding] {
        var found: [Finding] = []
        let (left, right) = (a.facts.version, b.facts.version)
        if (left.major, left.minor) != (right.major, right.minor) {
            found.append(
                finding(
                    .warning,
                    "\(left) and \(right): after a failover the older one may have to replicate from "
                        + "the newer one, which MySQL does not support",
                    "run one series on both"))
        }
        for (name, level) in [
            ("lower_case_table_names", Finding.Level.critical), ("collation_server", .warning), ("sql_mode", .warning),
            ("max_allowed_packet", .warning), ("event_scheduler", .warning),
        ] {
            guard let left = a.value(name), let right = b.value(name), left != right else { continue }
            found.append(finding(level, "\(name) differs: '\(left)' on a, '\(right)' on b", "make it the same on both"))
        }
        return found
    }

    private func roles() -> [Finding] {
        switch (a.facts.channels.first, b.facts.channels.first) {
        case (nil, nil):
            guard a.facts.promotion == nil, b.facts.promotion == nil else {
                return [finding(.critical, "neither replicates: the agents bring the one that was replaced back")]
            }
            return [
                finding(
                    .critical, "neither replicates from the other, so nobody knows which is the primary",
                    "on the replica: CHANGE REPLICATION SOURCE TO SOURCE_HOST = '...', SOURCE_USER = "
                        + "'\(configuration.replication.user)', SOURCE_PASSWORD = '...', SOURCE_AUTO_POSITION = 1, "
                        + "SOURCE_HEARTBEAT_PERIOD = 1; START REPLICA;")
            ]
        case (.some, .some):
            return [
                finding(
                    .critical, "each replicates from the other, or from a third one: no agent decides anything then",
                    "on the primary: STOP REPLICA; RESET REPLICA ALL;")
            ]
        case (let channel?, nil): return source(channel, is: b)
        case (nil, let channel?): return source(channel, is: a)
        }
    }

    private func source(_ channel: ReplicationChannel, is other: ServerSettings) -> [Finding] {
        var found: [Finding] = []
        if !channel.sourceUUID.isEmpty, channel.sourceUUID != other.facts.uuid {
            found.append(
                finding(
                    .critical,
                    "the replica replicates from \(channel.sourceHost):\(channel.sourcePort), a third server"))
        }
        if configuration.mode == .routerLed, a.facts.readOnly || b.facts.readOnly {
            found.append(
                finding(
                    .warning, "in router-led mode both must take writes, and one is read-only",
                    "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;"))
        }
        return found
    }
}
