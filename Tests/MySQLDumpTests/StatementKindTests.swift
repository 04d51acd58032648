import Testing

@testable import MySQLDump

@Suite struct StatementKindTests {
    @Test func theFirstWordsOfOurOwnStatementsSayWhatTheyDo() {
        let kinds: [(String, StatementKind)] = [
            ("INSERT INTO `t` VALUES (1)", .rows), ("ALTER TABLE `t` ADD KEY (`a`)", .keys),
            ("START TRANSACTION", .transaction), ("COMMIT", .transaction), ("COMMIT AND CHAIN", .other),
            ("USE `shop`", .table), ("DROP TABLE IF EXISTS `t`", .table), ("CREATE TABLE `t` (a INT)", .table),
            ("CREATE TABLESPACE `s`", .other), ("DROP VIEW IF EXISTS `v`", .other),
            ("ANALYZE NO_WRITE_TO_BINLOG TABLE `t`", .histogram), ("CREATE USER 'a'@'b'", .account),
            ("ALTER USER 'a'@'b'", .account), ("GRANT SELECT ON *.* TO 'a'@'b'", .grant), ("", .other),
        ]
        for (sql, kind) in kinds { #expect(StatementKind(reading: sql.utf8) == kind, "\(sql)") }
    }

    /// What the builder of rows says is what is read from a file.
    @Test func rowsAreCalledRows() {
        var builder = InsertBuilder(table: "t", columns: [], size: 10, transaction: 15)
        for _ in 0..<3 { builder.add { _ in nil } }
        builder.finish()
        let items = builder.takeReady()
        #expect(items.count > 4)
        for item in items {
            guard case .statement(let sql, let kind) = item else { return _ = Issue.record("\(item)") }
            #expect(kind == StatementKind(reading: sql))
        }
        #expect(items.first == .statement("START TRANSACTION") && items.last == .statement("COMMIT"))
    }
}
