import MySQLWire

/// One row of SHOW REPLICA STATUS: how this server replicates from another.
/// https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
package struct ReplicationChannel: Sendable, Hashable {
    package enum Receiver: String, Sendable { case on = "Yes", connecting = "Connecting", off = "No" }

    package var name: String
    package var sourceHost: String
    package var sourcePort: Int
    /// Empty until the receiver has once been connected.
    package var sourceUUID: String
    package var receiver: Receiver
    package var applierRuns: Bool
    package var receiverErrno: Int
    package var receiverError: String
    package var applierErrno: Int
    package var applierError: String
    /// What has reached the relay log, since it was last purged.
    package var retrieved: GTIDSet
    package var autoPosition: Bool
    /// Seconds; nil while unknown.
    package var lag: Int?
    /// Seconds that the applier waits with each transaction (SOURCE_DELAY).
    package var delay = 0

    package init(
        name: String = "", sourceHost: String, sourcePort: Int, sourceUUID: String, receiver: Receiver = .on,
        applierRuns: Bool = true, receiverErrno: Int = 0, receiverError: String = "", applierErrno: Int = 0,
        applierError: String = "", retrieved: GTIDSet = GTIDSet(), autoPosition: Bool = true, lag: Int? = 0
    ) {
        self.name = name
        self.sourceHost = sourceHost
        self.sourcePort = sourcePort
        self.sourceUUID = sourceUUID
        self.receiver = receiver
        self.applierRuns = applierRuns
        self.receiverErrno = receiverErrno
        self.receiverError = receiverError
        self.applierErrno = applierErrno
        self.applierError = applierError
        self.retrieved = retrieved
        self.autoPosition = autoPosition
        self.lag = lag
    }

    /// Reads a row in either vocabulary: columns of SHOW REPLICA STATUS or of the older SHOW SLAVE STATUS.
    init(_ row: Row) {
        func column(_ name: String) -> String? {
            row.string(name)
                ?? row.string(
                    name.replacing("Source_", with: "Master_").replacing("Replica_", with: "Slave_")
                        .replacing("_Source", with: "_Master"))
        }
        name = column("Channel_Name") ?? ""
        sourceHost = column("Source_Host") ?? ""
        sourcePort = column("Source_Port").flatMap { Int($0) } ?? 0
        sourceUUID = (column("Source_UUID") ?? "").lowercased()
        receiver = column("Replica_IO_Running").flatMap { Receiver(rawValue: $0) } ?? .off
        applierRuns = column("Replica_SQL_Running") == "Yes"
        receiverErrno = column("Last_IO_Errno").flatMap { Int($0) } ?? 0
        receiverError = column("Last_IO_Error") ?? ""
        applierErrno = column("Last_SQL_Errno").flatMap { Int($0) } ?? 0
        applierError = column("Last_SQL_Error") ?? ""
        retrieved = column("Retrieved_Gtid_Set").flatMap { GTIDSet($0) } ?? GTIDSet()
        autoPosition = column("Auto_Position") == "1"
        lag = column("Seconds_Behind_Source").flatMap { Int($0) }
        delay = column("SQL_Delay").flatMap { Int($0) } ?? 0
    }

    package enum Health: Sendable, Hashable {
        case running
        /// Stopped without an error: somebody stopped it, or it was never started.
        case stopped
        /// The receiver does not reach its source, or is refused. Nothing is wrong with the data.
        case disconnected(String)
        /// The applier was stopped by what passes. Nothing is wrong with the data: it only needs to be started.
        case interrupted(String)
        /// The data differs, or the source no longer has what is missing: starting again cannot help.
        case broken(String)
    }

    /// Errors of the receiver that only a rebuild ends: the source has purged what this server lacks.
    private static let fatalReceiverErrors: Set<Int> = [1236, 13114]

    /// Errors of the applier that say nothing about the data, and may be gone at the next start: a lock or a deadlock
    /// (1205, 1213), no memory, disk or room for locks (1021, 1037, 1038, 1041, 1114, 1206), a shutdown or a thread that
    /// was killed (1053, 1317), and what the coordinator or other workers say of that (1756, 3030).
    private static let passingApplierErrors: Set<Int> = [
        1021, 1037, 1038, 1041, 1053, 1114, 1205, 1206, 1213, 1317, 1756, 3030,
    ]

    package var health: Health {
        if Self.passingApplierErrors.contains(applierErrno), !Self.fatalReceiverErrors.contains(receiverErrno) {
            return .interrupted("applier error \(applierErrno): \(applierError)")
        }
        if applierErrno != 0 { return .broken("applier error \(applierErrno): \(applierError)") }
        if Self.fatalReceiverErrors.contains(receiverErrno) {
            return .broken("receiver error \(receiverErrno): \(receiverError)")
        }
        switch (receiver, applierRuns) {
        case (.on, true): return .running
        case (.connecting, _):
            return .disconnected(
                receiverErrno == 0
                    ? "receiver is connecting to \(sourceHost):\(sourcePort)"
                    : "receiver error \(receiverErrno): \(receiverError)")
        case (.off, _) where receiverErrno != 0:
            return .disconnected("receiver error \(receiverErrno): \(receiverError)")
        default: return .stopped
        }
    }
}
