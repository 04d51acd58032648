/// A schema with everything that a dump must carry.
enum Fixture {
    static let sql = #"""
        SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', foreign_key_checks = 0;
        SET NAMES utf8mb4;
        CREATE DATABASE `kinds` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        CREATE DATABASE `odd ``name;` CHARACTER SET latin1;
        CREATE DATABASE nothing;
        USE kinds;

        CREATE TABLE numbers (
          id int PRIMARY KEY AUTO_INCREMENT, t tinyint, u bigint unsigned, s bigint, d decimal(65,30), z int(8) zerofill,
          y year, b bit(12), f float, g double, h double(12,2), v float(7,4), boolean bool);
        INSERT INTO numbers VALUES
          (0, -128, 18446744073709551615, -9223372036854775808, 12345678901234567890123456789012345.123456789012345678901234567890, 42, 0, b'101', 16777217, 0.1, 1234567.89, 1.1, true),
          (1, 127, 0, 9223372036854775807, -0.000000000000000000000000000001, 99999999, 2155, b'111111111111', 1234567.8, 1.7976931348623157e308, -0.01, 3.14159, false),
          (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1.17549435e-38, 2.2250738585072014e-308, 0, -1.5, NULL),
          (3, 0, 9223372036854775808, 0, 0, 0, 1999, 0, 3.4e38, 123456789012345678, 9999999999.99, 0, NULL),
          (4, 0, 1, 1, 1, 1, 1999, 0, -0e0, -0e0, 5, 0.3333, NULL);

        CREATE TABLE dates (
          id int PRIMARY KEY, d date, t time(6), dt datetime(6), ts timestamp(3) NULL, tz timestamp NULL);
        INSERT INTO dates VALUES
          (1, '0000-00-00', '-838:59:59', '0000-00-00 00:00:00', '2024-10-27 00:30:00.123', '2024-10-27 01:30:00'),
          (2, '2024-00-00', '00:00:00.000001', '9999-12-31 23:59:59.999999', NULL, '1970-01-01 00:00:01'),
          (3, '2024-02-29', '838:59:59', '2024-02-00 01:02:03.5', '0000-00-00 00:00:00', NULL);

