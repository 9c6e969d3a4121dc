"""Fresh databases for every measurement, and a census that tells whether a contender did its work."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from changes import base
from tests.support.folders import fast_place, temporary_folder
from tests.support.postgres import PostgresServer, running_server
from tools.postgres_programs import find

_TOOLS = ("tagback", "alembic_version", "schema_migrations", "django_migrations", "sqlite_")
Census = list[tuple[object, ...]]
BASE = "base"


class Databases(Protocol):
    """One engine's databases."""

    version: str

    def prepare(self, name: str, statements: Sequence[str]) -> None:
        """Makes a database that others are copied from."""

    def fresh(self, name: str = BASE) -> str:
        """The URL of a new database: a copy of a prepared one, by default the one with the base tables."""

    def drop(self, url: str) -> None: ...

    def census(self, url: str) -> Census:
        """Every table, view, index and column, the contenders' own tables left out."""

    def ask(self, url: str, query: str) -> list[tuple[object, ...]]:
        """A query's rows."""


class SqliteDatabases:
    """Files, in memory where there is room, so that the disk isn't what is measured."""

    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.prepare(BASE, base())

    def prepare(self, name: str, statements: Sequence[str]) -> None:
        with contextlib.closing(sqlite3.connect(self._folder / f"{name}.db", isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def fresh(self, name: str = BASE) -> str:
        self._number += 1
        path = self._folder / f"{self._number}.db"
        shutil.copy(self._folder / f"{name}.db", path)
        return f"sqlite:///{path}"

    def drop(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).unlink()

    def census(self, url: str) -> Census:
        found = self.ask(
            url,
            "SELECT type, name FROM sqlite_schema UNION ALL SELECT m.name, c.name"
            " FROM sqlite_schema m JOIN pragma_table_info(m.name) c",
        )
        return _of_the_changes(found)

    def ask(self, url: str, query: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()


class PostgresDatabases:
    """Databases on a private server, copied from a template."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.version = f"PostgreSQL {server.version}"
        self.psql = server.bindir / "psql"
        self.prepare(BASE, base())

    def prepare(self, name: str, statements: Sequence[str]) -> None:
        with self._server.connect(self._server.create_database(name=f"bench_{name}")) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def fresh(self, name: str = BASE) -> str:
        return self._server.url(self._server.create_database(f"bench_{name}"))

    def drop(self, url: str) -> None:
        self._server.drop_database(url.rpartition("/")[2])

    def census(self, url: str) -> Census:
        found = self.ask(
            url,
            "SELECT relkind::text, relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT relname::text, attname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped",
        )
        return _of_the_changes(found)

    def ask(self, url: str, query: str) -> list[tuple[object, ...]]:
        with self._server.connect(url.rpartition("/")[2]) as connection:
            return connection.execute(query.encode()).fetchall()


@contextlib.contextmanager
def databases(engines: list[str]) -> Iterator[dict[str, Databases]]:
    """What is needed for these engines, gone at the end."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Databases] = {}
        if "sqlite" in engines:
            found["sqlite"] = SqliteDatabases(stack.enter_context(temporary_folder(fast_place())))
        if "postgresql" in engines:
            found["postgresql"] = PostgresDatabases(stack.enter_context(running_server(find())))
        yield found


def _of_the_changes(rows: list[tuple[object, ...]]) -> Census:
    named = [r for r in rows if not any(str(name).startswith(_TOOLS) or "autoindex" in str(name) for name in r)]
    return sorted(named, key=str)
