"""The catalog's queries are sent before their answers are wanted: nothing is forgotten, mixed up or left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tagback.engines import connect
from tagback.engines.postgres.ahead import Ahead, ask_each
from tagback.engines.postgres.reading import Reading
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.session import StatementError

SCHEMA = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood DEFAULT 'ok', n positive, name text COLLATE "C");
    CREATE TABLE child (t int REFERENCES t DEFERRABLE, twice int GENERATED ALWAYS AS (t * 2) STORED);
    CREATE INDEX odd ON t (lower(name)) WHERE n > 1;
    CREATE VIEW v AS SELECT id, name FROM t;
    CREATE FUNCTION f(mood[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE UNLOGGED TABLE watched () INHERITS (t);
    COMMENT ON COLUMN t.name IS 'a comment';
    GRANT SELECT ON t TO PUBLIC;
"""


@pytest.fixture
def session(pg_url: str) -> Iterator[PostgresSession]:
    session = connect(pg_url)
    assert isinstance(session, PostgresSession)
    yield session
    session.close()


@pytest.fixture
def connection(pg_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url, autocommit=True) as connection:
        yield connection


def test_every_query_without_parameters_is_sent_ahead(
    session: PostgresSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.run(SCHEMA)
    late: list[str] = []
    one_by_one = Reading.rows

    def rows(self: Reading, sql: str, parameters: Any = None) -> list[Any]:
        if parameters is None and self.namespaces and self._ahead is None:
            late.append(sql)
        return one_by_one(self, sql, parameters)

    answered = Ahead.rows

    def ahead(self: Ahead, query: str) -> Any:
        rows = answered(self, query)
        if rows is None:
            late.append(query)
        return rows

    monkeypatch.setattr(Reading, "rows", rows)
    monkeypatch.setattr(Ahead, "rows", ahead)
    session.begin_reading()
    session.read_catalog()
    # These two are asked only where a type's base or collation matters.
    assert [sql for sql in late if "typbasetype" not in sql and "typcollation" not in sql] == []


def test_a_driver_without_pipelines_reads_the_same(session: PostgresSession, monkeypatch: pytest.MonkeyPatch) -> None:
    session.run(SCHEMA)
    session.begin_reading()
    ahead = session.read_catalog()
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    one_by_one = session.read_catalog()
    assert ahead.objects == one_by_one.objects
    assert ahead.dependencies == one_by_one.dependencies
    assert ahead.lineage == one_by_one.lineage


def test_answers_can_be_taken_in_another_order_and_once(connection: psycopg.Connection[Any]) -> None:
    ahead = Ahead(connection, ["SELECT 1", "SELECT 2, 'two'", "SELECT generate_series(1, 3)"])
    assert ahead.rows("SELECT generate_series(1, 3)") == [(1,), (2,), (3,)]
    assert ahead.rows("SELECT 1") == [(1,)]
    assert ahead.rows("SELECT 1") is None
    assert ahead.rows("SELECT 4") is None
    ahead.take_all()
    assert connection.execute("SELECT 5").fetchall() == [(5,)]
    assert ahead.rows("SELECT 2, 'two'") == [(2, "two")]
    ahead.close()


def test_an_error_comes_when_it_is_its_turn_and_the_connection_goes_on(connection: psycopg.Connection[Any]) -> None:
    ahead = Ahead(connection, ["SELECT 1", "SELECT 1 / 0", "SELECT 2"])
    assert ahead.rows("SELECT 1") == [(1,)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        ahead.rows("SELECT 2")
    ahead.close()
    assert connection.execute("SELECT 3").fetchall() == [(3,)]


def test_a_reading_that_fails_leaves_the_transaction_usable(
    session: PostgresSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagback.engines.postgres import reading

    session.begin()
    session.run("CREATE TABLE t ()")
    with monkeypatch.context() as patched:
        patched.setattr(reading, "_GENERAL", ("SELECT 1 / 0", *reading._GENERAL))
        with pytest.raises(StatementError) as caught:
            session.read_catalog()
        assert caught.value.sqlstate == "22012"
    assert any(i.name == ("public", "t") for i in session.read_catalog().objects)
    session.rollback()


@pytest.mark.parametrize("pipelines", [True, False])
def test_many_queries_are_answered_each_by_itself(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, pipelines: bool
) -> None:
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: pipelines)
    assert ask_each(connection, [f"SELECT {n}, '%'" for n in range(2000)]) == [[(n, "%")] for n in range(2000)]
    assert ask_each(connection, []) == []
    with pytest.raises(psycopg.errors.DivisionByZero):
        ask_each(connection, ["SELECT 1", "SELECT 1 / 0", "SELECT 2"])
    assert ask_each(connection, ["SELECT 1", "SELECT 1 WHERE false"]) == [[(1,)], []]
