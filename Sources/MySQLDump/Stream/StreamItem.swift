import MySQLWire

/// What a dump consists of, between whoever reads a server and whoever writes a file or another server.
enum StreamItem: Sendable, Equatable {
    /// A statement that we built: outside of quoted names and literals it holds no `;`.
    case statement([UInt8], StatementKind)
    /// A definition as the server printed it, which may hold anything.
    case definition([UInt8], StatementKind)
    /// What the importer must know and the mysql client must not see.
    case directive(Directive)
    /// For people only.
    case comment(String)

    static func statement(_ sql: [UInt8]) -> StreamItem { .statement(sql, StatementKind(reading: sql)) }
    static func definition(_ sql: [UInt8]) -> StreamItem { .definition(sql, StatementKind(reading: sql)) }
    static func statement(_ sql: String) -> StreamItem { .statement(Array(sql.utf8)) }
    static func definition(_ sql: String) -> StreamItem { .definition(Array(sql.utf8)) }

    var byteCount: Int {
        switch self {
        case .statement(let bytes, _), .definition(let bytes, _): bytes.count
        case .directive, .comment: 100
        }
    }
}

/// Takes the items of a dump in order. Slow takers hold the giver up; a failure ends the dump.
protocol ItemSink: Sendable {
    func send(_ item: StreamItem) async throws(DumpError)
}

/// A line `-- @name argument ...`: a comment for every other reader.
enum Directive: Sendable, Equatable {
    /// The first one: what the dump was taken from. The GTID set is the snapshot's.
    case begin(format: Int, version: String, uuid: String, gtid: String)
    /// What the target must have; right behind the beginning.
    case need(ImportNeed)
    /// The definition and the rows of this table follow, or with empty names something else. In a file each begins a
    /// gzip member, so that a table can be cut out.
    case section(schema: String, table: String)
    /// The rows of this table follow.
    case data(schema: String, table: String)
    /// The grants of this account follow.
    case account(user: String, host: String)
    /// What the snapshot held: rows by COUNT(*), and CHECKSUM TABLE where it was taken.
    case table(TableFact)
    /// Something that was not carried exactly.
    case warning(String)
    /// Something that the source has and the dump has not.
    case omission(String)
    /// The last one: the dump is whole. In a file it carries what stands before it.
    case end(statements: UInt64, bytes: UInt64, crc32: UInt32)

    static let format = 1
}

/// What is known about a table in the snapshot.
struct TableFact: Sendable, Equatable {
    var schema: String
    var name: String
    var rows: UInt64
    var checksum: String?
    /// Holds JSON, whose opaque values no SQL text carries: its checksum may differ.
    var hasJSON: Bool
    /// FEDERATED, MERGE and BLACKHOLE tables only point to rows: their count says nothing.
    var pointsElsewhere = false
    /// `ColumnChecksum`, for a table with generated values; decides where `checksum` differs.
    var columns: String?
}

extension Directive {
    /// The line without its newline.
    var line: String {
        func quoted(_ values: String...) -> String { values.map(SQLText.literal).joined(separator: " ") }
        switch self {
        case .begin(let format, let version, let uuid, let gtid):
            return "-- @begin \(format) " + quoted(version, uuid, gtid)
        case .need(let need): return "-- @need " + quoted(need.kind.rawValue, need.value, need.by)
        case .section(let schema, let table): return "-- @section " + quoted(schema, table)
        case .data(let schema, let table): return "-- @data " + quoted(schema, table)
        case .account(let user, let host): return "-- @account " + quoted(user, host)
        case .table(let fact):
            return "-- @table \(fact.rows) "
                + quoted(
                    fact.checksum ?? "", fact.pointsElsewhere ? "elsewhere" : fact.hasJSON ? "json" : "", fact.schema,
                    fact.name) + (fact.columns.map { " " + quoted($0) } ?? "")
        case .warning(let text): return "-- @warning " + quoted(text)
        case .omission(let text): return "-- @omission " + quoted(text)
        case .end(let statements, let bytes, let crc32):
            return "-- @end \(statements) \(bytes) \(crc32)"
        }
    }

    /// Reads a line back; nil if it is none of ours.
    init?(line: some Sequence<UInt8>) {
        var words = DirectiveWords(Array(line))
        guard words.next() == "--", let name = words.next() else { return nil }
        switch name {
        case "@begin":
            guard let format = words.next().flatMap({ Int($0) }), let version = words.next(), let uuid = words.next(),
                let gtid = words.next()
            else { return nil }
            self = .begin(format: format, version: version, uuid: uuid, gtid: gtid)
        case "@need":
            guard let kind = words.next().flatMap({ ImportNeed.Kind(rawValue: $0) }), let value = words.next(),
                let by = words.next()
            else { return nil }
            self = .need(ImportNeed(kind: kind, value: value, by: by))
        case "@section":
            guard let schema = words.next(), let table = words.next() else { return nil }
            self = .section(schema: schema, table: table)
        case "@data":
            guard let schema = words.next(), let table = words.next() else { return nil }
            self = .data(schema: schema, table: table)
        case "@account":
            guard let user = words.next(), let host = words.next() else { return nil }
            self = .account(user: user, host: host)
        case "@table":
            guard let rows = words.next().flatMap({ UInt64($0) }), let checksum = words.next(),
                let kind = words.next(), let schema = words.next(), let table = words.next()
            else { return nil }
            self = .table(
                TableFact(
                    schema: schema, name: table, rows: rows, checksum: checksum.isEmpty ? nil : checksum,
                    hasJSON: kind == "json", pointsElsewhere: kind == "elsewhere", columns: words.next()))
        case "@warning":
            guard let text = words.next() else { return nil }
            self = .warning(text)
        case "@omission":
            guard let text = words.next() else { return nil }
            self = .omission(text)
        case "@end":
            guard let statements = words.next().flatMap({ UInt64($0) }),
                let bytes = words.next().flatMap({ UInt64($0) }), let crc = words.next().flatMap({ UInt32($0) })
            else { return nil }
            self = .end(statements: statements, bytes: bytes, crc32: crc)
        default: return nil
        }
        guard words.isAtEnd else { return nil }
    }
}

/// The words of a directive: bare, or quoted as `SQLText.literal` does.
private struct DirectiveWords {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func next() -> String? {
        while position < bytes.count, bytes[position] == UInt8(ascii: " ") { position += 1 }
        guard position < bytes.count else { return nil }
        var word: [UInt8] = []
        guard bytes[position] == UInt8(ascii: "'") else {
            while position < bytes.count, bytes[position] != UInt8(ascii: " ") {
                word.append(bytes[position])
                position += 1
            }
            return String(decoding: word, as: UTF8.self)
        }
        position += 1
        while position < bytes.count {
            var byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "'") { return String(decoding: word, as: UTF8.self) }
            if byte == UInt8(ascii: "\\") {
                guard position < bytes.count else { return nil }
                switch bytes[position] {
                case UInt8(ascii: "0"): byte = 0
                case UInt8(ascii: "n"): byte = 0x0A
                case UInt8(ascii: "r"): byte = 0x0D
                case UInt8(ascii: "Z"): byte = 0x1A
                default: byte = bytes[position]
                }
                position += 1
            }
            word.append(byte)
        }
        return nil
    }
}
