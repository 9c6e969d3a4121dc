"""The PostgreSQL session: what it promises about connecting, the lock, the transaction and the user's settings."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tagback.catalog import Action, ObjectId, Step
from tagback.engines import connect
from tagback.engines.postgres.failures import connection_error, refuse_version
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.session import StatementError
from tagback.engines.url import parse
from tagback.errors import Exit, RefusedError, TagbackError, UnreachableError, UsageError
from tests.support.postgres import PostgresServer, running_server
from tools.postgres_programs import Programs

TABLE = ObjectId("table", ("public", "t"))


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


@pytest.fixture
def limited(postgres_server: PostgresServer, other: psycopg.Connection) -> Iterator[str]:
    """The URL of the same database for a role that is no superuser and owns the schema `public`."""
    role = f"limited_{other.info.dbname}"
    other.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
    other.execute(f'ALTER SCHEMA public OWNER TO "{role}"'.encode())
    yield postgres_server.url(other.info.dbname, role)
    other.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"'.encode())


def value(session: PostgresSession, sql: str) -> object:
    return session.execute(sql)[0][0]


def users_view(session: PostgresSession, setting: str) -> str:
    """A setting's value as the user's next statement finds it."""
    session.run(f"CREATE TEMP TABLE seen AS SELECT current_setting('{setting}') AS v")
    seen = value(session, "SELECT v FROM pg_temp.seen")
    session.run("DROP TABLE seen")
    return str(seen)


# ---------------------------------------------------------------------- connecting


def failure(url: str) -> TagbackError:
    with pytest.raises(TagbackError) as caught:
        connect(url)
    return caught.value


def test_database_that_does_not_exist_is_named(postgres_server: PostgresServer) -> None:
    error = failure(postgres_server.url("no such one"))
    assert (error.exit_code, error.code) == (Exit.UNREACHABLE, "unreachable")
    assert error.message == "The database no such one does not exist on the server."
    assert "createdb" in error.hint


def test_role_that_does_not_exist_is_named(postgres_server: PostgresServer) -> None:
    error = failure(postgres_server.url(user="nobody here"))
    assert (error.exit_code, error.message) == (6, "The role nobody here does not exist on the server.")


def test_port_where_nothing_listens_is_named(unused_port: int) -> None:
    error = failure(f"postgresql://u:secret@127.0.0.1:{unused_port}/d")
    assert (error.exit_code, error.message) == (
        6,
        f"No PostgreSQL server listens at 127.0.0.1, port {unused_port}.",
    )


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_socket_that_is_not_there_is_named() -> None:
    error = failure("postgresql:///d?host=/no/such/folder")
    assert (error.exit_code, error.message) == (6, "No PostgreSQL server listens at /no/such/folder, port 5432.")


def test_host_that_does_not_exist_is_named() -> None:
    error = failure("postgresql://u:secret@no-such-host.invalid/d")
    assert (error.exit_code, error.message) == (6, "The host no-such-host.invalid is not known.")


def test_server_without_encryption_is_refused_where_the_url_demands_it(pg_url: str) -> None:
    error = failure(f"{pg_url}?sslmode=require")
    assert error.exit_code == 6
    assert "encrypted" in error.message
    assert "sslmode" in error.hint


def test_host_that_does_not_answer_is_given_up_after_the_time_in_the_url() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        error = failure(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2")
    assert (error.exit_code, error.message) == (6, "127.0.0.1 did not answer in time.")
    assert time.monotonic() - started < 8


def test_option_that_libpq_does_not_know_is_a_usage_error(pg_url: str) -> None:
    error = failure(f"{pg_url}?colour=red")
    assert isinstance(error, UsageError)
    assert "colour" in error.message


def test_wrong_password_is_told_from_a_server_that_checks_it(postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as admin:
        admin.execute("CREATE ROLE guarded LOGIN PASSWORD 'right one'")
        rules = postgres_server.folder / "data" / "pg_hba.conf"
        before = rules.read_text()
        try:
            rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + before)
            admin.execute("SELECT pg_reload_conf()")
            time.sleep(0.2)
            place = f"127.0.0.1:{postgres_server.port}/postgres"
            wrong = failure(f"postgresql://guarded:wrong-secret@{place}")
            missing = failure(f"postgresql://guarded@{place}")
            connect(f"postgresql://guarded:right%20one@{place}").close()
        finally:
            rules.write_text(before)
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("DROP ROLE guarded")
    assert (wrong.exit_code, wrong.message) == (6, "The server refuses the password of guarded.")
    assert (missing.exit_code, missing.message) == (6, "The server wants a password for guarded.")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption', "pg_hba.conf"),
        ("FATAL:  sorry, too many clients already", "no free connection for u"),
        ("FATAL:  the database system is starting up", "is there, but starting up"),
        ('FATAL:  role "u" is not permitted to log in', "u is not allowed to log in"),
        ('FATAL:  permission denied for database "d"', "not into this database"),
        ("FATAL:  something new about top-secret", "something new about ***"),
    ],
)
def test_each_refusal_has_words_and_a_hint_and_no_password(said: str, told: str) -> None:
    url = parse("postgresql://u:top-secret@db/d?sslpassword=other-secret")
    error = connection_error(psycopg.OperationalError(f"connection failed: {said} other-secret"), url)
    assert told in error.message
    assert error.hint
    assert error.exit_code == Exit.UNREACHABLE
    assert "top-secret" not in f"{error.message}{error.hint}{error!r}"
    assert "other-secret" not in f"{error.message}{error.hint}{error!r}"


def test_failed_connection_keeps_the_password_out_of_the_error_and_its_causes(unused_port: int) -> None:
    error: BaseException | None = failure(f"postgresql://u:top-secret@127.0.0.1:{unused_port}/d")
    assert isinstance(error, TagbackError)
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "top-secret" not in f"{error.message} {error.hint}"


def test_socket_and_both_schemes_lead_to_the_database(postgres_server: PostgresServer) -> None:
    for url in (postgres_server.socket_url(), postgres_server.url().replace("postgresql://", "postgres://")):
        session = connect(url)
        assert session.execute("SELECT current_database(), current_setting('application_name')") == [
            ("postgres", "tagback")
        ]
        session.close()


def test_session_tells_engine_server_and_place(session: PostgresSession, postgres_server: PostgresServer) -> None:
    assert session.engine == "postgresql"
    assert session.server.startswith(f"PostgreSQL {postgres_server.version}")
    assert session.major == str(postgres_server.major)
    assert session.place.startswith("postgresql://postgres@127.0.0.1:")


def test_epoch_is_the_same_for_every_account_and_differs_between_databases(
    session: PostgresSession, limited: str, postgres_server: PostgresServer
) -> None:
    again, elsewhere = connect(limited), connect(postgres_server.url())
    assert session.epoch == again.epoch != elsewhere.epoch
    again.close()
    elsewhere.close()


def test_old_server_is_refused() -> None:
    refuse_version(140000)
    with pytest.raises(UsageError, match="PostgreSQL 13; tagback needs 14"):
        refuse_version(130022)


def test_importing_the_engine_does_not_import_the_driver() -> None:
    code = "import sys, tagback.engines.postgres; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_driver_is_a_usage_error_with_the_command_to_install_it() -> None:
    code = """if True:
        import sys
        sys.modules["psycopg"] = None
        from tagback.engines import connect
        from tagback.errors import UsageError
        try:
            connect("postgresql://h/d")
        except UsageError as error:
            print(error.code, error.hint)"""
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout == "driver_missing Install it: pip install 'tagback[postgres]'\n"


# ---------------------------------------------------------------------- the lock


def test_second_session_waits_for_the_lock_and_gets_it(session: PostgresSession, pg_url: str) -> None:
    second = connect(pg_url)
    session.lock(0)
    threading.Timer(0.4, session.unlock).start()
    second.lock(10)
    second.begin()
    second.rollback()
    second.close()


def test_holder_of_the_lock_is_named_when_the_time_is_up(session: PostgresSession, pg_url: str) -> None:
    session.lock(0)
    pid = value(session, "SELECT pg_backend_pid()")
    second = connect(pg_url)
    with pytest.raises(UnreachableError) as caught:
        second.lock(0.3)
    second.close()
    assert caught.value.code == "lock_timeout"
    assert f"process {pid} (tagback, user postgres" in caught.value.message
    assert "connected since 20" in caught.value.message


def test_locks_of_two_databases_do_not_meet(session: PostgresSession, postgres_server: PostgresServer) -> None:
    elsewhere = connect(postgres_server.url(postgres_server.create_database()))
    session.lock(0)
    elsewhere.lock(0)
    elsewhere.close()


def test_lock_ends_with_its_holder(session: PostgresSession, pg_url: str, other: psycopg.Connection) -> None:
    session.lock(0)
    other.execute("SELECT pg_terminate_backend(%s)", (value(session, "SELECT pg_backend_pid()"),))
    second = connect(pg_url)
    second.lock(5)
    second.close()
    with pytest.raises(StatementError) as caught:
        session.begin()
    assert caught.value.lost
    assert caught.value.exit_code == Exit.UNREACHABLE
    session.rollback()
    session.unlock()


def test_transaction_does_not_begin_without_the_lock_that_was_taken(session: PostgresSession) -> None:
    session.lock(0)
    session.run("SELECT pg_advisory_unlock_all()")
    with pytest.raises(UnreachableError) as caught:
        session.begin()
    assert caught.value.code == "lock_lost"


def test_commit_is_refused_when_a_changeset_released_the_lock(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    session.lock(0)
    session.begin()
    session.run("CREATE TABLE t ()")
    session.run("SELECT pg_advisory_unlock_all()")
    with pytest.raises(UnreachableError):
        session.commit()
    assert other.execute("SELECT to_regclass('public.t')").fetchone() == (None,)


# ---------------------------------------------------------------------- the transaction


def test_rolled_back_transaction_leaves_nothing(session: PostgresSession, other: psycopg.Connection) -> None:
    session.begin()
    session.run("CREATE TABLE t ()")
    session.rollback()
    session.rollback()
    assert other.execute("SELECT to_regclass('public.t')").fetchone() == (None,)


def test_deferred_constraint_is_checked_before_the_commit(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE TABLE p (id int PRIMARY KEY)")
    session.run("CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
    session.run("INSERT INTO c VALUES (1)")
    with pytest.raises(StatementError) as caught:
        session.commit()
    assert (caught.value.code, caught.value.sqlstate) == ("constraint", "23503")
    assert "DETAIL: Key (p)=(1) is not present" in caught.value.message
    session.rollback()
    assert session.execute("SELECT to_regclass('public.p')") == [(None,)]


def test_deferred_trigger_finds_the_settings_of_the_changeset(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE SCHEMA app")
    session.run("SET search_path = app")
    session.run("CREATE TABLE log (x int); CREATE TABLE t (x int)")
    session.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN INSERT INTO log VALUES (NEW.x); RETURN NULL; END $$"
    )
    session.run(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION note()"
    )
    session.run("INSERT INTO t VALUES (7)")
    session.execute("SELECT 1")
    session.commit()
    assert session.execute("SELECT x FROM app.log") == [(7,)]


def test_savepoint_takes_back_what_came_after_it(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE TABLE t AS SELECT 1 AS x")
    session.savepoint()
    session.run("UPDATE t SET x = 2")
    session.execute("SELECT 1")
    session.rollback_to_savepoint()
    assert session.execute("SELECT x FROM public.t") == [(1,)]
    session.run("UPDATE t SET x = 3")
    session.release_savepoint()
    session.commit()
    assert session.execute("SELECT x FROM public.t") == [(3,)]


def test_failed_statement_is_undone_to_the_savepoint(session: PostgresSession) -> None:
    session.begin()
    session.savepoint()
    session.run("SET search_path = nowhere")
    session.execute("SELECT 1")
    with pytest.raises(StatementError):
        session.run("SELECT 1/0")
    session.rollback_to_savepoint()
    assert users_view(session, "search_path") == '"$user", public'
    session.rollback()


# ---------------------------------------------------------------------- statements


def test_statement_runs_as_it_stands(session: PostgresSession) -> None:
    session.run(
        """CREATE TABLE "odd %s ? {deployment} name" AS SELECT '100%'::text AS "a?", E'\\\\' AS "%(b)s", '{x}' AS c"""
    )
    assert other_rows(session, '"odd %s ? {deployment} name"') == [("100%", "\\", "{x}")]


def other_rows(session: PostgresSession, table: str) -> list[tuple[object, ...]]:
    session.run(f"ALTER TABLE {table} RENAME TO plain")
    return session.execute("SELECT * FROM public.plain")


def test_error_has_the_servers_words_and_the_place_in_characters(session: PostgresSession) -> None:
    sql = "SELECT 'äöü€😀', nonsense FROM pg_class"
    with pytest.raises(StatementError) as caught:
        session.run(sql)
    assert caught.value.message == 'column "nonsense" does not exist'
    assert caught.value.sqlstate == "42703"
    assert caught.value.position == sql.index("nonsense")
    assert not caught.value.retryable


def test_errors_in_a_body_say_where(session: PostgresSession) -> None:
    with pytest.raises(StatementError) as caught:
        session.run("DO $$ BEGIN RAISE 'stop' USING DETAIL = 'why', HINT = 'how'; END $$")
    assert caught.value.message.splitlines() == [
        "stop",
        "DETAIL: why",
        "HINT: how",
        "CONTEXT: PL/pgSQL function inline_code_block line 1 at RAISE",
    ]


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELEC 1", "syntax"), ("SELECT 1/0", "data"), ("SELECT '\0'", "syntax"), ("TABLE nowhere", "statement")],
)
def test_errors_have_stable_codes(session: PostgresSession, sql: str, code: str) -> None:
    with pytest.raises(StatementError) as caught:
        session.run(sql)
    assert caught.value.code == code
    assert caught.value.exit_code == Exit.FAILED


def test_lock_timeout_can_be_retried_and_a_statement_timeout_not(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    other.execute("CREATE TABLE t ()")
    with other.transaction():
        other.execute("LOCK TABLE t")
        session.lock_timeout = 0.2
        session.begin()
        with pytest.raises(StatementError) as waited:
            session.run("ALTER TABLE t ADD COLUMN x int")
        session.rollback()
        session.begin()
        session.run("SET lock_timeout = 0")
        session.run("SET statement_timeout = '0.2s'")
        with pytest.raises(StatementError) as stopped:
            session.run("ALTER TABLE t ADD COLUMN x int")
        session.rollback()
    assert (waited.value.code, waited.value.sqlstate, waited.value.retryable) == ("lock_timeout", "55P03", True)
    assert (stopped.value.sqlstate, stopped.value.retryable) == ("57014", False)


def test_running_statement_can_be_cancelled(session: PostgresSession) -> None:
    threading.Timer(0.3, session.cancel).start()
    with pytest.raises(StatementError) as caught:
        session.run("SELECT pg_sleep(30)")
    assert (caught.value.code, caught.value.lost) == ("cancelled", False)


def test_lost_connection_is_told_from_a_refusal(session: PostgresSession, other: psycopg.Connection) -> None:
    session.begin()
    pid = value(session, "SELECT pg_backend_pid()")
    threading.Timer(0.3, lambda: other.execute("SELECT pg_terminate_backend(%s)", (pid,))).start()
    with pytest.raises(StatementError) as caught:
        session.run("SELECT pg_sleep(30)")
    assert caught.value.lost
    assert (caught.value.code, caught.value.exit_code) == ("unreachable", Exit.UNREACHABLE)
    session.rollback()


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "COMMIT; SELECT 1"])
def test_statement_that_ends_the_transaction_is_an_error(session: PostgresSession, sql: str) -> None:
    session.begin()
    with pytest.raises(StatementError) as caught:
        session.run(sql)
    assert caught.value.code == "transaction"


@pytest.mark.parametrize("sql", ["COPY t TO STDOUT", "COPY t FROM STDIN"])
def test_copy_with_the_client_is_refused_and_the_session_goes_on(session: PostgresSession, sql: str) -> None:
    session.run("CREATE TABLE t AS SELECT generate_series(1, 100000) AS x")
    session.begin()
    with pytest.raises(StatementError, match="COPY"):
        session.run(sql)
    session.rollback()
    assert session.execute("SELECT count(*) FROM public.t") == [(100000,)]


def test_notices_of_the_users_statements_are_kept(session: PostgresSession) -> None:
    session.begin()
    session.run("DROP TABLE IF EXISTS nothing_there")
    session.run("DO $$ BEGIN FOR i IN 1..3000 LOOP RAISE WARNING 'w %', i; END LOOP; END $$")
    session.rollback()
    assert session.notices[:2] == ['NOTICE: table "nothing_there" does not exist, skipping', "WARNING: w 1"]
    assert len(session.notices) == 1000


def test_values_go_through_unharmed(session: PostgresSession) -> None:
    session.execute("CREATE TABLE {journal} (a TEXT, b BIGINT)")
    rows = [(None, 2), ("100% ? {x} '\"\\ ü", 1), ("\\N", 0), ("a\tb\r\nc\\\\.\n\\.\n", -1), ("", -(2**62))]
    session.execute_many("INSERT INTO {journal} (a, b) VALUES (?, ?)", rows)
    session.execute_many("INSERT INTO {journal} (a, b) VALUES (?, ?)", [])
    assert session.execute("SELECT a, b FROM tagback.journal ORDER BY b DESC") == rows
    session.execute_many("UPDATE {journal} SET a = ? WHERE b = ?", [("two", 2), (rows[1][0], 1)])
    assert session.execute("SELECT a FROM tagback.journal WHERE b = 2") == [("two",)]
    assert session.execute("SELECT b FROM {journal} WHERE a LIKE '100%' AND a = ?", (rows[1][0],)) == [(1,)]
    with pytest.raises(ValueError, match="1 places for 2 values"):
        session.execute("SELECT ?", (1, 2))


def test_rows_that_are_refused_are_an_error_and_none_is_written(session: PostgresSession) -> None:
    session.execute("CREATE TABLE {journal} (a TEXT, b BIGINT PRIMARY KEY)")
    with pytest.raises(StatementError) as caught:
        session.execute_many("INSERT INTO {journal} (a, b) VALUES (?, ?)", [("x", 1), ("y", 2), ("z", 1)])
    assert (caught.value.code, caught.value.sqlstate) == ("constraint", "23505")
    assert session.execute("SELECT a FROM {journal}") == []


# ---------------------------------------------------------------------- plans


def step(sql: str, name: str = "t") -> Step:
    return Step(sql, ObjectId("table", ("public", name)), Action.CREATE)


def ignore(done: Step, seconds: float) -> None:
    assert seconds >= 0


def test_thousand_steps_are_run_in_order(session: PostgresSession) -> None:
    session.begin()
    session.run_steps([step(f"CREATE TABLE public.t{n} ()") for n in range(1000)], ignore)
    session.run_steps([step(f"DROP TABLE public.t{n} -- gone") for n in range(1000)], ignore)
    session.run_steps([], ignore)
    session.commit()


@pytest.mark.parametrize(
    "bad", ["CREATE TABLE public.t4 (x nonsense)", "CREATE TABL x", "SELECT 1/0", "CREATE TABLE public.a ()"]
)
def test_failing_step_is_named(session: PostgresSession, bad: str) -> None:
    session.begin()
    steps = [step(f"CREATE TABLE public.{n} () -- é", n) for n in "abcd"]
    with pytest.raises(StatementError) as caught:
        session.run_steps([*steps, step(bad, "the culprit"), step("SELECT 1")], ignore)
    assert caught.value.message.startswith('Create table public."the culprit": ')
    assert caught.value.statement == bad
    session.rollback()


def test_steps_do_not_stumble_over_pending_trigger_events(session: PostgresSession) -> None:
    session.run("CREATE TABLE p (id int PRIMARY KEY)")
    session.run("CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
    session.begin()
    session.run("INSERT INTO p VALUES (1)")
    session.run("INSERT INTO c VALUES (1)")
    session.run_steps([step("ALTER TABLE public.c ADD COLUMN x int")], ignore)
    session.commit()


def test_steps_create_functions_before_what_their_bodies_mention(session: PostgresSession) -> None:
    session.begin()
    body = "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT x FROM public.later'"
    session.run_steps([step(body), step("CREATE TABLE public.later AS SELECT 5 AS x")], ignore)
    session.commit()
    assert session.execute("SELECT public.f()") == [(5,)]


# ---------------------------------------------------------------------- settings


HOSTILE = (
    "SET search_path = ''",
    "SET standard_conforming_strings = off",
    "SET session_replication_role = replica",
    "SET DateStyle = 'German'",
    "SET IntervalStyle = 'iso_8601'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET bytea_output = 'escape'",
    "SET extra_float_digits = -15",
    "SET row_security = on",
    "SET client_encoding = 'LATIN1'",
    "SET statement_timeout = '90s'",
    "SET client_min_messages = error",
)


def test_users_settings_do_not_reach_tagbacks_own_statements(session: PostgresSession) -> None:
    session.begin()
    for sql in HOSTILE:
        session.run(sql)
    assert session.execute(
        "SELECT '2020-01-02'::date::text, '1 day'::interval::text, '2020-01-01 00:00+00'::timestamptz::text,"
        " '\\x61'::bytea::text, 0.1::float8::text, current_setting('session_replication_role'),"
        " current_setting('statement_timeout'), '€ü'"
    ) == [("2020-01-02", "1 day", "2020-01-01 00:00:00+00", "\\x61", "0.1", "origin", "0", "€ü")]
    session.rollback()


def test_users_settings_are_there_again_for_the_next_changeset(session: PostgresSession) -> None:
    session.begin()
    for sql in (*HOSTILE, 'SET search_path = "we\'ird \\ ""one", public'):
        session.run(sql)
    session.execute("SELECT 1")
    found = {name: users_view(session, name) for name in ("search_path", "DateStyle", "TimeZone", "bytea_output")}
    assert found == {
        "search_path": '"we\'ird \\ ""one", public',
        "DateStyle": "German, DMY",
        "TimeZone": "Asia/Tokyo",
        "bytea_output": "escape",
    }
    assert users_view(session, "session_replication_role") == "replica"
    session.rollback()


def test_settings_of_one_deployment_are_not_those_of_the_next(session: PostgresSession) -> None:
    session.begin()
    session.run("SET search_path = nowhere")
    session.run("SET ROLE pg_monitor")
    session.execute("SELECT 1")
    session.commit()
    session.begin()
    assert users_view(session, "search_path") == '"$user", public'
    assert users_view(session, "role") == "none"
    session.rollback()


def test_set_local_of_a_changeset_ends_with_the_transaction(session: PostgresSession) -> None:
    session.begin()
    session.run("SET work_mem = '5MB'")
    session.run("SET LOCAL search_path = nowhere")
    session.execute("SELECT 1")
    session.run("SELECT 1")
    session.commit()
    assert users_view(session, "search_path") == '"$user", public'


def test_role_taken_by_a_changeset_holds_for_the_user_and_not_for_tagback(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    other.execute("CREATE ROLE weak_one")
    other.execute("GRANT CREATE ON SCHEMA public TO weak_one")
    try:
        session.begin()
        session.execute("CREATE TABLE {journal} (a TEXT)")
        session.run("SET ROLE weak_one")
        session.execute("INSERT INTO {journal} (a) VALUES (?)", ("by tagback",))
        session.run("CREATE TABLE public.by_user (x int)")
        assert session.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'by_user'") == [
            ("weak_one",)
        ]
        session.run("SET SESSION AUTHORIZATION weak_one")
        session.execute("INSERT INTO {journal} (a) VALUES (?)", ("again",))
        with pytest.raises(StatementError) as caught:
            session.run("TABLE tagback.journal")
        assert caught.value.code == "permission"
        session.rollback()
        assert session.execute("SELECT current_user::text") == [("postgres",)]
    finally:
        session.rollback()
        other.execute("DROP OWNED BY weak_one; DROP ROLE weak_one")


def test_role_without_special_rights_can_deploy(limited: str) -> None:
    session = connect(limited)
    session.lock(0)
    session.begin()
    session.run("CREATE TABLE public.t (x int)")
    assert session.execute("SELECT count(*) FROM public.t") == [(0,)]
    session.run("SET search_path = ''")
    session.run_steps([step("DROP TABLE public.t")], ignore)
    session.commit()
    session.close()


def test_read_only_role_setting_does_not_stop_a_deployment(limited: str, other: psycopg.Connection) -> None:
    other.execute(f'ALTER ROLE "limited_{other.info.dbname}" SET default_transaction_read_only = on'.encode())
    session = connect(limited)
    session.begin()
    session.run("CREATE TABLE public.t (x int)")
    session.commit()
    session.close()


def test_timeouts_of_the_role_hold_for_a_changeset_and_not_for_tagback(limited: str, other: psycopg.Connection) -> None:
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    names += ["transaction_timeout"] if other.info.server_version >= 170000 else []
    for name in names:
        other.execute(f"ALTER ROLE \"limited_{other.info.dbname}\" SET {name} = '300ms'".encode())
    session = connect(limited)
    time.sleep(0.5)
    session.begin()
    time.sleep(0.5)
    session.execute("SELECT pg_sleep(0.5)::text")
    session.run("CREATE TABLE public.t (x int)")
    time.sleep(0.5)
    session.commit()
    time.sleep(0.5)
    session.begin()
    with pytest.raises(StatementError) as caught:
        session.run("SELECT pg_sleep(0.5)")
    assert caught.value.code == "cancelled"
    session.rollback()
    assert session.execute("SELECT count(*) FROM public.t") == [(0,)]
    session.close()


def test_timeouts_that_a_changeset_sets_are_there_again_for_the_next(session: PostgresSession) -> None:
    session.begin()
    session.run("SET statement_timeout = '90s'; SET idle_in_transaction_session_timeout = '100s'")
    assert session.execute("SELECT current_setting('statement_timeout')") == [("0",)]
    assert users_view(session, "statement_timeout") == "90s"
    assert users_view(session, "idle_in_transaction_session_timeout") == "100s"
    session.rollback()


def test_temporary_table_named_like_the_catalog_is_not_read_for_it(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE TEMP TABLE pg_class AS SELECT 1 AS x")
    session.run("CREATE TEMP TABLE pg_namespace AS SELECT 1 AS x")
    assert not session.ledger_exists()
    assert session.ledger_obstacle() is None
    session.rollback()


# ---------------------------------------------------------------------- the ledger's place


def test_ledger_is_seen_once_its_tables_are_there(session: PostgresSession) -> None:
    assert not session.ledger_exists()
    session.begin()
    session.execute("CREATE TABLE {meta} (name TEXT NOT NULL PRIMARY KEY)")
    assert session.ledger_exists()
    session.rollback()
    assert not session.ledger_exists()


def test_publication_for_all_tables_is_in_the_ledgers_way(session: PostgresSession) -> None:
    session.run('CREATE PUBLICATION "every thing" FOR ALL TABLES')
    obstacle = session.ledger_obstacle()
    assert isinstance(obstacle, RefusedError)
    assert obstacle.code == "publication"
    assert '"every thing"' in obstacle.message
    session.run('DROP PUBLICATION "every thing"')
    session.run("CREATE TABLE t (x int PRIMARY KEY)")
    session.run("CREATE PUBLICATION partly FOR TABLE t")
    assert session.ledger_obstacle() is None


# ---------------------------------------------------------------------- the catalog


def test_catalog_is_the_same_whatever_a_changeset_set_and_tagback_kept(session: PostgresSession) -> None:
    session.run("CREATE TYPE mood AS ENUM ('a')")
    session.run("CREATE TABLE t (x int DEFAULT 5, m mood DEFAULT 'a', d date DEFAULT '2020-01-02', CHECK (x > 1))")
    session.run("CREATE VIEW v AS SELECT * FROM t")
    before = session.read_catalog()
    session.begin()
    for sql in HOSTILE:
        session.run(sql)
    session.run("SET ROLE pg_monitor")
    session.keep_start([TABLE])
    session.execute("CREATE TABLE {meta} (name TEXT NOT NULL PRIMARY KEY)")
    after = session.read_catalog()
    assert after.objects == before.objects
    assert after.fingerprint == before.fingerprint
    assert TABLE in before.objects
    assert [session.decode(o.canonical()) for o in before.objects.values()] == list(before.objects.values())
    assert session.execute("SELECT current_setting('search_path')") == [("pg_catalog, pg_temp",)]
    assert users_view(session, "DateStyle") == "German, DMY"
    session.rollback()


def test_reading_sees_one_state_throughout_and_writes_nothing(
    session: PostgresSession, other: psycopg.Connection
) -> None:
    session.begin_reading()
    empty = session.read_catalog()
    other.execute("CREATE TABLE t ()")
    assert session.execute("SELECT count(*) FROM pg_class WHERE relname = 't'") == [(0,)]
    with pytest.raises(StatementError) as caught:
        session.run("CREATE TABLE u ()")
    assert caught.value.sqlstate == "25006"
    session.rollback()
    assert TABLE in session.read_catalog().objects
    assert TABLE not in empty.objects


def test_standby_is_refused_by_lock_begin_and_ledger(postgres_programs_found: Programs) -> None:
    with running_server(postgres_programs_found) as server:
        (server.folder / "data" / "standby.signal").touch()
        server.stop()
        server.start()
        session = connect(server.url())
        assert isinstance(session, PostgresSession)
        obstacle = session.ledger_obstacle()
        assert obstacle is not None
        assert (obstacle.code, obstacle.exit_code) == ("standby", Exit.REFUSED)
        with pytest.raises(RefusedError, match="standby"):
            session.lock(0)
        with pytest.raises(RefusedError, match="standby"):
            session.begin()
        session.close()


def test_rollback_without_a_transaction_leaves_the_users_settings(session: PostgresSession) -> None:
    session.execute("SELECT 1")
    session.rollback()
    session.run("CREATE TABLE here ()")
    assert session.execute("SELECT to_regclass('public.here') IS NOT NULL") == [(True,)]
