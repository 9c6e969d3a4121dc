"""Where the shop's databases are: made, reached through a proxy, looked at without tagback, and struck."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pymysql

from tests.chaos.proxy import Proxy
from tests.support import mariadb, oracle, postgres
from tests.support.folders import fast_place
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer
from tools import mariadb_programs, postgres_programs


class Host(Protocol):
    """One engine with its databases, by name."""

    engine: str
    has_server: bool

    def create(self, *, turn: int) -> str: ...

    def drop(self, name: str) -> None: ...

    def url(self, name: str) -> str:
        """For the application."""

    def url_to_cut(self, name: str) -> str:
        """For tagback: goes through the proxy."""

    def cut(self) -> None:
        """Resets tagback's connections."""

    def kill_server(self) -> None:
        """As kill -9 or a power failure of the program; then it is started again."""

    def end_sessions(self, name: str) -> None:
        """An administrator ends tagback's sessions at the server."""

    def schema(self, name: str) -> Mapping[str, str]: ...

    def leftovers(self, name: str) -> list[str]:
        """What nobody should find when no run is at work."""


class SqliteHost:
    """Files; every second one has a write-ahead log."""

    engine = "sqlite"
    has_server = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, *, turn: int) -> str:
        path = self._folder / f"{turn}.db"
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA journal_mode = {'wal' if turn % 2 else 'delete'}")
        connection.close()
        return str(path)

    def drop(self, name: str) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)

    def url(self, name: str) -> str:
        return f"sqlite:///{name}"

    def url_to_cut(self, name: str) -> str:
        return self.url(name)

    def cut(self) -> None:
        raise NotImplementedError

    def kill_server(self) -> None:
        raise NotImplementedError

    def end_sessions(self, name: str) -> None:
        raise NotImplementedError

    def schema(self, name: str) -> Mapping[str, str]:
        return oracle.sqlite_state(Path(name)).schema

    def leftovers(self, name: str) -> list[str]:
        connection = sqlite3.connect(name, timeout=5)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            (health,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.rollback()
        except sqlite3.Error as error:
            return [str(error)]
        finally:
            connection.close()
        return [] if health == "ok" else [f"integrity_check: {health}"]


class PostgresHost:
    """A private server."""

    engine = "postgresql"
    has_server = True

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._proxy = Proxy(server.host, server.port)

    def create(self, *, turn: int) -> str:
        return self._server.create_database()

    def drop(self, name: str) -> None:
        self._server.drop_database(name)

    def url(self, name: str) -> str:
        return self._server.url(name)

    def url_to_cut(self, name: str) -> str:
        return self._server.url(name).replace(f":{self._server.port}/", f":{self._proxy.port}/")

    def cut(self) -> None:
        self._proxy.cut()

    def kill_server(self) -> None:
        self._server.stop(signal.SIGKILL)
        self._server.start()

    def end_sessions(self, name: str) -> None:
        with self._server.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND application_name = 'tagback'",
                (name,),
            )

    def schema(self, name: str) -> Mapping[str, str]:
        with self._server.connect(name) as connection:
            return oracle.postgres_state(self._server, name, connection).schema

    def leftovers(self, name: str) -> list[str]:
        with self._server.connect(name) as connection:
            found = connection.execute(
                """
                SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
                UNION ALL SELECT 'lock ' || locktype FROM pg_locks WHERE locktype = 'advisory'
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
                UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'tagback\\_%' AND nspname NOT IN
                    (SELECT 'tagback_' || (kept::json ->> 'place') FROM tagback.shelf
                     WHERE state = 'kept' AND kept::json ->> 'how' = 'moved')
                """
            ).fetchall()
        return [str(text) for (text,) in found]


class MariadbHost:
    """A private server."""

    engine = "mariadb"
    has_server = True

    def __init__(self, server: MariadbServer) -> None:
        self._server = server
        self._proxy = Proxy(server.host, server.port)

    def create(self, *, turn: int) -> str:
        return self._server.create_database()

    def drop(self, name: str) -> None:
        self._server.drop_database(name)

    def url(self, name: str) -> str:
        return self._server.url(name)

    def url_to_cut(self, name: str) -> str:
        return self._server.url(name).replace(f":{self._server.port}/", f":{self._proxy.port}/")

    def cut(self) -> None:
        self._proxy.cut()

    def kill_server(self) -> None:
        self._server.stop(signal.SIGKILL)
        self._server.start()

    def end_sessions(self, name: str) -> None:
        with self._server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, host FROM information_schema.processlist WHERE db = %s", (name,))
            for session, client in cursor.fetchall():
                if int(str(client).rpartition(":")[2] or 0) in self._proxy.ports():  # the host may have a name
                    with contextlib.suppress(pymysql.err.MySQLError):  # it may have ended meanwhile
                        cursor.execute(f"KILL {int(session)}")

    def schema(self, name: str) -> Mapping[str, str]:
        return oracle.mariadb_state(self._server, name).schema

    def leftovers(self, name: str) -> list[str]:
        with self._server.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT json_value(kept, '$.place') FROM tagback_shelf")
            noted = {f"tagback_{place}" for (place,) in cursor.fetchall()}
            cursor.execute("SHOW TABLES LIKE 'tagback\\_shelf\\_%'")
            return [f"table {name}" for (name,) in cursor.fetchall() if name not in noted]


@contextlib.contextmanager
def host(engine: str) -> Iterator[Host]:
    """With a server of its own, which is stopped at the end."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="tagback-chaos-", dir=fast_place()) as folder:
            yield SqliteHost(Path(folder))
    elif engine == "mariadb":
        with mariadb.running_server(mariadb_programs.find()) as maria:
            yield MariadbHost(maria)
    else:
        with postgres.running_server(postgres_programs.find()) as server:
            yield PostgresHost(server)
