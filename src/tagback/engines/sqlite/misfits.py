"""Which rows keep a constraint, a unique index or a NOT NULL from coming back."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from tagback.catalog import SchemaObject
from tagback.engines.sqlite.naming import OWN_PREFIX, folded, quoted
from tagback.engines.sqlite.objects import Index, Table

FIRST = 5
"""Keys that are told."""

_PLAIN_COLUMNS = re.compile(r"[^(]*\((\s*[\w\"]+(?:\s*,\s*[\w\"]+)*\s*)\)\s*\Z")
_FAILED = re.compile(r"(NOT NULL|UNIQUE) constraint failed: (.+)", re.S)


def misfits(connection: sqlite3.Connection, wanted: SchemaObject, message: str) -> tuple[int, list[str]] | None:
    """How many rows don't fit and the first of them in words; None where the engine's message doesn't say enough.

    Without a message a unique index of plain columns is asked by its text, and a table for rows that lack a value.
    """
    if not message and isinstance(wanted, Index) and (plain := _PLAIN_COLUMNS.match(wanted.sql)):
        message = "UNIQUE constraint failed: " + ", ".join(c.strip().strip('"') for c in plain[1].split(","))
    if not message and isinstance(wanted, Table):
        return _lacking(connection, wanted.name, [c.name for c in wanted.columns if c.not_null])
    found = _FAILED.search(message)
    if found is None or not isinstance(wanted, Index | Table):
        return None
    # A table is copied from what it was called while the new one is made; rows may also be put into it as it is.
    name = wanted.table if isinstance(wanted, Index) else f"{OWN_PREFIX}old_{wanted.name}"
    if isinstance(wanted, Table) and not connection.execute(f"PRAGMA main.table_info({quoted(name)})").fetchall():
        name = wanted.name
    columns = [part.rpartition(".")[2] for part in found[2].split(", ")]
    if found[1] == "NOT NULL":
        return _lacking(connection, name, columns, otherwise="true")
    there = [r[1] for r in connection.execute(f"PRAGMA main.table_info({quoted(name)})")]
    present = [c for c in columns if folded(c) in {folded(t) for t in there}]
    source = f"main.{quoted(name)}"
    if not present or len(present) < len(columns):
        return None
    names = ", ".join(quoted(c) for c in present)
    filled = " AND ".join(f"{quoted(c)} IS NOT NULL" for c in present)
    groups = f"SELECT {names}, count(*) AS n FROM {source} WHERE {filled} GROUP BY {names} HAVING count(*) > 1"
    told = " || ', ' || ".join(f"'{c.replace(chr(39), chr(39) * 2)}=' || {quoted(c)}" for c in present)
    (count,) = connection.execute(f"SELECT coalesce(sum(n), 0) FROM ({groups})").fetchone()
    rows = connection.execute(f"SELECT {told} || ' (' || n || ' rows)' FROM ({groups}) ORDER BY 1 LIMIT {FIRST}")
    return count, [str(r[0]) for r in rows]


def _lacking(
    connection: sqlite3.Connection, name: str, columns: Sequence[str], otherwise: str = "false"
) -> tuple[int, list[str]]:
    """Rows with NULL in one of the columns that are there; if none is, `otherwise` says which."""
    info = connection.execute(f"PRAGMA main.table_info({quoted(name)})").fetchall()
    there, key = {folded(r[1]) for r in info}, [r[1] for r in info if r[5]] or ["rowid"]
    condition = " OR ".join(f"{quoted(c)} IS NULL" for c in columns if folded(c) in there) or otherwise
    told = " || ', ' || ".join(f"'{k.replace(chr(39), chr(39) * 2)}=' || {_name(k)}" for k in key)
    query = f"FROM main.{quoted(name)} WHERE {condition}"
    (count,) = connection.execute(f"SELECT count(*) {query}").fetchone()
    return count, [str(r[0]) for r in connection.execute(f"SELECT {told} {query} ORDER BY 1 LIMIT {FIRST}")]


def _name(column: str) -> str:
    return column if column == "rowid" else quoted(column)
