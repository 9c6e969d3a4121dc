# ruff: noqa: E501 - a table: a line for each small case
"""Rows that a deployment didn't write are left out of the comparison, and the shelf has the same rows as without that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tagback.catalog import ObjectId, renames
from tagback.changelog import Dialect, split
from tagback.engines import connect
from tagback.engines.postgres.copies import Copy
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.postgres.shelf import Shelf
from tagback.engines.session import StatementError
from tests.support.postgres import PostgresServer
from tests.support.versions import fitting

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE TYPE pair AS (x int, y bigint);
CREATE TABLE t (id int PRIMARY KEY, a text, n numeric, m mood, p pair, w int, d int GENERATED ALWAYS AS (w * 2) STORED);
INSERT INTO t SELECT g, 'a' || g, g + 0.50, 'ok', ROW(g::int, (g % 9)::bigint)::pair, g % 3 FROM generate_series(1, 40) g;
UPDATE t SET a = 'b' WHERE id % 7 = 0;
"""
STATEMENTS = (
    "UPDATE t SET a = 'new' WHERE id % 5 = 0",
    "UPDATE t SET a = a",
    "UPDATE t SET n = 3.5 WHERE id = 3; UPDATE t SET n = 3.50 WHERE id = 3",
    "UPDATE t SET n = n + 0.00",
    "UPDATE t SET id = id + 1000 WHERE id < 4",
    "UPDATE t SET id = -id; UPDATE t SET id = -id",
    "UPDATE t SET id = CASE id WHEN 8 THEN 9 ELSE 8 END + 2000 WHERE id IN (8, 9); UPDATE t SET id = id - 2000 WHERE id > 2000",
    "DELETE FROM t WHERE w = 1",
    "DELETE FROM t WHERE id = 12; INSERT INTO t (id, a) VALUES (12, 'again')",
    "INSERT INTO t (id, a) SELECT g, 'more' FROM generate_series(100, 103) g ON CONFLICT DO NOTHING",
    "INSERT INTO t (id, a) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET a = excluded.a",
    "MERGE INTO t USING (VALUES (1), (2), (700)) v (i) ON id = i WHEN MATCHED AND i = 1 THEN DELETE"
    " WHEN MATCHED THEN UPDATE SET w = 9 WHEN NOT MATCHED THEN INSERT (id) VALUES (i)",
    "SELECT count(*) FROM (SELECT FROM t FOR UPDATE) locked",
    "SELECT count(*) FROM (SELECT FROM t FOR KEY SHARE) locked; UPDATE t SET w = 7 WHERE id = 20",
    "DO $$ BEGIN UPDATE t SET w = w + 1; RAISE 'no'; EXCEPTION WHEN raise_exception THEN DELETE FROM t WHERE id = 30; END $$",
    "DO $$ BEGIN FOR i IN 1..3 LOOP BEGIN UPDATE t SET w = i WHERE id = i; EXCEPTION WHEN others THEN NULL; END; END LOOP; END $$",
    "DO $$ BEGIN INSERT INTO t (id) VALUES (800); DELETE FROM t WHERE id = 800; INSERT INTO t (id) VALUES (801); END $$",
    "DO $$ BEGIN DELETE FROM t; RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END $$",
    "TRUNCATE t",
    "CREATE TEMP TABLE saved ON COMMIT DROP AS SELECT id, a, n, m, p, w FROM t; TRUNCATE t; INSERT INTO t SELECT * FROM saved",
    "CLUSTER t USING t_pkey; UPDATE t SET w = 4 WHERE id = 2",
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text",
    "ALTER TABLE t DROP COLUMN n; UPDATE t SET w = 8 WHERE id = 6",
    "ALTER TABLE t ADD COLUMN z int DEFAULT 5; UPDATE t SET w = 8 WHERE id = 6",
    "ALTER TABLE t ADD COLUMN z float DEFAULT random()",
    "ALTER TABLE t ALTER n TYPE numeric(10, 2)",
    "ALTER TABLE t ALTER a TYPE varchar; UPDATE t SET a = 'v' WHERE id = 6",
    "ALTER TABLE t RENAME a TO w2; UPDATE t SET w2 = 'r' WHERE id = 6",
    "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
    "ALTER TABLE t DROP CONSTRAINT t_pkey; UPDATE t SET id = 1 WHERE id = 2",
    "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, w); UPDATE t SET w = 3 WHERE id = 2",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'; UPDATE t SET w = 5 WHERE id = 1",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'x'; ALTER TYPE mood RENAME VALUE 'sad' TO 'ok'; DELETE FROM t WHERE id = 2",
    "ALTER TYPE pair DROP ATTRIBUTE y; UPDATE t SET w = 5 WHERE id = 1",
)  # fmt: skip
IN_ANY_ORDER = [s for s in STATEMENTS if not s.startswith(("ALTER T", "CREATE TEMP", "CLUSTER"))]