        CREATE TABLE bytes (
          id int PRIMARY KEY, b binary(5), vb varbinary(300), bl blob, lb longblob, tb tinyblob, t text, c char(10));
        INSERT INTO bytes VALUES
          (1, 0x00, 0x000A0D1A22275C, '', NULL, 0xFF, 'quote'' back\\slash " nul\0 nl\n cr\r z\Z % _', 'pad  '),
          (2, 'abc', 'it''s', REPEAT(0x00FF27, 30000), REPEAT('x', 1100000), '', '', ''),
          (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

        CREATE TABLE charsets (
          id int PRIMARY KEY, m4 varchar(50) CHARACTER SET utf8mb4, m3 varchar(50) CHARACTER SET utf8mb3,
          l1 varchar(300) CHARACTER SET latin1, sj varchar(50) CHARACTER SET sjis, c1251 varchar(50) CHARACTER SET cp1251,
          gb varchar(50) CHARACTER SET gbk, b5 varchar(50) CHARACTER SET big5, u2 varchar(50) CHARACTER SET ucs2,
          u16 varchar(50) CHARACTER SET utf16, u32 varchar(50) CHARACTER SET utf32, asc1 varchar(50) CHARACTER SET ascii,
          tis varchar(50) CHARACTER SET tis620, uj varchar(50) CHARACTER SET ujis, sw varchar(50) CHARACTER SET swe7,
          g18 varchar(50) CHARACTER SET gb18030, lt longtext CHARACTER SET latin1, mt mediumtext CHARACTER SET utf16);
        INSERT INTO charsets VALUES
          (1, '🌀 naïve \' \\ 中', 'naïve 中', _latin1 0x80818D8F909DE9FF275C, _sjis 0x435C44, _cp1251 0x98C0E0,
           _gbk 0xA1405C, _big5 0xA45C, _ucs2 0x0041D83D, _utf16 0xD83CDF00, _utf32 0x0001F300, 'plain\\',
           _tis620 0xA1A2, _ujis 0xA4A2, _swe7 0x5C5B, _gb18030 0x81308130, _latin1 0x80E95C27, _utf16 0xD83CDF000041),
          (2, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '');

        CREATE TABLE members (
          id int PRIMARY KEY, e enum('', 'a', 'it''s', 'é') CHARACTER SET latin1, s set('x', 'y', 'z;'), n enum('a') NOT NULL);
        SET sql_mode = '';
        INSERT IGNORE INTO members VALUES (1, 'nonsense', '', 'b'), (2, '', 'x', 'a'), (3, 'é', 'x,y', 'a'), (4, NULL, NULL, 'a');
        SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
        CREATE TABLE wideset (s set('0','1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63'));
        INSERT INTO wideset VALUES (18446744073709551615), (9223372036854775809), (1);

        CREATE TABLE documents (id int PRIMARY KEY, j json);
        INSERT INTO documents VALUES (1, '{"a": [1, 2.5, "x\\"y\\\\", null, true], "ü": "🌀"}'), (2, 'null'), (3, NULL), (4, '1e100');
        CREATE TABLE opaque (id int PRIMARY KEY, j json);
        INSERT INTO opaque VALUES (1, JSON_OBJECT('d', CAST('2024-01-02 03:04:05' AS DATETIME), 'n', CAST(1.10 AS DECIMAL(5,2))));

        CREATE TABLE shapes (id int PRIMARY KEY, g geometry, p point NOT NULL SRID 4326, SPATIAL KEY (p));
        INSERT INTO shapes VALUES
          (1, ST_GeomFromText('LINESTRING(0 0,1 1,2 3)'), ST_GeomFromText('POINT(10 20)', 4326)),
          (2, NULL, ST_GeomFromText('POINT(-45.5 179.99)', 4326));
        /*!90000 CREATE TABLE vectors (id int PRIMARY KEY, v vector(3)) */;
        /*!90000 INSERT INTO vectors VALUES (1, TO_VECTOR('[1.5,-2,3e-20]')), (2, NULL) */;

        CREATE TABLE made (
          a int, v int AS (a + 1) VIRTUAL, s varchar(20) AS (concat('n', a)) STORED, d timestamp DEFAULT CURRENT_TIMESTAMP,
          e varchar(40) DEFAULT (concat('x', 'y')), KEY (s), UNIQUE KEY ((a * 2)));
        INSERT INTO made (a, d) VALUES (1, '2024-01-01'), (2, '2024-01-01'), (NULL, '2024-01-01');
        CREATE TABLE onlygenerated (g int AS (1) VIRTUAL);
        INSERT INTO onlygenerated VALUES (), (), ();
        CREATE TABLE invisible (a int, hidden int INVISIBLE DEFAULT 7, b int);
        INSERT INTO invisible (a, hidden, b) VALUES (1, 2, 3), (4, 5, 6);
        SET sql_generate_invisible_primary_key = ON;
        CREATE TABLE gipk (a int);
        SET sql_generate_invisible_primary_key = OFF;
        INSERT INTO gipk VALUES (10), (20), (30);
        DELETE FROM gipk WHERE a = 20;
        CREATE TABLE nokey (f float, t text);
        INSERT INTO nokey VALUES (0.1, 'a'), (0.1, 'a'), (NULL, NULL);

        CREATE TABLE child (id int PRIMARY KEY, p int, q int, FOREIGN KEY (p) REFERENCES parent (id),
          FOREIGN KEY (q) REFERENCES child (id));
        CREATE TABLE parent (id int PRIMARY KEY);
        INSERT INTO child VALUES (1, 7, 3), (2, 7, 1), (3, NULL, 2);
        INSERT INTO parent VALUES (7);
        CREATE TABLE parted (id int, k varchar(10), PRIMARY KEY (id, k)) PARTITION BY RANGE (id)
          (PARTITION p0 VALUES LESS THAN (10), PARTITION `p;'1` VALUES LESS THAN MAXVALUE);
        INSERT INTO parted VALUES (1, 'a'), (100, 'b');
        CREATE TABLE many (id int PRIMARY KEY AUTO_INCREMENT, filler varchar(500), KEY (filler(20)));
        INSERT INTO many (filler) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
          SELECT CONCAT(i, ' ', REPEAT(SHA2(i, 256), 6)) FROM n;
        INSERT INTO many (filler) SELECT filler FROM many;
        INSERT INTO many (filler) SELECT filler FROM many;
        CREATE TABLE bulk (id int PRIMARY KEY AUTO_INCREMENT, n bigint, s varchar(60));
        CREATE TABLE `we``ird;
        name'` (`co``l;'"` int COMMENT 'a;''b', `order` int DEFAULT 3) COMMENT 'DELIMITER ;;';
        INSERT INTO `we``ird;
        name'` VALUES (1, 2);

        SET SESSION innodb_strict_mode = OFF, group_concat_max_len = 10000;
        SET @wide = (WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 40)
          SELECT CONCAT('CREATE TABLE wide (', GROUP_CONCAT('c', i, ' char(255) CHARACTER SET latin1'), ')') FROM n);
        PREPARE wide FROM @wide;
        EXECUTE wide;
        INSERT INTO wide (c1, c40) VALUES ('a', 'b');
        /*!80400 SET SESSION restrict_fk_on_non_standard_key = OFF */;
        CREATE TABLE loose (id int, KEY (id));
        CREATE TABLE looser (p int, FOREIGN KEY (p) REFERENCES loose (id));
        INSERT INTO loose VALUES (1), (1);
        INSERT INTO looser VALUES (1);

