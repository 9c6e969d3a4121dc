"""A table's columns as the shelf keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagback.catalog import ObjectId
from tagback.engines.mariadb.kinds.base import column_id
from tagback.engines.mariadb.kinds.column import Column
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.words import is_text
from tagback.engines.session import KeptColumn

_WIDE = 255  # characters of a text that counts in full for the size of a row


def stored_columns(table: Table) -> list[Column]:
    """Those that have values of their own."""
    return [c for c in table.columns if not c.generated]


def kept_columns(table: Table) -> tuple[KeptColumn, ...]:
    """The same as the ledger has them."""
    return tuple(KeptColumn(c.name, c.stored_type, c.default or "", numbered=c.numbered) for c in stored_columns(table))


def key_columns(table: Table) -> list[Column]:
    """Of the primary key, if that is of stored columns."""
    found = {c.name: c for c in stored_columns(table)}
    return [found[c] for c in table.key] if set(table.key) <= found.keys() else []


def type_of(table: Table, column: str) -> str:
    """A column's type as far as values depend on it."""
    return next(c.stored_type for c in table.columns if c.name == column)


def shelf_type(column: Column) -> str:
    """The column's own, but that it may be NULL; long texts don't count for the size of a row then."""
    collated = f" CHARACTER SET {column.charset} COLLATE {column.collation}" if column.charset else ""
    size = column.type.partition("(")[2].partition(")")[0]
    if column.type.startswith(("varchar(", "varbinary(")) and int(size) > _WIDE:
        return f"{'LONGTEXT' if is_text(column.type) else 'LONGBLOB'}{collated} NULL"
    return f"{column.type}{collated} NULL DEFAULT NULL"


def places_of(
    was: ObjectId, columns: Sequence[KeptColumn], now: Table | None, names: Mapping[ObjectId, ObjectId]
) -> dict[str, str]:
    """Today's name of each of the start's columns that is still there."""
    if now is None:
        return {}
    current = {c.name.lower(): c.name for c in now.columns if not c.generated}
    own = now.id.name[0]
    given = {i.name[1].lower() for i in names.values() if i.kind == "column" and i.name[0] == own}
    places = {}
    for c in columns:
        i = column_id(was.name[0], c.name)
        if i not in names and c.name.lower() in given:
            continue  # what has this name now goes back to another one
        name = names.get(i, i).name[1].lower()
        if name in current:
            places[c.name] = current[name]
    return places
