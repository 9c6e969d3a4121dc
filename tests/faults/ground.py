"""Databases to be hurt: made empty, copied as they are, looked at without tagback, thrown away."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tagback.engines.postgres.sqltext import OWN_SCHEMAS
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

    def moment(self) -> int:
        """Now, as `untouched_since` needs it."""

    def untouched_since(self, moment: int) -> bool:
        """Whether nothing at all was committed since; False where that can't be told. Nobody is connected any more."""

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

    def moment(self) -> int:
        """Copies of files are cheap: each is looked at in full."""
        return 0

    def untouched_since(self, moment: int) -> bool:
        return False

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

    def url(self, name: str) -> str:
        return self._server.url(name)

    def empty(self) -> str:
        return self._server.create_database(name=f"f{os.getpid()}_{next(self._names)}")

    def close(self) -> None:
        """Ends its connections."""
        self._administrator.close()

    def copy(self, name: str) -> str:
        self.settle(name)
        return self._server.create_database(name, f"f{os.getpid()}_{next(self._names)}")

    def drop(self, name: str) -> None:
        self._server.drop_database(name)

    def look(self, name: str) -> tuple[oracle.State, Ledger]:
        with self._server.connect(name) as connection:
            state = oracle.postgres_state(self._server, name, connection)
            tables = connection.execute(
                "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                f" WHERE relkind = 'r' AND nspname ~ '{OWN_SCHEMAS}' ORDER BY 1".encode()
            ).fetchall()
            rows = ((t, f"SELECT * FROM {t}".encode()) for (t,) in tables)
            return state, tuple((t, _texts(connection.execute(query))) for t, query in rows)

    def moment(self) -> int:
        """The number of the server's next transaction."""
        return self._asked("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")

    def untouched_since(self, moment: int) -> bool:
        """Every transaction since then that wrote anything, to whatever table or catalog, was given up."""
        committed = f"""
            SELECT count(*) FROM generate_series({moment}, {self.moment()} - 1) number
            WHERE pg_xact_status(number::text::xid8) IS DISTINCT FROM 'aborted'"""
        return self._asked(committed) == 0

    def settle(self, name: str) -> None:
        deadline = time.monotonic() + 20
        while self._others(name):
            assert time.monotonic() < deadline, f"sessions are left: {self._others(name)}"
            time.sleep(0.01)

    def leftovers(self, name: str) -> list[str]:
        self.settle(name)
        with self._server.connect(name) as connection:
            found = connection.execute(
                """
                SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
                UNION ALL SELECT 'lock ' || locktype FROM pg_locks WHERE locktype = 'advisory'
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
                UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
                """
            ).fetchall()
            schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_%'").fetchall()
            moved = (
                connection.execute(
                    "SELECT 'tagback_' || (kept::json ->> 'place') FROM tagback.shelf"
                    " WHERE state = 'kept' AND kept::json ->> 'how' = 'moved'"
                ).fetchall()
                if schemas
                else []
            )
        found += [(f"schema {name}",) for (name,) in set(schemas) - set(moved)]
        return [str(text) for (text,) in found]

    def _others(self, name: str) -> Sequence[object]:
        return self._administrator.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE datname = %s", (name,)
        ).fetchall()

    def _asked(self, query: str) -> int:
        row = self._administrator.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


def _texts(rows: object) -> tuple[str, ...]:
    return tuple(sorted(map(repr, rows)))  # type: ignore[call-overload]
