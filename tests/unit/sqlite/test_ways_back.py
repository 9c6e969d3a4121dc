"""Ways back on SQLite past what stands in the way of plain statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tests.support.oracle import differences, sqlite_state
from tests.unit.sqlite.conftest import Shop, same

CASES = {
    "a trigger that broke with the rename": (
        "CREATE TABLE t (id TEXT PRIMARY KEY, a) WITHOUT ROWID",
        "ALTER TABLE t RENAME TO u; CREATE TRIGGER g AFTER INSERT ON u BEGIN DELETE FROM u WHERE rowid < 0; END",
    ),
    "a view on a table that is gone": (
        "CREATE TABLE t (a); CREATE TABLE gone (a); CREATE VIEW v AS SELECT * FROM gone",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO b; DROP TABLE gone",
    ),
    "a view under the old name of a table": (
        "CREATE TABLE t (a)",
        "ALTER TABLE t RENAME TO u; CREATE VIEW t AS SELECT * FROM u",
    ),
    "an index under the old name of a table": (
        "CREATE TABLE t (a)",
        "ALTER TABLE t RENAME TO u; CREATE INDEX t ON u (a)",
    ),
    "a trigger on a view, and one on a table under the view's name": (
        "CREATE TABLE t (a); CREATE TRIGGER v AFTER INSERT ON t BEGIN SELECT 1; END;"
        "CREATE VIEW v AS SELECT a FROM t; CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN SELECT ';'; END",
        "DROP VIEW v; ALTER TABLE t ADD COLUMN b",
    ),
    "tables that refer to each other": (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b DEFERRABLE INITIALLY DEFERRED);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a);"
        "INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (2, 1)",
        "ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; ALTER TABLE a ADD COLUMN x",
    ),
    "a new table under the name that a renamed one gave up": (
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
        "ALTER TABLE t RENAME TO u; CREATE TABLE t (z); INSERT INTO t VALUES (2)",
    ),
    "another case of the same name": (
        "CREATE TABLE t (a)",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO T; ALTER TABLE T RENAME a TO A",
    ),
    "the text as it was written": (
        "create  table if not exists [t] /* why */ ( a int -- what\n , b )",
        "ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN c",
    ),
    "rows with their numbers": (
        "CREATE TABLE t (a); INSERT INTO t (rowid, a) VALUES (7, 'x'), (3, 'y')",
        "ALTER TABLE t ADD COLUMN b",
    ),
    "the position of AUTOINCREMENT": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t VALUES (41, 'x'); DELETE FROM t",
        "ALTER TABLE t ADD COLUMN b",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_comes_back_exactly_twice(name: str, tmp_path: Path) -> None:
    setup, change = CASES[name]
    path, changelog = tmp_path / "target.db", tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "1_setup.sql").write_text(setup)
    with Target.open(f"sqlite:///{path}", create=True) as target:
        target.apply(changelog, ApplyOptions(tag="r1"))
        before = sqlite_state(path)
        (changelog / "2_change.sql").write_text(change)
        target.apply(changelog, ApplyOptions(tag="r2"))
        after = sqlite_state(path)
        assert target.rollback(RollbackOptions(to="r1")).verified
        assert differences(before, sqlite_state(path)) == []
        target.apply(changelog, ApplyOptions(tag="r2"))
        assert differences(after, sqlite_state(path)) == []
        assert target.rollback(RollbackOptions(to="r1")).verified
        assert differences(before, sqlite_state(path)) == []


def test_rows_keep_their_numbers(sqlite_url: str, tmp_path: Path) -> None:
    import sqlite3

    setup, change = CASES["rows with their numbers"]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "1.sql").write_text(setup)
    with Target.open(sqlite_url, create=True) as target:
        target.apply(tmp_path / "c", ApplyOptions(tag="r1"))
        (tmp_path / "c" / "2.sql").write_text(change)
        target.apply(tmp_path / "c", ApplyOptions(tag="r2"))
        target.rollback(RollbackOptions(to="r1"))
    connection = sqlite3.connect(tmp_path / "target.db")
    assert connection.execute("SELECT rowid, a FROM t ORDER BY 1").fetchall() == [(3, "y"), (7, "x")]
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t RENAME TO u; CREATE TABLE T (q INTEGER)",
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD COLUMN V TEXT DEFAULT 'new'",
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t RENAME id TO V; ALTER TABLE t RENAME w TO ID",
        "ALTER TABLE t RENAME v TO V; ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO T",
    ],
)
def test_names_that_differ_only_in_case_are_the_same_name(shop: Shop, change: str) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (11, 1), (12, 2)")
    shop.apply(change)
    end = shop.state()
    for _ in range(2):
        shop.back()
        same(base, shop.state())
        shop.apply()
        same(end, shop.state())


def test_a_table_made_anew_under_a_dropped_one_s_name_in_other_letters_isn_t_that_one(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    shop.apply("DROP TABLE t; CREATE TABLE T (id INTEGER PRIMARY KEY, w TEXT)")
    shop.sql("INSERT INTO T VALUES (2, 'mine')")
    shop.back()
    shop.sql("INSERT INTO t VALUES (2, 9)")
    shop.apply()
    assert shop.rows("SELECT * FROM T") == [(2, "mine")]
