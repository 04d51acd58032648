import MySQLWire
import Testing

@testable import Watchdog

@Suite("The router's file: one value changes, every other byte stays")
struct RoutingFileTests {
    static let section = "routing:mysql_failover"
    static let a = ServerAddress.tcp(host: "10.0.0.1", port: 3306)
    static let b = ServerAddress.tcp(host: "10.0.0.2", port: 3306)
    static let wanted = "10.0.0.2:3306,10.0.0.1:3306"

    /// Text before, text after pointing it to b, a. `@` stands for the value in both.
    static let kept: [(name: String, text: String)] = [
        (
            "the seed's file",
            "[DEFAULT]\nlogging_folder=/var/log\n\n[routing:mysql_failover]\nbind_address = 0.0.0.0:7001\nconnect_timeout = 3\nclient_connect_timeout = 9\ndestinations = @\nmode = read-write\n"
        ),
        ("CRLF", "[routing:mysql_failover]\r\ndestinations = @\r\nrouting_strategy = next-available\r\n"),
        (
            "comments of both kinds",
            "# destinations = x\n; [routing:mysql_failover]\n[routing:mysql_failover]\n# destinations = old\n  ;destinations = old\ndestinations=@\n# end\n"
        ),
        (
            "another section with the same option",
            "[routing:ro]\ndestinations = 1.1.1.1:1\n[routing:mysql_failover]\ndestinations = @\n[routing:rw2]\ndestinations = 2.2.2.2:2\n"
        ),
        (
            "a section whose name only begins the same",
            "[routing:mysql_failover2]\ndestinations = 1.1.1.1:1\n[routing:mysql_failover]\ndestinations = @\n"
        ),
        ("indentation and blanks around", "\t[routing:mysql_failover]  \n\t  destinations\t=   @   \n   mode = x\n"),
        ("a colon as separator", "[routing:mysql_failover]\ndestinations: @\n"),
        ("case of section and option", "[Routing:mysql_failover]\nDestinations = @\n"),
        ("no newline at the end", "[routing:mysql_failover]\ndestinations = @"),
        (
            "an option that only ends the same",
            "[routing:mysql_failover]\nmy_destinations = 9.9.9.9\ndestinations = @\nrouting_strategy=first-available\n"
        ),
        ("mixed line ends", "[DEFAULT]\r\nx = 1\n[routing:mysql_failover]\ndestinations = @\r\ny = 2\n"),
    ]

    @Test("keeps the rest", arguments: kept)
    func keeps(_ example: (name: String, text: String)) throws {
        for before in ["10.0.0.1:3306", "10.0.0.1,10.0.0.2", "10.0.0.1 , 10.0.0.2:3306", "nonsense here"] {
            let file = RouterFile(text: example.text.replacing("@", with: before))
            let new = try file.settingDestinations([Self.b, Self.a], section: Self.section)
            #expect(String(decoding: new.bytes, as: UTF8.self) == example.text.replacing("@", with: Self.wanted))
            #expect(try new.destinations(section: Self.section) == [Self.b, Self.a])
        }
    }

    @Test("what is so already is not touched, also in other words")
    func already() throws {
        for value in ["10.0.0.2:3306,10.0.0.1:3306", "10.0.0.2, 10.0.0.1", " 10.0.0.2 ,10.0.0.1:3306 ,"] {
            let file = RouterFile(text: "[routing:mysql_failover]\ndestinations = \(value)\n")
            #expect(try file.settingDestinations([Self.b, Self.a], section: Self.section) == file)
        }
    }

    @Test("order and number count: the other order is a change")
    func order() throws {
        let file = RouterFile(text: "[routing:mysql_failover]\ndestinations = 10.0.0.1,10.0.0.2\n")
        #expect(try file.settingDestinations([Self.b, Self.a], section: Self.section) != file)
        #expect(try file.settingDestinations([Self.a], section: Self.section) != file)
    }

