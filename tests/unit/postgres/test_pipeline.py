"""Statements on their way together: each is still run, answered, told and refused by itself, and nothing runs after an error."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tagback.deploy import events
from tagback.deploy.apply import ApplyOptions
from tagback.deploy.target import Target
from tagback.engines import connect
from tagback.engines.postgres import pipeline
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.session import StatementError
from tagback.errors import FailedError


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


class Count:
    """How many statements were done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> None:
        self.done += 1


def tables(session: PostgresSession) -> list[object]:
    found = session.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
    return [name for (name,) in found]


# ---------------------------------------------------------------------- what may go together


def test_only_plain_changes_of_schema_and_rows_go_together() -> None:
    alone = [
        *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "PREPARE TRANSACTION 'x'", "END", "ABORT"),
        *("START TRANSACTION", "SET search_path = a", "RESET ALL", "DO $$ BEGIN END $$", "CALL p()", "SELECT f()"),
        *("COPY t TO STDOUT", "COPY t FROM STDIN", "WITH a AS (SELECT 1) DELETE FROM t", "EXECUTE p", "VACUUM"),
        *("DISCARD ALL", "TRUNCATE t", "LOCK TABLE t", "CREATED", "", "CREATE TABLE t\0"),
        "DROP TABLE t",
    ]
    for sql in alone:
        assert list(pipeline.in_groups(["CREATE TABLE a ()", sql, "drop view b", "INSERT INTO c VALUES (1)"])) == [
            ["CREATE TABLE a ()"],
            [sql],
            ["drop view b", "INSERT INTO c VALUES (1)"],
        ]


def test_groups_have_bounds_and_lose_nothing() -> None:
    sqls = [f"CREATE TABLE t{n} ()" for n in range(1000)]
    groups = list(pipeline.in_groups(sqls))
    assert [sql for group in groups for sql in group] == sqls
    assert {len(group) for group in groups} == {pipeline.MOST}
    long = [f"INSERT INTO t VALUES ('{'x' * 400_000}')"] * 5
    assert [len(group) for group in pipeline.in_groups(long)] == [2, 2, 1]
    assert list(pipeline.in_groups([])) == []


# ---------------------------------------------------------------------- errors


def test_nothing_runs_after_an_error(session: PostgresSession, other: psycopg.Connection) -> None:
    other.execute("CREATE SEQUENCE ran; CREATE TABLE t (n bigint)")
    count = Count()
    session.begin()
    with pytest.raises(StatementError) as caught:
        session.run_each(
            [
                "INSERT INTO t VALUES (nextval('ran'))",
                "INSERT INTO t VALUES (nextval('ran'))",
                "INSERT INTO t VALUES (1 / 0)",
                *["INSERT INTO t VALUES (nextval('ran'))"] * 50,
            ],
            count,
        )
    assert (caught.value.sqlstate, caught.value.retryable, caught.value.lost) == ("22012", False, False)
    assert count.done == 2
    session.rollback()
    # A sequence doesn't go back: it tells what ran.
    assert other.execute("SELECT last_value FROM ran").fetchone() == (2,)
    assert session.execute("SELECT count(*) FROM public.t") == [(0,)]


@pytest.mark.parametrize(
    ("bad", "column", "message"),
    [
        ("CREATE TABLE tags (id int, name nowhere.at_all)", 33, 'schema "nowhere" does not exist'),
        ("CREATE TABLE tags (id int,, name text)", 27, 'syntax error at or near ","'),
        ("INSERT INTO shelves VALUES (1, 'é', wrong)", 37, 'column "wrong" does not exist'),
    ],
)
def test_an_error_amid_many_is_located_in_its_own_file(
    pg_url: str, tmp_path: Path, bad: str, column: int, message: str
) -> None:
    for n in range(30):
        (tmp_path / f"{n:03}_shelf.sql").write_text(f"-- shelf {n}\nCREATE TABLE shelf_{n} (id int);\n")
    (tmp_path / "015_shelf.sql").write_text(
        f"CREATE TABLE shelves (id int, name text, size int);\n\n-- the é comes first\n  {bad};\nCREATE TABLE never ();\n"
    )
    seen: list[events.Event] = []
    with Target.open(pg_url, listen=seen.append) as target:
        with pytest.raises(FailedError) as caught:
            target.apply(tmp_path)
        assert message in caught.value.message
        place = caught.value.location
        assert place is not None
        assert (place.file, place.line, place.column) == (str(tmp_path / "015_shelf.sql"), 4, 2 + column)
        assert f"In changeset 015_shelf: {bad}" in caught.value.hint
        assert target.session.execute("SELECT 1 FROM pg_class WHERE relname LIKE 'shel%'") == []
    done = [e.id for e in seen if isinstance(e, events.ChangesetDone)]
    assert done == [f"{n:03}_shelf" for n in range(15)]


