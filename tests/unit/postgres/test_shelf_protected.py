# ruff: noqa: E501 - changesets, a line each
"""The shelf on PostgreSQL hangs on nothing, is shown to nobody, misses no row, and nothing later takes from it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.errors import RefusedError, TagbackError
from tests.support import client
from tests.support.oracle import differences
from tests.support.postgres import PostgresServer
from tests.support.trial import OnConflict, Trial

OWN_TYPES = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('a', 'b'); CREATE TYPE app.pair AS (x int, m app.mood); CREATE DOMAIN app.pos AS int CHECK (value > 0);
CREATE FUNCTION app.seven() RETURNS int LANGUAGE sql AS 'SELECT 7';
CREATE COLLATION app.own FROM "C";
CREATE TABLE app.t (id int PRIMARY KEY, m app.mood, ms app.mood[], p app.pair, d app.pos, n int DEFAULT app.seven(), s text COLLATE app.own);
INSERT INTO app.t VALUES (1, 'a', '{a,b}', '(1,b)', 5, DEFAULT, 's'), (2, 'b', NULL, NULL, 6, 8, 'S');
"""
TAKEN_LATER = {
    "type": "DROP TYPE app.mood CASCADE",
    "types": "DROP TYPE app.pair, app.mood CASCADE; DROP DOMAIN app.pos CASCADE",
    "function": "DROP FUNCTION app.seven() CASCADE",
    "schema": "DROP SCHEMA app CASCADE",
    "without cascade": "DROP TABLE IF EXISTS app.t; DROP TYPE app.pair; DROP TYPE app.mood; DROP DOMAIN app.pos; DROP FUNCTION app.seven()",
    "another type of that name": "DROP TYPE app.mood CASCADE; CREATE TYPE app.mood AS ENUM ('z')",
}


@pytest.mark.parametrize(
    "first",
    ["DELETE FROM app.t WHERE id = 1", "DROP TABLE app.t", "ALTER TABLE app.t DROP m, DROP ms, DROP p, DROP d, DROP n"],
)
@pytest.mark.parametrize("later", TAKEN_LATER.values(), ids=TAKEN_LATER.keys())
def test_what_is_dropped_later_takes_nothing_from_the_shelf(trial: Trial, first: str, later: str) -> None:
    trial.setup(OWN_TYPES.replace('CREATE COLLATION app.own FROM "C";', "").replace(" COLLATE app.own", ""))
    before = trial.state()
    trial.deploy(first + ";", tag="one")
    between = trial.state()
    trial.deploy(later + ";", tag="two")
    trial.back("one")
    assert differences(between, trial.state()) == []
    trial.deploy(tag="again")
    trial.back(on_conflict=OnConflict.FAIL)
    assert differences(before, trial.state()) == []


def test_extension_that_is_dropped_takes_nothing_from_the_shelf(trial: Trial) -> None:
    found = trial.rows("SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'hstore') ORDER BY 1")
    if not found:
        pytest.skip("the server has no extension with a type")
    name = str(found[0][0])
    value = {"citext": "Mixed", "hstore": "a=>1"}[name]
    trial.setup(
        f"CREATE EXTENSION {name}; CREATE TABLE t (id int PRIMARY KEY, v {name}); INSERT INTO t VALUES (1, '{value}')"
    )
    trial.deploy("DELETE FROM t;", tag="one")
    kept = _shelf(trial)
    trial.deploy(f"DROP EXTENSION {name} CASCADE;", tag="two", anyway=True)
    assert _shelf(trial) == kept
    assert value in str(trial.rows("SELECT v1 FROM tagback.shelf_1_1_1")) or '"a"=>"1"' in str(
        trial.rows("SELECT v1 FROM tagback.shelf_1_1_1")
    )


