"""What a deployment does to a schema and its rows is undone by a failure at once, and by a rollback later."""

from __future__ import annotations

import time

import pytest

from tagback.errors import Exit, TagbackError
from tests.mariadb.conftest import Database

SHOP = """
CREATE TABLE customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL, age INT, score FLOAT);
CREATE TABLE orders (
    id INT PRIMARY KEY, customer INT NOT NULL, amount DECIMAL(8, 2) NOT NULL DEFAULT 0,
    CONSTRAINT ordered_by FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE
);
CREATE TABLE visit (customer INT, at DATETIME, KEY (customer));
CREATE TABLE label (word VARCHAR(20) NOT NULL, note TEXT, UNIQUE KEY (word));
CREATE VIEW totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
INSERT INTO customer (name, age, score) VALUES ('Ada', 36, 0.1), ('Ben', NULL, 2), ('Çağ', 20, NULL);
INSERT INTO orders VALUES (1, 1, 10), (2, 1, 20.5), (3, 3, 30);
INSERT INTO visit VALUES (1, '2024-01-01'), (1, '2024-01-01'), (2, NULL), (NULL, NULL);
INSERT INTO label VALUES ('a', 'A'), ('b', NULL);
"""
CHANGES = {
    "a column goes": "ALTER TABLE customer DROP COLUMN age;",
    "a column that must have a value goes": "DROP VIEW totals; ALTER TABLE orders DROP COLUMN amount;",
    "columns go and come": """
ALTER TABLE customer ADD COLUMN mail VARCHAR(50) DEFAULT 'none' AFTER id, DROP COLUMN age, DROP score;
""",
    "rows that no key tells apart": """
UPDATE visit SET at = '2024-02-02' WHERE customer = 1 LIMIT 1;
DELETE FROM visit WHERE customer IS NULL;
INSERT INTO visit VALUES (3, '2024-03-03'), (3, '2024-03-03');
""",
    "a column of rows that no key tells apart": "ALTER TABLE visit DROP COLUMN customer;",
    "a type of rows that no key tells apart": "ALTER TABLE visit MODIFY at DATE, ADD COLUMN id INT AUTO_INCREMENT PRIMARY KEY;",
    "rows that a unique key tells apart": "UPDATE label SET note = 'x'; ALTER TABLE label DROP COLUMN note, DROP KEY word;",
    "a type that holds less": """
UPDATE customer SET age = 300 WHERE id = 1;
ALTER IGNORE TABLE customer MODIFY age TINYINT;
""",
    "a type that holds more": "ALTER TABLE customer MODIFY name TEXT NOT NULL;",
    "rounded numbers": "ALTER TABLE customer MODIFY score DOUBLE;",
    "a table goes": "DROP VIEW totals; DROP TABLE orders;",
    "two tables go": "DROP VIEW totals; DROP TABLE orders, customer;",
    "rows go": "DELETE FROM customer WHERE id = 1;",
    "all rows go": "TRUNCATE orders;",
    "rows change": """
UPDATE orders SET amount = amount * 2;
UPDATE customer SET name = upper(name) WHERE id = 3;
""",
    "rows come": """
INSERT INTO orders VALUES (4, 2, 5) ON DUPLICATE KEY UPDATE amount = 7;
REPLACE INTO orders VALUES (1, 2, 3);
""",
    "a table is renamed": "DROP VIEW totals; RENAME TABLE orders TO purchase; UPDATE purchase SET amount = 1;",
    "a column is renamed": """
ALTER TABLE customer CHANGE name full_name VARCHAR(200) NOT NULL;
DELETE FROM customer WHERE full_name = 'Ben';
""",
    "table and columns are renamed": "ALTER TABLE customer RENAME COLUMN name TO full_name, RENAME TO client, DROP COLUMN age;",
    "a table comes": """
CREATE TABLE extra (id INT PRIMARY KEY);
INSERT INTO extra VALUES (1), (2);
ALTER TABLE extra ADD note TEXT;
""",
    "a foreign key gets another name and shares a key": """
ALTER TABLE orders DROP FOREIGN KEY ordered_by;
ALTER TABLE orders MODIFY amount DECIMAL(6, 1) NOT NULL DEFAULT 0;
ALTER TABLE orders ADD CONSTRAINT bought_by FOREIGN KEY (customer) REFERENCES customer (id);
ALTER TABLE orders ADD KEY longer (customer, amount);
""",
    "a table in another's place": """
DROP VIEW totals;
CREATE OR REPLACE TABLE orders (id INT PRIMARY KEY, other INT);
INSERT INTO orders VALUES (9, 9);
""",
    "programs": """
CREATE TRIGGER up BEFORE INSERT ON orders FOR EACH ROW SET NEW.amount = 1;
CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1;
""",
    "a prepared change": """
SET @change = IF((SELECT count(*) FROM customer) > 0, 'ALTER TABLE customer DROP COLUMN age', 'SELECT 1');
PREPARE change_it FROM @change;
EXECUTE change_it;
DEALLOCATE PREPARE change_it;
""",
    "prepared rows": """
PREPARE change_it FROM concat('UPDATE orders o SET o.amount = ', '? WHERE o.id = ?');
SET @amount = 7, @id = 2;
EXECUTE change_it USING @amount, @id;
EXECUTE IMMEDIATE 'DELETE FROM customer WHERE id = ?' USING @id;
""",
    "a prepared rename": """
EXECUTE IMMEDIATE concat('ALTER TABLE customer ', 'RENAME COLUMN age TO years');
UPDATE customer SET years = 1;
""",
    "a routine that changes rows": """
CREATE PROCEDURE add_up(IN times INT) BEGIN
    WHILE times > 0 DO UPDATE orders o SET o.amount = o.amount + 1; SET times = times - 1; END WHILE;
END;
CALL add_up(3);
""",
    "a routine that commits": """
CREATE PROCEDURE step_by_step() BEGIN
    UPDATE orders SET amount = 5 WHERE id = 1;
    COMMIT;
    START TRANSACTION;
    DELETE FROM orders WHERE id = 2;
    COMMIT;
END;
CALL step_by_step();
""",
    "a routine that changes whatever it is told": """
CREATE PROCEDURE drop_column(IN t VARCHAR(64), IN c VARCHAR(64)) BEGIN
    IF EXISTS (SELECT * FROM information_schema.columns WHERE table_name = t AND column_name = c) THEN
        SET @text = CONCAT('ALTER TABLE ', t, ' DROP COLUMN ', c);
        PREPARE s FROM @text; EXECUTE s; DEALLOCATE PREPARE s;
    END IF;
END;
CALL drop_column('customer', 'age');
CALL drop_column('customer', 'score');
CALL drop_column('customer', 'nothing');
DROP PROCEDURE drop_column;
""",
    "a block": """
BEGIN NOT ATOMIC
    CREATE TABLE made (id INT PRIMARY KEY);
    INSERT INTO made VALUES (1), (2);
    ALTER TABLE customer DROP COLUMN age;
    UPDATE orders o SET o.amount = 3;
END;
""",
    "by way of a trigger": """
CREATE TRIGGER un AFTER DELETE ON orders FOR EACH ROW DELETE FROM customer WHERE id = OLD.customer;
DELETE FROM orders WHERE id = 3;
""",
}


