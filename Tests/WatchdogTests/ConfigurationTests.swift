import Foundation
import MySQLWire
import Testing

@testable import Watchdog

@Suite("Configuration")
struct ConfigurationTests {
    static let lines = [
        "cluster = \"shop\"",
        "working_directory = \"/var/lib/repl-watchdog\"",
        "[agent]",
        "name = \"web1\"",
        "[servers.a]",
        "address = \"10.0.0.1:3306\"",
        "[servers.b]",
        "address = \"10.0.0.2\"",
        "[credentials]",
        "user = \"repl-watchdog\"",
        "password = \"pa55\"",
        "[replication]",
        "user = \"repl\"",
        "password = \"r3pl\"",
        "[router]",
        "address = \"127.0.0.1:7001\"",
        "config_file = \"/etc/mysqlrouter/mysqlrouter.conf\"",
        "restart = [\"systemctl\", \"restart\", \"mysqlrouter\"]",
        "[safety]",
    ]

    /// The good configuration with one line replaced (an empty text takes it out), and lines added behind it.
    static func text(_ line: String = "", with new: String? = nil, after added: (String, String)? = nil) -> String {
        var result = lines
        if let new, let index = result.firstIndex(where: { $0.hasPrefix(line) }) { result[index] = new }
        if let added, let index = result.firstIndex(where: { $0.hasPrefix(added.0) }) {
            result.insert(added.1, at: index + 1)
        }
        return result.joined(separator: "\n") + "\n"
    }

