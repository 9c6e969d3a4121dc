"""What most databases don't have is asked for only where a cheap question finds any; whatever there is, is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tagback.engines import connect
from tagback.engines.postgres.ahead import Ahead
from tagback.engines.postgres.catalog import _ASKING
from tagback.engines.postgres.reading import Rare
from tagback.engines.postgres.session import PostgresSession

MADE = {
    "sequence": "CREATE SEQUENCE s",
    "view": "CREATE VIEW v AS SELECT 1 AS a",
    "materialized view": "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
    "rule": "CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO NOTHING",
    "enum": "CREATE TYPE e AS ENUM ('a')",
    "domain": "CREATE DOMAIN d AS int CHECK (VALUE > 0)",
    "composite type": "CREATE TYPE c AS (a int)",
    "range": "CREATE TYPE r AS RANGE (subtype = int)",
    "function": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "procedure": "CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'",
    "trigger": "CREATE TABLE t (a int); CREATE TRIGGER g BEFORE UPDATE ON t"
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "event trigger": "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    "CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION f()",
    "policy": "CREATE TABLE t (a int); CREATE POLICY p ON t USING (true)",
    "statistics": "CREATE TABLE t (a int, b int); CREATE STATISTICS s ON a, b FROM t",
    "aggregate": "CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)",
    "base type": "CREATE TYPE shell",
    "operator": "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
    "operator class": "CREATE OPERATOR CLASS c FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int)",
    "operator family": "CREATE OPERATOR FAMILY f USING hash",
    "cast": "CREATE CAST (int AS uuid) WITH INOUT",
    "collation": "CREATE COLLATION c (LOCALE = 'C')",
    "conversion": "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "language": "CREATE LANGUAGE l HANDLER plpgsql_call_handler",
    "transform": "CREATE FUNCTION f(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'int4in';"
    "CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION f(internal))",
    "access method": "CREATE ACCESS METHOD a TYPE INDEX HANDLER bthandler",
    "text search configuration": "CREATE TEXT SEARCH CONFIGURATION c (COPY = simple)",
    "text search dictionary": "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
    "text search parser": "CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,"
    " LEXTYPES = prsd_lextype)",
    "text search template": "CREATE TEXT SEARCH TEMPLATE t (LEXIZE = dsimple_lexize)",
    "foreign data wrapper": "CREATE FOREIGN DATA WRAPPER w",
    "foreign server": "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w",
    "user mapping": "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
    "CREATE USER MAPPING FOR PUBLIC SERVER s",
    "publication": "CREATE PUBLICATION p",
    "publication of table": "CREATE TABLE t (a int); CREATE PUBLICATION p FOR TABLE t",
    "subscription": "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "database settings": "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
    "database comment": "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''x''', current_database()); END $$",
    # Only a module of the server's can write these.
    "security label": "SET allow_system_table_mods = on; CREATE TABLE t (a int);"
    "INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'provider', 'label')",
}


@pytest.fixture
def session(pg_url: str) -> Iterator[PostgresSession]:
    session = connect(pg_url)
    assert isinstance(session, PostgresSession)
    yield session
    session.close()


@pytest.mark.parametrize("kind", MADE)
def test_a_rare_kind_is_read_where_there_is_one(session: PostgresSession, kind: str) -> None:
    session.run(MADE[kind])
    found = {i.kind for i in session.read_catalog().objects}
    if kind == "subscription":
        session.run("ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s")  # or the database couldn't go
    assert kind in found


def test_nothing_rare_is_asked_for_where_there_is_none(
    session: PostgresSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    ahead = Ahead.__init__

    def noted(self: Ahead, connection: object, queries: list[str]) -> None:
        sent.extend(queries)
        ahead(self, connection, queries)  # type: ignore[arg-type]

    monkeypatch.setattr(Ahead, "__init__", noted)
    session.run("CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT '')")
    session.read_catalog()
    ((public,),) = session.execute("SELECT oid FROM pg_namespace WHERE nspname = 'public'")
    rare = [q for kind in _ASKING for q in kind.asked(int(session.major)) if isinstance(q, Rare)]
    asked = [q.unless for q in rare if q.sql.replace("{ns}", str(public)) in sent]
    # All databases share the comments on them, and the server's own have some.
    assert asked == ["pg_shdescription WHERE classoid = 'pg_database'::regclass"]
