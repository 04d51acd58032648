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

    @Test func aSecretShowsItselfNowhere() {
        let options = ConnectionOptions(address: .unix(path: "/s"), user: "u", password: Secret("hunter2"))
        var dumped = ""
        dump(options, to: &dumped)
        #expect(!(dumped + "\(options)" + String(reflecting: options)).contains("hunter2"))
    }
}