@pytest.fixture
def shop(database: Database) -> Database:
    """The shop as it is deployed first."""
    database.write({"001_shop.sql": SHOP})
    database.apply("v1")
    return database


@pytest.mark.parametrize("change", CHANGES)
def test_it_goes_there_and_back_and_there_again(shop: Database, change: str) -> None:
    start = shop.state()
    shop.write({"002_change.sql": CHANGES[change]})
    shop.apply("v2")
    end = shop.state()
    assert end != start
    result = shop.rollback("v1")
    assert result.verified
    assert shop.state() == start
    assert shop.verify().equal
    shop.apply("v2")
    assert shop.state() == end
    shop.rollback("v1")
    assert shop.state() == start
    assert shop.left_over() == []


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_committed_before_a_failure_is_taken_back(shop: Database, change: str) -> None:
    start = shop.state()
    shop.write({"002_change.sql": f"{CHANGES[change]} ALTER TABLE nowhere ADD a INT;"})
    with pytest.raises(TagbackError) as raised:
        shop.apply("v2")
    assert raised.value.exit_code is Exit.FAILED
    assert raised.value.location is not None
    assert shop.state() == start
    assert shop.verify().equal
    assert shop.left_over() == []
    shop.write({"002_change.sql": CHANGES[change]})
    assert shop.apply("v2").changesets == ("002_change",)


