"""Rows of MariaDB tables: what is touched, as far as it shows, and how many a step would take away."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from tagback.catalog import Catalog, Loss, LossKind, ObjectId
from tagback.engines.mariadb.copies import stored
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import ident
from tagback.engines.mariadb.words import Words, exactly
from tagback.errors import FailedError, counted

Ask = Callable[..., list[tuple[Any, ...]]]
_THERE, _BACK = "tagback_there", "tagback_back"


def changed_tables(before: Catalog, after: Catalog, names: dict[ObjectId, ObjectId]) -> set[ObjectId]:
    """Tables of the start that are gone, or lost or retyped a column."""
    found = set()
    for i, was in before.objects.items():
        if not isinstance(was, Table):
            continue
        now = after.objects.get(names.get(i, i))
        if not isinstance(now, Table):
            found.add(i)
            continue
        types = {c.name.lower(): c.stored_type for c in now.columns if not c.generated}
        for c in was.columns:
            column = ObjectId("column", (i.name[0], c.name))
            name = names.get(column, column).name[1].lower()
            if not c.generated and types.get(name) != c.stored_type:
                found.add(i)
    return found


def count_lost(ask: Ask, loss: Loss, leaving: str = "") -> int:
    """See Session.count_each. `leaving`: what holds for rows `t` of the table whose values go before the step."""
    table = ident(loss.table.name[0])
    if loss.kind is LossKind.TABLE:
        return _count(ask, table)
    column = ident(loss.column)
    if loss.kind is LossKind.COLUMN:
        constant = loss.default and "(" not in loss.default
        harmless = f"{column} <=> {loss.default}" if constant else "1 = 0" if loss.default else f"{column} IS NULL"
        return _count(ask, f"{table} WHERE NOT ({harmless})")
    # The value goes to the other type and back, beside itself; IGNORE cuts what doesn't fit, as the comparison finds.
    for name, type_ in ((_THERE, loss.type_after), (_BACK, loss.type_before)):
        ask(f"DROP TEMPORARY TABLE IF EXISTS {name}")
        ask(f"CREATE TEMPORARY TABLE {name} (original {loss.type_before} NULL, v {type_} NULL) ENGINE=InnoDB")
    stay = f" AND NOT {leaving}" if leaving else ""
    ask(f"INSERT IGNORE INTO {_THERE} SELECT {column}, {column} FROM {table} t WHERE {column} IS NOT NULL{stay}")
    ask(f"INSERT IGNORE INTO {_BACK} SELECT original, v FROM {_THERE}")
    lost = _count(ask, f"{_BACK} WHERE NOT (CAST(original AS BINARY) <=> CAST(v AS BINARY))")
    for name in (_THERE, _BACK):
        ask(f"DROP TEMPORARY TABLE {name}")
    return lost


def check_foreign_keys(ask: Ask, catalog: Catalog, tables: Set[ObjectId]) -> None:
    """FailedError where a row of these tables, or one that refers to them, refers to nothing."""
    for key in catalog.objects.values():
        if not isinstance(key, ForeignKey) or key.schema or key.dangling or tables.isdisjoint(key.acts_on_rows_of):
            continue
        together = " AND ".join(
            f"p.{ident(b)} = c.{ident(a)}" for a, b in zip(key.columns, key.parent_columns, strict=True)
        )
        told = " AND ".join(f"c.{ident(a)} IS NOT NULL" for a in key.columns)
        child, parent = ident(key.id.name[0]), ident(key.parent)
        lost = _count(ask, f"{child} c WHERE {told} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {together})")
        if lost:
            raise FailedError(
                f"What a rollback took away doesn't fit any more: {counted(lost, 'row')} would break {key.id}.",
                code="constraint",
                hint="`tagback shelf purge` drops what a rollback kept; then the changesets run as if for the first time.",
            )


def rough_rows(ask: Ask, table: ObjectId) -> int | None:
    """See Session.rough_rows."""
    found = ask(
        "SELECT table_rows FROM information_schema.tables WHERE table_schema = database() AND table_name = %s",
        (table.name[0],),
    )
    return int(found[0][0]) if found and found[0][0] is not None else None


def _count(ask: Ask, source: str) -> int:
    return int(ask(f"SELECT count(*) FROM {source}")[0][0])


def digest(ask: Ask, table: Table, rows: str) -> str:
    """What stands for the table's columns and for all rows in `rows`. A sum is the same in whatever order they come."""
    types = {c.name: c.type for c in table.columns}
    names = sorted(stored(table))
    row = Words().digest([exactly(types[n], ident(n)) for n in names])
    halves = [
        f"coalesce(sum(CAST(CONV({half}, 16, 10) AS DECIMAL(30, 0))), 0)" for half in ("LEFT(w, 16)", "RIGHT(w, 16)")
    ]
    ((count, left, right),) = ask(f"SELECT count(*), {', '.join(halves)} FROM (SELECT {row} AS w FROM {rows}) told")
    return f"{','.join(names)} {count} {left} {right}"
