/// What an automatic failover that loses nothing rests on. Each is named after what is seen where it does not hold; that
/// name does not change. `status`, `explain` and `check` walk this one list, and the table in
/// Documentation/Guarantees.md is made of it.
package enum Precondition: String, Sendable, CaseIterable {
    case notSemiSynchronous = "not-semi-synchronous"
    case thirdAcknowledger = "third-acknowledger"
    case unnamedAcknowledger = "unnamed-acknowledger"
    case severalAcknowledgements = "several-acknowledgements"
    case replicaFiltered = "replica-filtered"
    case primaryFiltered = "primary-filtered"
    case mayStartOpen = "may-start-open"
    case replicaDelayed = "replica-delayed"
    case performanceSchemaOff = "performance-schema-off"
    case primaryOffline = "primary-offline"
    case replicaOffline = "replica-offline"

    /// What there is no longer.
    package enum Taken: String, Sendable {
        /// That nothing acknowledged is lost by a failover.
        case lossless
        /// The vote that the primary's process is dead.
        case vote
        /// A server that may be promoted, or brought back, as it is.
        case target
        /// A failover within seconds.
        case time
        /// Clients that are served.
        case service
    }

    package var takes: Taken {
        switch self {
        case .notSemiSynchronous, .thirdAcknowledger, .unnamedAcknowledger, .performanceSchemaOff: .lossless
        case .mayStartOpen: .vote
        case .replicaFiltered, .primaryFiltered, .replicaOffline: .target
        case .replicaDelayed: .time
        case .severalAcknowledgements, .primaryOffline: .service
        }
    }

    /// Data may differ without a word, or nobody is served.
    package var isCritical: Bool {
        switch self {
        case .replicaFiltered, .primaryFiltered, .primaryOffline: true
        case .notSemiSynchronous, .thirdAcknowledger, .unnamedAcknowledger, .severalAcknowledgements, .mayStartOpen,
            .replicaDelayed, .performanceSchemaOff, .replicaOffline:
            false
        }
    }

    /// What `status` gives as its reason where this is the worst that there is to say.
    var reason: Reason.Code? {
        switch self {
        case .replicaFiltered: .replicaFiltered
        case .primaryFiltered: .primaryFiltered
        case .primaryOffline: .primaryOffline
        default: nil
        }
    }

    /// - Parameters:
    ///   - server: the name of the server that it is about.
    ///   - other: the name of the other one.
    ///   - detail: what was seen, where there is more than one way.
    package func sentence(_ server: String, beside other: String, _ detail: String) -> String {
        switch self {
        case .notSemiSynchronous:
            "replication from \(server) \(detail): what was committed last may be lost with it, and a failover stops and "
                + "asks unless max_lost_transactions allows for that"
        case .thirdAcknowledger:
            "a server that is not \(other) acknowledges to \(server): what it has acknowledged need not be on \(other), so "
                + "replication does not count as semi-synchronous"
        case .unnamedAcknowledger:
            "\(server) does not say who acknowledges its commits, so replication does not count as semi-synchronous"
        case .severalAcknowledgements:
            "a commit on \(server) waits for \(detail) acknowledgements, and \(other) can give one: without a third server it "
                + "hangs, and after 5 s the primary goes on alone"
        case .replicaFiltered:
            "\(server) may lack rows whose GTIDs it has (\(detail)): it is not promoted without --accept-loss"
        case .primaryFiltered:
            "\(server) would lack rows whose GTIDs it has, once it is a replica (\(detail)): the two would differ after the "
                + "next failover or switchover"
        case .mayStartOpen: "\(server) may start open: its next death counts as silence"
        case .replicaDelayed:
            "\(server) applies \(detail) s late (SOURCE_DELAY): a failover takes that off, and has \(detail) s of changes to "
                + "apply before it opens"
        case .performanceSchemaOff:
            "performance_schema is OFF on \(server): the agents cannot tell their locks from those of other accounts, nor who "
                + "acknowledges"
        case .primaryOffline: "\(server) is in offline_mode: nobody but administrators is let in, and not its replica"
        case .replicaOffline:
            "\(server) is in offline_mode: a switchover to it is refused, and after a failover it would let nobody in but "
                + "administrators"
        }
    }

    /// The statement, setting or command that mends it.
    package var remedy: String {
        switch self {
        case .notSemiSynchronous:
            "the agents switch it on while the replica acknowledges; if it lasts, see check, and the settings in "
                + "Documentation/Guarantees.md"
        case .thirdAcknowledger:
            "rpl_semi_sync_replica_enabled = OFF on every other server, and STOP REPLICA IO_THREAD; START REPLICA IO_THREAD; "
                + "there"
        case .unnamedAcknowledger:
            "my.cnf, [mysqld]: performance_schema = ON, performance_schema_max_thread_instances = -1; restart it"
        case .severalAcknowledgements: "SET PERSIST rpl_semi_sync_source_wait_for_replica_count = 1;"
        case .replicaFiltered:
            "take the settings away, and replace its data: see \"Replacing the data of a replica\" in Reasons.md"
        case .primaryFiltered: "take the settings away before it is a replica"
        case .mayStartOpen:
            "the agents say SET PERSIST_ONLY super_read_only = ON; if it lasts, see persisted_globals_load and their privileges"
        case .replicaDelayed:
            // Relay logs are kept by this statement only while one of the two threads runs.
            "with the receiver running: STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 0; "
                + "START REPLICA SQL_THREAD;"
        case .performanceSchemaOff: "my.cnf, [mysqld]: performance_schema = ON; restart it"
        case .primaryOffline, .replicaOffline:
            "SET GLOBAL offline_mode = OFF; and RESET PERSIST IF EXISTS offline_mode; once whoever switched it on agrees"
        }
    }
}

/// A precondition that does not hold on one server.
package struct UnmetPrecondition: Sendable, Hashable {
    package var precondition: Precondition
    package var server: ServerID
    /// What was seen; empty where the name says it all.
    package var detail = ""

    package var text: String { precondition.sentence("\(server)", beside: "\(server.other)", detail) }
    /// As `status` and `explain` print it.
    package var line: String { "\(text) -> \(precondition.remedy) [\(precondition.rawValue)]" }
}