        USE `odd ``name;`;
        CREATE TABLE t (c varchar(10)) ENGINE = InnoDB;
        INSERT INTO t VALUES ('é'), ('x');
        CREATE TABLE other (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES kinds.parent (id));
        INSERT INTO other VALUES (1, 7);

        USE kinds;
        CREATE TABLE log (id int PRIMARY KEY AUTO_INCREMENT, what varchar(50));
        """#

    /// What needs DELIMITER, or an order of its own.
    static let objects = #"""
        USE kinds;
        CREATE VIEW zzz AS SELECT id, t AS `co``l`, 'é;' AS lit FROM numbers;
        CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW aaa AS SELECT `co``l` COLLATE utf8mb4_bin AS x, CONCAT(lit, '\\') AS y FROM zzz WHERE id > 0 WITH CASCADED CHECK OPTION;
        CREATE TABLE gone (a int);
        CREATE VIEW broken AS SELECT a FROM gone;
        DROP TABLE gone;
        DELIMITER $$
        CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2$$
        CREATE FUNCTION `fn;``x`(s varchar(20) CHARACTER SET latin1) RETURNS varchar(40) DETERMINISTIC
        BEGIN
          -- it's a comment; with ;; inside
          RETURN CONCAT(s, 'é 🌀', "x;");
        END$$
        SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'$$
        CREATE DEFINER = 'writer'@'%' PROCEDURE ansi() COMMENT 'c' BEGIN SELECT '\', "t" FROM "bytes"; END$$
        SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'$$
        CREATE VIEW withfunction AS SELECT twice(id) AS d, `fn;``x`('a') AS f FROM aaa JOIN parent$$
        CREATE TRIGGER second AFTER INSERT ON many FOR EACH ROW INSERT INTO log (what) VALUES ('2;')$$
        CREATE TRIGGER first AFTER INSERT ON many FOR EACH ROW PRECEDES second
        BEGIN
          INSERT INTO log (what) VALUES ('1');
        END$$
        CREATE EVENT `daily;` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'ENABLE'
          DO BEGIN DELETE FROM log WHERE id < 0; END$$
        CREATE EVENT off ON SCHEDULE EVERY '1:30' HOUR_MINUTE DISABLE DO SELECT 1$$
        SET NAMES latin1 COLLATE latin1_german1_ci$$
        CREATE PROCEDURE latin() SELECT 'plain'$$
        SET NAMES utf8mb4$$
        ALTER DATABASE kinds COLLATE utf8mb4_general_ci$$
        CREATE PROCEDURE collated() BEGIN DECLARE v varchar(10); SELECT v; END$$
        ALTER DATABASE kinds COLLATE utf8mb4_bin$$
        DELIMITER ;
        ANALYZE TABLE numbers UPDATE HISTOGRAM ON t;
        """#

    static let accounts = #"""
        CREATE USER 'writer'@'%' IDENTIFIED BY 'it''s \\ secret', 'nopass'@'localhost', ''@'10.0.0.1', 'o''brien'@'%';
        CREATE USER 'locked`x'@'192.168.%' IDENTIFIED BY 'x' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE INTERVAL 90 DAY ACCOUNT LOCK COMMENT 'a;b';
        CREATE ROLE reader, 'aaa_role'@'%';
        GRANT SELECT ON kinds.* TO reader, 'o''brien'@'%';
        GRANT INSERT (a), SELECT ON kinds.invisible TO 'writer'@'%';
        GRANT EXECUTE ON FUNCTION kinds.twice TO 'writer'@'%';
        GRANT SELECT ON `odd ``name;`.t TO 'nopass'@'localhost' WITH GRANT OPTION;
        GRANT reader TO 'writer'@'%' WITH ADMIN OPTION;
        GRANT aaa_role TO reader;
        GRANT BACKUP_ADMIN, RELOAD ON *.* TO aaa_role;
        SET DEFAULT ROLE reader TO 'writer'@'%';
        CREATE TABLE kinds.forgotten (a int);
        GRANT SELECT ON kinds.forgotten TO 'nopass'@'localhost';
        DROP TABLE kinds.forgotten;
        """#
}
