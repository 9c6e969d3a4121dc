"""Storage options of tables, and of the TOAST tables beside them."""

from __future__ import annotations

from collections.abc import Iterable

from tagback.engines.postgres.sqltext import literal

_LONG = ("text", "character varying", "bytea", "json", "jsonb", "xml", "numeric")


def toasted(address: str, options: Iterable[str], types: Iterable[str]) -> list[str]:
    """Statements that give a new table those of a TOAST table which is there for columns that are gone by now."""
    given = ", ".join(option(f"toast.{o}") for o in options)
    if not given or any(t in _LONG or t.endswith("[]") for t in types):
        return []
    clauses = ("ADD COLUMN tagback_long text", f"SET ({given})", "DROP COLUMN tagback_long")
    return [f"ALTER TABLE ONLY {address} {clause}" for clause in clauses]


def changed_options(before: tuple[str, ...], after: tuple[str, ...], prefix: str = "") -> list[str]:
    """All of them anew: the server appends, and dumps show the order."""
    if before == after:
        return []
    reset = [f"RESET ({', '.join(prefix + o.partition('=')[0] for o in before)})"] if before else []
    return reset + ([f"SET ({', '.join(option(prefix + o) for o in after)})"] if after else [])


def option(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name}={literal(value)}"