@pytest.fixture(scope="module")
def session(postgres_server: PostgresServer) -> Iterator[PostgresSession]:
    database = postgres_server.create_database()
    with postgres_server.connect(database) as connection:
        connection.execute("CREATE SCHEMA tagback")
        connection.execute(SETUP.encode())
    session = connect(postgres_server.url(database))
    assert isinstance(session, PostgresSession)
    yield session
    session.close()


_labels = itertools.count(1)
Shelved = list[tuple[object, ...]]


class _Noting(Shelf):
    """Says whether rows were left out."""

    left_out = False

    def _stands(self, copy: Copy, now: ObjectId, places: Mapping[str, str], *, watched: bool) -> bool:
        self.left_out = super()._stands(copy, now, places, watched=watched)
        return self.left_out


class _Everything(Shelf):
    """Compares every row."""

    def _stands(self, copy: Copy, now: ObjectId, places: Mapping[str, str], *, watched: bool) -> bool:
        return False


def _of(session: PostgresSession) -> tuple[Any, ...]:
    return session._text, session._attempt, session._user, session._undo, session._rows


def both_ways(session: PostgresSession, statements: str) -> tuple[Shelved, Shelved, bool]:
    """What these statements put on the shelf, and with everything compared; and whether the first left rows out."""
    session.begin()
    try:
        before = session.read_catalog()
        session.keep_start([i for i in before.objects if i.kind == "table"])
        session.savepoint()
        session.watch(before)
        for statement in split(statements, Dialect.POSTGRES):
            if statement.sql:
                session.run(statement.sql)
        names = {r.before: r.after for r in renames(before, session.read_catalog())}
        narrow = _Noting(*_of(session))
        everything = _Everything(*_of(session))
        return shelved(session, narrow, names), shelved(session, everything, names), narrow.left_out
    finally:
        session.rollback()


def shelved(session: PostgresSession, shelf: Shelf, names: Mapping[ObjectId, ObjectId]) -> Shelved:
    found, _ = shelf.shelve(f"shelf_{next(_labels)}", names, {}, None, ())
    rows: Shelved = []
    for k in found:
        rows.append((str(k.table), k.key, k.matched, k.added, k.gone, k.new, k.changed))
        rows += sorted(session._text(f"SELECT q::text FROM tagback.{k.place} q"))
    return rows


@pytest.mark.parametrize("statements", STATEMENTS)
def test_what_is_left_out_is_not_missed(session: PostgresSession, statements: str) -> None:
    statements = fitting(statements, int(session.major))
    narrow, whole, _ = both_ways(session, statements)
    assert narrow == whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.sampled_from(IN_ANY_ORDER), min_size=2, max_size=5, unique=True))
def test_whatever_the_statements_nothing_is_missed(session: PostgresSession, chosen: list[str]) -> None:
    try:
        narrow, whole, _ = both_ways(session, "; ".join(chosen))
    except StatementError:  # the keys that some make are there after others
        reject()
    assert narrow == whole


@pytest.mark.parametrize(
    ("statements", "left_out"),
    [
        ("UPDATE t SET a = 'new' WHERE id = 3", True),
        ("DELETE FROM t WHERE id = 3; INSERT INTO t (id) VALUES (3)", True),
        ("ALTER TABLE t ADD COLUMN z int DEFAULT 5; UPDATE t SET w = 8 WHERE id = 6", True),
        ("TRUNCATE t", False),
        ("ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text", False),
        ("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'; UPDATE t SET w = 5 WHERE id = 1", False),
    ],
)
def test_rows_are_left_out_only_where_they_are_the_same(
    session: PostgresSession, statements: str, left_out: bool
) -> None:
    *_, were = both_ways(session, statements)
    assert were is left_out