    @Test("bytes that are no UTF-8 stay")
    func bytes() throws {
        let head = Array("# caf".utf8) + [0xE9, 0xFF, 0x00] + Array("\n[routing:mysql_failover]\n".utf8)
        let tail = Array("\n# ".utf8) + [0xC0, 0x80] + Array("\n".utf8)
        let file = RouterFile(bytes: head + Array("destinations = 10.0.0.1".utf8) + tail)
        let new = try file.settingDestinations([Self.b], section: Self.section)
        #expect(new.bytes == head + Array("destinations = 10.0.0.2:3306".utf8) + tail)
    }

    @Test("an empty value is filled in")
    func emptyValue() throws {
        let new = try RouterFile(text: "[routing:mysql_failover]\ndestinations = \nx = 1\n")
            .settingDestinations([Self.a], section: Self.section)
        #expect(
            String(decoding: new.bytes, as: UTF8.self)
                == "[routing:mysql_failover]\ndestinations = 10.0.0.1:3306\nx = 1\n")
    }

    static let added: [(String, String)] = [
        (
            "[routing:mysql_failover]\nbind_port = 7001\n\n# next\n[other]\nx = 1\n",
            "[routing:mysql_failover]\nbind_port = 7001\ndestinations = 10.0.0.1:3306\n\n# next\n[other]\nx = 1\n"
        ),
        ("[routing:mysql_failover]\n", "[routing:mysql_failover]\ndestinations = 10.0.0.1:3306\n"),
        ("[routing:mysql_failover]", "[routing:mysql_failover]\ndestinations = 10.0.0.1:3306\n"),
        (
            "[routing:mysql_failover]\r\n  bind_port = 1\r\n",
            "[routing:mysql_failover]\r\n  bind_port = 1\r\n  destinations = 10.0.0.1:3306\r\n"
        ),
        (
            "[routing:mysql_failover]\nbind_port = 1",
            "[routing:mysql_failover]\nbind_port = 1\ndestinations = 10.0.0.1:3306\n"
        ),
    ]

    @Test("a missing option is added behind the section's last", arguments: added)
    func adds(_ example: (String, String)) throws {
        let new = try RouterFile(text: example.0).settingDestinations([Self.a], section: Self.section)
        #expect(String(decoding: new.bytes, as: UTF8.self) == example.1)
    }

    static let refused: [(String, RouterError.Cause)] = [
        ("", .sectionMissing),
        ("[routing]\ndestinations = x\n", .sectionMissing),
        ("[routing:MYSQL_FAILOVER]\ndestinations = x\n", .sectionMissing),
        ("[routing:mysql_failover]\ndestinations = x\n[b]\n[ROUTING:mysql_failover]\n", .sectionTwice(lines: [1, 4])),
        ("[routing:mysql_failover]\ndestinations = x\n\nDESTINATIONS: y\n", .keyTwice(lines: [2, 4])),
        ("[routing:mysql_failover]\ndestinations = 10.0.0.1:3306,\n    10.0.0.2:3306\n", .malformed(line: 3)),
        ("[routing:mysql_failover]\ndestinations\n", .malformed(line: 2)),
        ("[routing:mysql_failover\ndestinations = x\n", .malformed(line: 1)),
        ("[routing:mysql_failover]\ndestinations = metadata-cache://mycluster/default?role=PRIMARY\n", .metadataCache),
    ]

    @Test("refused, and said why", arguments: refused)
    func refuses(_ example: (String, RouterError.Cause)) throws {
        let error = #expect(throws: RouterError.self) {
            try RouterFile(text: example.0).settingDestinations([Self.a], section: Self.section)
        }
        #expect(error?.cause == example.1)
    }

    @Test("a unix socket is no destination; IPv6 is written in brackets")
    func addresses() throws {
        let file = RouterFile(text: "[routing:mysql_failover]\ndestinations = x\n")
        let error = #expect(throws: RouterError.self) {
            try file.settingDestinations([.unix(path: "/run/mysqld.sock")], section: Self.section)
        }
        #expect(error?.cause == .unsupportedAddress)
        let new = try file.settingDestinations([.tcp(host: "fd00::1", port: 3307)], section: Self.section)
        #expect(try new.destinationsText(section: Self.section) == "[fd00::1]:3307")
        #expect(try new.destinations(section: Self.section) == [.tcp(host: "fd00::1", port: 3307)])
    }
}
