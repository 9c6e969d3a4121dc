"""Renames on the way back that meet views, triggers or indexes which are in the way.

SQLite refuses to rename a table or column while any view or trigger of the schema can't be resolved, and a table to the
name of a view or an index. The schema to return to says which of them there are to be and how they read, so whichever
is in the way goes first: what is wanted is created again from its recorded text.
"""

from __future__ import annotations

import sqlite3

from tagback.engines.sqlite.naming import folded, quoted

_NAMES = "SELECT type, name FROM main.sqlite_schema WHERE type IN ('view', 'trigger', 'index') AND sql IS NOT NULL"
_TAKEN = "there is already another table or index with this name: "


def rename_past_broken(connection: sqlite3.Connection, sql: str) -> None:
    """Runs ALTER TABLE … RENAME, dropping whatever holds no data and SQLite names as the reason why it can't."""
    while True:
        try:
            connection.execute(sql)
        except sqlite3.OperationalError as e:
            broken = _broken(connection, str(e))
            if broken is None:
                raise
            connection.execute(broken)
        else:
            return


def _broken(connection: sqlite3.Connection, message: str) -> str | None:
    """The DROP for the object in a message such as `error in view v after rename: no such column: a`."""
    found = [
        (len(name), f"DROP {kind.upper()} main.{quoted(name)}")
        for kind, name in connection.execute(_NAMES).fetchall()
        if message.startswith((f"error in {kind} {name}:", f"error in {kind} {name} after "))
        or (kind != "trigger" and folded(message) == folded(f"{_TAKEN}{name}"))
    ]
    return max(found)[1] if found else None
