# ruff: noqa: E501 - a table: a line for each small case
"""The start of rows is read where it still is, in WAL mode, or copied: the shelf is the same, and so is what comes back."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tagback.deploy import events
from tagback.deploy.apply import ApplyOptions
from tagback.deploy.target import Target
from tests.unit.sqlite.conftest import Shop, same
from tests.unit.sqlite.test_shelf import CASES, CHANGES, STRICT, VALUES, WIDE

SHAPES = {
    "UPDATE OR REPLACE, with children": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY, e UNIQUE); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE, note);"
        "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO c VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "PRAGMA foreign_keys = ON; UPDATE OR REPLACE p SET e = 'c' WHERE id = 1",
    ),
    "dropped with children": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)"
        ";INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1), (20, 2)",
        "PRAGMA foreign_keys = ON; DROP TABLE p",
    ),
    "a column that goes after an update of another": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES (1, 'x', 1, 1), (2, 'y', 2, NULL)",
        "UPDATE t SET a = b WHERE id < 3; ALTER TABLE t DROP COLUMN c",
    ),
    "a column that goes, while others come": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2), (3, 'z', 3)",
        "ALTER TABLE t ADD COLUMN c DEFAULT 7; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME COLUMN b TO a",
    ),
    "a column that goes and comes again": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT 3, b); INSERT INTO t VALUES (1, 'x', 1), (2, 3, 2), (3, NULL, 3)",
        "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a DEFAULT 3",
    ),
    "columns that go, of a table that is renamed": (
        "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, a INT DEFAULT '5', b NOT NULL DEFAULT ''); INSERT INTO t VALUES"
        " ('x', 5, ''), ('y', NULL, 'b'), ('z', 6, x'')",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN a; ALTER TABLE u RENAME COLUMN k TO j; ALTER TABLE u DROP COLUMN b",
    ),
    "columns that go, without a key": (
        "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2), (1, NULL, NULL), (2, 'z', NULL)",
        "ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN b",
    ),
    "a column that goes and comes back by a savepoint": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)",
        "SAVEPOINT s; ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 0; ROLLBACK TO s; RELEASE s; UPDATE t SET b = 3 WHERE id = 1",
    ),
    "triggers and views on what is dropped": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE l (a); INSERT INTO t VALUES (1, 'x'), (2, 'y');"
        "CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO l VALUES (old.a); END",
        "DELETE FROM t WHERE id = 1; DROP TRIGGER d; DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a, n);"
        "INSERT INTO t VALUES (1, 'n', 'n')",
    ),
    "every value in columns of every affinity": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, i INT, r REAL, t TEXT, b BLOB, v);"
        + "".join(f"INSERT INTO t (n, i, r, t, b, v) SELECT v, v, v, v, v, v FROM (SELECT {v} AS v);" for v in VALUES.values()),
        ";".join(CHANGES["updated to something alike"].replace("v", column) for column in "nirtbv"),
    ),
    "zeros that change their sign": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, v); INSERT INTO t VALUES (1, 0.0, 0.0), (2, -0.0, -0.0), (3, 0, 0)",
        "UPDATE t SET r = CASE id WHEN 2 THEN 0.0 ELSE -0.0 END, v = CASE id WHEN 2 THEN 0.0 ELSE -0.0 END",
    ),
    "keys with collations, whose other columns are updated": (
        "CREATE TABLE t (k TEXT COLLATE NOCASE, l TEXT COLLATE RTRIM, a, PRIMARY KEY (k, l)) WITHOUT ROWID;"
        "INSERT INTO t VALUES ('A', 'x  ', 1), ('a', 'y', '1'), ('B', 'x', x'31'), ('b', ' x', 1.0)",
        "UPDATE t SET a = CASE typeof(a) WHEN 'integer' THEN '1' WHEN 'text' THEN x'31' WHEN 'blob' THEN 1.0 ELSE 1 END",
    ),
    "keys that are equal and of another class": (
        "CREATE TABLE t (k PRIMARY KEY NOT NULL, a); INSERT INTO t VALUES (1, 'x'), ('1', 'y'), (x'31', 'z'), (2.0, 'w'), (-0.0, 'v')",
        "UPDATE t SET k = k * 1.0 WHERE k = 1; UPDATE t SET k = 2 WHERE k = 2; UPDATE t SET k = 0 WHERE k = 0",
    ),
    "keys of one class that take another's place": (
        "CREATE TABLE t (k PRIMARY KEY NOT NULL, a) WITHOUT ROWID; INSERT INTO t VALUES (1, 'x'), ('1', 'y'), (x'31', 'z')",
        "DELETE FROM t WHERE typeof(k) = 'blob'; UPDATE t SET k = CAST(k AS BLOB) WHERE typeof(k) = 'text'; UPDATE t SET k = '1' WHERE k = 1",
    ),
    "a number that is updated by its other names": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "UPDATE t SET oid = oid + 10 WHERE _rowid_ > 1; UPDATE t SET rowid = 2 WHERE id = 13",
    ),
    "a column that is called rowid": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, rowid TEXT, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)",
        "UPDATE t SET rowid = 'z' WHERE id = 1; UPDATE t SET b = rowid",
    ),
    "a column that comes and goes while another one goes": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2)",
        "ALTER TABLE t ADD COLUMN c DEFAULT 5; UPDATE t SET c = a; ALTER TABLE t DROP COLUMN a; ALTER TABLE t DROP COLUMN c",
    ),
    "a column that is updated and goes, and one that takes its name": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES (1, 'x', 1, 'c'), (2, NULL, 2, 'd')",
        "UPDATE t SET a = 'new'; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME COLUMN b TO a; UPDATE t SET c = 'e' WHERE id = 1",
    ),
    "columns that exchange their names and are updated under both": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES (1, 'x', 1, 'c'), (2, NULL, 2, 'd')",
        "ALTER TABLE t RENAME COLUMN a TO x; ALTER TABLE t RENAME COLUMN b TO a; UPDATE t SET a = 7 WHERE id = 1;"
        "ALTER TABLE t RENAME COLUMN x TO b; ALTER TABLE t RENAME TO u",
    ),
    "UPDATE OR REPLACE of a column beside the key": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, e UNIQUE, f UNIQUE) WITHOUT ROWID;"
        "INSERT INTO t VALUES ('a', 1, 10), ('b', 2, 20), ('c', 3, 30), ('d', 4, 40)",
        "UPDATE OR REPLACE t SET e = 2, f = 30 WHERE k = 'a'",
    ),
    "triggers that replace and that ignore": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE, n DEFAULT 0); INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0);"
        "CREATE TRIGGER i BEFORE UPDATE OF n ON t WHEN old.id = 3 BEGIN SELECT RAISE(IGNORE); END;"
        "CREATE TRIGGER r AFTER UPDATE OF n ON t WHEN old.id = 1 BEGIN REPLACE INTO t VALUES (9, 'b', 9); END",
        "UPDATE t SET n = 1",
    ),
    "temporary triggers that write": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE TABLE u (id INTEGER PRIMARY KEY, a, b);"
        "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2); INSERT INTO u SELECT * FROM t",
        "CREATE TEMP TRIGGER g AFTER UPDATE OF a ON t BEGIN UPDATE t SET b = 'seen' WHERE id = old.id; DELETE FROM u WHERE id = old.id; END;"
        "UPDATE t SET a = 'z' WHERE id = 2; DROP TRIGGER g",
    ),
    "generated columns over what is updated, beside one that goes": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, g AS (a * 2), s AS (a * 3) STORED, b, c); INSERT INTO t (id, a, b, c)"
        " VALUES (1, 5, 'x', 'c'), (2, 6, 'y', 'd')",
        "UPDATE t SET a = a + 1 WHERE id = 1; ALTER TABLE t DROP COLUMN g; ALTER TABLE t DROP COLUMN c",
    ),
    "long values that are updated": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, zeroblob(3000000), printf('%.*c', 2000000, 'x')),"
        " (2, CAST(x'ff00' || zeroblob(200) AS TEXT), 'a' || char(0) || printf('%.*c', 300, 'y')), (3, randomblob(5000), 0.1)",
        "UPDATE t SET a = CAST(a AS BLOB) || x'01', b = b || '!' WHERE id < 3; UPDATE t SET a = CAST(a AS TEXT), b = b + 0.2 WHERE id = 3",
    ),
    "one of a hundred and fifty columns": (
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {WIDE}); INSERT INTO t (c0, c99, c149) VALUES (1, 2, 3), (1, 2, 4), (3, 4, 5)",
        "UPDATE t SET c99 = c149 WHERE c0 = 1",
    ),
    "zeros of every class, in every column": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, n NUMERIC, i INT, v, x TEXT); INSERT INTO t VALUES"
        " (1, 0, 0, 0, 0, 0), (2, -0.0, -0.0, -0.0, -0.0, -0.0), (3, 0.0, 0.0, 0.0, 0.0, 0.0)",
        "UPDATE t SET r = -r, n = -n, i = -i, v = -v, x = '0' || x; UPDATE t SET v = 0.0 WHERE id = 1; UPDATE t SET v = 0 WHERE id = 3",
    ),
    "without any name for a row's number": (
        "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, rowid, oid, _rowid_); INSERT INTO t VALUES ('a', 1, 2, 3), ('b', 4, 5, 6)",
        "UPDATE t SET oid = 7 WHERE k = 'a'; DELETE FROM t WHERE k = 'b'",
    ),
    "an integer that becomes the real that is equal": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, i INT, n NUMERIC, v); INSERT INTO t SELECT 1, m, m, m FROM"
        " (SELECT -9223372036854775807 - 1 AS m); INSERT INTO t VALUES (2, 4611686018427387904, 4611686018427387904, 1)",
        "UPDATE t SET i = i * 1.0, n = n * 1.0, v = v * 1.0",
    ),
}  # fmt: skip
ALL = CASES | SHAPES | (STRICT if sqlite3.sqlite_version_info >= (3, 37) else {})


class Twins:
    """Two files that begin with the same bytes: the start of one is read in its log, that of the other is copied."""

    def __init__(self, folder: Path, setup: str) -> None:
        first = folder / "first"
        first.mkdir()
        Shop(first).start(setup)
        self.shops = [self._made(folder / mode, first, mode) for mode in ("wal", "delete")]

    @staticmethod
    def _made(folder: Path, first: Path, mode: str) -> Shop:
        folder.mkdir()
        shop = Shop(folder)
        shutil.copy(first / "target.db", shop.file)
        with contextlib.closing(sqlite3.connect(shop.file)) as connection:
            assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
        return shop

    def are_alike(self) -> None:
        """Schema, rows and shelf."""
        one, other = self.shops
        same(one.state(), other.state())
        assert shelf(one) == shelf(other)


def shelf(shop: Shop) -> list[object]:
    """All that is kept of changes: what the ledger says of each, and its rows with their storage classes.

    Not where they are: a table that is copied though nothing happens to it has an empty place, too.
    """
    entries = shop.rows(
        "SELECT deployment, stage, undoes, back, kept, state FROM tagback_shelf WHERE row_count > 0"
        " ORDER BY deployment, position"
    )
    told: list[object] = []
    for *rest, kept, state in entries:
        said = json.loads(str(kept))
        told.append((rest, state, shop.stored(f"tagback_{said.pop('place')}"), said))
    return told


@pytest.mark.parametrize("name", ALL)
def test_the_shelf_is_the_same_whether_the_start_was_read_or_copied(tmp_path: Path, name: str) -> None:
    setup, change = ALL[name]
    twins = Twins(tmp_path, setup)
    for shop in twins.shops:
        assert sum(s.rows for s in shop.apply(change).shelved) > 0
    twins.are_alike()
    for _ in range(2):
        for shop in twins.shops:
            shop.back()
        twins.are_alike()
        for shop in twins.shops:
            shop.apply()
        twins.are_alike()


@pytest.mark.parametrize(
    "name", ["UPDATE OR REPLACE, with children", "a column that goes and comes again", "types that change"]
)
def test_every_stage_of_a_granular_deployment_has_a_start_of_its_own(tmp_path: Path, name: str) -> None:
    setup, change = ALL[name]
    twins = Twins(tmp_path, setup)
    for shop in twins.shops:
        shop.apply("CREATE TABLE other (x)", change, "CREATE TABLE more (x)", granular=True)
    twins.are_alike()
    for shop in twins.shops:
        shop.back(changeset="001_change")
    twins.are_alike()


def test_a_stage_is_undone_to_where_the_one_before_left_it(tmp_path: Path) -> None:
    twins = Twins(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 0), (2, 0)")
    for shop in twins.shops:
        shop.apply("UPDATE t SET a = 1", "UPDATE t SET a = 2", "DROP TABLE t", granular=True)
    twins.are_alike()
    for changeset, rows in (("002_change", [(1, 2), (2, 2)]), ("001_change", [(1, 1), (2, 1)])):
        for shop in twins.shops:
            shop.back(changeset=changeset)
            assert shop.rows("SELECT * FROM t") == rows
    for shop in twins.shops:
        shop.back()
        assert shop.rows("SELECT * FROM t") == [(1, 0), (2, 0)]


def test_several_legs_back_and_again_lead_to_the_same_shelf(tmp_path: Path) -> None:
    twins = Twins(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 0, 0), (2, 0, 0)")
    for shop in twins.shops:
        shop.apply("UPDATE t SET a = 1")
        shop.apply("ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN b")
        shop.apply("DELETE FROM u WHERE id = 1")
        shop.sql("INSERT INTO u VALUES (3, 'later')")
        shop.back()
        assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, 0, 0), (2, 0, 0), (3, "later", None)]
        shop.sql("UPDATE t SET b = 'between' WHERE id = 2")
        shop.apply()
        shop.back()
        assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, 0, 0), (2, 0, "between"), (3, "later", None)]
    twins.are_alike()


# ---------------------------------------------------------------------- what is saved


def listened(shop: Shop, change: str) -> list[object]:
    """Deploys, and gives what it told."""
    shop.write(change)
    heard: list[object] = []
    with Target.open(f"sqlite:///{shop.file}", listen=heard.append) as target:
        target.apply(shop.log, ApplyOptions())
    return heard


HIDDEN = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (n); INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1);"
    "CREATE TRIGGER r AFTER UPDATE ON t BEGIN UPDATE u SET n = n + 1; END"
)


def test_nothing_is_copied_and_nothing_runs_twice_where_the_start_can_be_read(tmp_path: Path) -> None:
    wal, delete = Twins(tmp_path, HIDDEN).shops
    kinds = {type(e) for e in listened(wal, "UPDATE t SET a = 'y'")}
    assert not kinds & {events.RowsKept, events.RunAgain}
    assert kinds < {type(e) for e in listened(delete, "UPDATE t SET a = 'y'")} >= {events.RowsKept, events.RunAgain}
    assert shelf(wal) == shelf(delete)


def test_what_can_not_be_read_is_copied_after_all(tmp_path: Path) -> None:
    wal, delete = Twins(tmp_path, HIDDEN).shops
    change = "PRAGMA locking_mode = EXCLUSIVE; UPDATE t SET a = 'y'"
    assert events.RunAgain in {type(e) for e in listened(wal, change)}
    delete.apply(change)
    assert shelf(wal) == shelf(delete)
    wal.back()
    assert wal.rows("SELECT * FROM t, u") == [(1, "x", 1)]
