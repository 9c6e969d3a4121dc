# ruff: noqa: E501 - a table: a line for each small case
"""Of a large table only what statements seem to take is kept, and the shelf has the same rows as after copying it whole."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagback.changelog import Dialect, read_changelog, split
from tagback.deploy.events import Event, RunAgain
from tagback.deploy.stage import Observed, Work, run_stage
from tagback.engines import connect
from tagback.engines.postgres.session import PostgresSession
from tagback.errors import TagbackError
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
CREATE TABLE guarded (id int PRIMARY KEY, a text, b int);
INSERT INTO guarded VALUES (1, 'one', 1), (2, 'two', 2);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY half ON guarded USING (id = 1);
CREATE TABLE computed (a int, id int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, b text);
INSERT INTO computed (a, b) SELECT g, 'b' || g FROM generate_series(1, 5) g;
CREATE TABLE noted (id int PRIMARY KEY, a text, b int);
INSERT INTO noted VALUES (1, 'one', 1), (2, 'two', 2);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.noted SET b = 9 WHERE id = 2; RETURN new; END $$;
CREATE TRIGGER notes AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE viewed (id int PRIMARY KEY, a text, b int);
INSERT INTO viewed VALUES (1, 'one', 1), (2, 'two', 2);
CREATE VIEW shown AS SELECT id, a FROM viewed;
CREATE RULE kept AS ON DELETE TO viewed DO INSTEAD UPDATE viewed SET b = 0 WHERE id = old.id;
CREATE SCHEMA other;
CREATE TABLE other.t (id int PRIMARY KEY, a text);
INSERT INTO other.t VALUES (1, 'other');
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
    "ALTER TABLE guarded DROP COLUMN a",
    "ALTER TABLE viewed DROP COLUMN a CASCADE",
    "ALTER TABLE t DROP COLUMN s; DROP DOMAIN short; CREATE TABLE short (id int)",
    "ALTER TABLE t DROP COLUMN a CASCADE; DO $$ BEGIN ALTER TABLE t RENAME w TO ww; END $$",
    "ALTER TABLE t DROP COLUMN a CASCADE; DO $$ BEGIN ALTER TABLE t ADD COLUMN a text; END $$; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t DROP COLUMN a CASCADE; DO $$ BEGIN ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE; END $$",
    "ALTER TABLE noted DROP COLUMN a; DROP TRIGGER notes ON child; INSERT INTO child VALUES (99, 1, 'x')",
    "ALTER TABLE ONLY parent DROP COLUMN a",
    "ALTER TABLE other.t DROP COLUMN a; COMMENT ON TABLE t IS 'another one'",
    "DO $$ BEGIN ALTER TABLE t DROP COLUMN a; END $$; ALTER TABLE t DROP COLUMN IF EXISTS a",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t INHERIT other.t; EXCEPTION WHEN others THEN NULL; END $$",
    "UPDATE t SET a = 'x' WHERE id = 3",
    "update only public.t as x set a = x.a || '!', \"N n\" = DEFAULT where x.id between 3 and 9 and m is distinct from 'sad' -- few",
    "UPDATE t SET a = nullif(a, 'a1') WHERE lower(a) IN ('a1', 'a2') RETURNING id",
    "UPDATE t SET w = c.id FROM child c WHERE c.t = t.id AND c.id < 5",
    "UPDATE t z SET (a, w) = (SELECT c.a, c.id FROM child c WHERE c.t = z.id) WHERE EXISTS (SELECT FROM child c WHERE c.t = z.id AND c.id > 15)",
    "UPDATE t SET a = 'x' WHERE id = 3; UPDATE t SET a = 'y', p = NULL WHERE id = 3 OR id = 4; DELETE FROM t WHERE id = 30",
    "UPDATE t SET a = a WHERE id = 3",
    "UPDATE t SET a = 'x' WHERE false",
    "UPDATE t SET m = 'glad' WHERE m = 'ok'::mood AND id < 9",
    "DELETE FROM t WHERE id > 35",
    "DELETE FROM ONLY t USING child c WHERE c.t = t.id AND c.id = 20",
    "UPDATE t SET id = id WHERE id = 7",
    "UPDATE two SET a = 'x' WHERE (y, x) = (-3, 3) OR y = -4",
    "UPDATE t SET w = 3 WHERE id = 5; ALTER TABLE two ADD COLUMN z int; INSERT INTO two (x, y) SELECT 100, t.id FROM t WHERE id < 4",
    "DELETE FROM viewed WHERE id = 2",
    "UPDATE t SET w = 3 WHERE id = 5; UPDATE child SET a = (SELECT a FROM t WHERE t.id = child.t) WHERE id = 2",
    "CREATE INDEX ON t (a); UPDATE t SET w = 3 WHERE id = 5; COMMENT ON TABLE t IS 'x'",
    "DO $$ BEGIN UPDATE t SET w = 7 WHERE id = 5; END $$; UPDATE t SET w = 3 WHERE id = 5",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN UPDATE t SET w = 7 WHERE id = 5; EXCEPTION WHEN others THEN NULL; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; SAVEPOINT s; UPDATE t SET w = 4 WHERE id = 6; ROLLBACK TO s; RELEASE s",
    "SET LOCAL DateStyle = 'German'; SET LOCAL search_path = other, public; UPDATE public.t SET a = 'x' WHERE id = 1",
    "UPDATE other.t SET a = 'x' WHERE id = 9",
    "DELETE FROM t WHERE id = 41; UPDATE log SET said = 'x'",
    "UPDATE parent SET a = 'x' WHERE id = 9; UPDATE t SET a = 'x' WHERE id = 9",
    "UPDATE child SET a = 'x' WHERE id = 1; DELETE FROM child WHERE id = 2",
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
    "ALTER TABLE t DROP COLUMN d",
    "ALTER TABLE t DROP COLUMN a CASCADE; ALTER TABLE t ADD COLUMN a text; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN a CASCADE",
    "ALTER TABLE t DROP COLUMN a CASCADE; ALTER TABLE t RENAME TO u",
    "ALTER TABLE t RENAME a TO z; ALTER TABLE t DROP COLUMN z CASCADE",
    "DO $$ BEGIN ALTER TABLE t RENAME a TO z; END $$; ALTER TABLE t DROP COLUMN z CASCADE",
    "ALTER TABLE t DROP COLUMN a CASCADE; DELETE FROM t WHERE id > 20",
    "ALTER TABLE t DROP COLUMN a CASCADE; TRUNCATE t CASCADE",
    "ALTER TABLE t DROP COLUMN a CASCADE; DROP TABLE t CASCADE",
    "ALTER TABLE computed DROP COLUMN b",
    "UPDATE t SET a = 'x'",
    "UPDATE t SET a = 'x' WHERE id > 2",
    "UPDATE t SET a = 'x' WHERE nextval('log_id_seq') < 0",
    "DELETE FROM t WHERE hashint4(id) > 3 AND id = 5",
    "UPDATE t SET a = 'x' WHERE id IN (SELECT id FROM child FOR UPDATE)",
    "UPDATE keyless SET a = 'x' WHERE b = 9",
    "UPDATE parted SET a = 'x' WHERE id = 1",
    "UPDATE t SET w = 3 WHERE id = 5; ALTER TABLE t DROP COLUMN a",
    "UPDATE t SET w = 3 WHERE id = 5; INSERT INTO t (id, v) VALUES (99, 1)",
    "WITH x AS (SELECT 5 AS id) UPDATE t SET w = 3 FROM x WHERE x.id = t.id",
    "INSERT INTO t (id, v) VALUES (5, 1) ON CONFLICT (id) DO UPDATE SET w = 9",
    "UPDATE computed SET b = 'x' WHERE a = 1",
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
    "ALTER TABLE t DROP COLUMN a CASCADE; ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "ALTER TABLE t DROP COLUMN a CASCADE; ALTER TYPE mood RENAME VALUE 'ok' TO 'x'; ALTER TYPE mood RENAME VALUE 'sad' TO 'ok'",
    "ALTER TABLE t DROP COLUMN a CASCADE; ALTER TYPE pair DROP ATTRIBUTE y CASCADE",
    "ALTER TABLE t DROP COLUMN a CASCADE; DROP TYPE mood CASCADE",
    "ALTER TABLE t DROP COLUMN m; DROP TYPE mood",
    "ALTER TABLE t DROP COLUMN a; DROP DOMAIN short CASCADE",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t ALTER COLUMN d DROP EXPRESSION; END $$",
    "DO $$ BEGIN UPDATE t SET a = 'x' WHERE id = 3; END $$; ALTER TABLE t DROP COLUMN a CASCADE",
    "DO $$ BEGIN EXECUTE 'ALTER TABLE t RENAME a TO z'; EXECUTE 'ALTER TABLE t RENAME s TO a'; END $$; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN ALTER TABLE t ADD COLUMN a float DEFAULT random(); END $$; ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN TRUNCATE t CASCADE; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN UPDATE t SET w = 3 WHERE id = 6; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN DELETE FROM t WHERE id = 30; END $$",
    "DELETE FROM t WHERE id = 5; DO $$ BEGIN DELETE FROM t WHERE id = 30; END $$",
    "DELETE FROM t WHERE id = 5; DO $$ BEGIN INSERT INTO t (id, v) VALUES (5, 1); END $$",
    "DELETE FROM t WHERE id = 5; DO $$ BEGIN TRUNCATE t CASCADE; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN DROP TABLE t CASCADE; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN ALTER TABLE t DROP COLUMN v; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN ALTER TABLE t RENAME TO u; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN ALTER TABLE t RENAME a TO z; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN ALTER TABLE t ALTER \"N n\" TYPE float; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "UPDATE t SET w = 3 WHERE id = 5; ALTER TYPE pair DROP ATTRIBUTE y CASCADE",
    "UPDATE t SET w = 77 WHERE id = 5; UPDATE t SET a = 'x' WHERE id - 1 IN (SELECT id FROM t WHERE w = 77)",
    "UPDATE told SET a = 'x' WHERE id = 1",
    "DELETE FROM t WHERE id < 3",
    "INSERT INTO child VALUES (99, 1, 'x'); UPDATE noted SET a = 'x' WHERE id = 1",
    "UPDATE t SET w = 77 WHERE id IN (5, 6); UPDATE t SET id = 100 WHERE id = 7",
    "UPDATE t SET a = 'x' WHERE id < 9 AND a IS NOT NULL AND now() > '2020-01-01'; DO $$ BEGIN UPDATE t SET id = 1000 WHERE id = 9; END $$",
    "SET LOCAL track_counts = off; UPDATE t SET w = 3 WHERE id = 5",
    "DO $$ BEGIN UPDATE t SET w = 77 WHERE id = 5; END $$; UPDATE t SET a = 'x' WHERE w = 77",
    "DO $$ BEGIN DELETE FROM t WHERE id = 5; END $$; UPDATE t SET a = 'x' WHERE id = 5 OR id = 6",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN UPDATE t SET w = 3 WHERE id = 6; EXCEPTION WHEN others THEN NULL; END $$",
    "UPDATE t SET w = 3 WHERE id = 5; DO $$ BEGIN CLUSTER t USING t_pkey; END $$",
    "DELETE FROM child WHERE id = 1; DELETE FROM t WHERE id = 7",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN DROP TABLE t CASCADE; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN UPDATE t SET w = w; EXCEPTION WHEN others THEN NULL; END $$",
    "ALTER TABLE t DROP COLUMN a; DO $$ BEGIN EXECUTE 'ALTER TA' || 'BLE t DROP v'; END $$",
    "ALTER TABLE viewed DROP COLUMN a CASCADE; DO $$ BEGIN DELETE FROM viewed WHERE id = 1; END $$",
    "ALTER TABLE noted DROP COLUMN a; INSERT INTO child VALUES (99, 1, 'x')",
    "ALTER TABLE viewed DROP COLUMN a CASCADE; DO $$ BEGIN ALTER TABLE viewed SET UNLOGGED; END $$",
    "ALTER TABLE told DROP COLUMN a; DO $$ BEGIN UPDATE told SET b = 3; DROP TABLE heir; END $$; ALTER TABLE parent DROP COLUMN a",
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
            {".".join(c.args[0].name) for c in keep_in_part.call_args_list},
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
    assert not parts & {"public.t", "public.keyless", "public.two", "public.parted"}


@pytest.mark.parametrize("statements", MISSED)
def test_what_was_missed_is_kept_in_another_run(session: PostgresSession, tmp_path: Path, statements: str) -> None:
    part, runs, parts = kept(session, tmp_path, statements, 1)
    whole, _, _ = kept(session, tmp_path, statements, sys.maxsize)
    assert part == whole
    assert parts
    assert runs > 1


IN_ANY_ORDER = (
    "UPDATE t SET w = w + 50 WHERE id < 6",
    "UPDATE t SET a = 'x' || id WHERE w > 50",
    "UPDATE t SET a = NULL, m = 'sad' WHERE id BETWEEN 4 AND 9",
    "UPDATE t SET w = 60 WHERE a IN ('x4', 'a2') AND id < 20",
    "UPDATE t SET w = 60 FROM child c WHERE c.t = t.id AND c.id IN (3, 7) AND c.a = 'x'",
    "UPDATE child SET a = 'y', t = 5 WHERE t = 7",
    "DELETE FROM t WHERE id = 7",
    "DELETE FROM t WHERE id > 38 AND w IS NULL",
    "DELETE FROM t USING child c WHERE c.t = t.id AND c.t > 18",
    "DELETE FROM child WHERE t > 16",
    "INSERT INTO t (id, v) VALUES (100, 1) ON CONFLICT DO NOTHING",
    "INSERT INTO child VALUES (100, 1, 'x') ON CONFLICT DO NOTHING",
    "DO $$ BEGIN UPDATE t SET w = 7 WHERE id = 5; END $$",
    "DO $$ BEGIN UPDATE t SET id = id + 1000 WHERE id = 8; END $$",
    "DO $$ BEGIN DELETE FROM t WHERE id = 9; INSERT INTO t (id, v) VALUES (9, 2); END $$",
    "DO $$ BEGIN DELETE FROM t WHERE id = 20; RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN NULL; END $$",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS z int",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS y int DEFAULT 7",
    "ALTER TABLE t ALTER w TYPE int",
    "CREATE INDEX IF NOT EXISTS t_w ON t (w)",
    "UPDATE told SET a = 'x' WHERE id = 1",
    "UPDATE log SET said = 'y' WHERE id = 1",
    "UPDATE noted SET a = 'y' WHERE id = 1",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.sampled_from(IN_ANY_ORDER), min_size=2, max_size=6))
def test_whatever_is_kept_in_part_nothing_is_missed(
    session: PostgresSession, tmp_path: Path, chosen: list[str]
) -> None:
    statements = "; ".join(chosen)
    try:
        part, _, _ = kept(session, tmp_path, statements, 1)
    except TagbackError as refused:
        with pytest.raises(TagbackError, match=re.escape(refused.message)):
            kept(session, tmp_path, statements, sys.maxsize)
    else:
        assert part == kept(session, tmp_path, statements, sys.maxsize)[0]


def test_rows_whose_key_is_computed_come_back(trial: Trial) -> None:
    trial.setup(SETUP)
    kept = trial.rows("SELECT * FROM computed ORDER BY id")
    trial.deploy("UPDATE computed SET a = a + 10, b = 'other' WHERE id < 5; DELETE FROM computed WHERE id = 8;")
    trial.back()
    assert trial.rows("SELECT * FROM computed ORDER BY id") == kept


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