def test_nothing_points_from_the_shelf_into_the_living_schema_or_back(trial: Trial) -> None:
    trial.setup(
        OWN_TYPES
        + """
        CREATE TABLE app.c (id serial PRIMARY KEY, t int REFERENCES app.t ON DELETE CASCADE, g int GENERATED ALWAYS AS (1) STORED);
        INSERT INTO app.c (t) VALUES (1), (2);
        CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
        CREATE TRIGGER g BEFORE INSERT OR UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.f();
        CREATE VIEW app.v AS SELECT * FROM app.t"""
    )
    trial.deploy(
        "UPDATE app.t SET n = 1; DELETE FROM app.t WHERE id = 1;",
        "DELETE FROM app.c WHERE id = 2; DROP TABLE app.t CASCADE; DROP TABLE app.c;",
        granular=True,
    )
    assert len(_shelf(trial)) == 4
    own = "SELECT oid FROM pg_class WHERE relnamespace = 'tagback'::regnamespace AND relname ~ '^shelf_[0-9]'"
    tied = f"(conrelid IN ({own}) OR confrelid IN ({own})) AND contype <> 'n'"  # from 18 on NOT NULL is a constraint
    assert trial.rows(f"SELECT conname FROM pg_constraint WHERE {tied}") == []
    assert trial.rows(f"SELECT tgname FROM pg_trigger WHERE tgrelid IN ({own})") == []
    assert trial.rows(f"SELECT 1 FROM pg_inherits WHERE inhrelid IN ({own}) OR inhparent IN ({own})") == []
    assert trial.rows(f"SELECT 1 FROM pg_rewrite WHERE ev_class IN ({own})") == []
    assert trial.rows(f"SELECT attname FROM pg_attribute WHERE attrelid IN ({own}) AND atttypid >= 16384") == []
    assert trial.rows(f"SELECT attname FROM pg_attribute WHERE attrelid IN ({own}) AND attcollation >= 16384") == []
    assert trial.rows(f"SELECT 1 FROM pg_attrdef WHERE adrelid IN ({own})") == []
    hanging = f"""SELECT classid::regclass::text, refclassid::regclass::text FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid IN ({own}) AND NOT (refclassid = 'pg_namespace'::regclass)
        AND NOT (refclassid = 'pg_class'::regclass AND refobjid IN ({own}))"""
    assert trial.rows(hanging) == []


def test_nobody_else_may_read_the_shelf(trial: Trial) -> None:
    trial.setup(
        """ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor;
        CREATE TABLE t (id int PRIMARY KEY); GRANT ALL ON t TO PUBLIC; INSERT INTO t VALUES (1)"""
    )
    trial.deploy("DELETE FROM t;")
    granted = """SELECT relname, grantee::text FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'tagback'::regnamespace
        AND grantee <> relowner AND relname ~ '^shelf_[0-9]'"""
    assert trial.rows(granted) == []


def test_publications_of_a_schema_or_a_table_do_not_publish_the_shelf(trial: Trial) -> None:
    trial.setup("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR TABLE t")
    trial.deploy("DELETE FROM t;")
    assert trial.rows("SELECT schemaname, tablename FROM pg_publication_tables") == [("public", "t")]


