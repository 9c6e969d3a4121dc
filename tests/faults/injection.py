"""Where and how a run is hurt: at the n-th call of its session, or at the n-th statement that goes to the database.

A run is a child process. It counts its calls and statements, and at the chosen one something happens to it.
"""

from __future__ import annotations

import enum
import os
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

import psycopg

from tagback.catalog import Step
from tagback.engines.session import Session, StatementError

_T = TypeVar("_T")


class Place(enum.StrEnum):
    """What is counted."""

    CALL = "calls"  # of the session, by the use-cases
    STATEMENT = "statements"  # as the driver sends them
    MOMENT = "moments"  # spread evenly over the time that the run takes
    PAGE = "pages"  # by which the file may grow


class How(enum.Enum):
    """What happens there: the name for the table, and what is counted."""

    REFUSED = ("error instead of a call", Place.CALL)
    FAILED = ("error after a call", Place.CALL)
    BUSY = ("lock not to be had, once", Place.CALL)
    EXCEPTION = ("KeyboardInterrupt after a call", Place.CALL)
    SIGNALLED = ("Ctrl-C at a statement", Place.STATEMENT)
    DISK = ("I/O error at a statement", Place.STATEMENT)
    FULL = ("disk full", Place.PAGE)
    # Killed after one statement is killed before the next.
    KILLED = ("kill -9 before a statement", Place.STATEMENT)
    KILLED_DURING = ("kill -9, statement on its way", Place.STATEMENT)
    KILLED_SOMETIME = ("kill -9 at any moment", Place.MOMENT)
    KILLED_TWICE = ("kill -9, and again in recover", Place.STATEMENT)
    TERMINATED = ("server process ended before a statement", Place.STATEMENT)
    CUT = ("connection cut, answer lost", Place.STATEMENT)

    def __init__(self, title: str, place: Place) -> None:
        self.title = title
        self.place = place


SQLITE = (
    How.REFUSED,
    How.FAILED,
    How.BUSY,
    How.EXCEPTION,
    How.SIGNALLED,
    How.DISK,
    How.FULL,
    How.KILLED,
    How.KILLED_SOMETIME,
)
POSTGRES = (
    How.REFUSED,
    How.FAILED,
    How.BUSY,
    How.EXCEPTION,
    How.SIGNALLED,
    How.TERMINATED,
    How.CUT,
    How.KILLED,
    How.KILLED_DURING,
    How.KILLED_SOMETIME,
)
JOURNALED = (*POSTGRES, How.KILLED_TWICE)
KILLS = frozenset({How.KILLED, How.KILLED_DURING, How.KILLED_SOMETIME, How.KILLED_TWICE})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that happens, at the `at`-th place, from 1."""

    how: How
    at: int


@dataclass(slots=True)
class Counts:
    """How far the run has come. `reading`: what is sent now reads the catalog, and doesn't count once more."""

    calls: int = 0
    statements: int = 0
    reading: bool = False
    struck: bool = False


CALLS = frozenset(
    {
        "lock",
        "begin",
        "begin_reading",
        "commit",
        "rollback",
        "savepoint",
        "rollback_to_savepoint",
        "release_savepoint",
        "run",
        "settle",
        "execute",
        "execute_many",
        "ledger_exists",
        "ledger_obstacle",
        "read_catalog",
        "read_anew",
        "keep_start",
        "keeps_late",
        "keep_late",
        "forget_start",
        "watch",
        "touched",
        "short",
        "shelve",
        "merge",
        "hold",
        "set_aside",
        "misfits",
        "drop_shelf",
        "count_each",
        "digests",
        "ask_within",
        "spared",
        "rough_rows",
        "movable",
        "ways_home",
        "begin_stage",
        "sweep",
    }
)
"""Methods of a session that speak to the database and may fail; `run_each` and `run_steps` are counted one by one."""

QUIET = frozenset(
    {
        "close",
        "cancel",
        "unlock",
        "prepare",
        "decode",
        "rename",
        "limit_shelf",
        "renamed_by",
        "reached",
        "meant",
        "doubts",
    }
)
"""Those that don't speak to it, or never fail; the statements that they send are counted like all others."""

ERRORS = {"sqlite": "SELECT abs(-9223372036854775807 - 1)", "postgresql": "SELECT 1/0"}


