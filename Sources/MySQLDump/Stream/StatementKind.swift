/// What a statement of a dump does, as far as whoever carries it out goes by it.
enum StatementKind: Sendable, Equatable {
    /// Rows of the table whose data comes now.
    case rows
    /// What the rows of a table are followed by: its keys.
    case keys
    /// The beginning or the end of the rows' transaction: whoever inserts them side by side has transactions of his own.
    case transaction
    /// Makes room for a table, or makes it: may be done while rows of others are still on their way.
    case table
    case histogram
    /// Holds a secret.
    case account
    case grant
    case other

    /// In a file a statement says by its first words what it is; they are those of our own builders.
    init(reading sql: some Sequence<UInt8>) {
        func begins(_ words: String...) -> Bool { words.contains { sql.starts(with: $0.utf8) } }
        if begins("INSERT ") {
            self = .rows
        } else if begins("ALTER TABLE ") {
            self = .keys
        } else if sql.elementsEqual("START TRANSACTION".utf8) || sql.elementsEqual("COMMIT".utf8) {
            self = .transaction
        } else if begins("USE ", "DROP TABLE ", "CREATE TABLE ") {
            self = .table
        } else if begins("ANALYZE ") {
            self = .histogram
        } else if begins("CREATE USER", "ALTER USER") {
            self = .account
        } else if begins("GRANT ", "REVOKE ") {
            self = .grant
        } else {
            self = .other
        }
    }
}