def test_a_changeset_that_takes_from_the_shelf_fails(trial: Trial) -> None:
    trial.setup("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = trial.every_row()
    trial.deploy("DELETE FROM t;", tag="one")
    files = sorted(trial.changelog.iterdir())
    for sql in (
        "DROP TABLE tagback.shelf_1_1_1;",
        "ALTER TABLE tagback.shelf_1_1_1 DROP COLUMN v1;",
        "DELETE FROM tagback.shelf_1_1_1;",
        "TRUNCATE tagback.shelf_1_1_1;",
        "UPDATE tagback.shelf_1_1_1 SET v1 = 'z';",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE tagback.shelf_1_1_1 RENAME TO other'; END $$;",
        "ALTER TABLE tagback.shelf_1_1_1 SET SCHEMA public;",
        "DELETE FROM tagback.shelf;",
    ):
        with pytest.raises(TagbackError):
            trial.deploy(sql)
        (new,) = set(trial.changelog.iterdir()) - set(files)
        new.unlink()
    trial.back()
    assert differences(before, trial.every_row()) == []


# ---------------------------------------------------------------------- no row is missed

HOSTILE = """
CREATE FUNCTION public.md5(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'same' $$;
CREATE FUNCTION public.format(text, VARIADIC "any") RETURNS text LANGUAGE internal IMMUTABLE AS 'text_format';
CREATE FUNCTION public.octet_length(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION public.not_equal(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.not_equal);
CREATE TABLE pg_class (oid int); CREATE TABLE pg_attribute (attrelid int);
"""


def test_search_path_does_not_lead_the_copy_astray(trial: Trial, pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = public, pg_catalog'.encode())
    long = "repeat('x', 50)"
    trial.setup(
        f"{HOSTILE} CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, {long}, 'b'), (2, 'y', 'b')"
    )
    before = trial.rows("SELECT * FROM public.t")
    trial.deploy(
        f"SET search_path = public, pg_catalog; UPDATE t SET a = {long} || '1', b = 'n'; CREATE SCHEMA other; CREATE TABLE other.t (id int);"
        " SET search_path = other;"
    )
    trial.write(f"UPDATE public.t SET a = {long} || '2' WHERE id = 1")
    done = trial.back()
    assert [(c.table, c.column) for c in done.conflicts] == [("public.t", "a")]
    trial.write(f"UPDATE public.t SET a = {long} WHERE id = 1")
    assert trial.rows("SELECT * FROM public.t") == before


def test_temporary_tables_of_a_changeset_hide_nothing(trial: Trial) -> None:
    trial.setup("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = trial.every_row()
    trial.deploy(
        "CREATE TEMP TABLE t (id int, a text); UPDATE public.t SET a = 'new'; INSERT INTO t VALUES (1, 'x'), (2, 'y');"
    )
    trial.back()
    assert differences(before, trial.every_row()) == []


@pytest.mark.parametrize("sql", ["DISCARD TEMP", "DROP TABLE pg_temp.tagback_start_1"])
def test_copies_that_a_changeset_takes_away_fail_the_deployment(trial: Trial, sql: str) -> None:
    trial.setup("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = trial.state()
    try:
        trial.deploy(f"UPDATE t SET a = 'new'; {sql};")
    except TagbackError:
        assert differences(before, trial.state()) == []
    else:
        trial.back()
        assert differences(before, trial.state()) == []


def test_row_security_hides_no_row_from_the_copy_or_the_way_back(
    postgres_server: PostgresServer, pg_url: str, tmp_path: Path
) -> None:
    """An owner sees every row as long as row security isn't forced; then the deployment is refused."""
    database = pg_url.rpartition("/")[2]
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "owner {database}" LOGIN'.encode())
        connection.execute(f'GRANT ALL ON DATABASE "{database}" TO "owner {database}"'.encode())
        connection.execute(f'GRANT ALL ON SCHEMA public TO "owner {database}"'.encode())
    url = postgres_server.url(database, f"owner {database}")
    try:
        client.write(
            url,
            """CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');
            ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON t USING (id < 2)""",
        )
        changelog = tmp_path / "changelog"
        changelog.mkdir()
        (changelog / "001_x.sql").write_text("UPDATE t SET a = 'new'; DELETE FROM t WHERE id = 3;")
        with tagback.open(url) as target:
            target.tag("before")
            target.apply(changelog)
            target.rollback(tagback.RollbackOptions(to="before"))
        assert client.rows(pg_url, "SELECT * FROM t") == [(1, "x"), (2, "y"), (3, "z")]
        client.write(url, "ALTER TABLE t FORCE ROW LEVEL SECURITY")
        with tagback.open(url) as target:
            target.tag("before", move=True)
            with pytest.raises(RefusedError) as refused:
                target.apply(changelog)
        assert refused.value.code == "rows_hidden"
        assert client.rows(pg_url, "SELECT * FROM t") == [(1, "x"), (2, "y"), (3, "z")]
    finally:
        with psycopg.connect(pg_url, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "owner {database}"'.encode())
            connection.execute(f'DROP ROLE "owner {database}"'.encode())


def _shelf(trial: Trial) -> list[client.Row]:
    """The shelf's places with their columns and rows."""
    found = trial.rows(
        "SELECT relname, (SELECT string_agg(attname || ' ' || atttypid::regtype, ',' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped) FROM pg_class"
        " WHERE relnamespace = 'tagback'::regnamespace AND relkind = 'r' AND relname ~ '^shelf_[0-9]'"
    )
    return [(*row, len(trial.rows(f'SELECT * FROM tagback."{row[0]}"'))) for row in found]
