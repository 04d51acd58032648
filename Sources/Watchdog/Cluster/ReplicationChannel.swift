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
    /// When the applier stopped at its last error, by the server's clock: another value is another stop.
    package var stoppedAt = ""

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
        stoppedAt = column("Last_SQL_Error_Timestamp") ?? ""
    }
}
