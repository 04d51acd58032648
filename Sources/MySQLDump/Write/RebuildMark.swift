import MySQLWire

/// What stands on a server that is not yet a whole copy: `ongoing_rebuild.marker`, as the agents read it. It survives
/// restarts, and whatever the server's GTID set says meanwhile, no agent calls such a server healthy.
enum RebuildMark {
    static let schema = "ongoing_rebuild"

    /// - Parameter source: server_uuid of the server whose data it is to hold.
    static func set(source: String) -> [String] {
        [
            "CREATE DATABASE IF NOT EXISTS ongoing_rebuild",
            """
            CREATE TABLE IF NOT EXISTS ongoing_rebuild.marker (
                source VARCHAR(36) NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, saved VARCHAR(1000) NOT NULL
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
            """,
            "DELETE FROM ongoing_rebuild.marker",
            "INSERT INTO ongoing_rebuild.marker (source, epoch, saved) VALUES (\(SQLText.literal(source)), 0, '')",
        ]
    }

    static let clear = "DROP DATABASE IF EXISTS ongoing_rebuild"

    /// Nothing, or the uuid of the server whose data an unfinished copy was to hold. A table of that name without this
    /// column is somebody else's.
    static func source(_ session: Session) async throws(DumpError) -> String? {
        let found = try await session.value(
            """
            SELECT COUNT(*) FROM information_schema.COLUMNS \
            WHERE TABLE_SCHEMA = 'ongoing_rebuild' AND TABLE_NAME = 'marker' AND COLUMN_NAME = 'source'
            """, "look whether the server is an unfinished copy")
        guard found == "1" else { return nil }
        return try await session.value(
            "SELECT source FROM ongoing_rebuild.marker LIMIT 1", "look whether the server is an unfinished copy")
    }
}