def test_words_of_transactions_do_not_slip_through(session: PostgresSession) -> None:
    for sql in ("COMMIT", "ROLLBACK", "END"):
        count = Count()
        session.begin()
        with pytest.raises(StatementError) as caught:
            session.run_each(["CREATE TABLE a ()", "CREATE TABLE b ()", sql, "CREATE TABLE never ()"], count)
        assert (caught.value.code, count.done) == ("transaction", 2)
        session.rollback()
        session.run_each(["DROP TABLE IF EXISTS a", "DROP TABLE IF EXISTS b"], count)
    assert tables(session) == []


def test_copy_with_the_client_amid_others_is_refused_and_the_session_goes_on(session: PostgresSession) -> None:
    session.begin()
    with pytest.raises(StatementError, match="COPY"):
        session.run_each(["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)", "COPY t TO STDOUT"], Count())
    session.rollback()
    assert tables(session) == []


def test_a_connection_lost_amid_many_is_told_from_a_refusal(session: PostgresSession) -> None:
    count = Count()
    session.begin()
    with pytest.raises(StatementError) as caught:
        session.run_each(
            [
                "CREATE TABLE t (b bool)",
                "INSERT INTO t SELECT pg_terminate_backend(pg_backend_pid())",
                *[f"CREATE TABLE t{n} ()" for n in range(50)],
            ],
            count,
        )
    assert (caught.value.lost, caught.value.code, count.done) == (True, "unreachable", 1)
    session.rollback()


# ---------------------------------------------------------------------- waiting and stopping


def test_a_lock_not_to_be_had_amid_many_is_tried_again(pg_url: str, other: psycopg.Connection, tmp_path: Path) -> None:
    other.execute("CREATE TABLE busy ()")
    for n in range(20):
        (tmp_path / f"{n:03}_t.sql").write_text(f"CREATE TABLE t{n} ();\n")
    (tmp_path / "010_t.sql").write_text("CREATE TABLE before ();\nALTER TABLE busy ADD COLUMN x int;\n")
    seen: list[events.Event] = []
    blocker = psycopg.connect(other.info.dsn)

    def listen(event: events.Event) -> None:
        seen.append(event)
        if isinstance(event, events.Retrying):
            blocker.rollback()

    with Target.open(pg_url, listen=listen, lock_timeout=0.2) as target:
        blocker.execute("LOCK TABLE busy")
        target.apply(tmp_path, ApplyOptions(tag="r1"))
        assert target.status(tmp_path).pending == ()
    blocker.close()
    (retrying,) = [e for e in seen if isinstance(e, events.Retrying)]
    assert "lock timeout" in retrying.reason


def test_a_statement_amid_many_can_be_cancelled(session: PostgresSession) -> None:
    count = Count()
    session.begin()
    threading.Timer(0.3, session.cancel).start()
    with pytest.raises(StatementError) as caught:
        session.run_each(
            ["CREATE TABLE t (v text)", "INSERT INTO t SELECT pg_sleep(30)::text", "CREATE TABLE never ()"], count
        )
    assert (caught.value.code, caught.value.lost, count.done) == ("cancelled", False, 1)
    session.rollback()
    assert tables(session) == []


