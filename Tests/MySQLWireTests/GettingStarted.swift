import MySQLWire

// The code of the article GettingStarted.md, compiled and run: DocumentationTests sees to it that they are the same.

enum GettingStarted {
    static func connect(host: String, port: UInt16, password: String) async throws -> MySQLConnection {
        var options = ConnectionOptions(
            address: .tcp(host: host, port: port), user: "app", password: Secret(password))
        options.tls = .preferred
        options.programName = "getting-started"
        let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(5)))
        return connection
    }

    static func ask(_ connection: MySQLConnection) async throws -> String? {
        let result = try await connection.query(
            "SELECT VERSION() AS version, NULL AS nothing", purpose: "read the version", deadline: .after(.seconds(2)))
        for row in result.rows {
            print(row.string("version") ?? "NULL", row.string("nothing") ?? "NULL")
        }
        return result.rows.first?.string("version")
    }

    static func quote(_ connection: MySQLConnection, _ name: String) async throws -> Int64? {
        let sql = "SELECT CHAR_LENGTH(" + SQLText.literal(name) + ")"
        let result = try await connection.query(sql, deadline: .after(.seconds(2)))
        return result.rows.first?.int(0)
    }

    static func stream(_ connection: MySQLConnection) async throws -> Int {
        let rows = try await connection.stream(
            "SELECT TABLE_NAME FROM information_schema.TABLES", deadline: .after(.seconds(10)))
        var count = 0
        while let batch = try await rows.next(deadline: .after(.seconds(10))) {
            for row in 0..<batch.rowCount where batch.string(row: row, column: 0) != nil {
                count += 1
            }
        }
        return count
    }

    static func handleErrors(_ connection: MySQLConnection) async -> String {
        do {
            _ = try await connection.query("SELECT * FROM app.no_such_table", deadline: .after(.seconds(2)))
            return "no error"
        } catch {
            if error.code == .timeout || error.code == .cancelled {
                return "not answered in time; the connection is closed"
            }
            switch error.number {
            case 1049, 1146: return "it does not exist; the connection may be used again"
            default: return error.description
            }
        }
    }
}
