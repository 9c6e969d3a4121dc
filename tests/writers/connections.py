"""The application's own connections, the same on each engine, and what can become of its statements."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
from pymysql.constants import ER

Row = tuple[object, ...]


class NoColumn(Exception):
    """The statement names a column or a table that isn't there at the moment."""


class Refused(Exception):
    """The database refused a statement or the commit: nothing of the transaction is acknowledged."""


class Lost(Exception):
    """The connection is gone. Whether what was asked last was done is not known."""


class Connection(Protocol):
    """One connection of the application's own. Placeholders are `?`. NoColumn, Refused or Lost where it says no."""

    def begin(self, *, snapshot: bool = False) -> None:
        """`snapshot`: everything in the transaction sees the state that its first statement saw."""

    def run(self, sql: str, values: Sequence[object] = ()) -> tuple[int, Row | None]:
        """The number of rows that were written, and the first one that was read."""

    def all(self, sql: str) -> list[Row]:
        """Every row that the query finds."""

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class PostgresConnection:
    """See Connection."""

    def __init__(self, url: str) -> None:
        try:
            self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as e:
            raise Lost(str(e)) from e

    def begin(self, *, snapshot: bool = False) -> None:
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if snapshot else "BEGIN")

    def run(self, sql: str, values: Sequence[object] = ()) -> tuple[int, Row | None]:
        with self._told():
            cursor = self._connection.execute(sql.replace("?", "%s").encode(), values)
            return cursor.rowcount, cursor.fetchone() if cursor.description else None

    def all(self, sql: str) -> list[Row]:
        with self._told():
            return self._connection.execute(sql.encode()).fetchall()

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        self.run("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as e:
            raise NoColumn from e
        except psycopg.OperationalError as e:  # locks, deadlocks, serialisation; or the server has ended it
            if self._connection.closed or self._connection.broken or e.sqlstate is None:
                raise Lost(str(e)) from e
            raise Refused(e.sqlstate) from e


class SqliteConnection:
    """See Connection."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(
            url.removeprefix("sqlite:///"), isolation_level=None, timeout=60, check_same_thread=False
        )

    def begin(self, *, snapshot: bool = False) -> None:
        self.run("BEGIN" if snapshot else "BEGIN IMMEDIATE")

    def run(self, sql: str, values: Sequence[object] = ()) -> tuple[int, Row | None]:
        with self._told():
            cursor = self._connection.execute(sql, values)
            return cursor.rowcount, cursor.fetchone() if cursor.description else None

    def all(self, sql: str) -> list[Row]:
        with self._told():
            return self._connection.execute(sql).fetchall()

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            if any(said in str(e) for said in ("no such column", "no column named", "no such table")):
                raise NoColumn from e
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise Refused(e.sqlite_errorname) from e


class MariadbConnection:
    """See Connection."""

    _WAITED = (ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.TABLE_DEF_CHANGED, ER.CHECKREAD)

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        try:
            self._connection = pymysql.connect(
                host=place.hostname or "",
                port=place.port or 0,
                user=unquote(place.username or ""),
                password=unquote(place.password or ""),
                database=unquote(place.path[1:]),
                autocommit=True,
                charset="utf8mb4",
            )
        except pymysql.err.OperationalError as e:
            raise Lost(str(e)) from e

    def begin(self, *, snapshot: bool = False) -> None:
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT" if snapshot else "START TRANSACTION")

    def run(self, sql: str, values: Sequence[object] = ()) -> tuple[int, Row | None]:
        with self._told(), self._connection.cursor() as cursor:
            written = cursor.execute(sql.replace("?", "%s"), values)
            return written, cursor.fetchone() if cursor.description else None

    def all(self, sql: str) -> list[Row]:
        with self._told(), self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        self.run("ROLLBACK")

    def close(self) -> None:
        with contextlib.suppress(pymysql.err.Error):  # the server may have ended it
            self._connection.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except pymysql.err.MySQLError as e:
            number = e.args[0] if e.args else 0
            if number in (ER.BAD_FIELD_ERROR, ER.NO_SUCH_TABLE):
                raise NoColumn from e
            if number in self._WAITED:
                raise Refused(str(number)) from e
            if isinstance(e, pymysql.err.InterfaceError) or number >= 2000 or number in (0, ER.SERVER_SHUTDOWN, 1927):
                raise Lost(str(e)) from e
            raise


def connect(url: str) -> Connection:
    """A connection of the application's own. Lost if there is no server."""
    if url.startswith("sqlite"):
        return SqliteConnection(url)
    return MariadbConnection(url) if url.startswith(("mariadb", "mysql")) else PostgresConnection(url)
