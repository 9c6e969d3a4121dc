"""What a deployment destroys without touching a table's rows itself: at commit, in enums, in large objects."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.errors import RefusedError
from tests.support import client


def deploy(url: str, folder: Path, setup: str, *files: str, granular: bool = False) -> tagback.Applied:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(setup)
    for n, sql in enumerate(files, 1):
        (folder / f"{n:03}_x.sql").write_text(sql)
    with tagback.open(url) as target:
        return target.apply(folder, tagback.ApplyOptions(granular=granular))


def back(url: str) -> None:
    with tagback.open(url) as target:
        assert target.rollback(tagback.RollbackOptions(count=1)).verified


ERASING_AT_COMMIT = """
    CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
    CREATE TABLE log (x int); INSERT INTO log VALUES (7);
    CREATE FUNCTION erase() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM log; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION erase();
"""


def test_what_a_deferred_trigger_destroys_at_commit_comes_back(pg_url: str, tmp_path: Path) -> None:
    applied = deploy(pg_url, tmp_path, ERASING_AT_COMMIT, "UPDATE t SET id = id;")
    assert [(s.table, s.rows) for s in applied.shelved] == [("public.log", 1)]
    assert client.rows(pg_url, "SELECT * FROM log") == []
    back(pg_url)
    assert client.rows(pg_url, "SELECT * FROM log") == [(7,)]


def test_constraints_are_deferred_again_in_the_next_granular_changeset(pg_url: str, tmp_path: Path) -> None:
    setup = """CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE c (p int CONSTRAINT "Late one" REFERENCES p DEFERRABLE INITIALLY DEFERRED);"""
    again = "INSERT INTO c VALUES ({n}); INSERT INTO p VALUES ({n}); DELETE FROM c; DELETE FROM p;"
    files = (again.format(n=1), again.format(n=2))
    assert deploy(pg_url, tmp_path, setup, *files, granular=True).changesets == ("001_x", "002_x")


def test_enum_values_that_swapped_names_swap_back(pg_url: str, tmp_path: Path) -> None:
    setup = "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (id int, x e); INSERT INTO t VALUES (1, 'a'), (2, 'b');"
    swap = """ALTER TYPE e RENAME VALUE 'a' TO 'c'; ALTER TYPE e RENAME VALUE 'b' TO 'a';
        ALTER TYPE e RENAME VALUE 'c' TO 'b';"""
    deploy(pg_url, tmp_path, setup, swap)
    assert client.rows(pg_url, "SELECT id, x::text FROM t") == [(1, "b"), (2, "a")]
    back(pg_url)
    assert client.rows(pg_url, "SELECT id, x::text FROM t") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "sql", ["SELECT lo_unlink(4242);", "DO $$ BEGIN PERFORM lo_put(4242, 0, 'J'); END $$;", "SELECT lo_create(0);"]
)
def test_writes_to_large_objects_are_told(pg_url: str, tmp_path: Path, sql: str) -> None:
    with pytest.raises(RefusedError, match="large objects pg_largeobject"):
        deploy(pg_url, tmp_path, "SELECT lo_from_bytea(4242, 'Hello')", sql)