def test_a_statement_that_fails_half_done_is_taken_back(shop: Database) -> None:
    start = shop.state()
    shop.write({"002_change.sql": "DROP VIEW totals; DROP TABLE orders, nowhere, customer;"})
    with pytest.raises(TagbackError) as raised:
        shop.apply("v2")
    assert raised.value.exit_code is Exit.FAILED
    assert shop.state() == start


def test_what_the_application_writes_later_stays(shop: Database) -> None:
    shop.write(
        {
            "002_change.sql": "ALTER TABLE customer DROP COLUMN age, ADD mail TEXT; UPDATE orders SET amount = 1 WHERE id < 3;"
        }
    )
    shop.apply("v2")
    shop.ask("INSERT INTO customer (name) VALUES ('Dan')")
    shop.ask("UPDATE customer SET name = 'Adele' WHERE id = 1")
    shop.ask("UPDATE orders SET amount = 99 WHERE id = 2")
    result = shop.rollback("v1")
    assert [(c.key, c.column, c.kept) for c in result.conflicts] == [("id=2", "amount", "later")]
    assert shop.ask("SELECT id, name, age FROM customer ORDER BY id") == [
        (1, "Adele", 36),
        (2, "Ben", None),
        (3, "Çağ", 20),
        (4, "Dan", None),
    ]
    assert [(n, float(a)) for n, a in shop.ask("SELECT id, amount FROM orders ORDER BY id")] == [
        (1, 10),
        (2, 99),
        (3, 30),
    ]


def test_rows_that_do_not_fit_refuse_the_way_back_and_nothing_changes(shop: Database) -> None:
    shop.write(
        {"002_change.sql": "ALTER TABLE customer ADD mail TEXT; ALTER TABLE orders DROP FOREIGN KEY ordered_by;"}
    )
    shop.apply("v2")
    shop.ask("INSERT INTO orders VALUES (7, 1000, 1)")
    there = shop.state()
    with pytest.raises(TagbackError) as raised:
        shop.rollback("v1")
    assert (raised.value.code, raised.value.exit_code) == ("constraint", Exit.REFUSED)
    assert shop.state() == there
    assert shop.verify().equal
    shop.ask("DELETE FROM orders WHERE id = 7")
    assert shop.rollback("v1").verified


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK INSTANCE FOR BACKUP",
        "CREATE DATABASE other",
        "SET GLOBAL max_connections = 10",
        "SET autocommit = 1, GLOBAL max_connections = 10",
        "INSERT INTO mysql.user SELECT * FROM mysql.user",
        "ALTER TABLE orders DISCARD TABLESPACE",
        "USE mysql",
        "DROP TABLE tagback_meta",
        "ALTER TABLE customer CHANGE age score INT, CHANGE score age FLOAT",
        "BEGIN NOT ATOMIC DELETE FROM orders; SET GLOBAL max_connections = 10; END",
        "BEGIN NOT ATOMIC EXECUTE IMMEDIATE concat('DROP TABLE mysql.', 'user'); END",
        "PREPARE s FROM 'USE mysql'; EXECUTE s",
    ],
)
def test_what_can_not_be_undone_or_decided_is_refused_by_name(shop: Database, statement: str) -> None:
    start = shop.state()
    shop.write({"002_change.sql": f"ALTER TABLE customer ADD mail TEXT;\n{statement};"})
    with pytest.raises(TagbackError) as raised:
        shop.apply("v2")
    assert (raised.value.code, raised.value.exit_code) == ("not_deployable", Exit.REFUSED)
    assert shop.state() == start


