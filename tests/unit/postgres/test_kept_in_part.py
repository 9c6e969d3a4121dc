# ruff: noqa: E501 - a table: a line for each small case
"""Of a large table only what statements seem to take is kept, and the shelf has the same rows as after copying it whole."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from tagback.changelog import Dialect, read_changelog, split
from tagback.deploy.events import Event, RunAgain
from tagback.deploy.stage import Observed, Work, run_stage
from tagback.engines import connect
from tagback.engines.postgres.session import PostgresSession
from tests.support.postgres import PostgresServer
from tests.support.trial import Trial

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE TYPE pair AS (x int, y bigint);
CREATE DOMAIN short AS text DEFAULT 'none';
CREATE TABLE t (id int PRIMARY KEY, a text, "N n" numeric DEFAULT 2.50, m mood DEFAULT 'ok', p pair, c char(4) COLLATE "C",
    s short, w int, v float DEFAULT random(), d int GENERATED ALWAYS AS (w * 2) STORED);
INSERT INTO t (id, a, "N n", m, p, c, w) SELECT g, nullif('a' || g % 11, 'a3'), g / 2.0, 'ok', ROW(g::int, (g % 9)::bigint)::pair, 'c' || g, g % 3
    FROM generate_series(1, 40) g;
INSERT INTO t (id) VALUES (41), (42);
UPDATE t SET a = repeat('long', 3000) WHERE id = 7;
CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, a text);
INSERT INTO child SELECT g, g, 'x' FROM generate_series(1, 20) g;
CREATE TABLE keyless (a text, b int);
INSERT INTO keyless SELECT 'k' || g % 3, g % 4 FROM generate_series(1, 20) g;
CREATE TABLE two (x int, y int, a text, PRIMARY KEY (y, x));
INSERT INTO two SELECT g, -g, 'two' FROM generate_series(1, 10) g;
CREATE TABLE parted (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
INSERT INTO parted SELECT g, 'p' FROM generate_series(1, 9) g;
CREATE TABLE parent (id int PRIMARY KEY, a text);
CREATE TABLE heir (b int, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO heir VALUES (2, 'heir', 3);
CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, said text);
INSERT INTO log (said) VALUES ('before');
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.log SET said = 'told'; RETURN new; END $$;
CREATE TABLE told (id int PRIMARY KEY, a text, b int);
INSERT INTO told VALUES (1, 'one', 1), (2, 'two', 2);
CREATE TRIGGER tells AFTER UPDATE ON told FOR EACH ROW EXECUTE FUNCTION tell();
"""

ENOUGH = (
    "ALTER TABLE t DROP COLUMN a",
    "alter table if exists only public.t drop a, drop if exists \"N n\" restrict, DROP COLUMN m CASCADE",
    "ALTER TABLE t DROP COLUMN p; ALTER TABLE t DROP COLUMN c",
    "ALTER TABLE t DROP COLUMN s",
    "ALTER TABLE t DROP COLUMN v",
    "ALTER TABLE t DROP COLUMN w CASCADE",
    "ALTER TABLE t DROP COLUMN a; CREATE INDEX ON t (w); COMMENT ON COLUMN t.w IS 'said'",
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE child DROP COLUMN a",
    "ALTER TABLE t DROP COLUMN a; TRUNCATE child",
    "ALTER TABLE two DROP COLUMN a",
    "ALTER TABLE told DROP COLUMN a",
)  # fmt: skip
COPIED = (
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text",
    "ALTER TABLE t DROP COLUMN a, ADD COLUMN z int DEFAULT 5",
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER \"N n\" TYPE float",
    "ALTER TABLE t DROP COLUMN a; UPDATE t SET w = 9 WHERE id = 3",
    "ALTER TABLE t DROP COLUMN a; CLUSTER t USING t_pkey",
    "UPDATE t SET a = 'x'; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t DROP COLUMN id CASCADE",
    "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE",
    "ALTER TABLE t DROP COLUMN IF EXISTS nothing",
    "ALTER TABLE keyless DROP COLUMN a",
    "ALTER TABLE two DROP COLUMN x",
    "ALTER TABLE parted DROP COLUMN a",
)  # fmt: skip
MISSED = (
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN UPDATE t SET w = 9 WHERE id = 3; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t ADD COLUMN a text; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t DROP COLUMN w CASCADE; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t ALTER \"N n\" TYPE float; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t RENAME TO u; END $$",
    "ALTER TABLE t DROP COLUMN a; DELETE FROM child WHERE id = 1; DO $$ BEGIN DELETE FROM t WHERE id = 2; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN CLUSTER t USING t_pkey; END $$",
    "ALTER TABLE t DROP COLUMN m; ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "DO $$ BEGIN ALTER TABLE t RENAME TO u; CREATE TABLE t (id int PRIMARY KEY, a text); END $$; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE parent DROP COLUMN a",
    "SET LOCAL track_counts = off; ALTER TABLE t DROP COLUMN a",
)  # fmt: skip

