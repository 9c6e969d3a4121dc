"""Names in SQLite: quoted, compared without case, and those that are tagback's own."""

from __future__ import annotations

import re

OWN_PREFIX = "tagback_"


def quoted(name: str) -> str:
    """The name as an identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """The form in which SQLite compares names: ASCII letters in lower case, others as they are."""
    if name.isascii():
        return name.lower()
    return "".join(c.lower() if c.isascii() else c for c in name)


def is_own(name: str) -> bool:
    """Whether the name belongs to tagback itself."""
    return folded(name).startswith(OWN_PREFIX)


_FORBIDDEN = (
    (re.compile(r"\s*pragma\b.*\bwritable_schema\b", re.I | re.S), "writing to the schema table can destroy the file"),
    (
        re.compile(r".*\bsavepoint\b\W*tagback_|.*\b(?:rollback|release)\b.*\btagback_", re.I | re.S),
        "the name is tagback's",
    ),
    (re.compile(r"\s*alter\b.*\brename\s+to\b\W*tagback_", re.I | re.S), "the name is tagback's"),
)


def forbidden(sql: str) -> str:
    """Why a changeset may not run this statement; empty if it may."""
    if "tagback_" not in sql.lower() and "writable_schema" not in sql.lower():
        return ""
    first = sql.split(None, 1)[0].lower()
    if first not in ("pragma", "savepoint", "rollback", "release", "alter"):
        return ""
    return next((why for pattern, why in _FORBIDDEN if pattern.match(sql)), "")


def ledger_names(sql: str) -> str:
    """The statement with the names of the ledger's tables, which it has as `{deployment}`."""
    return re.sub(r"\{(\w+)\}", r"tagback_\1", sql)