def test_settings_of_a_file_last_until_its_deployment_ends(shop: Database) -> None:
    shop.write(
        {
            "002_change.sql": """SET foreign_key_checks = 0; SET sql_mode = 'ANSI_QUOTES';
INSERT INTO "orders" VALUES (8, 1000, 1); CREATE TABLE "x y" (id INT PRIMARY KEY);"""
        }
    )
    start = shop.state()
    shop.apply("v2")
    assert shop.ask("SELECT customer FROM orders WHERE id = 8") == [(1000,)]
    assert shop.rollback("v1").verified
    assert shop.state() == start


def test_a_dry_run_writes_nothing(database: Database) -> None:
    database.write({"001_shop.sql": SHOP})
    assert database.apply("v1", dry_run=True).plan
    assert database.ask("SHOW TABLES") == []
    database.apply("v1")
    database.write({"002_more.sql": "ALTER TABLE customer DROP COLUMN age;"})
    start = database.state()
    assert [s.object for s in database.apply("v2", dry_run=True).plan or ()]
    assert database.state() == start


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE"])
def test_a_column_of_many_rows_goes_and_comes_in_time(database: Database, key: str) -> None:
    """Rows are found by their keys in what is kept: each with each would take minutes."""
    rows = "SELECT seq, concat('some text of row ', seq) FROM seq_1_to_20000"
    database.write(
        {"001_many.sql": f"CREATE TABLE many (id INT NOT NULL {key}, a VARCHAR(50)); INSERT INTO many {rows};"}
    )
    database.apply("v1")
    start = database.state()
    database.write({"002_less.sql": "ALTER TABLE many DROP COLUMN a;"})
    began = time.monotonic()
    database.apply("v2")
    assert database.rollback("v1").verified
    assert time.monotonic() - began < 25
    assert database.state() == start


DUMP = """
-- phpMyAdmin SQL Dump
SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
SET AUTOCOMMIT = 0;
START TRANSACTION;
SET time_zone = "+00:00";
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
DROP TABLE IF EXISTS `note`;
CREATE TABLE `note` (`id` int(11) NOT NULL, `order` int(11) DEFAULT NULL, `text` text) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
LOCK TABLES `note` WRITE;
/*!40000 ALTER TABLE `note` DISABLE KEYS */;
INSERT INTO `note` VALUES (0,1,'a;b'),(1,2,NULL);
/*!40000 ALTER TABLE `note` ENABLE KEYS */;
UNLOCK TABLES;
ALTER TABLE `note` ADD PRIMARY KEY (`id`), ADD KEY `of` (`order`);
ALTER TABLE `note` MODIFY `id` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=2;
ALTER TABLE `note` ADD CONSTRAINT `of` FOREIGN KEY (`order`) REFERENCES `orders` (`id`) ON DELETE SET NULL;
COMMIT;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
"""


def test_a_dump_is_deployed_without_its_locks_and_transactions(shop: Database) -> None:
    start = shop.state()
    shop.write({"002_dump.sql": DUMP})
    shop.apply("v2")
    assert shop.ask("SELECT id, `order` FROM note ORDER BY id") == [(0, 1), (1, 2)]
    assert shop.rollback("v1").verified
    assert shop.state() == start


def test_each_changeset_has_its_own_verdict(shop: Database) -> None:
    more = "ALTER TABLE customer DROP COLUMN age; UPDATE customer SET name = concat(name, '!')"
    shop.write({"002_more.sql": more, "003_new.sql": "CREATE TABLE spot (id INT PRIMARY KEY)"})
    done = shop.apply("v2")
    assert [(v.id, v.reversibility.value) for v in done.verdicts] == [("002_more", "captured"), ("003_new", "free")]
    assert done.verdicts[0].rows > 0


def test_a_table_with_many_columns_goes_back(database: Database) -> None:
    """What its comment could not say of them all."""
    columns = [f"a_column_with_a_name_{n}" for n in range(90)]
    made = ", ".join(f"{c} INT" for c in columns)
    database.write(
        {"001.sql": f"CREATE TABLE wide (id INT PRIMARY KEY, {made}); INSERT INTO wide (id) VALUES (1), (2);"}
    )
    database.apply("v1")
    start = database.state()
    database.write({"002.sql": f"UPDATE wide SET {columns[0]} = 5; ALTER TABLE wide DROP COLUMN {columns[1]};"})
    database.apply("v2")
    database.rollback("v1")
    assert database.state() == start
