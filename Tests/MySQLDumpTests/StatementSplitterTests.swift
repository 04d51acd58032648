import Testing

@testable import MySQLDump

@Suite struct StatementSplitterTests {
    /// Feeds the text in pieces of every size given, and expects the same items each time.
    private func items(_ text: [UInt8], piece: Int) throws -> [StreamItem] {
        var splitter = StatementSplitter()
        var items: [StreamItem] = []
        var index = 0
        while index < text.count {
            let end = min(text.count, index + piece)
            splitter.feed(Array(text[index..<end]))
            while let item = try splitter.next() { items.append(item) }
            index = end
        }
        try splitter.finish()
        return items
    }

    static let dump: [StreamItem] = [
        .directive(.begin(format: 1, version: "9.7.4", uuid: "u", gtid: "a:1-5,\nb:1")),
        .statement("SET NAMES utf8mb4"),
        .definition("CREATE TABLE `a;b` (c int COMMENT 'it''s; -- /*')"),
        .directive(.data(schema: "s'\\", table: "line\nbreak")),
        .statement(#"INSERT INTO `t` VALUES ('a;\'b',"c;\"d",'\\')"#),
        .statement("INSERT INTO `t` VALUES ('-- no comment','/* nor this','it''s')"),
        .definition("CREATE PROCEDURE p() BEGIN SELECT ';;'; SELECT \"$$\"; -- it's\n END -- end"),
        .statement("SELECT 1 - -1 /* a;b */ + 2"),
        .statement("/*!80013 SET SESSION sql_require_primary_key = 0 */"),
        .directive(.account(user: "", host: "%")),
        .directive(.table(.init(schema: "s", name: "t", rows: .max, checksum: "123", hasJSON: true))),
        .directive(.table(.init(schema: "s", name: "u", rows: 0, checksum: nil, hasJSON: false))),
        .directive(.warning("that; 'this'")),
        .directive(.end(statements: 1, bytes: 2, crc32: 3)),
    ]

    @Test(arguments: [1, 2, 3, 7, 64, 10_000])
    func whatWasWrittenComesBack(_ piece: Int) throws {
        var text: [UInt8] = []
        for item in Self.dump {
            ItemText.append(.comment("a comment; with ' and \n DELIMITER $$"), to: &text)
            ItemText.append(item, to: &text)
        }
        #expect(try items(text, piece: piece) == Self.dump)
    }

    @Test func aCommentCannotBecomeAStatement() throws {
        var text: [UInt8] = []
        ItemText.append(.comment("9.7\nDROP DATABASE x;\r\n\\! rm"), to: &text)
        #expect(text.count(where: { $0 == 0x0A }) == 1)
        #expect(try items(text, piece: 5).isEmpty)
    }

    @Test(arguments: ["SELECT 1", "SELECT 'a;", "DELIMITER $$\nSELECT 1;\n", "-- a comment", "SELECT `a;"])
    func anUnfinishedTextIsRefused(_ text: String) {
        #expect(throws: StatementSplitter.Failure.self) { _ = try items(Array(text.utf8), piece: 4) }
    }

    @Test(arguments: ["-- @unknown 1\n", "-- @end 1 2\n", "-- @end 1 2 3\nSELECT 1;\n", "-1;\n", "-- @table x\n"])
    func whatIsNoneOfOursIsRefused(_ text: String) {
        #expect(throws: StatementSplitter.Failure.self) { _ = try items(Array(text.utf8), piece: 4) }
    }

    @Test func aStatementHasABound() throws {
        var splitter = StatementSplitter(longestStatement: 100)
        splitter.feed(Array(("SELECT '" + String(repeating: "x", count: 200)).utf8))
        #expect(throws: StatementSplitter.Failure.self) { _ = try splitter.next() }
    }
}

@Suite struct DefinitionTextTests {
    private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    @Test func onlyAnEnabledEventIsDisabled() {
        let create =
            "CREATE DEFINER=`r`@`%` EVENT `PRESERVE ENABLE` ON SCHEDULE EVERY '1:2' HOUR_MINUTE STARTS '2026-01-01' "
            + "ON COMPLETION NOT PRESERVE ENABLE COMMENT 'ENABLE' DO SET @ENABLE = 1"
        #expect(
            text(DefinitionText.disablingEvent(Array(create.utf8), status: "DISABLE ON REPLICA"))
                == create.replacing("PRESERVE ENABLE COMMENT", with: "PRESERVE DISABLE ON REPLICA COMMENT"))
        let disabled = create.replacing("PRESERVE ENABLE COMMENT", with: "PRESERVE DISABLE COMMENT")
        #expect(DefinitionText.disablingEvent(Array(disabled.utf8), status: "X") == nil)
    }

    @Test func accountsLoseTheirDefaultRoleAndKeepAnEmptyPassword() {
        let hash =
            "CREATE USER `u`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 DEFAULT ROLE `r`@`%`,`REQUIRE`@`%` REQUIRE NONE ACCOUNT UNLOCK"
        #expect(
            text(DefinitionText.accountProperties(Array(hash.utf8)))
                == "IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 REQUIRE NONE ACCOUNT UNLOCK")
        let empty = "CREATE USER `IDENTIFIED`@`%` IDENTIFIED WITH 'caching_sha2_password' REQUIRE NONE"
        #expect(
            text(DefinitionText.accountProperties(Array(empty.utf8)))
                == "IDENTIFIED WITH 'caching_sha2_password' AS '' REQUIRE NONE")
    }

    @Test func tableGrantsAreTold() throws {
        func granted(_ grant: String) -> [String]? {
            DefinitionText.grantedTable(Array(grant.utf8)).map { [$0.schema, $0.table] }
        }
        #expect(granted("GRANT SELECT (`ON`), INSERT ON `s``x`.`t` TO `u`@`%`") == ["s`x", "t"])
        #expect(granted("GRANT SELECT ON `s`.* TO `u`@`%`") == nil)
        #expect(granted("GRANT ALL ON *.* TO `u`@`%`") == nil)
        #expect(granted("GRANT EXECUTE ON FUNCTION `s`.`f` TO `u`@`%`") == nil)
        #expect(granted("GRANT `r`@`%` TO `u`@`%`") == nil)
    }

    @Test func viewsComeAfterWhatTheyRead() {
        let views = ["a", "b", "c"].map { Catalog.Table(schema: "s", name: $0, isView: true, engine: "") }
        let reads = [("`s`.`a`", "`s`.`b`"), ("`s`.`b`", "`s`.`c`"), ("`s`.`c`", "`s`.`t`")]
        #expect(Catalog.ordered(views, reads: reads).map(\.name) == ["c", "b", "a"])
        let circle = reads + [("`s`.`c`", "`s`.`a`")]
        #expect(Set(Catalog.ordered(views, reads: circle).map(\.name)) == ["a", "b", "c"])
    }
}
