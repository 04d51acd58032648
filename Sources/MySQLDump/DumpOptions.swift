import MySQLWire

/// What a dump holds and leaves out, and how much it may take.
public struct DumpOptions: Sendable {
    /// Schemas that are never dumped nor wiped, beside MySQL's own (mysql, sys, information_schema,
    /// performance_schema) and `ongoing_rebuild`, which marks an unfinished copy.
    public var excludedSchemas: Set<String> = []
    /// Emit accounts and grants.
    public var accounts = true
    /// Emit events as DISABLE ON REPLICA, so that a rebuilt replica does not run what its primary runs.
    public var disableEvents = true
    /// How long the moment may be looked for in which the dump begins.
    public var lockTimeout: Duration = .seconds(60)
    /// How long the tables may be waited for that are locked for that moment, where none comes by itself: so long a
    /// writer is held up.
    public var writerPause: Duration = .milliseconds(150)
    /// Take the dump although there are prepared XA transactions, with a warning: for the data of a server that is not
    /// used any more. A copy of it would lack rows whose GTIDs it claims.
    public var leavesPrepared = false
    /// How long a quiet moment is waited for before tables are locked.
    var quietTime: Duration = .seconds(2)
    /// Sessions that read rows side by side in the one snapshot, beside the one that reads definitions.
    public var readers = DumpOptions.cores
    /// Bytes of data, as the server estimates them, from which on a table is cut into ranges of its key, and of a range.
    public var rangeSize: UInt64 = 8 << 20
    /// Sessions that insert rows into the target side by side, beside the one that creates its tables.
    public var loaders = 4
    /// Mark the target as an unfinished copy (`ongoing_rebuild.marker`) until it is a whole one. A caller that marks it
    /// itself switches this off.
    public var marksTarget = true
    /// The GTID set that the target is known to have executed: one that has more is not wiped. Nil: no matter.
    package var wipesOnly: String?
    /// Statements that are run when the target's GTID history is gone, before its data goes.
    package var duringWipe: [String] = []
    /// How long a file beside a copy may take none of what waits for it before it is given up and reported; the copy
    /// goes on.
    public var filePatience: Duration = .seconds(120)
    /// Called now and then with what was done so far; must be quick.
    public var progress: (@Sendable (DumpProgress) -> Void)?

    public init() {}

    private static var cores: Int { min(4, max(2, MemberWriter.cores)) }
}

/// How far a dump or an import has come.
public struct DumpProgress: Sendable {
    /// The table whose rows go out now, quoted; empty before the first.
    public var table: String
    /// Rows of this table so far.
    public var rows: UInt64
    /// About how many it has, where that is known.
    public var tableRows: UInt64?
    /// Rows of all tables so far.
    public var allRows: UInt64
    /// Bytes of SQL text so far.
    public var bytes: UInt64
    /// How much of the whole is done, 0 to 1; an estimate.
    public var fraction: Double

    public init(
        table: String, rows: UInt64, tableRows: UInt64? = nil, allRows: UInt64 = 0, bytes: UInt64, fraction: Double = 0
    ) {
        self.table = table
        self.rows = rows
        self.tableRows = tableRows
        self.allRows = allRows
        self.bytes = bytes
        self.fraction = fraction
    }
}

/// What a finished dump holds.
public struct DumpReport: Sendable {
    public struct Table: Sendable, Hashable {
        public var schema: String
        public var name: String
        public var rows: UInt64

        public init(schema: String, name: String, rows: UInt64) {
            self.schema = schema
            self.name = name
            self.rows = rows
        }
    }
    /// gtid_executed of the source at the instant of the snapshot.
    public var gtidExecuted: String
    public var tables: [Table]
    /// Bytes of SQL text before compression.
    public var bytes: UInt64
    /// What could not be carried exactly, in words for the operator; what is left out as well.
    public var warnings: [String]
    /// What the source has and the dump, or the copy, has not: part of `warnings`.
    public var omissions: [String]
    /// The file that a copy kept beside the target; nil if none was asked for or it failed, which a warning says.
    public var file: String?

    public init(gtidExecuted: String, tables: [Table], bytes: UInt64, warnings: [String] = [], omissions: [String] = [])
    {
        self.gtidExecuted = gtidExecuted
        self.tables = tables
        self.bytes = bytes
        self.warnings = warnings
        self.omissions = omissions
    }

    public var rows: UInt64 { tables.reduce(0) { $0 + $1.rows } }
}

/// Why a dump, an import or a verification ended without success.
public struct DumpError: Error, Sendable, CustomStringConvertible {
    public enum Cause: Sendable {
        /// A server failed or refused.
        case server(MySQLError)
        /// The file could not be written or read; the system's error number where there is one.
        case file(path: String, errno: Int32?)
        /// The file is cut, altered or unfinished.
        case incomplete(path: String)
        /// Source and target differ after the import.
        case mismatch
        /// Something that a dump cannot carry or a server that cannot be dumped.
        case unsupported
        /// The server was never at rest for long enough; nothing was done.
        case busy
        case cancelled
    }
    public var cause: Cause
    /// What happened and what to do about it.
    public var message: String

    public init(_ cause: Cause, _ message: String) {
        self.cause = cause
        self.message = message
    }

    public var description: String {
        if case .server(let error) = cause { return "\(message): \(error)" }
        return message
    }
}
