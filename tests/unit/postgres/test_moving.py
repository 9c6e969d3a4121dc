# ruff: noqa: E501 - changesets, a line each
"""A dropped table is moved to the shelf and back, where that comes to the same as DROP TABLE; else it is copied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.oracle import differences
from tests.support.postgres import PostgresServer
from tests.support.trial import Trial

PLAIN = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b');"


@pytest.fixture
def role(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a role that is gone afterwards, if it came to be."""
    name = "tried"
    yield name
    with postgres_server.connect() as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}".encode())


def test_dropped_table_is_moved_and_moved_back(trial: Trial) -> None:
    trial.setup(PLAIN)
    (oid,) = trial.rows("SELECT 't'::regclass::oid")[0]
    before = trial.state()
    done = trial.deploy("DROP TABLE t;")
    assert [(s.table, s.rows, s.how) for s in done.shelved] == [("public.t", 2, "moved")]
    assert trial.rows("SELECT oid FROM pg_class WHERE relname = 't'") == [(oid,)]
    back = trial.back()
    assert [(r.table, r.rows) for r in back.restored] == [("public.t", 2)]
    assert differences(before, trial.state()) == []
    assert trial.rows("SELECT 't'::regclass::oid") == [(oid,)]
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []


BUSY = """
CREATE SCHEMA app;
CREATE TABLE app.owner (id int PRIMARY KEY, name text UNIQUE); INSERT INTO app.owner VALUES (1, 'x'), (2, 'y');
CREATE FUNCTION app.seven() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 7';
CREATE FUNCTION app.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TABLE app.t (
    id bigserial PRIMARY KEY, num int GENERATED ALWAYS AS IDENTITY (START 50), up bigint REFERENCES app.t, owner int REFERENCES app.owner ON DELETE CASCADE,
    v text DEFAULT 'v' CHECK (v <> ''), n int DEFAULT app.seven() CHECK (n >= app.seven()),
    twice int GENERATED ALWAYS AS (n * 2) STORED, j jsonb, big text, gone int);
ALTER TABLE app.t DROP COLUMN gone;
CREATE INDEX t_fn ON app.t ((n + app.seven())); CREATE INDEX t_v ON app.t (lower(v)) WHERE n > 1;
CREATE STATISTICS app.t_stat ON n, v FROM app.t;
CREATE TRIGGER noted BEFORE UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.noted(); ALTER TABLE app.t ENABLE ALWAYS TRIGGER noted;
CREATE RULE quiet AS ON DELETE TO app.t WHERE old.n = 0 DO INSTEAD NOTHING;
CREATE POLICY seen ON app.t USING (owner IN (SELECT id FROM app.owner)); ALTER TABLE app.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.t IS 'the table'; COMMENT ON COLUMN app.t.v IS 'the value'; COMMENT ON TRIGGER noted ON app.t IS 'the trigger';
ALTER TABLE app.t ALTER big SET STORAGE EXTERNAL, ALTER v SET STATISTICS 77, SET (fillfactor = 70), REPLICA IDENTITY FULL;
GRANT SELECT, UPDATE (v) ON app.t TO pg_monitor; GRANT INSERT ON app.t TO PUBLIC;
INSERT INTO app.t (up, owner, v, n, j, big) VALUES (NULL, 1, 'a', 7, '{"a": 1}', repeat('long', 10000)), (1, 2, 'b', 8, NULL, NULL), (2, NULL, NULL, DEFAULT, '[]', '');
"""
VIEWS = """
CREATE VIEW app.w AS SELECT id, v FROM app.t; CREATE VIEW app.ww AS SELECT v FROM app.w; CREATE MATERIALIZED VIEW app.m AS SELECT n FROM app.t;
CREATE TABLE app.child (id int PRIMARY KEY, t bigint REFERENCES app.t ON DELETE SET NULL, d bigint DEFAULT nextval('app.t_id_seq')); INSERT INTO app.child VALUES (1, 1), (2, NULL);
CREATE FUNCTION app.f(app.t) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(id) FROM app.t; END;
CREATE RULE copies AS ON INSERT TO app.owner DO ALSO INSERT INTO app.t (v) VALUES ('r');
ALTER TABLE app.child ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.child USING (t IN (SELECT id FROM app.t));
"""
MOVED = {
    "with everything that a table can have": (BUSY, "DROP TABLE app.t"),
    "that a table refers to, with what hangs on it": (BUSY + VIEWS, "DROP TABLE app.t CASCADE"),
    "if it exists, on the search path, restrict": (BUSY, "SET search_path = nowhere, app; DROP TABLE IF EXISTS missing, T RESTRICT; RESET search_path"),
    "in one statement with others, in a circle": ("CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1; CREATE VIEW v AS SELECT a.id FROM a, b", "DROP TABLE a, b CASCADE"),
    "of the same name in two schemas": ("CREATE SCHEMA s; CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE TABLE s.t (id serial PRIMARY KEY, v int); INSERT INTO t (v) VALUES ('a'); INSERT INTO s.t (v) VALUES (1)", "DROP TABLE s.t; DROP TABLE t"),
    "with the schema it was in": (BUSY, "DROP TABLE app.t; DROP SCHEMA app CASCADE"),
    "with a function that it called": (BUSY, "DROP TABLE app.t; DROP FUNCTION app.seven(), app.noted()"),
    "without a key": ("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL)", "DROP TABLE t"),
    "without columns": ("CREATE TABLE t (); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES", "DROP TABLE t"),
    "with 200 columns": ("DO $$ BEGIN EXECUTE 'CREATE TABLE t (id int PRIMARY KEY, ' || (SELECT string_agg(format('c%s int DEFAULT %s', i, i), ', ') FROM generate_series(1, 200) i) || ')'; END $$; INSERT INTO t VALUES (1), (2)", "DROP TABLE t"),
    "with a name of 63 bytes": (f'CREATE TABLE {"n" * 63} (id serial PRIMARY KEY, v text UNIQUE); INSERT INTO {"n" * 63} (v) VALUES (1)', f"DROP TABLE {'n' * 63}"),
    "with odd names": ("""CREATE SCHEMA "S; --"; CREATE TABLE "S; --"."we""ird, CASCADE" ("a b" serial PRIMARY KEY, "SELECT" text UNIQUE, "ü'%s" int DEFAULT 3); INSERT INTO "S; --"."we""ird, CASCADE" ("SELECT") VALUES ('x')""", """DROP /* "x", */ TABLE "S; --" . "we""ird, CASCADE" -- , y"""),
    "whose name another one gets, elsewhere": ("CREATE SCHEMA s; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "DROP TABLE t; CREATE TABLE s.t (id text)"),
    "whose name a view gets": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id"),
    "whose index's name another one gets": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "DROP TABLE t; CREATE TABLE u (id int CONSTRAINT t_pkey PRIMARY KEY)"),
    "whose type's name another one gets": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "DROP TABLE t; CREATE TYPE t AS ENUM ('x')"),
    "whose name a table gets that is renamed": ("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int); INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (5)", "DROP TABLE t; ALTER TABLE u RENAME TO t"),
    "after what is around its rows was changed": ("CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'd' NOT NULL CHECK (v <> '')); CREATE INDEX i ON t (v); INSERT INTO t VALUES (1, 'a')", "DROP INDEX i; ALTER TABLE t ALTER v SET DEFAULT 'e', ADD CHECK (id > 0); COMMENT ON TABLE t IS 'last'; CREATE INDEX j ON t (v, id); DROP TABLE t"),
    "with constraints, options and indexes of all sorts": ("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, a int NOT NULL, b int4range, c text COMPRESSION pglz, UNIQUE NULLS NOT DISTINCT (c), EXCLUDE USING gist (b WITH &&)); CREATE UNIQUE INDEX u ON t (a); ALTER TABLE t REPLICA IDENTITY USING INDEX u, CLUSTER ON u, ALTER c SET STORAGE MAIN; ALTER TABLE t ADD CHECK (a > 0) NOT VALID; ALTER TABLE t SET (toast.autovacuum_enabled = false); CREATE INDEX e ON t ((a * 2)); ALTER INDEX e ALTER COLUMN 1 SET STATISTICS 55; INSERT INTO t VALUES (1, 1, '[1,3)', 'x')", "DROP TABLE t"),
    "with triggers of all sorts": ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; CREATE TABLE o (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, a int); CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t FROM o DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f(); CREATE TRIGGER x AFTER UPDATE ON t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION f(); CREATE TRIGGER w BEFORE UPDATE OF a ON t FOR EACH ROW WHEN (old.a <> new.a) EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER w, ENABLE REPLICA TRIGGER x; CREATE CONSTRAINT TRIGGER back AFTER INSERT ON o FROM t FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO t VALUES (1, 2)", "DROP TABLE t CASCADE"),
    "with functions over its rows": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); CREATE FUNCTION c(t) RETURNS text LANGUAGE sql AS 'SELECT $1.v'; CREATE FUNCTION s(t[], t) RETURNS t[] LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION r() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'; CREATE FUNCTION q() RETURNS TABLE (a t) LANGUAGE sql AS 'SELECT t FROM t'; CREATE PROCEDURE pr(t) LANGUAGE sql AS ''; CREATE TABLE u (id int PRIMARY KEY, d text DEFAULT (ROW(1, 'x')::t)::text); INSERT INTO u VALUES (1)", "DROP TABLE t CASCADE"),
    "with rights that were passed on": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); GRANT SELECT ON t TO pg_monitor WITH GRANT OPTION; SET ROLE pg_monitor; GRANT SELECT ON t TO pg_read_all_data; RESET ROLE; GRANT UPDATE (v) ON t TO pg_read_all_stats; REVOKE DELETE ON t FROM CURRENT_USER", "DROP TABLE t"),
    "with sequences of all sorts": ("CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME sid START 7 INCREMENT -3 MINVALUE -1000 MAXVALUE 50 CYCLE CACHE 5), s smallserial, v text); ALTER SEQUENCE t_s_seq RENAME TO odd; COMMENT ON SEQUENCE odd IS 'o'; GRANT USAGE ON SEQUENCE odd TO pg_monitor; CREATE SEQUENCE more OWNED BY t.v; CREATE TABLE u (id int DEFAULT nextval('odd'), v text); INSERT INTO t (v) VALUES ('a'); INSERT INTO u (v) VALUES ('a')", "DROP TABLE t CASCADE"),
    "under views upon views": ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); CREATE VIEW a WITH (security_barrier) AS SELECT * FROM t WHERE id > 0 WITH CHECK OPTION; CREATE VIEW b AS SELECT a.*, t.v AS w FROM a JOIN t USING (id); CREATE RULE r AS ON INSERT TO b DO INSTEAD NOTHING; CREATE TRIGGER x INSTEAD OF UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f(); GRANT SELECT ON b TO pg_monitor; COMMENT ON VIEW b IS 'b'; CREATE MATERIALIZED VIEW m AS SELECT * FROM b; CREATE UNIQUE INDEX mi ON m (id); CREATE VIEW c AS SELECT * FROM m; CREATE VIEW g AS SELECT id, v, count(*) FROM t GROUP BY id", "DROP TABLE t CASCADE"),
    "whose rows are older than its columns": ("CREATE TABLE t (id int PRIMARY KEY, g text, big text); INSERT INTO t SELECT i, 'g', (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 500) j) FROM generate_series(1, 20) i; ALTER TABLE t DROP g; ALTER TABLE t ADD late int NOT NULL DEFAULT 42, ADD g text", "DROP TABLE t"),
    "whose check names a type that goes": ("CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'a'::mood::text CHECK (v::mood IN ('a', 'b'))); INSERT INTO t VALUES (1)", "DROP TABLE t; DROP TYPE mood CASCADE"),
    "one after the other, tied to each other": ("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)", "DROP TABLE c; DROP TABLE p"),
    "that its schema publishes": ("CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text); INSERT INTO app.t VALUES (1,'a'); CREATE PUBLICATION two FOR TABLES IN SCHEMA app", "DROP TABLE app.t"),
    "with a name like that of a place": ('CREATE TABLE "tagback_shelf_0_0_1" (id serial PRIMARY KEY, v text); INSERT INTO "tagback_shelf_0_0_1" (v) VALUES (1)', 'DROP TABLE "tagback_shelf_0_0_1"'),
    "whose name is cut off": (f'CREATE TABLE {"x" * 63} (id int); INSERT INTO {"x" * 63} VALUES (1)', f'DROP TABLE {"x" * 70}'),
    "with backslashes that would escape": ('CREATE TABLE "a\\b\'c" (id serial PRIMARY KEY); INSERT INTO "a\\b\'c" VALUES (1)', 'SET standard_conforming_strings = off; DROP TABLE "a\\b\'c"'),
}  # fmt: skip


