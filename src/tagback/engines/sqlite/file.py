"""The file of an SQLite database: opened, and known again by its inode.

It is never removed. Several first runs may meet at a file that isn't there yet, and a file that is unlinked while another
process has it open loses what is written to it; the journal of its successor, which has the same name, would even be
taken for its own.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tagback.engines.sqlite.failures import BUSY, unreachable
from tagback.engines.url import Url
from tagback.errors import UnreachableError, UsageError

PATIENCE = 5.0  # seconds to wait for another writer, where nothing else is said
_ATTEMPTS = 100
_MODES = ("ro", "rw", "rwc")
_Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A connection to a file. `mode` is SQLite's."""

    path: Path
    mode: str
    connection: sqlite3.Connection
    identity: _Identity

    @property
    def read_only(self) -> bool:
        """Whether the URL said so."""
        return self.mode == "ro"

    def is_there(self) -> bool:
        """Whether the path still leads to the file that is open; what is written to any other is lost."""
        return _identity(self.path) == self.identity

    def close(self) -> None:
        """Ends the connection. A file that was made for nothing stays, empty: another process may have it open by now."""
        self.connection.close()


def open_file(url: Url, *, create: bool) -> DatabaseFile:
    """Opens the file, or makes it. UsageError for a URL that says something else than a file."""
    mode = _mode(url, create=create)
    path = Path(url.database)
    if "\0" in url.database:
        raise UsageError("The sqlite URL has a NUL character in the file's name.")
    for _ in range(_ATTEMPTS):
        before = _identity(path)
        if before is None:
            _refuse_missing(url, path, mode)
        connection = _connection(path, mode)
        # Only what was there before and after is surely what was opened in between.
        if before is not None and _identity(path) == before:
            return DatabaseFile(path, mode, connection, before)
        connection.close()
    raise UnreachableError(f"{path} is being replaced all the time.", hint="Try again later.")


def uri(path: Path, mode: str) -> str:
    """The path as SQLite takes it, whatever characters are in it."""
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


def _mode(url: Url, *, create: bool) -> str:
    mode = "rwc" if create else "rw"
    for name, value in url.options:
        if name != "mode":
            raise UsageError(
                f"The sqlite URL has a parameter that tagback doesn't know: {name}.",
                hint=f"Possible is ?mode= with one of {', '.join(_MODES)}. A ? in the file's name is written %3F.",
            )
        if value not in _MODES:
            raise UsageError(f"The sqlite URL says mode={value}.", hint=f"Possible are {', '.join(_MODES)}.")
        if value != "rwc":
            mode = value
    return mode


def _refuse_missing(url: Url, path: Path, mode: str) -> None:
    """Lets pass what can be made."""
    if url.undecoded and os.path.exists(url.undecoded):
        raise UsageError(
            f"The URL names {path}, which does not exist, though {url.undecoded} does.",
            hint="In a URL % begins an encoded character: a % of the file's name is written %25.",
        )
    parent = path.parent
    if not parent.is_dir():
        if parent.exists():
            raise UnreachableError(f"{parent} is not a folder.")
        path = parent
    elif mode == "rwc":
        return
    raise UnreachableError(f"{path} does not exist.", hint="The path in the URL is relative to the current folder.")


def _identity(path: Path) -> _Identity | None:
    """What tells the file from any other; None when there is none. UnreachableError for what can't be a database."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        hint = ""
        if e.errno == errno.ELOOP:
            hint = "Symbolic links lead in a circle there: `readlink` shows where each points."
        elif e.errno == errno.ENAMETOOLONG:
            hint = "Most systems allow 255 bytes for each name in a path."
        raise UnreachableError(f"{path} can't be opened: {e.strerror}.", hint=hint) from None
    if stat.S_ISDIR(found.st_mode):
        raise UnreachableError(f"{path} is a folder, not a database file.")
    if not stat.S_ISREG(found.st_mode):
        raise UnreachableError(
            f"{path} is not a regular file.", hint="A device, pipe or socket can't hold a database. Name a file."
        )
    return found.st_dev, found.st_ino


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            uri(path, mode),
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=PATIENCE,
            cached_statements=0,
        )
    except sqlite3.Error as e:
        raise unreachable(path, e) from None
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        _make_sure_of_the_file(connection)
    except sqlite3.Error as e:
        connection.close()
        raise unreachable(path, e) from None
    return connection


def _make_sure_of_the_file(connection: sqlite3.Connection) -> None:
    """Reads it once. While a large transaction keeps even readers out, that is left to those who know how long to wait."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode & 0xFF not in BUSY:
            raise
    connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
