import MySQLWire

/// What a server that is up says of itself.
package struct ServerFacts: Sendable {
    package var uuid: String
    package var serverID: UInt64
    package var version: ServerVersion
    package var gtidMode: Bool
    package var readOnly: Bool
    /// The server is closed to everybody, and nothing that began before is still to come.
    package var superReadOnly: Bool
    /// offline_mode: nobody is let in but administrators, of whom the agents are.
    package var isOffline = false
    /// performance_schema is on: the server can say whose a session, a lock or an acknowledgement is.
    package var performanceSchema = true
    package var executed: GTIDSet
    package var purged: GTIDSet
    package var channels: [ReplicationChannel]
    /// Rows of ongoing_failover.status; nil where there is no such table.
    package var ledger: [LedgerRow]?
    /// Whether any session holds the operation lock here.
    package var operationLocked: Bool
    /// The server is a half-made copy: it must not be promoted, whatever its GTID set says.
    package var rebuilding: RebuildMarker?
    /// The newest row of repl_watchdog.history that is believed (`PromotionRecord`).
    package var promotion: Promotion?
    /// The newest one that names this server.
    package var ownPromotion: Promotion? {
        get { ownRecord ?? promotion.flatMap { $0.primary == uuid ? $0 : nil } }
        set { ownRecord = newValue }
    }
    private var ownRecord: Promotion?
    /// Databases of its own, a few of them. Nil where nobody had to ask: it replicates, or is known to belong here.
    package var schemas: [String]?
    /// What only quorum mode asks for.
    package var quorum: QuorumFacts?

    /// - Parameters:
    ///   - readOnly: `@@global.read_only`.
    ///   - superReadOnly: `@@global.super_read_only`. While SET GLOBAL super_read_only = ON waits for commits that began
    ///     before, the server shows it as ON and read_only as OFF (8.0 to 9.7): such a server is not closed yet, and
    ///     what it waits for is not in its GTID set.
    package init(
        uuid: String, serverID: UInt64, version: ServerVersion = ServerVersion("9.7.0"), gtidMode: Bool = true,
        readOnly: Bool = false, superReadOnly: Bool = false, executed: GTIDSet = GTIDSet(),
        purged: GTIDSet = GTIDSet(), channels: [ReplicationChannel] = [], ledger: [LedgerRow]? = nil,
        operationLocked: Bool = false, rebuilding: RebuildMarker? = nil, promotion: Promotion? = nil,
        quorum: QuorumFacts? = nil
    ) {
        self.quorum = quorum
        self.uuid = uuid
        self.serverID = serverID
        self.version = version
        self.gtidMode = gtidMode
        self.readOnly = readOnly
        self.superReadOnly = superReadOnly && readOnly
        self.executed = executed
        self.purged = purged
        self.channels = channels
        self.ledger = ledger
        self.operationLocked = operationLocked
        self.rebuilding = rebuilding
        self.promotion = promotion
    }
}

/// The row that is set on a server before its data is wiped, and removed when the copy is whole.
package struct RebuildMarker: Sendable, Hashable {
    /// server_uuid of the primary that it is rebuilt from.
    package var source: String
    package var epoch: UInt64
    /// Where the data that was here before is saved, as `host:path`; empty if there was nothing to save.
    package var saved: String

    package init(source: String, epoch: UInt64, saved: String) {
        self.source = source
        self.epoch = epoch
        self.saved = saved
    }
}

/// The newest row of repl_watchdog.history: who was made primary last.
package struct Promotion: Sendable, Hashable {
    package var epoch: UInt64
    package var primary: String

    package init(epoch: UInt64, primary: String) {
        self.epoch = epoch
        self.primary = primary
    }
}
