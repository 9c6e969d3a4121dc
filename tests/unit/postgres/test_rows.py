"""Rows on PostgreSQL: what is noticed, what is kept, and what is counted as done to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import psycopg
import pytest

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, SchemaObject
from tagback.engines import connect
from tagback.engines.postgres.columns import is_constant
from tagback.engines.postgres.session import PostgresSession
from tagback.errors import RefusedError
from tests.support.postgres import PostgresServer
from tests.support.versions import without_icu_skipped


def table(name: str, schema: str = "public") -> ObjectId:
    return ObjectId("table", (schema, name))


def column(table: str, name: str) -> ObjectId:
    return ObjectId("column", ("public", table, name))


T = table("t")


def catalog_of(*tables: ObjectId) -> Catalog:
    return Catalog(engine="postgresql", major="15", objects={i: SchemaObject(id=i) for i in tables})


@pytest.fixture
def session(pg_url: str) -> Iterator[PostgresSession]:
    session = connect(pg_url)
    assert isinstance(session, PostgresSession)
    yield session
    session.close()


@pytest.fixture
def other(pg_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg_url, autocommit=True) as connection:
        yield connection


def script(session: PostgresSession, text: str) -> None:
    for sql in filter(str.strip, re.split(r";\s", text)):
        session.run(sql)


def touched(session: PostgresSession, setup: str, deployment: str, *tables: ObjectId) -> frozenset[ObjectId]:
    script(session, setup)
    before = catalog_of(*(tables or (T,)))
    session.begin()
    session.watch(before)
    script(session, deployment)
    return session.touched(before, before)


def lost(session: PostgresSession, loss: Loss) -> int:
    return session.count_each([loss])[loss]


def compared(
    session: PostgresSession,
    setup: str,
    deployment: str,
    names: Mapping[ObjectId, ObjectId] | None = None,
    tables: tuple[ObjectId, ...] = (T,),
) -> list[tuple[ObjectId, int, int]]:
    script(session, setup)
    before = catalog_of(*tables)
    session.begin()
    session.keep_start(tables)
    session.savepoint()
    script(session, deployment)
    if not session.execute("SELECT FROM pg_namespace WHERE nspname = 'tagback'"):
        session.execute("CREATE SCHEMA tagback")
    kept, unkept = session.shelve("shelf", before, before, names or {})
    session.rollback()
    assert unkept == ()
    return [(k.table, k.gone + k.changed, k.new + k.changed) for k in kept]


# ---------------------------------------------------------------------- what is noticed

FILLED = "CREATE TABLE t AS SELECT g AS id, 'v' || g AS v FROM generate_series(1, 10) g"


@pytest.mark.parametrize(
    "deployment",
    [
        "UPDATE t SET v = 'x' WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (11, 'x')",
        "TRUNCATE t",
        "DROP TABLE t",
        "DROP TABLE t; CREATE TABLE t (id int, v text)",
        "ALTER TABLE t DROP COLUMN v",
        "ALTER TABLE t ALTER COLUMN id TYPE bigint",
        "ALTER TABLE t ALTER COLUMN v TYPE varchar(20)",
        "ALTER TABLE t RENAME TO u; UPDATE u SET v = NULL",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone",
        "DO 'BEGIN EXECUTE ''upd'' || ''ate t set v = 1'';END'",
        "SET LOCAL track_counts = off; UPDATE t SET v = 'x'; SET LOCAL track_counts = on",
        "SET search_path = ''; SET session_replication_role = replica; DELETE FROM public.t",
    ],
)
def test_table_whose_rows_change_is_noticed(session: PostgresSession, deployment: str) -> None:
    assert touched(session, FILLED, deployment) == {T}


@pytest.mark.parametrize(
    "deployment",
    [
        "ALTER TABLE t ADD COLUMN x int DEFAULT 5",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t RENAME COLUMN v TO w",
        "CREATE INDEX ON t (id)",
        "CREATE TABLE u AS SELECT * FROM t",
        "ALTER TABLE t ALTER COLUMN v SET NOT NULL",
        "UPDATE t SET v = 'x' WHERE id = 100",
        "SELECT 1",
    ],
)
def test_table_whose_rows_stay_is_left_alone(session: PostgresSession, deployment: str) -> None:
    assert touched(session, FILLED, deployment) == frozenset()


@pytest.mark.parametrize(
    "deployment",
    [
        "DROP TABLE t",
        "TRUNCATE t",
        "ALTER TABLE t DROP COLUMN v",
        "ALTER TABLE t ALTER COLUMN id TYPE bigint",
        "DROP TABLE t; CREATE TABLE t (x text); INSERT INTO t VALUES (1)",
    ],
)
def test_empty_table_has_nothing_to_lose(session: PostgresSession, deployment: str) -> None:
    assert touched(session, "CREATE TABLE t (id int, v text)", deployment) == frozenset()


def test_rows_that_others_put_into_an_empty_table_before_it_is_dropped_are_noticed(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    session.run("CREATE TABLE t (id int)")
    before = catalog_of(T)
    session.begin()
    session.watch(before)
    session.run("CREATE TABLE u ()")
    other.execute("INSERT INTO public.t VALUES (1)")
    session.run("DROP TABLE t")
    assert session.touched(before, before) == {T}
    session.rollback()


def test_empty_table_that_is_dropped_is_looked_at_again_where_its_file_cannot_be(
    postgres_server: PostgresServer, other: psycopg.Connection
) -> None:
    other.execute("CREATE ROLE no_files LOGIN; GRANT ALL ON SCHEMA public TO no_files")
    try:
        session = connect(postgres_server.url(other.info.dbname, "no_files"))
        assert isinstance(session, PostgresSession)
        assert touched(session, "CREATE TABLE t (id int)", "DROP TABLE t") == {T}
        session.close()
    finally:
        other.execute("DROP OWNED BY no_files; DROP ROLE no_files")


def test_cascades_partitions_and_children_are_noticed(session: PostgresSession) -> None:
    setup = """
        CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
        CREATE TABLE c (p int REFERENCES p ON DELETE CASCADE); INSERT INTO c VALUES (1);
        CREATE TABLE whole (id int) PARTITION BY LIST (id);
        CREATE TABLE part PARTITION OF whole FOR VALUES IN (1); INSERT INTO whole VALUES (1);
        CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1)"""
    names = [table(n) for n in ("p", "c", "whole", "part", "parent", "child")]
    found = touched(session, setup, "DELETE FROM p; UPDATE whole SET id = 1; UPDATE parent SET id = 2", *names)
    assert found == {table("p"), table("c"), table("part"), table("child")}


def test_attribute_dropped_from_a_composite_type_is_noticed(session: PostgresSession) -> None:
    setup = "CREATE TYPE pair AS (a int, b int); CREATE TABLE t (p pair); INSERT INTO t VALUES ((1, 2))"
    assert touched(session, setup, "ALTER TYPE pair DROP ATTRIBUTE b") == {T}


def test_only_what_came_after_the_watch_counts(session: PostgresSession) -> None:
    session.run(FILLED)
    before = catalog_of(T)
    session.begin()
    session.run("UPDATE t SET v = 'x'")
    session.watch(before)
    session.run("SELECT 1")
    assert session.touched(before, before) == frozenset()
    session.run("UPDATE t SET v = 'y'")
    assert session.touched(before, before) == {T}
    session.rollback()


def test_table_of_the_same_transaction_is_observed_too(session: PostgresSession) -> None:
    before = catalog_of(T)
    session.begin()
    session.run(FILLED)
    session.watch(before)
    session.run("TRUNCATE t")
    assert session.touched(before, before) == {T}
    session.rollback()


# ---------------------------------------------------------------------- comparing


def test_nothing_done_is_no_change(session: PostgresSession) -> None:
    assert compared(session, FILLED, "SELECT 1") == []


@pytest.mark.parametrize(
    ("deployment", "lost", "extra"),
    [
        ("UPDATE t SET v = 'x' WHERE id <= 3", 3, 3),
        ("UPDATE t SET v = v", 0, 0),
        ("UPDATE t SET id = 11 - id, v = 'v' || 11 - id", 0, 0),
        ("DELETE FROM t WHERE id > 8", 2, 0),
        ("INSERT INTO t VALUES (1, 'v1')", 0, 1),
        ("TRUNCATE t", 10, 0),
        ("DROP TABLE t", 10, 0),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id", 10, 0),
        ("ALTER TABLE t ADD COLUMN w int DEFAULT 7", 0, 0),
        ("ALTER TABLE t DROP COLUMN v", 10, 10),
        ("ALTER TABLE t ALTER COLUMN id TYPE bigint", 0, 0),
        ("ALTER TABLE t ALTER COLUMN id TYPE text", 0, 0),
        ("ALTER TABLE t ALTER COLUMN v TYPE varchar(2)  USING left(v, 2)", 1, 1),
        ("ALTER TABLE t ALTER COLUMN id TYPE text USING 'n' || id", 10, 10),
    ],
)
def test_difference_is_counted_in_rows(session: PostgresSession, deployment: str, lost: int, extra: int) -> None:
    assert compared(session, FILLED, deployment) == ([(T, lost, extra)] if lost or extra else [])


def test_renamed_table_and_column_are_followed(session: PostgresSession) -> None:
    names = {T: table("u"), column("t", "v"): column("u", "w")}
    renaming = "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME COLUMN v TO w"
    assert compared(session, FILLED, renaming, names) == []
    assert compared(session, "", f"{renaming}; UPDATE u SET w = 'x' WHERE id = 1", names) == [(T, 1, 1)]


def test_name_taken_over_by_another_column_or_table_does_not_hide_a_loss(session: PostgresSession) -> None:
    setup = "CREATE TABLE t AS SELECT 1 AS a, 1 AS b; CREATE TABLE u AS SELECT 1 AS a, 1 AS b"
    taken = "ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME COLUMN a TO b"
    assert compared(session, setup, taken, {column("t", "a"): column("t", "b")}) == [(T, 1, 1)]
    renamed = "DROP TABLE t; ALTER TABLE u RENAME TO t"
    assert compared(session, "", renamed, {table("u"): T}, (T, table("u"))) == [(T, 1, 0)]


@pytest.mark.parametrize(
    ("default", "value", "lost"),
    [
        ("", "NULL", 0),
        ("", "5", 1),
        ("DEFAULT 5", "5", 0),
        ("DEFAULT 5", "NULL", 1),
        ("DEFAULT -5", "-5", 0),
        ("DEFAULT (random() * 0)::int", "0", 1),
        ("DEFAULT (random() * 0)::int", "NULL", 1),
        ("GENERATED BY DEFAULT AS IDENTITY", "1", 1),
    ],
)
def test_dropped_column_is_harmless_where_adding_it_gives_its_values(
    session: PostgresSession, default: str, value: str, lost: int
) -> None:
    setup = f"CREATE TABLE t (id int, c int {default}); INSERT INTO t VALUES (1, {value})"
    found = compared(session, setup, "ALTER TABLE t DROP COLUMN c")
    assert found == ([(T, lost, lost)] if lost else [])


def test_domains_default_counts_as_the_columns(session: PostgresSession) -> None:
    setup = (
        "CREATE DOMAIN d AS text DEFAULT 'x'; CREATE TABLE t (id int, c d); INSERT INTO t VALUES (1, NULL), (2, 'x')"
    )
    assert compared(session, setup, "ALTER TABLE t DROP COLUMN c") == [(T, 1, 1)]


def test_generated_column_is_left_out(session: PostgresSession) -> None:
    setup = "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (1)"
    assert compared(session, setup, "ALTER TABLE t DROP COLUMN b") == []


@pytest.mark.parametrize(
    ("type_", "value", "looks_else"),
    [
        ("numeric", "1.0", "1.00"),
        ("float8", "'-0'", "0"),
        ("float8", "'NaN'", "'Infinity'"),
        ("float8", "0.1", "0.10000000000000002"),
        ("json", """'{"a":1}'""", """'{"a": 1}'"""),
        ("text", "''", "NULL"),
        ("text", "'a'", "'A'"),
        ("bytea", r"'\x00ff'", r"'\x00fe'"),
        ("timestamptz", "'0044-03-15 12:00:00+00 BC'", "'0044-03-15 12:00:00.000001+00 BC'"),
        ("timestamp", "'infinity'", "'-infinity'"),
        ("interval", "'1 day'", "'24 hours'"),
        ("int[]", "'{1,2,NULL}'", "'[0:2]={1,2,NULL}'"),
        ("text[]", "'{}'", "NULL"),
        ("char(5)", "'a'", "'b'"),
        ("boolean", "true", "NULL"),
        ("money", "12.5", "12.51"),
        ("regclass", "'pg_class'", "'pg_type'"),
        ("inet", "'10.0.0.1'", "'10.0.0.1/31'"),
        ("mood", "'happy'", "'sad'"),
        ("mood[]", "'{happy}'", "'{happy,NULL}'"),
        ("pair", "'(1,)'", "'(,)'"),
        ("pair", "'(,)'", "NULL"),
        ("caseless", "'a'", "'A'"),
    ],
)
def test_values_are_the_same_when_they_look_the_same(
    session: PostgresSession, type_: str, value: str, looks_else: str
) -> None:
    caseless = """
        CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE DOMAIN caseless AS text COLLATE any_case;"""
    setup = f"""
        CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TYPE pair AS (a int, b text);
        {caseless if type_ == "caseless" else ""}
        CREATE TABLE t (v {type_}); INSERT INTO t VALUES ({value})"""
    with without_icu_skipped():
        assert compared(session, setup, f"UPDATE t SET v = {value}") == []
    assert compared(session, "", f"UPDATE t SET v = {looks_else}") == [(T, 1, 1)]


def test_copies_do_not_stand_in_the_way_of_dropping_types(session: PostgresSession) -> None:
    setup = """
        CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TYPE pair AS (a int, b mood); CREATE DOMAIN d AS int;
        CREATE COLLATION own FROM "C";
        CREATE TABLE t (m mood, ms mood[], p pair, n d, s text COLLATE own);
        INSERT INTO t VALUES ('happy', '{sad}', '(1,sad)', 3, 'x')"""
    gone = "DROP TABLE t; DROP TYPE pair; DROP TYPE mood; DROP DOMAIN d; DROP COLLATION own"
    assert compared(session, setup, gone) == [(T, 1, 0)]
    assert compared(session, "", "DROP TYPE pair CASCADE; DROP DOMAIN d CASCADE") == [(T, 1, 1)]


def test_enum_that_is_replaced_is_compared_by_its_labels(session: PostgresSession) -> None:
    setup = (
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TABLE t (m mood); INSERT INTO t VALUES ('happy'), ('sad')"
    )
    replaced = """
        ALTER TYPE mood RENAME TO old_mood; CREATE TYPE mood AS ENUM ('happy', 'gloomy', 'sad');
        ALTER TABLE t ALTER COLUMN m TYPE mood USING m::text::mood; DROP TYPE old_mood"""
    assert compared(session, setup, replaced) == []
    assert compared(session, "", f"{replaced}; UPDATE t SET m = 'gloomy' WHERE m = 'sad'") == [(T, 1, 1)]
    into_text = "ALTER TABLE t ALTER COLUMN m TYPE text; DROP TYPE mood"
    assert compared(session, "", into_text) == []


def test_value_that_does_not_fit_any_more_counts_as_a_loss_and_not_as_an_error(session: PostgresSession) -> None:
    setup = "CREATE TABLE t (v smallint); INSERT INTO t VALUES (1), (2)"
    wider = "ALTER TABLE t ALTER COLUMN v TYPE int; INSERT INTO t VALUES (70000)"
    assert compared(session, setup, wider) == [(T, 2, 3)]


def test_duplicates_are_counted(session: PostgresSession) -> None:
    setup = "CREATE TABLE t (v int); INSERT INTO t VALUES (1), (1), (1), (NULL), (NULL)"
    assert compared(session, setup, "DELETE FROM t WHERE ctid = '(0,1)'; INSERT INTO t VALUES (NULL)") == [(T, 1, 1)]


def test_table_without_columns_has_rows_too(session: PostgresSession) -> None:
    assert compared(session, "CREATE TABLE t (); INSERT INTO t DEFAULT VALUES", "DELETE FROM t") == [(T, 1, 0)]


def test_odd_names_and_dropped_columns_are_no_obstacle(session: PostgresSession) -> None:
    name = "We\"ird %s ? {x} 'ü\\"
    quoted = name.replace('"', '""')
    odd = table(name, name)
    setup = f"""CREATE SCHEMA "{quoted}";
        CREATE TABLE "{quoted}"."{quoted}" (gone int, "{quoted}" int, "select" text);
        ALTER TABLE "{quoted}"."{quoted}" DROP COLUMN gone;
        INSERT INTO "{quoted}"."{quoted}" VALUES (1, 'a'), (2, NULL)"""
    change = f"""UPDATE "{quoted}"."{quoted}" SET "{quoted}" = 3 WHERE "select" = 'a'"""
    assert compared(session, setup, change, tables=(odd,)) == [(odd, 1, 1)]
    assert lost(session, Loss(LossKind.COLUMN, odd, name)) == 2


def test_hostile_settings_of_the_changeset_do_not_change_the_verdict(session: PostgresSession) -> None:
    setup = """CREATE TABLE t (a timestamptz, b float8, c bytea, d interval, e money);
        INSERT INTO t VALUES ('2020-01-01 12:00+02', 0.1, 'ab', '1 day 2 hours', 12)"""
    hostile = """SET search_path = ''; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET extra_float_digits = -10;
        SET bytea_output = 'escape'; SET IntervalStyle = 'sql_standard'; SET ROLE pg_monitor"""
    assert compared(session, setup, hostile) == []


def test_row_security_does_not_hide_rows_from_the_copy(
    postgres_server: PostgresServer, other: psycopg.Connection
) -> None:
    other.execute("CREATE ROLE half_blind LOGIN; GRANT ALL ON SCHEMA public TO half_blind")
    other.execute("CREATE SCHEMA tagback AUTHORIZATION half_blind")
    try:
        session = connect(postgres_server.url(other.info.dbname, "half_blind"))
        assert isinstance(session, PostgresSession)
        script(session, f"{FILLED}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON t USING (id < 3)")
        assert compared(session, "", "DELETE FROM t") == [(T, 10, 0)]
        session.run("ALTER TABLE t FORCE ROW LEVEL SECURITY")
        session.begin()
        with pytest.raises(RefusedError) as caught:
            session.keep_start([T])
        assert caught.value.code == "rows_hidden"
        assert "row-level security" in caught.value.message
        session.close()
    finally:
        other.execute("DROP OWNED BY half_blind; DROP ROLE half_blind")


def test_writers_wait_once_a_table_is_kept(session: PostgresSession, other: psycopg.Connection) -> None:
    session.run(FILLED)
    session.begin()
    session.keep_start([T])
    other.execute("SET lock_timeout = '0.2s'")
    assert other.execute("SELECT count(*) FROM public.t").fetchone() == (10,)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("INSERT INTO public.t VALUES (11)")
    session.rollback()


def test_second_run_takes_the_strongest_lock_of_the_first_at_once(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    session.run(FILLED)
    before = catalog_of(T)
    session.begin()
    session.watch(before)
    session.savepoint()
    session.run("ALTER TABLE t DROP COLUMN v")
    names = session.touched(before, before)
    session.rollback_to_savepoint()
    session.keep_start(names)
    session.savepoint()
    other.execute("SET lock_timeout = '0.2s'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("SELECT count(*) FROM public.t")
    session.run("ALTER TABLE t DROP COLUMN v")
    session.execute("CREATE SCHEMA tagback")
    ((kept,), _) = session.shelve("shelf", before, before, {})
    assert (kept.table, kept.gone, kept.new, kept.changed) == (T, 0, 0, 10)
    session.rollback()


def test_copies_end_with_the_transaction_and_on_demand(session: PostgresSession) -> None:
    session.run(FILLED)
    count = "SELECT count(*) FROM pg_class WHERE relname LIKE 'tagback_start_%'"
    session.begin()
    session.keep_start([T])
    session.keep_start([T])
    assert session.execute(count) == [(1,)]
    session.forget_start()
    assert session.execute(count) == [(0,)]
    session.savepoint()
    session.keep_start([T])
    session.rollback_to_savepoint()
    assert session.shelve("shelf", catalog_of(T), catalog_of(T), {}) == ((), ())
    session.keep_start([T])
    session.commit()
    assert session.execute(count) == [(0,)]
    session.begin()
    session.keep_start([T])
    session.rollback()


# ---------------------------------------------------------------------- losses


def test_rows_of_a_partitioned_table_are_those_of_its_partitions(session: PostgresSession) -> None:
    script(
        session,
        """CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        INSERT INTO t VALUES (1)""",
    )
    assert lost(session, Loss(LossKind.TABLE, T)) == 1


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (Loss(LossKind.TABLE, T), 4),
        (Loss(LossKind.COLUMN, T, "n"), 3),
        (Loss(LossKind.COLUMN, T, "n", default="7"), 3),
        (Loss(LossKind.COLUMN, T, "n", default="random()"), 4),
        (Loss(LossKind.COLUMN, T, "s", default="'x'::text"), 3),
        (Loss(LossKind.COLUMN, T, "m", default="'a'::public.mood"), 3),
        (Loss(LossKind.COLUMN, T, "p"), 2),
        (Loss(LossKind.COLUMN, T, "g"), 0),
        (Loss(LossKind.VALUES, T, "n", "numeric", "integer"), 1),
        (Loss(LossKind.VALUES, T, "n", "numeric", "text"), 0),
        (Loss(LossKind.VALUES, T, "s", "text", "character varying(3)"), 1),
        (Loss(LossKind.VALUES, T, "s", "text", "integer"), 3),
        (Loss(LossKind.VALUES, T, "m", "public.mood", "text"), 0),
        (Loss(LossKind.VALUES, T, "m", "public.mood", "public.other_mood"), 2),
    ],
)
def test_loss_is_counted_in_values(session: PostgresSession, loss: Loss, count: int) -> None:
    script(
        session,
        """CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TYPE other_mood AS ENUM ('a'); CREATE TYPE pair AS (x int, y int);
        CREATE TABLE t (n numeric, s text, m mood, p pair, g int GENERATED ALWAYS AS (1) STORED);
        INSERT INTO t VALUES (7, 'x', 'a', '(1,)'), (1.5, '12345', 'b', '(,)'), (2, 'y', NULL, NULL), (NULL, NULL, NULL, NULL)""",
    )
    session.begin()
    every = Loss(LossKind.TABLE, T)
    assert session.count_each([loss, every]) == {loss: count, every: 4}
    session.rollback()


def test_rows_are_counted_wherever_a_table_has_them(session: PostgresSession) -> None:
    script(
        session,
        """CREATE TABLE empty (v int); CREATE TABLE emptied AS SELECT 1 AS v; DELETE FROM emptied;
        CREATE TABLE parent (v int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);
        CREATE TABLE parted (v int) PARTITION BY LIST (v); CREATE TABLE part PARTITION OF parted DEFAULT;
        INSERT INTO parted VALUES (1), (2); CREATE TABLE "Some Name" AS SELECT generate_series(1, 3) AS v""",
    )
    session.begin()
    session.run("CREATE TABLE filled AS SELECT generate_series(1, 4) AS v")
    counts = {"empty": 0, "emptied": 0, "parent": 0, "child": 1, "parted": 2, "part": 2, "Some Name": 3, "filled": 4}
    losses = {Loss(LossKind.TABLE, table(name)): count for name, count in counts.items()}
    assert session.count_each(list(losses)) == losses
    columns = {Loss(LossKind.COLUMN, table(name), "v"): count for name, count in counts.items()}
    assert session.count_each(list(columns)) == columns


@pytest.mark.parametrize(
    "default",
    ["5", "-1.5e3", "'a''b'::text", "'x'", "true", "'{}'::public.\"Odd \"\"type\"[]", "'(1)'::character varying(10)",
     "'12:00:00'::time without time zone", "(-5)", "E'a\\\\b'::text", "'-1'::integer", "NULL::bit varying(3)", "ARRAY[]::text[]"],
)  # fmt: skip
def test_plain_constants_are_told(default: str) -> None:
    assert is_constant(default)


@pytest.mark.parametrize(
    "default",
    ["", "now()", "nextval('s'::regclass)", "'now'::text::date", "CURRENT_DATE", "'a'::text || f()", "lower('A'::text)",
     "(5 + 1)", "'x'::text; DROP TABLE t", "'a'::f(g())", "ARRAY[now()]"],
)  # fmt: skip
def test_expressions_are_told_from_constants(default: str) -> None:
    assert not is_constant(default)
