"""A role that lacks a right is told which, and how it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.errors import TagbackError
from tests.support.postgres import PostgresServer


@pytest.fixture
def admin(pg_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def weak(postgres_server: PostgresServer, admin: psycopg.Connection) -> Iterator[str]:
    """A role that may nothing but connect."""
    role = f"weak_{admin.info.dbname}"
    admin.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
    yield role
    admin.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"'.encode())


@pytest.fixture
def weak_url(postgres_server: PostgresServer, admin: psycopg.Connection, weak: str) -> str:
    return postgres_server.url(admin.info.dbname, weak)


def failure(url: str, folder: Path, sql: str) -> TagbackError:
    """Deploys one more file, which must not work."""
    number = len(list(folder.glob("*.sql"))) + 1
    file = folder / f"{number:03}_x.sql"
    file.write_text(sql)
    with tagback.open(url) as target, pytest.raises(TagbackError) as caught:
        target.apply(folder)
    file.unlink()
    assert (caught.value.exit_code, caught.value.code) == (1, "permission")
    return caught.value


def test_who_may_not_make_the_ledger_is_told_before_anything(weak_url: str, weak: str, tmp_path: Path) -> None:
    error = failure(weak_url, tmp_path, "SELECT 1;")
    assert error.message.startswith(f"The role {weak} may not make the schema tagback")
    assert f'TO "{weak}"' in error.hint
    assert f'CREATE SCHEMA tagback AUTHORIZATION "{weak}"' in error.hint
    assert "Nothing was touched" in error.hint


@pytest.mark.parametrize(
    "right", ["GRANT CREATE ON DATABASE {database} TO {role}", "CREATE SCHEMA tagback AUTHORIZATION {role}"]
)
def test_what_the_hint_says_is_enough(
    weak_url: str, weak: str, admin: psycopg.Connection, tmp_path: Path, right: str
) -> None:
    admin.execute(right.format(database=f'"{admin.info.dbname}"', role=f'"{weak}"').encode())
    (tmp_path / "001_a.sql").write_text("SELECT 1;")
    with tagback.open(weak_url) as target:
        assert target.apply(tmp_path).changesets == ("001_a",)


def test_who_may_not_use_the_ledger_is_told_what_would_help(
    pg_url: str, weak_url: str, weak: str, tmp_path: Path
) -> None:
    (tmp_path / "001_a.sql").write_text("SELECT 1;")
    with tagback.open(pg_url) as target:
        target.apply(tmp_path)
    error = failure(weak_url, tmp_path, "SELECT 2;")
    assert "schema tagback" in error.message
    assert f'another role\'s: deploy with that role, or make "{weak}" a member of it' in error.hint


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("ALTER TABLE t ADD c int;", 'Only the owner of "t" may do that: deploy with that role'),
        ("CREATE TABLE app.u (a int);", 'GRANT USAGE, CREATE ON SCHEMA "app" TO'),
        ("CREATE SCHEMA other;", "GRANT CREATE ON DATABASE"),
        ("DELETE FROM t;", "the rows of \"t\" are read and written, with its owner's rights"),
        ("SELECT nextval('s');", 'GRANT USAGE, SELECT, UPDATE ON SEQUENCE "s" TO'),
        ("SELECT f();", 'GRANT EXECUTE ON FUNCTION "f" TO'),
        ("CREATE TABLE u (d d);", 'GRANT USAGE ON TYPE "d" TO'),
        ("ALTER SCHEMA tagback OWNER TO postgres;", 'GRANT "postgres" TO'),
    ],
)  # fmt: skip
def test_a_changeset_that_lacks_a_right_is_told_how_it_is_given(
    weak_url: str, weak: str, admin: psycopg.Connection, tmp_path: Path, sql: str, hint: str
) -> None:
    admin.execute(
        f"""CREATE SCHEMA tagback AUTHORIZATION "{weak}"; GRANT CREATE ON SCHEMA public TO "{weak}";
        CREATE SCHEMA app; CREATE TABLE t (a int); CREATE SEQUENCE s;
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f() FROM PUBLIC;
        CREATE DOMAIN d AS int; REVOKE ALL ON TYPE d FROM PUBLIC;""".encode()
    )
    error = failure(weak_url, tmp_path, sql)
    assert hint in error.hint
    assert f'"{weak}"' in error.hint