    static func parse(
        _ text: String, host: String? = "web1", password: String? = nil, mode: UInt32 = 0o600
    ) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(
            text, file: "t.toml",
            surroundings: .init(hostName: host, password: password.map { Secret($0) }, fileMode: mode))
    }

    @Test("the good one, with its defaults")
    func good() throws {
        let c = try Self.parse(Self.text())
        #expect(c.cluster == "shop" && c.mode == .routerLed && c.agents.isEmpty)
        #expect(c.agent.name == "web1" && c.agent.interval == .seconds(1) && c.agent.probeTimeout == .seconds(2))
        #expect(c.servers.a == .tcp(host: "10.0.0.1", port: 3306) && c.servers.b == .tcp(host: "10.0.0.2", port: 3306))
        #expect(c.credentials.password.reveal() == "pa55" && c.credentials.tls == .preferred)
        #expect(c.replication.password.reveal() == "r3pl" && c.replication.peer == nil)
        #expect(c.router.section == "routing:mysql_failover" && c.router.destinations == .primaryFirst)
        #expect(c.router.restart == ["systemctl", "restart", "mysqlrouter"] && c.router.stop.isEmpty)
        #expect(c.safety.maxLostTransactions == 0 && c.safety.drainTimeout == .seconds(60))
        #expect(c.safety.operationTimeout == .seconds(21_600))
    }

    @Test("agents: three names, and each router lists the primary only")
    func agents() throws {
        let list = "mode = \"quorum\"\nagents = [\n  \"web1\", # first\n  \"web2\",\n  \"web3\"\n]"
        let text = Self.text(after: ("cluster", list))
        // An agent that has lost touch must be able to close its router.
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error?.description.contains("needs 'router.stop'") == true)
        let c = try Self.parse(text.replacing("[router]\n", with: "[router]\nstop = [\"true\"]\n"))
        #expect(c.mode == .quorum && c.agents == ["web1", "web2", "web3"])
        #expect(c.router.destinations == .primaryOnly && !c.router.bound && c.safety.blockPeriod == .seconds(3600))
    }

    /// Through the router's port alone, and no other connection.
    @Test func theRoutersPortMayHaveAModeOfItsOwn() throws {
        func parsed(_ own: String, _ router: String?) throws -> Configuration {
            let text = Self.text(after: ("[credentials]", "tls = \"\(own)\""))
            guard let router else { return try Self.parse(text) }
            return try Self.parse(text.replacing("[router]\n", with: "[router]\ntls = \"\(router)\"\n"))
        }
        let same = try parsed("required", nil)
        #expect(same.routerOptions().tls == .required && same.router.tls == nil)
        let other = try parsed("required", "disabled")
        #expect(other.routerOptions().tls == .disabled)
        #expect(other.connectionOptions(other.servers.a).tls == .required)
        #expect(other.differences(from: same) == ["router"] && other.text.contains("\ntls = \"disabled\"\n"))
        // Each host has its own router: agents need not agree on it.
        #expect(ConfigurationDigest(other) == ConfigurationDigest(same))
        #expect(try parsed("verify-identity", nil).routerOptions().tls == .verifyCA)
        #expect(throws: ConfigurationError.self) { try parsed("required", "off") }
    }

    /// What is wrong, the line it must be reported on, and what the report must say.
    static let mistakes: [(text: String, line: Int?, says: [String])] = [
        (text("cluster", with: "clutser = \"shop\""), 1, ["unknown key 'clutser'", "did you mean 'cluster'?"]),
        (text("cluster", with: ""), nil, ["'cluster' is missing"]),
        (text(after: ("[agent]", "intervall = \"1s\"")), 4, ["'agent.intervall'", "did you mean 'interval'?"]),
        (text(after: ("[agent]", "drain_timeout = \"1s\"")), 4, ["'drain_timeout' belongs in [safety]"]),
        (text("[safety]", with: "[saftey]"), 19, ["unknown key 'saftey'", "did you mean 'safety'?"]),
        (text(after: ("[safety]", "zzzzzzzz = 1")), 20, ["known here: max_lost_transactions, drain_timeout"]),
        (text("cluster", with: "cluster = 5"), 1, ["'cluster' must be a string in quotes, not an integer"]),
        (
            text("restart", with: "restart = \"systemctl restart mysqlrouter\""), 18,
            ["must be an array of strings", "not a string"]
        ),
        (text("restart", with: "restart = [\"systemctl\", 1]"), 18, ["an array of strings only"]),
        (text("restart", with: "restart = []"), 18, ["must name a program"]),
        (text("restart", with: ""), 15, ["'router.restart' is missing"]),
        (text("address = \"127", with: "address = \"127.0.0.1:70011\""), 16, ["which is no address"]),
        (text("address = \"127", with: "address = \"10.0.0.1\""), 16, ["a database server itself"]),
        (text("address = \"10.0.0.2", with: "address = \"10.0.0.1\""), 8, ["are the same server, 10.0.0.1:3306"]),
        (text("working_directory", with: "working_directory = \"var/lib\""), 2, ["must be an absolute path"]),
        (text("[servers.b]", with: "[servers.c]"), 7, ["unknown key 'servers.c'"]),
        (text(after: ("[agent]", "interval = 1")), 4, ["must be a duration in quotes", "not an integer"]),
        (text(after: ("[agent]", "interval = \"1 s\"")), 4, ["is \"1 s\", which is no duration"]),
        (text(after: ("[agent]", "interval = \"1ms\"")), 4, ["is 1ms; it must lie between 100ms and 1h"]),
        (text(after: ("[safety]", "max_lost_transactions = -1")), 20, ["is -1; it must lie between 0 and"]),
        (
            text(after: ("[safety]", "max_lost_transactions = 1.5")), 20,
            ["must be a whole number, not a floating-point number"]
        ),
        (text(after: ("[safety]", "operation_timeout = \"30s\"")), 20, ["drain_timeout (1m) must be shorter"]),
        (
            text(after: ("[router]", "destinations = \"primary-only\"")), 16,
            ["could never move", "use \"primary-first\""]
        ),
        (text(after: ("[router]", "destinations = \"primary-frist\"")), 16, ["did you mean \"primary-first\"?"]),
        (text(after: ("[router]", "section = \"DEFAULT\"")), 16, ["must be \"routing:NAME\""]),
        (
            text(after: ("cluster", "mode = \"quorum\"\nagents = [\"web1\", \"web2\"]")), 3,
            ["at least three names", "not 2"]
        ),
        (
            text(after: ("cluster", "mode = \"quorun\"")), 2,
            ["must be one of router-led, quorum", "did you mean \"quorum\"?"]
        ),
        (text(after: ("cluster", "agents = [\"web1\"]")), 2, ["without 'mode'"]),
        (
            text(after: ("cluster", "initiative = \"agents\"")), 2,
            ["'initiative' has another name now", "mode = \"quorum\" (it was \"agents\")"]
        ),
        (
            text(after: ("cluster", "mode = \"router-led\"\nagents = [\"web2\", \"web3\"]")), 6,
            ["'web1' is not among 'agents'"]
        ),
        (
            text(after: ("cluster", "mode = \"router-led\"\nagents = [\"web1\", \"web1\"]")), 3,
            ["names 'web1' more than once"]
        ),
        (text("name =", with: "name = \"web 1\""), 4, ["must be 1 to 40 letters"]),
        (text(after: ("[credentials]", "tls = \"verify_ca\"")), 10, ["did you mean \"verify-ca\"?"]),
        (text(after: ("[credentials]", "ca_file = \"/ca.pem\"")), 10, ["tls = \"preferred\" verifies nothing"]),
        (
            text(after: ("[credentials]", "password_file = \"/x\"")), 10,
            ["both 'credentials.password' and", "keep one"]
        ),
        (
            text("password = \"pa55\"", with: ""), 9,
            ["'credentials.password_file' is missing", "$REPL_WATCHDOG_PASSWORD"]
        ),
        (
            text("password = \"pa55\"", with: "password_file = \"/nonexistent/p\""), 11,
            ["cannot be opened: No such file"]
        ),
        (text("password = \"pa55\"", with: "password_file = \"p\""), 11, ["must be an absolute path"]),
        (text(after: ("[replication]", "peer = \"/run/x.sock\"")), 13, ["replication runs over TCP only"]),
        (text("[credentials]", with: "credentials = 1\n[x]"), 9, ["'servers.b.credentials'"]),
        ("cluster = \"a\"\ncluster = \"b\"\n", 2, ["no valid TOML"]),
        ("cluster = \n", 1, ["no valid TOML"]),
        ("cluster = \"a\"\n\0", 2, ["NUL byte"]),
    ]

    @Test("each mistake is reported on its line, with what would be right", arguments: mistakes)
    func wrong(_ example: (text: String, line: Int?, says: [String])) throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(example.text) }
        let problems = error?.problems ?? []
        #expect(
            problems.contains { problem in
                problem.file == "t.toml" && problem.line == example.line
                    && example.says.allSatisfy { problem.message.contains($0) }
            }, "\(error?.description ?? "")")
        #expect(!"\(problems)".contains("pa55") && !"\(problems)".contains("r3pl"))
    }

    @Test("all mistakes at once, in the file's order")
    func all() throws {
        let text = Self.text("cluster", with: "clster = \"x\"").replacing("10.0.0.2", with: "10.0.0.1")
            .replacing("[safety]", with: "[safety]\ndrain_timeout = 60")
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error?.problems.map(\.line) == [1, 8, 20, nil])
        #expect(
            error?.description.hasPrefix("t.toml:1: unknown key 'clster'; did you mean 'cluster'?\nt.toml:8: ") == true)
    }

    @Test("a table of the wrong type is one mistake, not one per key")
    func wrongTable() throws {
        let text = Self.text().replacing(
            "[servers.a]\naddress = \"10.0.0.1:3306\"", with: "[servers]\na = \"10.0.0.1:3306\"")
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error?.problems.map(\.message) == ["'servers.a' must be a table, written [servers.a], not a string"])
    }

    @Test("the agent's name is the host's by default")
    func hostName() throws {
        #expect(try Self.parse(Self.text("name =", with: ""), host: "db-host.example").agent.name == "db-host.example")
        let error = #expect(throws: ConfigurationError.self) {
            try Self.parse(Self.text("name =", with: ""), host: nil)
        }
        #expect(error?.problems.map(\.line) == [3])
    }

    @Test("the password: file, text or environment")
    func passwords() throws {
        let path = NSTemporaryDirectory() + "password-\(UUID().uuidString)"
        defer { unlink(path) }
        let text = Self.text("password = \"pa55\"", with: "password_file = \"\(path)\"")
        try "from file\r\n".write(toFile: path, atomically: false, encoding: .utf8)
        for (mode, refused) in [(0o600, false), (0o640, false), (0o400, false), (0o604, true), (0o644, true)] {
            chmod(path, mode_t(mode))
            if refused {
                let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
                #expect(error?.problems.first?.line == 11)
                #expect(
                    error?.description.contains("is open to everybody (mode \(String(mode, radix: 8))): chmod o-rwx")
                        == true)
                #expect(error?.description.contains("from file") == false)
            } else {
                #expect(try Self.parse(text).credentials.password.reveal() == "from file")
            }
        }
        chmod(path, 0o600)
        for bad in ["", "\n", "one\ntwo\n"] {
            try bad.write(toFile: path, atomically: false, encoding: .utf8)
            #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        }
        let without = Self.text("password = \"pa55\"", with: "")
        #expect(try Self.parse(without, password: "from env").credentials.password.reveal() == "from env")
        #expect(try Self.parse(Self.text(), password: "from env").credentials.password.reveal() == "pa55")
    }

    @Test("a password in a configuration that everybody reads")
    func openFile() throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(Self.text(), mode: 0o100644) }
        #expect(error?.problems.map(\.line) == [11, 14])
        #expect(error?.description.contains("chmod o-rwx t.toml") == true)
    }

    @Test("keys are found behind strings, arrays and comments that look like them")
    func lines() throws {
        let text = """
            # cluster = 1
            cluster = '''
            [agent]
            nme = "x"
            '''
            working_directory = "/x [y] # = z"
            agents = [
              "a = b", # [router]
              ["c"],
            ]
            servers = { a = { address = "x" }, b.address = "y" }
            [agent] # here
              "nme" = "x"
            a.b . 'c d' = 1
            """
        let found = TOMLLines(text).lines
        #expect(found["cluster"] == 2 && found["working_directory"] == 6 && found["agents"] == 7)
        #expect(found["servers"] == 11 && found["agent"] == 12 && found["agent.nme"] == 13)
        #expect(found["agent.a.b.c d"] == 14 && found["nme"] == nil && found["router"] == nil)
    }

    @Test("a file on disk; one that is not there")
    func load() throws {
        let path = NSTemporaryDirectory() + "configuration-\(UUID().uuidString).toml"
        defer { unlink(path) }
        try Self.text().write(toFile: path, atomically: false, encoding: .utf8)
        chmod(path, 0o600)
        #expect(try Configuration.load(path).cluster == "shop")
        unlink(path)
        let error = #expect(throws: ConfigurationError.self) { try Configuration.load(path) }
        #expect(error?.description == "\(path): cannot be opened: No such file or directory")
    }

    @Test("the example is the packaged file, and is right but for the password files it cannot have")
    func example() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let packaged = try String(contentsOf: root.appending(path: "Packaging/repl-watchdog.toml"), encoding: .utf8)
        #expect(packaged == Configuration.example)
        let filled = packaged.replacing(
            "password_file = \"/etc/repl-watchdog/password\"", with: "password = \"x\""
        ).replacing("password_file = \"/etc/repl-watchdog/repl-password\"", with: "password = \"y\"")
        let c = try Self.parse(filled)
        #expect(c.cluster == "shop" && c.router.stop == ["systemctl", "stop", "mysqlrouter"])
        // Every key there is stands in the example, if only as a comment.
        for (table, keys) in Configuration.knownKeys where table != "servers" && !table.isEmpty {
            for key in keys where key != "password" { #expect(packaged.contains("\(key) = "), "\(table).\(key)") }
        }
    }

    @Test("what is shown can be read again, and holds no secret")
    func shown() throws {
        let c = try Self.parse(Self.text("cluster", with: "cluster = \"a \\\"quoted\\\" \\\\ name\\u0007\""))
        let text = c.text
        #expect(!text.contains("pa55") && !text.contains("r3pl"))
        let again = try Self.parse(
            text.replacing("# the password is not shown", with: "password = \"x\""))
        #expect(again.text == text && again.cluster == c.cluster)
        #expect(!"\(c)".contains("pa55") && !String(reflecting: c).contains("pa55"))
    }
}

