"""A deployment made on one major version of PostgreSQL is taken back on another, after dump and restore."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tagback
from tagback.engines.postgres import anew
from tagback.errors import RefusedError
from tests.support import client
from tests.support.oracle import State, differences, postgres_state
from tests.support.postgres import PostgresServer, running_server
from tools import postgres_programs

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0) NOT NULL;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE TABLE customer (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20) NOT NULL CHECK (name IN ('Ada', 'Bo', 'Cy')),
    mood mood DEFAULT 'sad', of_two int GENERATED ALWAYS AS (2 * id) STORED, gone text DEFAULT 'x' || now()::text
);
CREATE TABLE sale (
    id serial PRIMARY KEY, customer int NOT NULL REFERENCES customer ON DELETE CASCADE, amount positive, at timestamptz
);
CREATE TABLE coin (side varchar(5) CHECK (side IN ('head', 'tail')), CHECK (side <> 'tail' OR side IS NULL));
CREATE INDEX by_name ON customer (lower(name)) WHERE name IN ('Ada', 'Bo');
CREATE VIEW named AS SELECT c.id, c.name, c.gone FROM customer c WHERE c.mood = 'sad';
CREATE VIEW sums AS SELECT c.name, sum(s.amount) AS total FROM customer c JOIN sale s ON s.customer = c.id GROUP BY c.name;
CREATE MATERIALIZED VIEW seen AS SELECT named.id FROM named;
CREATE FUNCTION total(int) RETURNS bigint LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT sum(s.amount) FROM sale s WHERE s.customer = $1; END;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := coalesce(NEW.at, now()); RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON sale FOR EACH ROW WHEN (NEW.amount IS NOT NULL) EXECUTE FUNCTION note();
CREATE RULE kept AS ON DELETE TO sale WHERE OLD.amount > 100 DO INSTEAD NOTHING;
CREATE TABLE old_names (id int PRIMARY KEY, name text);
GRANT ALL ON customer TO pg_monitor; GRANT SELECT (name) ON customer TO PUBLIC;
COMMENT ON COLUMN customer.name IS 'first name';
ALTER TABLE customer ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON customer USING (id > 0 AND of_two > 0);
CREATE STATISTICS both_of ON id, mood FROM customer;
CREATE PUBLICATION sales FOR TABLE sale;
INSERT INTO customer (name, gone) VALUES ('Ada', 'a'), ('Bo', 'b'), ('Cy', NULL);
INSERT INTO sale (customer, amount) VALUES (1, 5), (1, 6), (2, 7);
INSERT INTO old_names VALUES (1, 'Eda'), (2, 'Bob');
"""
CHANGE = """
DROP VIEW sums; DROP MATERIALIZED VIEW seen; DROP VIEW named;
ALTER TABLE customer DROP gone;
UPDATE customer SET mood = 'happy' WHERE id = 2;
DELETE FROM sale WHERE id = 3;
ALTER TABLE sale RENAME TO sold;
ALTER TABLE customer ALTER name TYPE varchar(30);
ALTER TABLE customer ADD since date;
CREATE VIEW named AS SELECT c.id, c.name FROM customer c WHERE c.mood = 'happy';
DROP TABLE old_names;
CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $1';
CREATE TABLE more (id int PRIMARY KEY, v text NOT NULL);
INSERT INTO more VALUES (1, 'x');
"""
ROWS = "SELECT id, name, mood::text, of_two, gone FROM customer ORDER BY id"


