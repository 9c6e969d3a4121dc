"""Databases to be hurt: made empty, copied as they are, looked at without tagback, thrown away."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psycopg

from tests.support import oracle
from tests.support.postgres import PostgresServer

Ledger = tuple[tuple[str, tuple[str, ...]], ...]


class Ground(Protocol):
    """One engine's databases, by name."""

    @property
    def engine(self) -> str: ...

    def url(self, name: str) -> str: ...

    def empty(self) -> str:
        """A new database."""

    def copy(self, name: str) -> str:
        """A database with the same content, nobody connected to either."""

    def drop(self, name: str) -> None: ...

    def look(self, name: str) -> tuple[oracle.State, Ledger]:
        """Schema and rows as the engine's own tools tell them, and every row of tagback's own tables."""

    def mark(self, name: str) -> str:
        """Changes with everything that is committed, to whatever table or catalog; empty where that can't be told."""

    def settle(self, name: str) -> None:
        """Waits until the server has noticed that a client is dead."""

    def leftovers(self, name: str) -> list[str]:
        """What nobody should find when all runs are over: open sessions, locks, temporary things, damage."""


class SqliteGround:
    """Files in one folder."""

    engine = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count(1)

    def url(self, name: str) -> str:
        return f"sqlite:///{self._path(name)}"

    def empty(self) -> str:
        return f"f{next(self._names)}"

    def copy(self, name: str) -> str:
        new = self.empty()
        for suffix in ("", "-journal", "-wal"):  # what a killed run left belongs to the content
            source = Path(f"{self._path(name)}{suffix}")
            if source.exists():
                shutil.copyfile(source, f"{self._path(new)}{suffix}")
        return new

    def drop(self, name: str) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self._path(name)}{suffix}").unlink(missing_ok=True)

    def look(self, name: str) -> tuple[oracle.State, Ledger]:
        connection = sqlite3.connect(self._path(name))
        try:
            connection.execute("BEGIN")
            state = oracle.sqlite_state_within(connection)
            tables = connection.execute(
                r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'tagback\_%' ESCAPE '\' ORDER BY 1"
            ).fetchall()
            ledger = ((t, _texts(connection.execute(f"SELECT * FROM {oracle.quoted(t)}"))) for (t,) in tables)
            return state, tuple(ledger)
        finally:
            connection.close()

    def mark(self, name: str) -> str:
        """Copies of files are cheap: each is looked at in full."""
        return ""

    def settle(self, name: str) -> None:
        """A dead process holds no locks on files."""

    def leftovers(self, name: str) -> list[str]:
        connection = sqlite3.connect(self._path(name), timeout=0)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            (health,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.rollback()
        except sqlite3.Error as error:
            return [str(error)]
        finally:
            connection.close()
        found = [] if health == "ok" else [f"integrity_check: {health}"]
        return found + [f"{p.name} is left" for p in (Path(f"{self._path(name)}-journal"),) if p.exists()]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.db"


class PostgresGround:
    """Databases of a private server."""

    engine = "postgresql"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._names = itertools.count(1)
        self._administrator = server.connect()
        self._watcher: tuple[str, psycopg.Connection, bytes] | None = None  # of which database, and what it asks

    def url(self, name: str) -> str:
        return self._server.url(name)

    def empty(self) -> str:
        return self._server.create_database(name=f"f{os.getpid()}_{next(self._names)}")

    def close(self) -> None:
        """Ends its connections."""
        self._leave()
        self._administrator.close()

    def copy(self, name: str) -> str:
        self._leave()
        self.settle(name)
        return self._server.create_database(name, f"f{os.getpid()}_{next(self._names)}")

    def drop(self, name: str) -> None:
        self._leave()
        self._server.drop_database(name)

    def look(self, name: str) -> tuple[oracle.State, Ledger]:
        with self._server.connect(name) as connection:
            state = oracle.postgres_state(self._server, name, connection)
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
                " (SELECT oid FROM pg_namespace WHERE nspname = 'tagback') ORDER BY 1"
            ).fetchall()
            rows = ((t, f"SELECT * FROM tagback.{oracle.quoted(t)}".encode()) for (t,) in tables)
            return state, tuple((t, _texts(connection.execute(query))) for t, query in rows)

    def mark(self, name: str) -> str:
        """Address and transaction of every visible row of every table, the system's own included."""
        if self._watcher is None or self._watcher[0] != name:
            self._leave()
            connection = self._server.connect(name)
            tables = connection.execute(
                "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE relkind IN ('r', 'm', 't') AND NOT relisshared AND relpersistence <> 't' ORDER BY 1"
            ).fetchall()
            asked = " UNION ALL ".join(
                f"SELECT {n}, count(*), sum(hashtext(ctid::text || ' ' || xmin)::bigint) FROM ONLY {t}"
                for n, (t,) in enumerate(tables)
            )
            self._watcher = (name, connection, asked.encode())
        try:
            return str(self._watcher[1].execute(self._watcher[2]).fetchall())
        except psycopg.errors.UndefinedTable:
            return "a table is gone"

    def settle(self, name: str) -> None:
        deadline = time.monotonic() + 20
        while self._others(name):
            assert time.monotonic() < deadline, f"sessions are left: {self._others(name)}"
            time.sleep(0.01)

    def leftovers(self, name: str) -> list[str]:
        self.settle(name)
        with contextlib.ExitStack() as stack:
            watching = self._watcher is not None and self._watcher[0] == name
            connection = (
                self._watcher[1] if watching and self._watcher else stack.enter_context(self._server.connect(name))
            )
            found = connection.execute(
                """
                SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
                UNION ALL SELECT 'lock ' || locktype FROM pg_locks WHERE locktype = 'advisory'
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
                UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
                UNION ALL SELECT 'schema ' || nspname FROM pg_namespace
                    WHERE nspname LIKE 'tagback%' AND nspname <> 'tagback'
                """
            ).fetchall()
        return [str(text) for (text,) in found]

    def _others(self, name: str) -> Sequence[object]:
        watcher = self._watcher[1].info.backend_pid if self._watcher else 0
        return self._administrator.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE datname = %s AND pid <> %s", (name, watcher)
        ).fetchall()

    def _leave(self) -> None:
        """Nobody can copy or drop a database while somebody watches it."""
        if self._watcher is not None:
            self._watcher[1].close()
            self._watcher = None


def _texts(rows: object) -> tuple[str, ...]:
    return tuple(sorted(map(repr, rows)))  # type: ignore[call-overload]
