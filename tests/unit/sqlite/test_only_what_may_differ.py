# ruff: noqa: E501 - a table: a line for each small case
"""Only what may differ is compared, in the cheapest way, and the shelf has the same rows as without that."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tagback.catalog import Catalog, ObjectId, renames
from tagback.changelog import Dialect, split
from tagback.engines import connect
from tagback.engines.merging import Side
from tagback.engines.redoing import Redoing
from tagback.engines.session import KeptColumn, KeptRows, StatementError
from tagback.engines.sqlite.objects import Table
from tagback.engines.sqlite.session import SqliteSession
from tagback.engines.sqlite.shelf import Shelf
from tagback.engines.sqlite.words import Words
from tests.unit.sqlite.test_shelf import CASES, STRICT, VALUES
from tests.unit.sqlite.test_start import SHAPES

ALL = CASES | SHAPES | (STRICT if sqlite3.sqlite_version_info >= (3, 37) else {})
MODES = ("wal", "delete")
KINDS = {
    "i": "INT",
    "n": "NUMERIC",
    "r": "REAL",
    "t": "TEXT COLLATE NOCASE",
    "b": "BLOB",
    "v": "",
}


class _ExactWords(Words):
    """Compares by texts alone."""

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        return f"({self.exact(left)} IS {self.exact(right)})"


class _Everything(Shelf):
    """Compares every value of every row with what it was, and looks for every row."""

    def __init__(self, session: SqliteSession) -> None:
        super().__init__(session._connection, session._rows)
        self._merging = Redoing(_ExactWords())

    def _same(
        self, was: Table, now: Table, places: Mapping[str, str], catalogs: tuple[Catalog, Catalog]
    ) -> frozenset[str]:
        return frozenset()

    def _only_lost(self, kept: KeptRows, end: Side) -> bool:
        return False

    def _any_gone(self, start: Side, end: Side, new: int) -> bool:
        return True


Shelved = list[tuple[object, ...]]


def both_ways(folder: Path, mode: str, setup: str, statements: str) -> tuple[Shelved, Shelved]:
    """What these statements put on the shelf, and what comparing everything does."""
    path = folder / "target.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.executescript(setup)
    session = connect(f"sqlite:///{path}")
    assert isinstance(session, SqliteSession)
    try:
        return _shelved_twice(session, mode, statements)
    finally:
        session.rollback()
        session.close()


def _shelved_twice(session: SqliteSession, mode: str, statements: str) -> tuple[Shelved, Shelved]:
    chosen = session.prepare(split(statements, Dialect.SQLITE))
    session.begin()
    before = session.read_catalog()
    tables = frozenset(i for i in before.objects if i.kind == "table")
    late = session.keeps_late()
    assert late == (mode == "wal")
    if not late:
        session.keep_start(tables)
    session.savepoint()
    session.watch(before)
    for statement in chosen:
        if statement.sql:
            session.run(statement.sql)
    after = session.read_catalog()
    session.touched(before, after)
    if late:
        assert not session.keep_late(tables)
    session.release_savepoint()
    names = {r.before: r.after for r in renames(before, after)}
    found = _shelved(session, session._shelf, before, after, names)
    session._shelf.forget()
    return found, _shelved(session, _Everything(session), before, after, names)


_labels = itertools.count(1)


def _shelved(
    session: SqliteSession, shelf: Shelf, before: Catalog, after: Catalog, names: Mapping[ObjectId, ObjectId]
) -> Shelved:
    kept, _ = shelf.shelve(f"shelf_{next(_labels)}", before, after, names, {}, None, ())
    session._connection.text_factory = bytes
    rows: Shelved = []
    for k in kept:
        rows.append((str(k.table), k.key, k.matched, k.added, k.whole, k.gone, k.new, k.changed))
        place = f"tagback_{k.place}"
        columns = [r[1].decode() for r in session._connection.execute(f"PRAGMA table_info({place})")]
        told = ", ".join(f"typeof({c}) || ' ' || quote(CAST({c} AS BLOB)) || {c}" for c in columns)
        rows += sorted(session._connection.execute(f"SELECT {told} FROM {place}"), key=repr)
    session._connection.text_factory = str
    return rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ALL)
def test_what_is_not_compared_is_not_missed(tmp_path: Path, name: str, mode: str) -> None:
    found, everything = both_ways(tmp_path, mode, *ALL[name])
    assert found == everything != []


@pytest.mark.parametrize("mode", MODES)
def test_every_change_of_a_storage_class_is_seen(tmp_path: Path, mode: str) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in KINDS.items())
    pairs = list(itertools.product(VALUES.values(), repeat=2))
    setup = f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns});" + "".join(
        f"INSERT INTO t SELECT {n}, v, v, v, v, v, v FROM (SELECT {value} AS v);" for n, (value, _) in enumerate(pairs)
    )
    change = "".join(
        f"UPDATE t SET {', '.join(f'{name} = {other}' for name in KINDS)} WHERE id = {n};"
        for n, (_, other) in enumerate(pairs)
    )
    found, everything = both_ways(tmp_path, mode, setup, change)
    assert found == everything
    assert len(found) > len(pairs) * 0.9


SETUP = (
    f"CREATE TABLE t (k INTEGER PRIMARY KEY, u UNIQUE, {', '.join(f'{n} {kind}' for n, kind in KINDS.items())});"
    "CREATE TABLE w (k TEXT COLLATE NOCASE, l, a REAL DEFAULT 1, z, PRIMARY KEY (l, k)) WITHOUT ROWID;"
    "CREATE TABLE o (a, b INT, c TEXT DEFAULT 'c');"
    "WITH g (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM g WHERE x < 20) INSERT INTO t SELECT x, 'u' || x, x % 3, x / 4.0,"
    " x, 'a' || x % 4, x % 5, iif(x % 2, x, x * 1.0) FROM g;"
    "INSERT INTO w SELECT u, iif(k % 2, k, '' || k), r, v FROM t; INSERT INTO o SELECT v, i, t FROM t; INSERT INTO o SELECT * FROM o"
)
STATEMENTS = (
    "UPDATE t SET v = CAST(v AS INTEGER), n = n + 0.0",
    "UPDATE t SET t = upper(t), b = CAST(b AS BLOB) WHERE k % 5 = 0",
    "UPDATE t SET k = k + 100 WHERE k < 4",
    "UPDATE t SET k = -k; UPDATE t SET k = -k",
    "UPDATE OR REPLACE t SET u = 'u7' WHERE k = 9",
    "REPLACE INTO t (k, u) VALUES (3, 'u12')",
    "INSERT INTO t (u) SELECT 'n' || k FROM t WHERE k % 6 = 0",
    "DELETE FROM t WHERE i = 2",
    "DELETE FROM t WHERE k = 12; INSERT INTO t (k, u) VALUES (12, 'again')",
    "DELETE FROM t",
    "ALTER TABLE t DROP COLUMN r",
    "ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD COLUMN v",
    "ALTER TABLE t ADD COLUMN z DEFAULT 5",
    "ALTER TABLE t RENAME COLUMN n TO m; ALTER TABLE t RENAME COLUMN i TO n",
    "CREATE TABLE x (k INTEGER PRIMARY KEY, u, i TEXT, n REAL, r INT, t BLOB, v NUMERIC); INSERT INTO x SELECT k, u, i, n, k, t, u FROM t;"
    " DROP TABLE t; ALTER TABLE x RENAME TO t",
    "UPDATE w SET k = upper(k) WHERE typeof(l) = 'integer'",
    "UPDATE w SET l = '' || l WHERE l > 15 AND typeof(l) = 'integer'; DELETE FROM w WHERE k = 'U2'",
    "ALTER TABLE w DROP COLUMN a; ALTER TABLE w DROP COLUMN z",
    "ALTER TABLE w DROP COLUMN z; UPDATE w SET a = 1 WHERE l = 3",
    "ALTER TABLE w RENAME TO w2; ALTER TABLE w2 RENAME TO w; ALTER TABLE w DROP COLUMN a",
    "DROP TABLE w",
    "UPDATE o SET a = b WHERE rowid % 3 = 0; DELETE FROM o WHERE rowid IN (1, 2)",
    "ALTER TABLE o DROP COLUMN c",
    "ALTER TABLE o DROP COLUMN b; INSERT INTO o (a) VALUES (1), (1)",
    "DROP TABLE o; CREATE TABLE o (a); INSERT INTO o VALUES (1)",
    "SAVEPOINT s; DELETE FROM t; ALTER TABLE o DROP COLUMN a; ROLLBACK TO s; RELEASE s",
    "CREATE TRIGGER g AFTER UPDATE ON o BEGIN DELETE FROM w WHERE l = old.b; END; UPDATE o SET b = b + 1 WHERE rowid < 5",
)  # fmt: skip
_folders = itertools.count(1)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5, unique=True))
def test_whatever_the_statements_nothing_is_missed(tmp_path: Path, mode: str, chosen: list[str]) -> None:
    folder = tmp_path / str(next(_folders))
    folder.mkdir()
    try:
        found, everything = both_ways(folder, mode, SETUP, ";".join(chosen))
    except StatementError:  # what some need is gone after others
        reject()
    finally:
        shutil.rmtree(folder)
    assert found == everything
