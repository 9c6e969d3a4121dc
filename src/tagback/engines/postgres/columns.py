"""A column, and the forms in which its values are kept and compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tagback.engines.postgres.sqltext import ident, literal
from tagback.engines.session import KeptColumn, StatementError


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the server has it.

    `type` is its name as SQL, with modifiers; `core`: every server has it. `default` is what rows get that are there
    when the column is added, as SQL: the column's, else its domain's; `identity` columns get numbers.
    """

    name: str
    type: str
    core: bool
    collated: bool
    generated: bool
    identity: bool
    default: str
    made_collation: bool = False  # not one that every server has


def as_kept(column: KeptColumn) -> Column:
    """The column that the shelf remembers."""
    return Column(column.name, column.type, column.plain, column.collated, False, column.numbered, column.default)


def kept_form(column: Column, value: str = "") -> str:
    """A value in the form of the copy: as it is, without a collation of the user's, or as text."""
    value = value or ident(column.name)
    return exact(value) if not column.core else in_c(value, column)


def as_it_lies(column: Column) -> str:
    """A value for a copy: as it lies there if nothing that may be dropped is in its type or its collation."""
    return kept_form(column) if not column.core or column.made_collation else ident(column.name)


def in_c(value: str, column: Column) -> str:
    return f'{value} COLLATE pg_catalog."C"' if column.collated or not column.core else value


def exact(value: str) -> str:
    """The exact text of a value: a cast to text can be a function of its own and say something else (bool, char(n))."""
    # IS NOT NULL would be false for a row value with a NULL in it.
    # Under a collation of the user's, equal is not the same, and what is made of it would hang on that collation.
    return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {value}) COLLATE pg_catalog.\"C\" END"


def is_there(column: str) -> str:
    return f"{ident(column)} IS DISTINCT FROM NULL"


def is_about_data(error: StatementError) -> bool:
    """Whether values or types are the reason, and not a lock, the server or a privilege."""
    return not (error.lost or error.retryable or error.sqlstate[:2] in ("53", "54", "55", "57", "58", "XX")) and (
        error.sqlstate != "42501"
    )


_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_MODIFIERS = r"(?:\(\s*-?\d+(?:\s*,\s*-?\d+)*\s*\))?"
_TYPE = rf"{_NAME}(?:\.{_NAME}|\s+\w+)*{_MODIFIERS}(?:\s+\w+)*(?:\[\])*"
_CONSTANT = re.compile(
    rf"\s*(?P<value>E?'(?:[^'\\]|''|\\.)*'|[-+]?[\d.]+(?:[eE][-+]?\d+)?|\([-+]?[\d.]+\)|true|false|NULL|ARRAY\[\])(?:\s*::\s*{_TYPE})*\s*\Z",
    re.IGNORECASE,
)
_MOVING = re.compile(r"\s*'\s*(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)


def is_constant(default: str) -> bool:
    """Whether a default's SQL text is a plain constant, perhaps cast: the same value whenever it is evaluated."""
    return bool(_CONSTANT.match(default)) and not _MOVING.match(default)


def constant_text(default: str) -> str:
    """The text of a plain constant, as SQL, without the types that it is cast to: they may be gone. As it is written."""
    found = _CONSTANT.match(default)
    if found is None:
        raise ValueError(f"{default} is no plain constant")
    value = found["value"]
    if value[0] not in "'Ee" and value.upper() != "NULL":
        value = literal("{}" if value.upper().startswith("ARRAY") else value.strip("()"))
    return f"CAST({value} AS text)"
