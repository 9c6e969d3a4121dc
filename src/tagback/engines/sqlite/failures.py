"""What SQLite and its driver report, as tagback's errors."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tagback.engines.session import StatementError
from tagback.errors import UnreachableError

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NEAR = re.compile(r'near "(.*)": syntax error', re.S)


@contextlib.contextmanager
def refusals(sql: str) -> Iterator[None]:
    """Turns the driver's errors into StatementError."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as e:
        raise statement_error(sql, e) from None


def statement_error(sql: str, e: sqlite3.Error | sqlite3.Warning) -> StatementError:
    """The refusal of a statement."""
    message = str(e)
    code = getattr(e, "sqlite_errorcode", 0)
    name = getattr(e, "sqlite_errorname", "")
    near = _NEAR.search(message)
    position = sql.find(near[1]) if near else -1
    kind = "statement"
    if code & 0xFF == sqlite3.SQLITE_AUTH:
        message = "names that begin with tagback_ are tagback's own; a changeset can't make or change what has one"
    elif near or "incomplete input" in message:
        kind = "syntax"
    elif code & 0xFF in (
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
    ):  # the latter: no integer for INTEGER PRIMARY KEY
        kind = "constraint"
    elif code & 0xFF in BUSY:
        kind = "lock_timeout"
    elif code & 0xFF == sqlite3.SQLITE_FULL:
        kind = "disk_full"
    elif code & 0xFF == sqlite3.SQLITE_INTERRUPT:
        kind = "interrupted"
    return StatementError(
        message,
        code=kind,
        sqlstate=name,
        position=position if position >= 0 else None,
        retryable=code & 0xFF in BUSY,
        statement=sql,
    )


def unreachable(path: Path, e: sqlite3.Error) -> UnreachableError:
    """Why the file can't be opened."""
    if getattr(e, "sqlite_errorcode", 0) & 0xFF in BUSY:
        return UnreachableError(f"{path} is locked by another process.", code="lock_timeout", hint="Try again later.")
    if not os.access(path, os.R_OK):
        return UnreachableError(f"{path} can't be read: permission denied.")
    return UnreachableError(f"{path} can't be opened: {e}.", hint="Is it an SQLite database, and not encrypted?")
