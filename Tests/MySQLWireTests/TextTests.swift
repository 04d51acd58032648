import Testing

@testable import MySQLWire

struct TextTests {
    @Test(arguments: [
        ("db1", "db1:3306"), ("db1:3307", "db1:3307"), ("[::1]:3307", "[::1]:3307"), ("::1", "[::1]:3306"),
        ("[fe80::1]", "[fe80::1]:3306"), ("/run/mysqld.sock", "/run/mysqld.sock"),
    ])
    func addressesThatCanBeRead(_ text: String, _ shown: String) {
        #expect(ServerAddress(text)?.description == shown)
    }

    @Test(arguments: ["", ":3306", "db1:", "db1:0", "db1:70000", "db1:x", "[::1", "[]:3306", "[::1]x"])
    func addressesThatCannot(_ text: String) {
        #expect(ServerAddress(text) == nil)
    }

    @Test func versions() {
        #expect(ServerVersion("9.7.4-2").isMySQL(atLeast: 8, 4))
        #expect(ServerVersion("8.0.36").description == "MySQL 8.0.36")
        #expect(ServerVersion("5.5.5-10.11.6-MariaDB-0+deb12u1").isMariaDB(atLeast: 10, 11, 6))
        #expect(ServerVersion("11.4.2-MariaDB").isMariaDB(atLeast: 11))
        #expect(!ServerVersion("nonsense").isMySQL(atLeast: 1))
    }

    /// A statement may hold a password, and a syntax error repeats the statement.
    @Test func anErrorQuotesTheStatementOnlyWhenAskedFor() {
        let text = "You have an error near 'IDENTIFED BY 'hunter2' PASSWORD EXPIRE' at line 1"
        let error = MySQLError(
            .server, phase: .reply, server: "db:3306", purpose: "create the account", message: text,
            serverError: ServerError(number: 1064, sqlState: "42000", message: text))
        #expect("\(error)" == "db:3306 (create the account): ERROR 1064 (42000): You have an error near '…' at line 1")
        #expect(String(reflecting: error).contains("hunter2"))
        let other = ServerError(number: 1146, sqlState: "42S02", message: "Table 'a.b' doesn't exist")
        #expect("\(other)" == "ERROR 1146 (42S02): Table 'a.b' doesn't exist")
    }

    @Test func aSecretShowsItselfNowhere() {
        let options = ConnectionOptions(address: .unix(path: "/s"), user: "u", password: Secret("hunter2"))
        var dumped = ""
        dump(options, to: &dumped)
        #expect(!(dumped + "\(options)" + String(reflecting: options)).contains("hunter2"))
    }
}
