import MySQLWire

/// What a dump holds and leaves out.
public struct DumpOptions: Sendable {
    /// Schemas that are never dumped nor wiped, beside MySQL's own (mysql, sys, information_schema,
    /// performance_schema, ndbinfo).
    public var excludedSchemas: Set<String> = []
    /// Emit accounts and grants.
    public var accounts = true
    /// Emit events as DISABLE ON REPLICA, so that a rebuilt replica does not run what its primary runs.
    public var disableEvents = true
    /// How long a statement may wait for the short global read lock.
    public var lockTimeout: Duration = .seconds(20)
    /// Sessions that insert rows into the target side by side, beside the one that creates its tables.
    public var loaders = 4
    /// Called now and then with what was done so far; must be quick.
    public var progress: (@Sendable (DumpProgress) -> Void)?

    public init() {}
}

/// How far a dump or an import has come.
public struct DumpProgress: Sendable {
    public var table: String
    public var rows: UInt64
    public var bytes: UInt64

    public init(table: String, rows: UInt64, bytes: UInt64) {
        self.table = table
        self.rows = rows
        self.bytes = bytes
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
    /// What could not be carried exactly, in words for the operator.
    public var warnings: [String]

    public init(gtidExecuted: String, tables: [Table], bytes: UInt64, warnings: [String] = []) {
        self.gtidExecuted = gtidExecuted
        self.tables = tables
        self.bytes = bytes
        self.warnings = warnings
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