Shelved = list[tuple[object, ...]]


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


def kept(session: PostgresSession, folder: Path, statements: str, large: int) -> tuple[Shelved, int, set[str]]:
    """What a stage with these statements puts on the shelf, how often it ran, and the tables that were kept in part."""
    (folder / "001_one.sql").write_text(statements)
    (changeset,) = read_changelog(folder).changesets
    work = Work(changeset, tuple(s for s in split(statements, Dialect.POSTGRES) if s.sql), 1, 1)
    events: list[Event] = []
    start = session._shelf.start
    start.large = large
    session.begin()
    try:
        keep_in_part = Mock(wraps=session._rows.keep_in_part)
        session._rows.keep_in_part = keep_in_part  # type: ignore[method-assign]
        observed = run_stage(session, session.read_catalog(), [work], events.append, f"x{next(_labels)}", alone=True)
        return (
            shelved(session, observed),
            1 + sum(isinstance(e, RunAgain) for e in events),
            {c.args[0].name[-1] for c in keep_in_part.call_args_list},
        )
    finally:
        del session._rows.keep_in_part
        session.rollback()


def shelved(session: PostgresSession, observed: Observed) -> Shelved:
    rows: Shelved = []
    for k in observed.kept:
        rows.append((str(k.table), k.columns, k.key, k.matched, k.added, k.whole, k.gone, k.new, k.changed, k.broken))
        rows += sorted(session._text(f"SELECT q::text FROM tagback.{k.place} q"))
        rows += session._text(
            "SELECT attname, atttypid::regtype::text, atttypmod, attcollation::regcollation::text, attnotnull"
            f" FROM pg_attribute WHERE attrelid = 'tagback.{k.place}'::regclass AND attnum > 0 ORDER BY attnum"
        )
    return [*rows, *((str(table),) for table in sorted(observed.looked_at)), (observed.verdict.reversibility,)]


@pytest.mark.parametrize("statements", ENOUGH)
def test_what_was_taken_is_all_there_is_to_keep(session: PostgresSession, tmp_path: Path, statements: str) -> None:
    part, runs, parts = kept(session, tmp_path, statements, 1)
    whole, _, none = kept(session, tmp_path, statements, sys.maxsize)
    assert part == whole
    assert parts
    assert not none
    assert runs == 1


@pytest.mark.parametrize("statements", COPIED)
def test_what_cannot_be_told_beforehand_is_copied(session: PostgresSession, tmp_path: Path, statements: str) -> None:
    part, _, parts = kept(session, tmp_path, statements, 1)
    whole, _, _ = kept(session, tmp_path, statements, sys.maxsize)
    assert part == whole
    assert not parts & {"t", "keyless", "two", "parted"}


@pytest.mark.parametrize("statements", MISSED)
def test_what_was_missed_is_kept_in_another_run(session: PostgresSession, tmp_path: Path, statements: str) -> None:
    part, runs, parts = kept(session, tmp_path, statements, 1)
    whole, _, _ = kept(session, tmp_path, statements, sys.maxsize)
    assert part == whole
    assert parts
    assert runs > 1


def test_columns_kept_in_part_come_back_with_their_values(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagback.engines.postgres.start.LARGE", 1)
    trial.setup(SETUP)
    rows = 'SELECT id, a, "N n", m, p, c, s, v FROM t ORDER BY id'
    kept = trial.rows(rows)
    trial.deploy('ALTER TABLE t DROP COLUMN a, DROP COLUMN "N n", DROP COLUMN m;')
    trial.write("UPDATE t SET w = 77 WHERE id = 5")
    trial.back()
    assert trial.rows(rows) == kept
    assert trial.rows("SELECT w FROM t WHERE id = 5") == [(77,)]