class HurtSession:
    """A session that counts its calls, and at the chosen one fails. Everything is done by the real one."""

    def __init__(self, real: Session, fault: Fault | None, counts: Counts) -> None:
        self._real = real
        self._fault = fault if fault and fault.how.place is Place.CALL else None
        self._counts = counts

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._real, name)
        if name not in CALLS:
            return attribute

        def counted(*arguments: object, **named: object) -> object:
            return self._one(lambda: self._reading(name, lambda: attribute(*arguments, **named)))

        return counted

    def run_each(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        if self._fault is None:
            # The driver may be hurt instead, while several are on their way.
            self._counts.calls += len(sqls)
            self._real.run_each(sqls, done)
            return
        for sql in sqls:
            self._one(lambda sql=sql: self._real.run_each([sql], done))  # type: ignore[misc]

    def run_steps(self, steps: Sequence[Step], done: Callable[[Step, float], None]) -> None:
        for step in steps:
            self._one(lambda step=step: self._real.run_steps([step], done))  # type: ignore[misc]

    def _one(self, call: Callable[[], object]) -> object:
        self._counts.calls += 1
        if self._fault is None or self._counts.calls != self._fault.at:
            return call()
        match self._fault.how:
            case How.REFUSED:
                self._be_refused()
            case How.BUSY:
                raise StatementError("lock timeout", code="lock_timeout", retryable=True)
        result = call()
        if self._fault.how is How.FAILED:
            self._be_refused()
        if self._fault.how is How.EXCEPTION:
            raise KeyboardInterrupt
        return result

    def _reading(self, name: str, call: Callable[[], object]) -> object:
        """Reading the catalog is dozens of statements that change nothing: the first stands for all of them."""
        if name != "read_catalog":
            return call()
        self._counts.statements += 1
        self._counts.reading = True
        try:
            return call()
        finally:
            self._counts.reading = False

    def _be_refused(self) -> NoReturn:
        """A real error of the real server, with all that it does to the transaction."""
        self._real.execute(ERRORS[self._real.engine])
        raise AssertionError("the statement should have failed")


def hurt(session: Session, fault: Fault | None, counts: Counts) -> Session:
    """The session that fails at its n-th call, if that is what the fault is."""
    return cast(Session, HurtSession(session, fault, counts))


# ---------------------------------------------------------------------- at the driver


def hurt_drivers(fault: Fault | None, counts: Counts) -> None:
    """From here on every statement of this process is counted and may be struck. There is no way back: for children."""
    _hurt_sqlite(fault, counts)
    _hurt_postgres(fault, counts)


def _strikes(fault: Fault | None, counts: Counts) -> How | None:
    if not counts.reading:
        counts.statements += 1
    if fault is None or fault.how.place is not Place.STATEMENT or counts.struck or counts.statements != fault.at:
        return None
    counts.struck = True
    if fault.how is How.SIGNALLED:
        os.kill(os.getpid(), signal.SIGINT)
        return None
    return fault.how


def die() -> NoReturn:
    """Ends this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")


def _hurt_sqlite(fault: Fault | None, counts: Counts) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            return self._one(lambda: sqlite3.Connection.execute(self, *arguments))

        def executemany(self, *arguments: Any) -> sqlite3.Cursor:
            return self._one(lambda: sqlite3.Connection.executemany(self, *arguments))

        def rollback(self) -> None:
            self._one(lambda: sqlite3.Connection.rollback(self))

        def _one(self, statement: Callable[[], _T]) -> _T:
            how = _strikes(fault, counts)
            if how is How.KILLED:
                die()
            if how is How.DISK:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                error.sqlite_errorname = "SQLITE_IOERR"
                raise error
            return statement()

    opened = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = opened(*arguments, **named, factory=Connection)
        if fault and fault.how is How.FULL:
            # The file's owner has no more space than so many pages above what the file has now.
            (pages,) = sqlite3.Connection.execute(connection, "PRAGMA page_count").fetchone()
            sqlite3.Connection.execute(connection, f"PRAGMA max_page_count = {max(1, pages + fault.at - 1)}")
        return connection

    sqlite3.connect = connect  # type: ignore[assignment]


def _hurt_postgres(fault: Fault | None, counts: Counts) -> None:
    waiting = psycopg.Connection.wait

    def wait(connection: Any, generator: Any, *arguments: Any, **named: Any) -> Any:
        # Entering a pipeline sends nothing.
        how = None if generator.__name__ == "_enter_gen" else _strikes(fault, counts)
        if how is How.KILLED:
            die()
        if how in (How.KILLED_DURING, How.KILLED_TWICE):
            try:
                _send(generator)
            finally:  # where the answer, an error, is here already
                die()
        if how is How.TERMINATED:
            _terminate(connection)
        result = waiting(connection, generator, *arguments, **named)
        if how is How.CUT:
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
                wire.shutdown(socket.SHUT_RDWR)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return result

    psycopg.Connection.wait = wait  # type: ignore[method-assign,assignment]


def _send(generator: Iterator[Any]) -> None:
    """Has the statement sent without waiting for the answer: the generator then wants to read."""
    try:
        next(generator)
        generator.send(psycopg.waiting.Ready.RW)  # type: ignore[attr-defined]
    except StopIteration:
        return


def _terminate(connection: Any) -> None:
    """As an administrator does, over another connection, and waits until the process is gone."""
    parameters = connection.info.get_parameters()
    process = connection.info.backend_pid
    other = psycopg.pq.PGconn.connect(
        " ".join(f"{k}={v}" for k, v in parameters.items() if k in ("host", "port", "user", "dbname")).encode()
    )
    other.exec_(f"SELECT pg_terminate_backend({process}, 5000)".encode())
    other.finish()
