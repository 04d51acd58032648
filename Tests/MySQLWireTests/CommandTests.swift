import TestBed
import Testing

@testable import MySQLWire

/// COM_INIT_DB, COM_RESET_CONNECTION and COM_CHANGE_USER on both kinds of server, and what was committed.
enum LiveCommands {
    static func aDatabaseIsUsed(_ connection: MySQLConnection) async throws {
        _ = try await connection.query("CREATE DATABASE IF NOT EXISTS `wire ä`", deadline: soon)
        try await connection.useDatabase("wire ä", deadline: soon)
        #expect(
            try await connection.query("SELECT DATABASE()", deadline: soon).rows.first?.string(0) == "wire ä")
        let error = await failure { try await connection.useDatabase("nowhere", deadline: soon) }
        #expect(error?.number == 1049)
        try await connection.ping(deadline: soon)
    }

    static func aResetForgetsTheSession(_ connection: MySQLConnection) async throws {
        _ = try await connection.query("SET @mine = 1, NAMES latin1", deadline: soon)
        try await connection.resetSession(deadline: soon)
        let row = try await connection.query(
            "SELECT @mine, @@character_set_client, @@character_set_results, CURRENT_USER(), 'ä€'", deadline: soon
        ).rows.first
        #expect(row?.string(0) == nil)
        #expect(row?.string(1) == "utf8mb4")
        #expect(row?.string(2) == "utf8mb4")
        #expect(row?.string(3) == "watchdog@%")
        #expect(row?.string(4) == "ä€")
    }

    static func theUserIsChanged(_ connection: MySQLConnection, _ server: MySQLServer) async throws {
        try await server.sql(
            "CREATE USER IF NOT EXISTS other IDENTIFIED BY 'höher'; GRANT ALL ON *.* TO other; "
                + "CREATE DATABASE IF NOT EXISTS wire")
        for round in 0..<3 {
            _ = try await connection.query("SET @mine = 1", deadline: soon)
            try await connection.changeUser(
                "other", password: Secret("höher"), database: round == 0 ? nil : "wire", deadline: soon)
            let row = try await connection.query(
                "SELECT CURRENT_USER(), DATABASE(), @mine, @@character_set_client, 'ä€'", deadline: soon
            ).rows.first
            #expect(row?.string(0) == "other@%")
            #expect(row?.string(1) == (round == 0 ? nil : "wire"))
            #expect(row?.string(2) == nil)
            #expect(row?.string(3) == "utf8mb4")
            #expect(row?.string(4) == "ä€")
        }
        let refused = await failure {
            try await connection.changeUser("other", password: Secret("wrong"), deadline: soon)
        }
        #expect(refused?.number == 1045)
        #expect(refused?.phase == .authentication)
        #expect(!connection.isOpen)
        let closed = await failure { try await connection.ping(deadline: soon) }
        #expect(closed?.code == .closed)
    }

    /// - Returns: what the commit's OK packet said, and what the server had executed before and after.
    static func commit(_ connection: MySQLConnection, tracking: String, executed: String) async throws -> (
        told: String?, before: String, after: String
    ) {
        for statement in [
            "CREATE DATABASE IF NOT EXISTS wire", "CREATE TABLE IF NOT EXISTS wire.g (id INT PRIMARY KEY)",
            "DELETE FROM wire.g", tracking, "START TRANSACTION",
        ] { _ = try await connection.query(statement, deadline: soon) }
        func read() async throws -> String {
            try await connection.query("SELECT @@GLOBAL.\(executed)", deadline: soon).rows.first?.string(0) ?? ""
        }
        let insert = try await connection.query("INSERT INTO wire.g VALUES (1)", deadline: soon)
        #expect(insert.gtids == nil, "nothing is committed yet")
        let before = try await read()
        let told = try await connection.query("COMMIT", deadline: soon).gtids
        return (told, before, try await read())
    }
}

@Suite(.server(.mysql), .serialized)
struct LiveCommandTests {
    @Test(arguments: [TLSMode.disabled, .required])
    func commands(_ tls: TLSMode) async throws {
        let server = try SharedServer.current
        var options = server.connectionOptions(.agent)
        options.tls = tls
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        try await LiveCommands.aDatabaseIsUsed(connection)
        try await LiveCommands.aResetForgetsTheSession(connection)
        try await LiveCommands.theUserIsChanged(connection, server)
    }

    @Test func theUserIsChangedToOneWithAnotherPlugin() async throws {
        let server = try SharedServer.current
        try await server.sql("DROP USER IF EXISTS old; CREATE USER old IDENTIFIED WITH sha256_password BY 'secret'")
        let connection = try await LiveQueries.connect()
        let how = try await connection.changeUser("old", password: Secret("secret"), deadline: soon)
        #expect(how == .sha256TLS)
        #expect(
            try await connection.query("SELECT CURRENT_USER()", deadline: soon).rows.first?.string(0) == "old@%")
        await connection.close()
    }

    @Test(arguments: [Capabilities([]), .deprecateEOF])
    func aCommitTellsItsGTID(_ without: Capabilities) async throws {
        let connection = try await LiveQueries.connect(without: without)
        let (told, before, after) = try await LiveCommands.commit(
            connection, tracking: "SET SESSION session_track_gtids = OWN_GTID", executed: "gtid_executed")
        let gtids = try #require(told)
        func contains(_ set: String) async throws -> Int64? {
            try await connection.query("SELECT GTID_SUBSET('\(gtids)', '\(set)')", deadline: soon).rows.first?.int(0)
        }
        #expect(try await contains(before) == 0)
        #expect(try await contains(after) == 1)
        await connection.close()
    }
}

@Suite(.server(.mariadb), .serialized)
struct LiveMariaDBCommandTests {
    @Test func commands() async throws {
        let server = try SharedServer.current
        let connection = try await LiveQueries.connect()
        try await LiveCommands.aDatabaseIsUsed(connection)
        try await LiveCommands.aResetForgetsTheSession(connection)
        try await LiveCommands.theUserIsChanged(connection, server)
    }

    @Test func aCommitTellsItsGTID() async throws {
        let connection = try await LiveQueries.connect()
        let (told, before, after) = try await LiveCommands.commit(
            connection, tracking: "SET SESSION session_track_system_variables = 'autocommit,last_gtid'",
            executed: "gtid_binlog_pos")
        #expect(told != nil)
        #expect(told != before)
        #expect(told == after)
        await connection.close()
    }
}