@pytest.mark.parametrize(("setup", "change"), MOVED.values(), ids=MOVED.keys())
def test_moved_table_comes_back_as_it_was(
    trial: Trial, setup: str, change: str, postgres_server: PostgresServer
) -> None:
    trial.setup(setup)
    before = trial.state()
    trial.goes_there_and_back(change)
    assert "moved" in _ways(trial)
    trial.deploy()
    assert _stands_alone(trial, postgres_server)
    trial.back()
    assert differences(before, trial.state()) == []


COPIED = {
    "of a type of the user's": ("CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, m mood); INSERT INTO t VALUES (1, 'a')", "DROP TABLE t; DROP TYPE mood"),
    "of a domain": ("CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, m d[]); INSERT INTO t VALUES (1, '{1}')", "DROP TABLE t"),
    "in a collation of the user's": ('CREATE COLLATION own FROM "C"; CREATE TABLE t (v text COLLATE own PRIMARY KEY); INSERT INTO t VALUES (1)', "DROP TABLE t"),
    "that a crash empties": ("CREATE UNLOGGED TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "DROP TABLE t"),
    "whose generated column calls a function": ("CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1'; CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED); INSERT INTO t VALUES (1)", "DROP TABLE t"),
    "that another one has as a column": ("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (id int PRIMARY KEY, r t); INSERT INTO u VALUES (1, '(1)')", "DROP TABLE t CASCADE"),
    "whose rows were changed before": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')", "UPDATE t SET v = 'c' WHERE id = 1; DROP TABLE t"),
    "whose rows went by a cascade": ("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1), (2, NULL)", "DELETE FROM p; DROP TABLE t"),
    "that was emptied before": ("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "TRUNCATE t; INSERT INTO t VALUES (5); DROP TABLE t"),
    "whose columns were renamed before": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t RENAME v TO w; DROP TABLE t"),
    "whose columns were dropped before": ("CREATE TABLE t (id int PRIMARY KEY, v text, w text); INSERT INTO t VALUES (1, 'a', 'b')", "ALTER TABLE t DROP v; DROP TABLE t"),
    "that got columns before": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t ADD w int; DROP TABLE t"),
    "that was renamed before": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t RENAME TO u; DROP TABLE u"),
    "that was swapped with another": ("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (2, 'b')", "ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u; DROP TABLE t"),
    "while nobody counts": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "SET track_counts = off; UPDATE t SET v = 'b'; SET track_counts = on; DROP TABLE t"),
    "whose name another one gets": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')", "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, w int); INSERT INTO t VALUES (2, 3), (4, 5)"),
    "whose name a renamed one of its kind gets": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')", "CREATE TABLE n AS SELECT id, upper(v) AS v FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"),
    "that is numbered by another one's sequence": ("CREATE TABLE o (id serial PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('o_id_seq')); INSERT INTO t DEFAULT VALUES", "DROP TABLE t"),
    "by a name that is escaped": ("CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t VALUES (1)", 'DROP TABLE U&"\\0074"'),
    "before another one of its name on the path": ("CREATE SCHEMA s; CREATE TABLE t (id int); CREATE TABLE s.t (id int, v text); INSERT INTO t VALUES (1); INSERT INTO s.t VALUES (1, 'a')", "SET search_path = public, s; DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS t; RESET search_path"),
    "behind a temporary one of its name": ("CREATE TABLE t (id int); INSERT INTO t VALUES (1)", "CREATE TEMP TABLE t (x int); DROP TABLE t; DROP TABLE t"),
    "that comes again and goes again": ("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'b'); DROP TABLE t"),
    "by a function": ("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE FUNCTION d() RETURNS void LANGUAGE sql AS 'DROP TABLE t'", "SELECT d()"),
    "by code": ("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "DO $$ BEGIN DROP TABLE t; END $$"),
    "with a role that has rights on it": ("CREATE ROLE {role}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); GRANT SELECT ON t TO {role}", "DROP TABLE t; DROP ROLE {role}; CREATE ROLE {role}"),
    "with all that a role owns": ("CREATE ROLE {role}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO {role}", "DROP TABLE t; DROP OWNED BY {role}"),
}  # fmt: skip


@pytest.mark.parametrize(("setup", "change"), COPIED.values(), ids=COPIED.keys())
def test_table_that_cannot_be_moved_is_copied(role: str, trial: Trial, setup: str, change: str) -> None:
    trial.setup(setup.replace("{role}", role))
    trial.goes_there_and_back(change.replace("{role}", role))
    assert "moved" not in _ways(trial)
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []


MORE_THAN_A_TABLE = {
    "under the eyes of an event trigger": ("CREATE TABLE seen (tag text); CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (tg_tag); END $$; CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION e(); CREATE TABLE t (id int); INSERT INTO t VALUES (1)", "DROP TABLE t"),
    "in partitions": ("CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (9); INSERT INTO t VALUES (1)", "DROP TABLE t"),
    "that is a partition": ("CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (9); INSERT INTO t VALUES (1)", "DROP TABLE t1"),
    "that others inherit from": ("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE k (v int) INHERITS (t); INSERT INTO t VALUES (1); INSERT INTO k VALUES (1, 2)", "DROP TABLE t CASCADE"),
    "that inherits": ("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE k (v int) INHERITS (t); INSERT INTO k VALUES (1, 2)", "DROP TABLE k"),
    "whose rows are of a type": ("CREATE TYPE pair AS (a int, b text); CREATE TABLE t OF pair (PRIMARY KEY (a)); INSERT INTO t VALUES (1, 'x')", "DROP TABLE t; DROP TYPE pair"),
}  # fmt: skip


@pytest.mark.parametrize(("setup", "change"), MORE_THAN_A_TABLE.values(), ids=MORE_THAN_A_TABLE.keys())
def test_table_that_is_more_than_a_table_is_copied(trial: Trial, setup: str, change: str) -> None:
    trial.setup(setup)
    trial.deploy(change, anyway=True)
    assert "moved" not in _ways(trial)
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []


SAME = {
    "with a key": "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(8,2) DEFAULT 1.50, f float8, j json, b bytea, c char(5), k text COLLATE \"C\", z timestamptz[]); INSERT INTO t VALUES (1, 'a', 1.0, '-0', '{\"a\":  1}', '\\x00ff', 'x', 'K', '{now}'), (2, NULL, NULL, 'NaN', NULL, '', '', '', '{}')",
    "without a key": "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
    "with numbered and generated columns": "CREATE TABLE t (id serial PRIMARY KEY, i int GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (1 + 1) STORED, gone int, big text); ALTER TABLE t DROP gone; ALTER TABLE t ADD late int DEFAULT 7; INSERT INTO t (big) VALUES (repeat('long', 9000)), (NULL)",
}  # fmt: skip


@pytest.mark.parametrize("setup", SAME.values(), ids=SAME.keys())
def test_what_is_moved_is_what_a_copy_keeps(trial: Trial, setup: str) -> None:
    trial.setup(setup)
    trial.deploy("DROP TABLE t;")
    (moved,) = _kept(trial, 1)
    values = trial.rows(_texts(moved, "tagback_shelf_1_1_1.t", [f'"{c["name"]}"' for c in moved["columns"]]))
    trial.back()
    trial.add("DO $$ BEGIN DROP TABLE t; END $$;")
    (trial.changelog / "001_change.sql").unlink()
    trial.deploy()
    (copied,) = _kept(trial, 3)
    place = f"tagback.{copied['place']}"
    assert trial.rows(_texts(copied, place, [f"v{n}" for n in range(len(copied["columns"]))])) == values
    assert (moved.pop("how"), copied.pop("how")) == ("moved", "compared")
    for kept in (moved, copied):
        del kept["place"], kept["bytes"]
    assert moved == copied


def _kept(trial: Trial, deployment: int) -> list[dict[str, Any]]:
    """What the ledger says about what a deployment kept."""
    return [
        json.loads(str(text))
        for (text,) in trial.rows(f"SELECT kept FROM tagback.shelf WHERE deployment = {deployment}")
    ]


def _texts(kept: dict[str, Any], source: str, columns: list[str]) -> str:
    texts = ", ".join(f"format('%s', {c}), {c} IS NULL" for c in columns)
    return f"SELECT {texts} FROM {source} ORDER BY {', '.join(map(str, range(1, 2 * len(columns) + 1)))}"


def _ways(trial: Trial) -> set[str]:
    """How whole tables were kept."""
    return {
        str(how)
        for (how,) in trial.rows("SELECT kept::json ->> 'how' FROM tagback.shelf WHERE kept::json ->> 'whole' = 'true'")
    }


def _stands_alone(trial: Trial, server: PostgresServer) -> bool:
    """Whether what was moved depends on nothing outside of the shelf, and nothing outside on it."""
    database = trial.url.rpartition("/")[2]
    other = server.create_database()
    server.restore(server.run("pg_dump", "--schema=tagback_shelf*", "--dbname", trial.url), other)
    server.drop_database(other)
    tables = trial.rows(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname LIKE 'tagback_shelf%'"
    )
    with server.connect(database) as connection, connection.transaction(force_rollback=True):
        for (table,) in tables:
            connection.execute(f"DROP TABLE {table} RESTRICT".encode())
    return bool(tables)
