"""The statements that take rows out of a table and put rows in, as a merge has decided; and what finds a row again."""

from __future__ import annotations

from collections.abc import Sequence

from tagback.catalog import Action, Restoration, Step
from tagback.engines.merging import Side
from tagback.engines.session import KeptRows
from tagback.engines.sqlite.naming import quoted
from tagback.engines.sqlite.objects import LOCK, Table, literal
from tagback.errors import RefusedError


def restoration(k: KeptRows, then: Table, now: Table | None, today: Side | None, decision: str) -> Restoration:
    table, source = quoted(k.table.name[0]), f"temp.{decision}"
    out = [] if now is None else [Step(_deletion(now, f"{source} WHERE moves = 1"), k.table, Action.DELETE, LOCK)]
    columns, values = [quoted(c) for c in k.names], [f"f{n}" for n in range(len(k.columns))]
    which = "moves = 1 AND stays = 1"
    into = []
    along = {quoted(c): f"x{n}" for n, c in enumerate(today.staying)} if today is not None else {}
    if now is not None and then.rowid_name and not then.has_integer_key and not now.without_rowid:
        along[then.rowid_name] = "a0"  # rows that are only changed keep their number
    if along:
        known = f"{source} WHERE {which} AND a0 IS NOT NULL"
        into.append(_insertion(table, [*along, *columns], [*along.values(), *values], known))
        which += " AND a0 IS NULL"
    into.append(_insertion(table, columns, values, f"{source} WHERE {which}"))
    if then.autoincrement:
        name = literal(k.table.name[0])
        for last in k.positions.values():
            there = f"SELECT 1 FROM sqlite_sequence WHERE name = {name}"
            into.append(f"INSERT INTO sqlite_sequence (name, seq) SELECT {name}, {last} WHERE NOT EXISTS ({there})")
            into.append(f"UPDATE sqlite_sequence SET seq = {last} WHERE name = {name} AND seq < {last}")
    return Restoration(tuple(out), tuple(Step(sql, k.table, Action.INSERT, LOCK) for sql in into))


def correction(k: KeptRows, now: Table, decision: str) -> Restoration:
    """The same where no row may go that only changes."""
    table, source = quoted(now.name), f"temp.{decision}"
    columns, values = [quoted(c) for c in k.names], [f"f{n}" for n in range(len(k.columns))]
    address = row_address(now)
    given = ", ".join(f"{c} = decided.{v}" for c, v in zip(columns, values, strict=True))
    same = " AND ".join(f"was.{c} = decided.a{n}" for n, c in enumerate(address))
    update = (
        f"UPDATE OR ABORT {table} AS was SET {given} FROM {source} AS decided WHERE moves = 1 AND stays = 1 AND {same}"
    )
    insertion = _insertion(table, columns, values, f"{source} WHERE moves = 1 AND stays = 1 AND a0 IS NULL")
    out = _deletion(now, f"{source} WHERE moves = 1 AND stays = 0")
    return Restoration(
        (Step(out, k.table, Action.DELETE, LOCK),),
        tuple(Step(sql, k.table, Action.INSERT, LOCK) for sql in (update, insertion)),
    )


def row_address(table: Table) -> list[str]:
    """What finds a row again. RefusedError where there is nothing."""
    address = [table.rowid_name] if table.rowid_name else [quoted(c) for c in key_of(table) if never_null(table)]
    if not address:
        raise RefusedError(
            f"The rows of {table.id} can't be told apart: its columns have all names of the row's number"
            " (rowid, oid, _rowid_), and it has no key.",
            code="no_row_address",
            hint="Rename one of these columns, or give the table a key. Nothing was touched.",
        )
    return address


def _deletion(now: Table, chosen: str) -> str:
    return f"DELETE FROM {quoted(now.name)} WHERE {among(now, chosen)}"


def among(now: Table, chosen: str) -> str:
    """Whether a row is one of those."""
    address = row_address(now)
    numbers = ", ".join(f"a{n}" for n in range(len(address)))
    return f"({', '.join(address)}) IN (SELECT {numbers} FROM {chosen} AND a0 IS NOT NULL)"


def _insertion(table: str, columns: Sequence[str], values: Sequence[str], source: str) -> str:
    # OR ABORT: the table's own conflict clauses (REPLACE, IGNORE) would drop rows in silence.
    return f"INSERT OR ABORT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source}"


def key_of(table: Table) -> tuple[str, ...]:
    """The primary key's columns, in its order."""
    return tuple(c.name for c in sorted((c for c in table.columns if c.key), key=lambda c: c.key))


def never_null(table: Table) -> bool:
    """Whether no column of the key can be NULL."""
    return (
        table.has_integer_key or table.without_rowid or table.strict or all(c.not_null for c in table.columns if c.key)
    )
