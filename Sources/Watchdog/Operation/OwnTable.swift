import MySQLWire

/// A table of the agents', which somebody else may have made: under the same name, and in another shape.
enum OwnTable {
    private static let what = "see that a table of the agents is as they make it"

    /// One that has not these columns is put aside: nothing of it is lost.
    /// - Parameter run: one statement on this connection.
    /// - Returns: whether a table is left, and may be used.
    static func isUsable(
        _ table: String, columns: String, connection: MySQLConnection,
        _ run: (String, String) async throws(MySQLError) -> ResultSet
    ) async throws(MySQLError) -> Bool {
        do throws(MySQLError) {
            _ = try await run("SELECT \(columns) FROM \(table) LIMIT 0", what)
            return true
        } catch {
            guard let number = error.number, LedgerSchema.unreadable.contains(number) else { throw error }
            if LedgerSchema.otherShape.contains(number) { try await putAside(table, connection, run) }
            return false
        }
    }

    static func putAside(
        _ table: String, _ connection: MySQLConnection,
        _ run: (String, String) async throws(MySQLError) -> ResultSet
    ) async throws(MySQLError) {
        _ = try await run(
            "RENAME TABLE \(table) TO \(table)_put_aside_\(connection.connectionID)",
            "put a table aside that is not the agents' own")
    }
}
