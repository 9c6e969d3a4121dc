"""Foreign keys on SQLite: whether a file wants them enforced, and which rows break them."""

from __future__ import annotations

import sqlite3

from tagback.changelog import Statement, StatementKind
from tagback.engines.sqlite.failures import refusals, statement_error
from tagback.engines.sqlite.lineage import Lineage
from tagback.engines.sqlite.naming import quoted

Violations = dict[tuple[str, int | None, str], tuple[str, str]]  # (table, row, parent) -> names of both
_ON = {"1", "on", "yes", "true"}
_OFF = {"0", "off", "no", "false"}


def read_violations(connection: sqlite3.Connection, lineage: Lineage) -> Violations:
    """Rows that break a foreign key, plus one entry per table whose keys can't be checked at all.

    By what identifies the tables, so that a row that was broken before isn't new because a table is renamed.
    """
    found: Violations = {}
    with refusals("looking for foreign keys"):
        tables = connection.execute(
            r"SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql LIKE '%references%'"
            r" AND name NOT LIKE 'tagback\_%' ESCAPE '\'"
        ).fetchall()
    for (name,) in tables:
        table = str(name)
        try:
            for _, rowid, parent, _ in connection.execute(f"PRAGMA main.foreign_key_check({quoted(table)})"):
                found[lineage.table(table), rowid, lineage.table(parent)] = (table, parent)
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # not the keys are at fault, but the disk, say
                raise statement_error("checking foreign keys", e) from None
            found[lineage.table(table), None, ""] = (table, str(e))
    return found


def foreign_keys_setting(statement: Statement) -> bool | None:
    """What a PRAGMA foreign_keys statement sets; None for anything else."""
    if statement.kind is not StatementKind.PRAGMA:
        return None
    words = [w.strip("'\"").lower() for w in statement.words(8) if w not in (";", "=", "(", ")")]
    words = [w for w in words if w not in (".", "main")]
    if words[:2] == ["pragma", "foreign_keys"] and len(words) > 2:
        if words[2] in _ON:
            return True
        if words[2] in _OFF:
            return False
    return None
