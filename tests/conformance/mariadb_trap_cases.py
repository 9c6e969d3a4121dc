# ruff: noqa: E501 - a table: a line for each statement
"""The traps in MariaDB's words, and those that only it has."""

from __future__ import annotations

from tests.conformance.trap_cases import Trap

MARIADB = ("mariadb",)
SHOP = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(50), b INT); INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20), (3, 'z', 30);"

CASES = (
    Trap(
        "enum value, used since",
        "CREATE TABLE t (id INT PRIMARY KEY, m ENUM('a', 'b')); INSERT INTO t VALUES (1, 'a'), (2, 'b');",
        "ALTER TABLE t MODIFY m ENUM('a', 'new', 'b')",
        "UPDATE t SET m = 'new' WHERE id = 1; INSERT INTO t VALUES (3, 'b')",
        refused="data_loss",
        correct="UPDATE t SET m = 'b' WHERE id = 1",
        instead="UPDATE t SET m = 'b' WHERE id = 1; INSERT INTO t VALUES (3, 'b')",
        engines=MARIADB,
    ),
    Trap(
        "NOT NULL with backfill: NULLs come back",
        SHOP + "INSERT INTO t VALUES (4, NULL, 40);",
        "UPDATE t SET a = '' WHERE a IS NULL; ALTER TABLE t MODIFY a VARCHAR(50) NOT NULL",
        "UPDATE t SET a = 'mine' WHERE id = 4; UPDATE t SET b = 0 WHERE id = 2; INSERT INTO t VALUES (5, 'new', 50)",
        conflicts=frozenset({("t", "id=4", "a")}),
        again=False,
        engines=MARIADB,
    ),
    Trap(
        "text to int, '007'",
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(50)); INSERT INTO t VALUES (1, '007'), (2, '7'), (3, NULL);",
        "ALTER TABLE t MODIFY a INT",
        "INSERT INTO t VALUES (4, 42); UPDATE t SET a = 8 WHERE id = 2",
        "INSERT INTO t VALUES (4, '42'); UPDATE t SET a = '8' WHERE id = 2",
        engines=MARIADB,
    ),
    Trap(
        "narrowing, then rows changed by the application",
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(50), b INT); INSERT INTO t VALUES (1, 'long enough', 1), (2, 'x', 2);",
        "UPDATE t SET a = left(a, 4); ALTER TABLE t MODIFY a VARCHAR(4)",
        "UPDATE t SET b = 0; INSERT INTO t VALUES (3, 'new', 3)",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "widening, then values too large for the old type",
        "CREATE TABLE t (id INT PRIMARY KEY, a SMALLINT); INSERT INTO t VALUES (1, 1), (2, 2);",
        "ALTER TABLE t MODIFY a BIGINT",
        "INSERT INTO t VALUES (3, 100000)",
        refused="data_loss",
        correct="UPDATE t SET a = 3 WHERE id = 3",
        instead="INSERT INTO t VALUES (3, 3)",
        engines=MARIADB,
    ),
    Trap(
        "values of every kind",
        "CREATE TABLE t (id INT PRIMARY KEY, j JSON, bl BLOB, bn BINARY(4), vb VARBINARY(9), bi BIT(9), f FLOAT, d DOUBLE, de DECIMAL(30, 10), u BIGINT UNSIGNED,"
        " dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(6), da DATE, y YEAR, e ENUM('a', 'Z'), s SET('p', 'q'), tx LONGTEXT CHARACTER SET utf8mb4, la VARCHAR(9) CHARACTER SET latin1, uu UUID, i6 INET6, g GEOMETRY);"
        "INSERT INTO t VALUES (1, '{\"b\": 1.0,  \"a\": [1]}', x'0001ff', x'01', x'00', b'101', 0.1, 1e-300, 12345678901234567890.0123456789, 18446744073709551615,"
        " '1000-01-01 00:00:00.000001', '2001-02-03 04:05:06.789', '-838:59:59.000001', '9999-12-31', 1901, 'Z', 'p,q', 'Ünï 😀', 'Ü', '123e4567-e89b-12d3-a456-426655440000', '::1', ST_GeomFromText('POINT(1 2)')),"
        "(2, NULL, '', x'', '', b'0', -0.0, -1e300, 0, 0, NULL, NULL, '00:00:00', NULL, NULL, NULL, '', '', '', NULL, NULL, NULL);",
        "UPDATE t SET j = '1', bl = 'b', bn = 'b', vb = 'b', bi = 1, f = 1, d = 1, de = 1, u = 1, dt = '2000-01-01', ts = '2000-01-01', ti = 0, da = '2000-01-01', y = 2000, e = 'a', s = 'p', tx = 'x', la = 'x', uu = NULL, i6 = NULL, g = NULL;"
        " ALTER TABLE t DROP COLUMN f, DROP COLUMN dt, DROP COLUMN bi, DROP COLUMN ti, DROP COLUMN g",
        "DELETE FROM t WHERE id = 2",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "letter case and trailing spaces are values",
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20)) COLLATE utf8mb4_general_ci; INSERT INTO t VALUES (1, 'x', 'A '), (2, 'ß', 'é');",
        "UPDATE t SET a = upper(a), b = rtrim(lower(b)); UPDATE t SET a = 'ss', b = 'e' WHERE id = 2",
        "INSERT INTO t VALUES (3, 'X', 'a')",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "keys that are equal but for their case",
        "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, a INT) COLLATE utf8mb4_general_ci; INSERT INTO t VALUES ('Ada', 1), ('bob', 2);",
        "UPDATE t SET k = lower(k), a = a + 1",
        "INSERT INTO t VALUES ('Eve', 3)",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "the time of the last change",
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, at DATETIME DEFAULT '2001-01-01' ON UPDATE current_timestamp); INSERT INTO t (id, a) VALUES (1, 1), (2, 2);",
        "UPDATE t SET a = 0, at = '2002-02-02' WHERE id = 1; ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (3, '2003-03-03')",
        "INSERT INTO t VALUES (3, NULL, '2003-03-03')",
        engines=MARIADB,
    ),
    Trap(
        "dropped column without a default, then new rows",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(50) NOT NULL, b INT); INSERT INTO t (a, b) VALUES ('x', 10), ('y', 20);",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t (a) VALUES ('new')",
        engines=MARIADB,
    ),
    Trap(
        "dropped table, then another of the same name",
        SHOP,
        "DROP TABLE t; CREATE TABLE t (other INT)",
        "INSERT INTO t VALUES (5)",
        "",
        engines=MARIADB,
    ),
    Trap(
        "tables without a key, with duplicate rows",
        "CREATE TABLE t (v INT, w TEXT, f FLOAT); INSERT INTO t VALUES (1, 'a', 0.1), (1, 'a', 0.1), (2, 'b', NULL), (NULL, NULL, 3);",
        "DELETE FROM t WHERE v = 1 LIMIT 1; UPDATE t SET w = 'new' WHERE v = 2; ALTER TABLE t DROP COLUMN f",
        "INSERT INTO t VALUES (2, 'new'), (7, 'mine')",
        "INSERT INTO t VALUES (2, 'new', NULL), (7, 'mine', NULL)",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "foreign-key cycle, rows on both sides",
        "CREATE TABLE p (id INT PRIMARY KEY, best INT); CREATE TABLE c (id INT PRIMARY KEY, p INT NOT NULL, CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);"
        "ALTER TABLE p ADD CONSTRAINT p_best FOREIGN KEY (best) REFERENCES c (id); INSERT INTO p VALUES (1, NULL), (2, NULL); INSERT INTO c VALUES (10, 1), (20, 2); UPDATE p SET best = id * 10;",
        "UPDATE p SET best = NULL WHERE id = 1; DELETE FROM p WHERE id = 1",
        "INSERT INTO p VALUES (3, NULL); INSERT INTO c VALUES (30, 3); UPDATE p SET best = 30 WHERE id = 3",
        engines=MARIADB,
    ),
    Trap(
        "generated columns and AUTO_INCREMENT",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, g INT AS (a * 2) STORED, v INT AS (a + 1)); INSERT INTO t (a) VALUES (1), (2);",
        "DELETE FROM t WHERE id = 2; ALTER TABLE t DROP COLUMN g; UPDATE t SET a = 5",
        "INSERT INTO t (id, a) VALUES (9, 7)",
        engines=MARIADB,
    ),
    Trap(
        "dropped UNIQUE, duplicates since",
        "CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(9), UNIQUE KEY k (u)); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
        "DROP INDEX k ON t; UPDATE t SET u = 'z' WHERE id = 2",
        "INSERT INTO t VALUES (3, 'x'), (4, 'x')",
        refused="constraint",
        correct="DELETE FROM t WHERE id = 3; UPDATE t SET u = 'w' WHERE id = 4",
        instead="INSERT INTO t VALUES (4, 'w')",
        engines=MARIADB,
    ),
    Trap(
        "partitions: rows of them",
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9)) PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (11, 'z');",
        "UPDATE t SET a = 'new' WHERE id IN (1, 11); DELETE FROM t WHERE id = 2; ALTER TABLE t DROP PARTITION p2",
        "INSERT INTO t VALUES (3, 'mine')",
        engines=MARIADB,
    ),
    Trap(
        "views on views on the dropped column",
        SHOP + "CREATE VIEW v AS SELECT id, b FROM t; CREATE VIEW w AS SELECT b FROM v WHERE b > 1;",
        "DROP VIEW w, v; ALTER TABLE t DROP COLUMN b",
        "UPDATE t SET a = 'mine' WHERE id = 1",
        engines=MARIADB,
    ),
    Trap(
        "triggers firing during a restore",
        SHOP + "CREATE TABLE log (n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(9)); CREATE TRIGGER up AFTER UPDATE ON t FOR EACH ROW INSERT INTO log (what) VALUES ('up'); CREATE TRIGGER ins AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('in'); CREATE TRIGGER del AFTER DELETE ON t FOR EACH ROW INSERT INTO log (what) VALUES ('del');",
        "UPDATE t SET b = 0; DELETE FROM t WHERE id = 3; ALTER TABLE t DROP COLUMN a",
        "",
        engines=MARIADB,
        again=False,
    ),
    Trap(
        "names with quotes, spaces, upper case, 64 characters",
        "CREATE TABLE `We``ird- '\"` (`Key` INT PRIMARY KEY, `sp ace` TEXT, `ööö` INT, `Plain` TEXT); INSERT INTO `We``ird- '\"` VALUES (1, 'x', 1, 'p'), (2, 'y', 2, 'q');"
        f"CREATE TABLE {'t' * 64} (id INT PRIMARY KEY, {'c' * 64} VARCHAR(9), KEY {'i' * 64} ({'c' * 64})); INSERT INTO {'t' * 64} VALUES (1, 'x');",
        "ALTER TABLE `We``ird- '\"` DROP COLUMN `sp ace`; UPDATE `We``ird- '\"` SET `ööö` = 0 WHERE `Key` < 3; ALTER TABLE `We``ird- '\"` RENAME COLUMN `Plain` TO `plain's`; ALTER TABLE `We``ird- '\"` RENAME TO `we ird`;"
        f"DROP INDEX {'i' * 64} ON {'t' * 64}; ALTER TABLE {'t' * 64} DROP COLUMN {'c' * 64}; ALTER TABLE {'t' * 64} RENAME TO {'u' * 64}",
        f"INSERT INTO `we ird` VALUES (3, 3, 'mine'); INSERT INTO {'u' * 64} VALUES (2)",
        f"INSERT INTO `We``ird- '\"` VALUES (3, NULL, 3, 'mine'); INSERT INTO {'t' * 64} VALUES (2, NULL)",
        engines=MARIADB,
    ),
)  # fmt: skip
