"""Which rows keep a constraint, a unique index or a NOT NULL from coming back."""

from __future__ import annotations

import re

from tagback.catalog import SchemaObject
from tagback.engines.postgres.kinds.constraint import Constraint
from tagback.engines.postgres.kinds.index import Index
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.sqltext import ident, literal, qualified

FIRST = 5
"""Keys that are told."""

_NULLS = re.compile(r'column "(?P<column>(?:[^"]|"")*)" of relation')


def misfits(
    wanted: SchemaObject, message: str, source: str, key: tuple[str, ...], columns: frozenset[str]
) -> tuple[str, str] | None:
    """Queries for how many rows don't fit, and for the first of them in words; None where that can't be told.

    `message` is the server's; without one a table is asked for rows that lack a value. `source` is the table in FROM,
    `key` and `columns` are those of the table as it is while the object is being made.
    """
    if isinstance(wanted, Constraint):
        if wanted.kind in "pu":
            return _duplicates(source, wanted.columns, nulls=wanted.kind == "p")
        if wanted.kind == "f" and wanted.references is not None:
            return _orphans(wanted, source)
        if wanted.kind == "c" and wanted.definition.upper().startswith("CHECK "):
            condition = re.sub(r"\s+NO INHERIT\Z|\s+NOT VALID\Z", "", wanted.definition[len("CHECK ") :])
            return _rows(source, f"NOT ({condition})", key)
        return None
    if isinstance(wanted, Index) and wanted.unique and wanted.keys:
        # As SQL with the order: what stands before it is the column, in quotes.
        names = [re.match(r'"(?:[^"]|"")*"|\w+', k) for k in wanted.keys]
        if all(names):
            plain = tuple(n[0].strip('"').replace('""', '"') for n in names if n)
            return _duplicates(source, plain, nulls=False)
    if isinstance(wanted, Table) and not message:
        nulls = [f"{ident(c.name)} IS NULL" for c in wanted.columns if c.not_null and c.name in columns]
        return _rows(source, " OR ".join(nulls), key) if nulls else None
    if isinstance(wanted, Table):
        found = _NULLS.search(message)
        if found:
            name = found["column"].replace('""', '"')
            condition = f"{ident(name)} IS NULL" if name in columns else "true"
            return _rows(source, condition, key)
    return None


def _duplicates(source: str, columns: tuple[str, ...], *, nulls: bool) -> tuple[str, str]:
    names = ", ".join(ident(c) for c in columns)
    filled = " AND ".join(f"{ident(c)} IS NOT NULL" for c in columns)
    groups = f"SELECT {names}, count(*) AS n FROM {source}{'' if nulls else f' WHERE {filled}'} GROUP BY {names}"
    groups += " HAVING count(*) > 1" + (f" OR NOT bool_and({filled})" if nulls else "")
    told = " || ', ' || ".join(f"{literal(c + '=')} || coalesce({ident(c)}::text, 'NULL')" for c in columns)
    return (
        f"SELECT coalesce(sum(n), 0) FROM ({groups}) g",
        f"SELECT {told} || ' (' || n || ' rows)' FROM ({groups}) g ORDER BY 1 LIMIT {FIRST}",
    )


def _orphans(wanted: Constraint, source: str) -> tuple[str, str]:
    assert wanted.references is not None
    pairs = zip(wanted.columns, wanted.referenced, strict=True)
    there = " AND ".join(f"p.{ident(b)} = c.{ident(a)}" for a, b in pairs)
    filled = " AND ".join(f"c.{ident(a)} IS NOT NULL" for a in wanted.columns)
    condition = f"{filled} AND NOT EXISTS (SELECT FROM {qualified(*wanted.references)} p WHERE {there})"
    told = " || ', ' || ".join(f"{literal(a + '=')} || c.{ident(a)}::text" for a in wanted.columns)
    return (
        f"SELECT count(*) FROM {source} c WHERE {condition}",
        f"SELECT DISTINCT {told} FROM {source} c WHERE {condition} ORDER BY 1 LIMIT {FIRST}",
    )


def _rows(source: str, condition: str, key: tuple[str, ...]) -> tuple[str, str]:
    told = " || ', ' || ".join(f"{literal(k + '=')} || {ident(k)}::text" for k in key) or "'a row without a key'"
    return (
        f"SELECT count(*) FROM {source} WHERE {condition}",
        f"SELECT {told} FROM {source} WHERE {condition} ORDER BY 1 LIMIT {FIRST}",
    )