@Suite("Durations")
struct ConfigurationDurationTests {
    @Test(
        "read",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("2s", .seconds(2)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
            ("0s", .zero), ("1.5s", .milliseconds(1500)), ("0.25h", .seconds(900)), ("0.000000001s", .nanoseconds(1)),
            ("0.333333333h", .nanoseconds(1_199_999_998_800)),
        ])
    func read(_ text: String, _ duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(
        "refused",
        arguments: [
            "", "s", "5", "5 s", " 5s", "-1s", "+1s", "1d", "1S", "1e3s", ".5s", "1.s", "1.2.3s", "٣s",
            "9223372036854775807h", "99999999999999999999s", "0.0000000001s", "1sm", "0x1s",
        ])
    func refused(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test("written as the shortest text", arguments: ["500ms", "2s", "5m", "1h", "90s", "0s", "1500ms", "25h", "61m"])
    func written(_ text: String) throws {
        #expect(DurationText.format(try #require(DurationText.parse(text))) == text)
    }
}

@Suite("Nearest word")
struct ConfigurationNearestWordTests {
    @Test func distance() {
        #expect(NearestWord.distance("kitten", "sitting") == 3)
        #expect(NearestWord.distance("clutser", "cluster") == 1)
        #expect(NearestWord.distance("", "abc") == 3)
        #expect(NearestWord.distance("abc", "abc") == 0)
    }

    @Test func farAway() {
        #expect(NearestWord.find("xylophone", in: ["cluster", "agents"]) == nil)
        #expect(NearestWord.find("Password-File", in: ["password", "password_file"]) == "password_file")
    }
}
