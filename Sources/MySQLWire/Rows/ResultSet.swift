/// A whole answer in memory: rows if the statement had any, and what the final OK packet said. For answers of a
/// size that is known to be small; large ones are streamed with `MySQLConnection.stream`.
public struct ResultSet: Sendable {
    public var columns: [ColumnDefinition]
    public var rows: [Row]
    public var affectedRows: UInt64
    public var lastInsertID: UInt64
    public var warnings: UInt16
    /// The transactions that the statement committed, as the server wrote them into its OK packet. On MySQL only where
    /// the session has `session_track_gtids` (OWN_GTID: a GTID set), on MariaDB where `session_track_system_variables`
    /// lists `last_gtid` (one GTID). Nil where the server said nothing.
    public var gtids: String?

    public init(
        columns: [ColumnDefinition] = [], rows: [Row] = [], affectedRows: UInt64 = 0, lastInsertID: UInt64 = 0,
        warnings: UInt16 = 0, gtids: String? = nil
    ) {
        self.columns = columns
        self.rows = rows
        self.affectedRows = affectedRows
        self.lastInsertID = lastInsertID
        self.warnings = warnings
        self.gtids = gtids
    }
}

extension ResultSet {
    /// The same with what the packet at its end says.
    func ended(by ok: OKPacket) -> ResultSet {
        var copy = self
        copy.affectedRows = ok.affectedRows
        copy.lastInsertID = ok.lastInsertID
        copy.warnings = ok.warnings
        copy.gtids = ok.gtids
        return copy
    }
}

/// One row in the text protocol: bytes as the server sent them, nil for NULL.
public struct Row: Sendable {
    public let columns: [ColumnDefinition]
    let values: [[UInt8]?]

    public init(columns: [ColumnDefinition], values: [[UInt8]?]) {
        self.columns = columns
        self.values = values
    }

    public var count: Int { values.count }

    /// The bytes of a column by position; nil for NULL and for a position that does not exist.
    public func bytes(_ index: Int) -> [UInt8]? { values.indices.contains(index) ? values[index] : nil }

    /// A column as text (invalid UTF-8 repaired); nil for NULL and for a position that does not exist.
    public func string(_ index: Int) -> String? { bytes(index).map { String(decoding: $0, as: UTF8.self) } }

    public func int(_ index: Int) -> Int64? { string(index).flatMap { Int64($0) } }

    /// The position of the column with this name, compared without regard to case as MySQL does.
    public func index(of name: String) -> Int? {
        columns.firstIndex { $0.name == name } ?? columns.firstIndex { $0.name.lowercased() == name.lowercased() }
    }

    /// The bytes of a column by name; nil for NULL and where the server's version has no such column.
    public func bytes(_ name: String) -> [UInt8]? { index(of: name).flatMap { bytes($0) } }

    /// A column by name as text; nil for NULL and where the server's version has no such column.
    public func string(_ name: String) -> String? { index(of: name).flatMap { string($0) } }

    public func int(_ name: String) -> Int64? { index(of: name).flatMap { int($0) } }
}
