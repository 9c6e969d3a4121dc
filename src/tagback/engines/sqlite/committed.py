"""The state that was committed last, read beside the open transaction: in WAL mode that is the start, for nothing.

The file is attached once more under a name of tagback's. That makes a pager of its own, which doesn't see what this
connection has written but not committed; and as this connection has the write lock, nobody else commits meanwhile. It is
there only once the user's statements are done: with it, a name that is gone from `main` would be found here. Once
something was read, it can be detached only after the transaction. Tried on SQLite 3.40.1; decisions/0009 has what was found.
"""

from __future__ import annotations

import contextlib
import sqlite3

from tagback.engines.sqlite.file import DatabaseFile, uri

SCHEMA = "tagback_start"


class Committed:
    """The committed state beside one connection."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._connection = file.connection
        self._attached = False
        self._refused = False  # in this transaction, and it will be again

    def can_be_read(self) -> bool:
        """Whether it is worth trying. In the other journal modes a reader would keep the commit from its lock."""
        mode = self._connection.execute("PRAGMA main.journal_mode").fetchone()[0]
        return mode == "wal" and not self._refused

    def attach(self) -> bool:
        """Makes it readable as `SCHEMA`; False where that can't be had."""
        if not self._attached and self.can_be_read():
            self._attached = self._attach()
            self._refused = not self._attached
        return self._attached

    def _attach(self) -> bool:
        """Whether it could be done: not under an exclusive lock, not when the path leads to another file by now."""
        try:
            self._connection.execute(f"ATTACH ? AS {SCHEMA}", (uri(self._file.path, "ro"),))
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise
            return False
        if self._file.is_there():
            return True
        self._connection.execute(f"DETACH {SCHEMA}")
        return False

    def leave(self) -> None:
        """After the transaction. What was committed stands, whatever happens here; `begin` makes sure."""
        with contextlib.suppress(sqlite3.Error):
            self.detach()

    def detach(self) -> None:
        """Takes it away again, outside a transaction."""
        if self._attached:
            self._connection.execute(f"DETACH {SCHEMA}")
            self._attached = False
        self._refused = False