@pytest.fixture(scope="module", params=["14", "15"])
def older(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with _server(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def newer() -> Iterator[PostgresServer]:
    with _server("18") as server:
        yield server


@contextlib.contextmanager
def _server(version: str) -> Iterator[PostgresServer]:
    try:
        programs = postgres_programs.find({"TAGBACK_PG_VERSION": version})
    except postgres_programs.ProgramsMissing:
        pytest.skip(f"without a build of PostgreSQL {version}; `make versions` installs it")
    with running_server(programs) as server:
        yield server


@pytest.fixture
def changelog(tmp_path: Path) -> Path:
    folder = tmp_path / "changelog"
    folder.mkdir()
    return folder


def upgraded(older: PostgresServer, database: str, newer: PostgresServer) -> str:
    """The database on the newer server, as pg_dump brings it there."""
    there = newer.create_database()
    newer.restore(newer.run("pg_dump", "--dbname", older.url(database)), there)
    return there


def state(server: PostgresServer, database: str) -> State:
    with server.connect(database) as connection:
        return postgres_state(server, database, connection)


def test_a_deployment_is_taken_back_and_redone_on_a_newer_major(
    older: PostgresServer, newer: PostgresServer, changelog: Path
) -> None:
    database = older.create_database()
    (changelog / "1_setup.sql").write_text(SETUP)
    with tagback.open(older.url(database)) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        before = state(newer, upgraded(older, database, newer))
        rows = client.rows(older.url(database), ROWS)
        (changelog / "2_change.sql").write_text(CHANGE)
        target.apply(changelog, tagback.ApplyOptions(tag="after"))
    there = upgraded(older, database, newer)
    after = state(newer, there)
    with tagback.open(newer.url(there)) as target:
        assert target.verify().differences == ()
        assert target.status().drift == ()
        assert False not in [t.reachable for t in target.tags()]
        done = target.rollback(tagback.RollbackOptions(to="before"))
        assert (done.verified, done.conflicts_total) == (True, 0)
        assert client.rows(newer.url(there), ROWS) == rows
        assert differences(before, state(newer, there)) == []
        assert target.verify("before").equal
        target.apply(changelog, tagback.ApplyOptions(tag="again"))
        assert state(newer, there).rows == after.rows
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
        assert differences(before, state(newer, there)) == []


def test_no_more_than_the_right_to_make_databases_is_needed(
    older: PostgresServer, newer: PostgresServer, changelog: Path
) -> None:
    """As the owner of some of it, in a database that came from a version where the schema public was the superuser's."""
    database = older.create_database()
    role = f"owner_{database}"
    for server in (older, newer):
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB".encode())
    with older.connect(database) as connection:
        connection.execute(
            f"GRANT CREATE ON DATABASE {database} TO {role}; GRANT CREATE ON SCHEMA public TO {role};"
            "CREATE TABLE theirs (id int PRIMARY KEY, v varchar(9) CHECK (v IN ('a', 'b'))); GRANT ALL ON theirs TO pg_monitor;"
            "CREATE VIEW over_theirs AS SELECT theirs.id FROM theirs; GRANT SELECT (id) ON theirs TO PUBLIC;"
            "ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor GRANT SELECT ON TABLES TO PUBLIC;"
            "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch();".encode()
        )
    (changelog / "1_mine.sql").write_text("CREATE TABLE mine (id int); CREATE VIEW v AS SELECT mine.id FROM mine;")
    with tagback.open(older.url(database, role)) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "2_change.sql").write_text("ALTER TABLE mine ADD a int; DROP VIEW v;")
        target.apply(changelog, tagback.ApplyOptions(tag="after"))
    with tagback.open(newer.url(upgraded(older, database, newer), role)) as target:
        assert target.verify().differences == ()
        assert target.rollback(tagback.RollbackOptions(to="before")).verified


def test_a_restored_dump_of_the_same_version_has_its_way_back(postgres_server: PostgresServer, changelog: Path) -> None:
    """`IN` on a varchar is printed in another way once its text was parsed again."""
    database = postgres_server.create_database()
    (changelog / "1_setup.sql").write_text(
        "CREATE TABLE t (a varchar(5) CHECK (a IN ('x', 'y')), b int); CREATE INDEX i ON t (b) WHERE a IN ('x', 'y');"
        "CREATE VIEW v AS SELECT * FROM t WHERE a IN ('x', 'y'); INSERT INTO t VALUES ('x', 1);"
    )
    with tagback.open(postgres_server.url(database)) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        before = state(postgres_server, upgraded(postgres_server, database, postgres_server))
        (changelog / "2_change.sql").write_text("ALTER TABLE t ADD c int; DROP VIEW v; UPDATE t SET b = 2;")
        target.apply(changelog, tagback.ApplyOptions(tag="after"))
    there = upgraded(postgres_server, database, postgres_server)
    with tagback.open(postgres_server.url(there)) as target:
        assert target.verify().differences == ()
        assert False not in [t.reachable for t in target.tags()]
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
        view = "Name: v; Type: VIEW; Schema: public"
        assert [d for d in differences(before, state(postgres_server, there)) if not d.startswith(view)] == []
        assert target.verify("before").equal
        target.apply(changelog, tagback.ApplyOptions(tag="again"))
        with postgres_server.connect(there) as connection:
            connection.execute("ALTER TABLE t ADD by_hand int")
        assert [c.object for c in target.verify().differences] == ["table public.t"]


def test_without_the_right_to_make_databases_nothing_happens_and_the_missing_right_is_named(
    older: PostgresServer, newer: PostgresServer, changelog: Path
) -> None:
    (changelog / "1_t.sql").write_text("CREATE TABLE t (a int)")
    database = older.create_database()
    with tagback.open(older.url(database)) as target:
        target.tag("before")
        target.apply(changelog, tagback.ApplyOptions(tag="after"))
    there = upgraded(older, database, newer)
    role = f"plain_{there}"
    with newer.connect(there) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE {there} TO {role}".encode())
        connection.execute(
            f"GRANT ALL ON SCHEMA tagback TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA tagback TO {role}".encode()
        )
    at_start = state(newer, there)
    with tagback.open(newer.url(there, role)) as target:
        for command in (target.verify, lambda: target.rollback(tagback.RollbackOptions(to="before"))):
            with pytest.raises(RefusedError, match=r"recorded on PostgreSQL 1[45], and this is 18") as caught:
                command()
            assert (caught.value.code, "CREATEDB" in caught.value.hint) == ("other_major", True)
        assert ["recorded on PostgreSQL" in line for line in target.status().drift] == [True]
    assert differences(at_start, state(newer, there)) == []


def test_what_was_read_anew_is_recorded_and_read_no_more(
    older: PostgresServer, newer: PostgresServer, changelog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (changelog / "1_t.sql").write_text("CREATE TABLE t (a int); CREATE VIEW v AS SELECT t.a FROM t")
    database = older.create_database()
    with tagback.open(older.url(database)) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="one"))
    there = upgraded(older, database, newer)
    with tagback.open(newer.url(there)) as target:
        target.tag("two")
    with tagback.open(newer.url(there)) as again, monkeypatch.context() as patch:
        patch.setattr(anew, "_read", lambda *_: pytest.fail("it is read anew once more"))
        assert again.verify("one").equal
        assert [t.reachable for t in again.tags()] == [True, True]
