"""A dry run says of each statement what it destroys and which lock it takes."""

from __future__ import annotations

import pytest

import tagback
from tagback.deploy.results import Applied
from tests.support.trial import Trial

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, name text, price int);
CREATE TABLE shop.sold (id int PRIMARY KEY, item int REFERENCES shop.item ON DELETE CASCADE);
INSERT INTO shop.item SELECT n, n, n FROM generate_series(1, 100) n;
INSERT INTO shop.sold SELECT n, n FROM generate_series(1, 100) n;
"""


def _dry(trial: Trial, *changesets: str) -> Applied:
    trial.setup(SHOP)
    trial.add(*changesets)
    with tagback.open(trial.url) as target:
        return target.apply(trial.changelog, tagback.ApplyOptions(dry_run=True))


def _told(done: Applied) -> list[tuple[str, tuple[str, ...], int]]:
    return [(s.action, s.destroys, s.rows) for s in done.plan or ()]


CASES = {
    "values written over": (
        "UPDATE shop.item SET price = 0 WHERE id <= 10;",
        [("update", ("values of table shop.item",), 10)],
    ),
    "nothing written over": ("UPDATE shop.item SET price = price;", [("update", (), 0)]),
    "a column": (
        "ALTER TABLE shop.item ADD x int; ALTER TABLE shop.item DROP COLUMN name;",
        [("alter", (), 0), ("alter", ("the values of column name of table shop.item",), 100)],
    ),
    "a column of a renamed table": (
        "ALTER TABLE shop.item RENAME TO thing; ALTER TABLE shop.thing DROP COLUMN name;",
        [("alter", (), 0), ("alter", ("the values of column name of table shop.item",), 100)],
    ),
    "a renamed column": ("ALTER TABLE shop.item RENAME name TO title;", [("alter", (), 0)]),
    "a table": ("DROP TABLE shop.sold;", [("drop", ("the rows of table shop.sold",), 100)]),
    "rows behind a foreign key": (
        "DELETE FROM shop.item WHERE id > 90; CREATE TABLE shop.other (item int REFERENCES shop.item);",
        [("delete", ("rows of table shop.item", "rows of table shop.sold"), 20), ("create", (), 0)],
    ),
    "what only running it tells": (
        "CREATE INDEX ON shop.sold (item); DO $$ BEGIN EXECUTE 'UPDATE shop.' || 'item SET price = -1'; END $$;",
        [("create", (), 0), ("do", ("values of table shop.item",), 100)],
    ),
}


@pytest.mark.parametrize(("change", "told"), CASES.values(), ids=CASES)
def test_what_a_statement_destroys(trial: Trial, change: str, told: list[tuple[str, tuple[str, ...], int]]) -> None:
    done = _dry(trial, change)
    assert [(a, tuple(sorted(d)), n) for a, d, n in _told(done)] == told


def test_the_locks_are_those_of_the_server(trial: Trial) -> None:
    done = _dry(
        trial,
        "CREATE INDEX ON shop.sold (item);",
        "CREATE TABLE shop.part (item int REFERENCES shop.item); COMMENT ON TABLE shop.sold IS 'x';",
        "DROP TABLE shop.sold; INSERT INTO shop.part VALUES (1);",
    )
    assert [s.lock for s in done.plan or ()] == [
        "SHARE on table shop.sold",
        "SHARE ROW EXCLUSIVE on table shop.item",
        "SHARE on table shop.sold",  # kept since the index
        "ACCESS EXCLUSIVE on table shop.sold",
        "",  # a new table is nobody else's
    ]
    assert [v.locks for v in done.verdicts] == [
        ("SHARE on table shop.sold",),
        ("SHARE ROW EXCLUSIVE on table shop.item", "SHARE on table shop.sold"),
        ("ACCESS EXCLUSIVE on table shop.item", "ACCESS EXCLUSIVE on table shop.sold"),
    ]
