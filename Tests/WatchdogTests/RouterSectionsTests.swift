import MySQLWire
import Testing

@testable import Watchdog

@Suite("Routing sections beside the agent's own") struct RouterSectionsTests {
    private static let servers: [ServerAddress] = [
        .tcp(host: "10.0.0.1", port: 3306), .tcp(host: "10.0.0.2", port: 3306),
    ]
    private static let own = "[routing:mysql_failover]\ndestinations = 10.0.0.1\n"

    struct Example: Sendable {
        var text: String
        var names: [String]
        var readOnly: [String]
        init(_ text: String, _ names: [String] = [], readOnly: [String] = []) {
            (self.text, self.names, self.readOnly) = (text, names, readOnly)
        }
    }

    static let examples = [
        Example(""),
        Example("[routing:ro]\nbind_port = 7002\ndestinations = 10.0.0.2\n", ["routing:ro"]),
        Example("[Routing:RO]\r\nDestinations: 10.9.9.9:1 , 10.0.0.2:3306\r\n", ["Routing:RO"]),
        Example("[routing]\ndestinations = 10.0.0.1:3306\n", ["routing"]),
        Example("[routing:a]\nmode = read-only\ndestinations = 10.0.0.2\n", ["routing:a"], readOnly: ["routing:a"]),
        Example("[routing:a]\ndestinations = 10.0.0.2\nMODE=READ-ONLY\n", ["routing:a"], readOnly: ["routing:a"]),
        Example(
            "[routing:a]\ndestinations = 10.0.0.1\n[routing:b]\ndestinations = 10.0.0.2\nmode = read-only\n",
            ["routing:a", "routing:b"], readOnly: ["routing:b"]),
        Example(
            "[routing:a]\ndestinations = 10.0.0.2,10.0.0.1\nrouting_strategy = Round-Robin-with-Fallback\n",
            ["routing:a"],
            readOnly: ["routing:a"]),
        Example(
            "[routing:a]\nrouting_strategy = next-available\ndestinations = 10.0.0.2,10.0.0.1\n", ["routing:a"]),
        // Other servers, other kinds of sections, comments.
        Example("[routing:ro]\ndestinations = 10.0.0.3,10.0.0.1:3307\n"),
        Example("[logger]\ndestinations = 10.0.0.1\n[routings:x]\ndestinations = 10.0.0.1\n"),
        Example("[routing:ro]\n# destinations = 10.0.0.1\n;destinations = 10.0.0.1\ndestinations = 10.0.0.3\n"),
        Example("[routing:ro]\nmy_destinations = 10.0.0.1\nnonsense\n"),
    ]

    @Test(arguments: examples) func areFound(_ example: Example) {
        for text in [example.text + Self.own, Self.own + example.text] {
            let found = RouterFile(text: text).otherSections(than: "routing:mysql_failover", leadingTo: Self.servers)
            #expect(found.map(\.name) == example.names)
            #expect(found.filter(\.isForReading).map(\.name) == example.readOnly)
        }
    }
}