def test_after_an_interrupt_the_session_can_roll_back(session: PostgresSession) -> None:
    def interrupt() -> None:
        # As the command line does it: Python itself notices nothing while the driver waits.
        os.kill(os.getpid(), signal.SIGINT)
        session.cancel()

    session.begin()
    threading.Timer(0.3, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        session.run_each(
            ["CREATE TABLE t (v text)", "INSERT INTO t SELECT pg_sleep(30)::text", "CREATE TABLE never ()"], Count()
        )
    session.rollback()
    assert tables(session) == []
    session.begin()
    session.run_each(["CREATE TABLE again ()", "DROP TABLE again"], Count())
    session.rollback()


def test_what_runs_is_stopped_when_a_listener_gives_up(session: PostgresSession) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    session.begin()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        session.run_each(["CREATE TABLE t (v text)", "INSERT INTO t SELECT pg_sleep(30)::text"], give_up)
    assert time.monotonic() - began < 20
    session.rollback()
    assert tables(session) == []


# ---------------------------------------------------------------------- as if each ran alone


def test_notices_come_in_order(session: PostgresSession) -> None:
    session.begin()
    session.run_each([f"DROP TABLE IF EXISTS missing_{n}" for n in range(250)], Count())
    session.rollback()
    assert session.notices == [f'NOTICE: table "missing_{n}" does not exist, skipping' for n in range(250)]


def test_each_statement_is_the_current_query_by_itself(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE TABLE log (query text)")
    sqls = [f"INSERT INTO log SELECT current_query() -- {n}" for n in range(5)]
    session.run_each(sqls, Count())
    assert session.execute("SELECT query FROM public.log") == [(sql,) for sql in sqls]
    session.rollback()


def test_settings_made_amid_many_are_in_force_for_the_next(session: PostgresSession) -> None:
    session.begin()
    session.run_each(
        [
            "CREATE SCHEMA app",
            "CREATE TABLE t (v text)",
            "SET search_path = app",
            "SET standard_conforming_strings = off",
            "CREATE TABLE t (v text)",
            r"INSERT INTO t VALUES ('it\'s')",
            "INSERT INTO t SELECT set_config('standard_conforming_strings', 'on', false)",
            r"INSERT INTO t VALUES ('a\b')",
        ],
        Count(),
    )
    assert session.execute("SELECT v FROM app.t") == [("it's",), ("on",), (r"a\b",)]
    session.rollback()


def test_text_keeps_its_letters_when_the_encoding_changes_on_the_way(session: PostgresSession) -> None:
    session.begin()
    session.run_each(
        [
            "CREATE TABLE t (v text)",
            "INSERT INTO t VALUES ('é')",
            "INSERT INTO t SELECT set_config('client_encoding', 'LATIN1', false)",
            "INSERT INTO t VALUES ('ü')",
            "INSERT INTO t VALUES ('ö')",
        ],
        Count(),
    )
    assert session.execute("SELECT v FROM public.t") == [("é",), ("LATIN1",), ("ü",), ("ö",)]
    session.rollback()


def test_rows_that_nobody_asked_for_block_neither_side(session: PostgresSession) -> None:
    session.begin()
    session.run("CREATE TABLE t (v text)")
    filler = "x" * 9000
    count = Count()
    returning = "INSERT INTO t SELECT repeat('y', 1000) FROM generate_series(1, 2000) RETURNING v"
    session.run_each([f"{returning} -- {filler}" for _ in range(50)], count)
    assert count.done == 50
    assert session.execute("SELECT count(*) FROM public.t") == [(100_000,)]
    session.rollback()


def test_outside_a_transaction_each_commits_by_itself(session: PostgresSession) -> None:
    count = Count()
    with pytest.raises(StatementError):
        session.run_each(["CREATE TABLE a ()", "CREATE TABLE b ()", "CREATE TABLE b ()", "CREATE TABLE c ()"], count)
    assert count.done == 2
    assert tables(session) == ["a", "b"]


def test_changesets_begin_and_end_in_order(pg_url: str, tmp_path: Path) -> None:
    (tmp_path / "1_two.sql").write_text("CREATE TABLE a ();\nCREATE TABLE b ();\n")
    (tmp_path / "2_none.sql").write_text("-- nothing to do\n")
    (tmp_path / "3_one.sql").write_text("SELECT 1;\n")
    seen: list[tuple[str, str]] = []

    def listen(event: events.Event) -> None:
        if isinstance(event, (events.ChangesetStarted, events.ChangesetDone)):
            seen.append((type(event).__name__.removeprefix("Changeset"), event.id))

    with Target.open(pg_url, listen=listen) as target:
        target.apply(tmp_path)
    assert seen == [(what, name) for name in ("1_two", "2_none", "3_one") for what in ("Started", "Done")]
