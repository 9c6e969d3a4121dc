"""Which rows keep a constraint, a unique index, a NOT NULL or a type from coming back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tagback.catalog import SchemaObject
from tagback.changelog import Dialect, tokens
from tagback.engines.postgres.kinds.constraint import Constraint
from tagback.engines.postgres.kinds.index import Index
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.kinds.types import Domain, Enum
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
        if wanted.kind == "x":
            return _excluded(wanted.definition, source)
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


USERS = """
SELECT n.nspname, c.relname, a.attname, a.atttypid = t.typarray
FROM pg_type t JOIN pg_attribute a ON a.atttypid IN (t.oid, nullif(t.typarray, 0)) AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.oid = to_regtype({type}) ORDER BY 1, 2, a.attnum"""
"""The columns of a type, and whether they are arrays of it."""


def of_type(wanted: Enum | Domain, users: Sequence[tuple[object, ...]]) -> tuple[str, str]:
    """The same for values of a type in the columns that `USERS` gives."""
    counts, first = [], []
    for schema, table, column, is_array in users:
        source, name = f"ONLY {qualified(str(schema), str(table))}", ident(str(column))
        if is_array:
            element = "text" if isinstance(wanted, Enum) else wanted.base
            condition = f"EXISTS (SELECT FROM unnest({name}::{element}[]) x WHERE {_refused(wanted, 'x')})"
        else:
            condition = _refused(wanted, name)
        told = literal(f"{schema}.{table}: {column}=")
        counts.append(f"SELECT count(*) AS n FROM {source} WHERE {condition}")
        first.append(
            f"SELECT DISTINCT {told} || coalesce({name}::text, 'NULL') AS told FROM {source} WHERE {condition}"
        )
    return (
        f"SELECT coalesce(sum(n), 0) FROM ({' UNION ALL '.join(counts)}) q",
        f"SELECT told FROM ({' UNION ALL '.join(first)}) q ORDER BY 1 LIMIT {FIRST}",
    )


def _refused(wanted: Enum | Domain, value: str) -> str:
    """Whether the type wouldn't take this value."""
    if isinstance(wanted, Enum):
        return f"{value}::text NOT IN ({', '.join(map(literal, wanted.labels)) or 'NULL'})"
    base = f"({value}::{wanted.base})"
    conditions = [f"{value} IS NULL"] if wanted.not_null else []
    for check in wanted.checks:
        condition = check.definition[len("CHECK ") :].removesuffix(" NOT VALID")
        words = tokens(condition, Dialect.POSTGRES)
        conditions.append(f"NOT ({''.join(base if t.text.upper() == 'VALUE' else t.text for t in words)})")
    return " OR ".join(conditions) or "false"


_MOST_EXCLUDED = 5000
"""Rows; of more it would take long to compare each with each."""


def _excluded(definition: str, source: str) -> tuple[str, str] | None:
    """`EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (…)`. The count is NULL where it would take long."""
    body = definition.partition("(")[2]
    inside, depth, end = [""], 0, 0
    for t in tokens(body, Dialect.POSTGRES):
        depth += {"(": 1, ")": -1}.get(t.text, 0)
        end += len(t.text)
        if depth < 0:
            break
        if t.text == "," and not depth:
            inside.append("")
        else:
            inside[-1] += t.text
    rest = re.search(r"\bWHERE (\(.*\))", body[end:], re.S)
    elements = [e.rpartition(" WITH ") for e in inside]
    # What stands behind the column is the operator class, its options or a collation.
    plain = [re.fullmatch(r'\s*("(?:[^"]|"")*"|\w+|\(.*\)|\w+\(.*\))', e[0], re.S) for e in elements]
    if not all(plain):
        return None
    names = ", ".join(f"{p[1]} AS e{n}" for n, p in enumerate(plain) if p)
    rows = f"(SELECT tableoid AS t, ctid AS c, {names} FROM {source}{f' WHERE {rest[1]}' if rest else ''})"
    both = " AND ".join(f"a.e{n} {operator} b.e{n}" for n, (_, _, operator) in enumerate(elements))
    meets = f"EXISTS (SELECT FROM {rows} b WHERE (a.t, a.c) <> (b.t, b.c) AND {both})"
    few = f"(SELECT count(*) FROM {source}) <= {_MOST_EXCLUDED}"
    told = " || ', ' || ".join(f"coalesce(a.e{n}::text, 'NULL')" for n in range(len(elements)))
    return (
        f"SELECT CASE WHEN {few} THEN (SELECT count(*) FROM {rows} a WHERE {meets}) END",
        f"SELECT DISTINCT {told} FROM {rows} a WHERE {few} AND {meets} ORDER BY 1 LIMIT {FIRST}",
    )


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
