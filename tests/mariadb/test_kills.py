"""A process that is killed anywhere leaves what the next run ends by itself, at the start or at the end."""

from __future__ import annotations

import itertools

import pytest

from tests.mariadb.conftest import Database
from tests.mariadb.test_deploying import SHOP
from tests.support.effort import Effort

CHANGE = """
ALTER TABLE customer DROP COLUMN age, ADD COLUMN mail VARCHAR(50) NOT NULL DEFAULT 'none';
UPDATE customer SET name = concat(name, '!') WHERE id < 3;
ALTER TABLE customer RENAME COLUMN name TO full_name;
DELETE FROM orders WHERE id = 1;
ALTER TABLE orders MODIFY amount VARCHAR(20) NOT NULL;
DROP VIEW totals;
DROP TABLE orders;
"""
_STEP = 43  # statements between two kills, where not every one is tried


@pytest.mark.slow
@pytest.mark.parametrize("command", ["apply", "rollback", "failing apply"])
def test_killed_at_a_statement(database: Database, effort: Effort, command: str) -> None:
    database.write({"001_shop.sql": SHOP})
    database.apply("v1")
    start = database.state()
    database.write({"002_change.sql": CHANGE})
    database.apply("v2")
    end = database.state()
    if command != "rollback":
        database.rollback("v1")
    ends = {"apply": end, "rollback": start, "failing apply": start}
    begins = {"apply": start, "rollback": end, "failing apply": start}
    if command == "failing apply":
        database.write({"002_change.sql": f"{CHANGE}; ALTER TABLE nowhere ADD a INT;"})
    arguments = (
        ["rollback", "--to", "v1", "--yes"]
        if command == "rollback"
        else ["apply", "--changelog", str(database.changelog), "--tag", "v2"]
    )
    kills = 0
    for at in itertools.count(30, _STEP):
        if database.killed(at, *arguments) != -9:
            break
        kills += 1
        if kills % 3 == 0:
            database.killed(25 + kills % 40, "recover")
        database.recover()
        there = database.state()
        assert there in (begins[command], ends[command]), f"killed at statement {at}"
        assert database.verify().equal
        assert database.left_over() == [], f"killed at statement {at}"
        if there == ends[command] != begins[command]:
            break
    assert kills > 5


def test_a_way_back_from_values_that_do_not_fit_is_undone(database: Database) -> None:
    database.write(
        {"001.sql": "CREATE TABLE a (id INT PRIMARY KEY, price DECIMAL(8, 2)); INSERT INTO a VALUES (1, 1.5), (2, 3);"}
    )
    database.apply("v1")
    database.write({"002.sql": "ALTER TABLE a MODIFY price INT; UPDATE a SET price = price + 1;"})
    database.apply("v2")
    end = database.state()
    kills = 0
    for at in itertools.count(100, 9):
        if database.killed(at, "rollback", "--to", "v1", "--yes") != -9:
            break
        kills += 1
        database.recover()
        assert database.state() == end, f"killed at statement {at}"
    assert kills > 5
