import Testing

@testable import MySQLDump

@Suite struct DeferredKeysTests {
    private func split(_ create: String) -> (create: String, add: String)? {
        DeferredKeys.split(Array(create.utf8), name: "`t`").map {
            (String(decoding: $0.create, as: UTF8.self), String(decoding: $0.add, as: UTF8.self))
        }
    }

    @Test func nonUniqueKeysComeAfterTheRows() throws {
        let result = try #require(
            split(
                """
                CREATE TABLE `t (,` (
                  `id` int NOT NULL AUTO_INCREMENT COMMENT 'KEY `x` (`y`),\\'(',
                  `a,
                  KEY b` decimal(10,2) DEFAULT (concat(')',"(")),
                  PRIMARY KEY (`id`,`k`),
                  UNIQUE KEY `u` (`a`),
                  KEY `one` (`a`,`b`(20)) COMMENT 'a),',
                  KEY `two` ((`a` * 2)) /*!80000 INVISIBLE */,
                  CONSTRAINT `c` CHECK ((`a` > 1))
                ) ENGINE=InnoDB COMMENT=')'
                /*!50100 PARTITION BY RANGE (`id`) (PARTITION p0 VALUES LESS THAN (10)) */
                """))
        #expect(
            result.create == """
                CREATE TABLE `t (,` (
                  `id` int NOT NULL AUTO_INCREMENT COMMENT 'KEY `x` (`y`),\\'(',
                  `a,
                  KEY b` decimal(10,2) DEFAULT (concat(')',"(")),
                  PRIMARY KEY (`id`,`k`),
                  UNIQUE KEY `u` (`a`),
                  CONSTRAINT `c` CHECK ((`a` > 1))
                ) ENGINE=InnoDB COMMENT=')'
                /*!50100 PARTITION BY RANGE (`id`) (PARTITION p0 VALUES LESS THAN (10)) */
                """)
        #expect(
            result.add == """
                ALTER TABLE `t`
                  ADD KEY `one` (`a`,`b`(20)) COMMENT 'a),',
                  ADD KEY `two` ((`a` * 2)) /*!80000 INVISIBLE */
                """)
    }

    @Test(arguments: [
        // No keys at all.
        "CREATE TABLE `t` (\n  `a` int,\n  PRIMARY KEY (`a`)\n)",
        // A foreign key needs its own.
        "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`),\n  CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`)\n)",
        // AUTO_INCREMENT leads no other key.
        "CREATE TABLE `t` (\n  `a` int AUTO_INCREMENT,\n  `b` int,\n  PRIMARY KEY (`b`,`a`),\n  KEY `a` (`a`)\n)",
        // Their place among the others would change.
        "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`),\n  FULLTEXT KEY `f` (`b`)\n)",
        "CREATE TABLE `t` (\n  `a` int,\n  SPATIAL KEY `s` (`g`),\n  KEY `a` (`a`)\n)",
        // Not what SHOW CREATE TABLE prints.
        "CREATE TABLE `t",
    ])
    func whatWouldNotComeOutTheSameStaysAsItIs(_ create: String) { #expect(split(create) == nil) }
}
