"""Who has rows of a table in a column of its own: the server refuses to go through the table's rows then.

See find_composite_type_dependencies in src/backend/commands/tablecmds.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagback.catalog import Catalog, ObjectId, SchemaObject

_BETWEEN = ("composite type", "domain", "range", "view")


@dataclass(frozen=True, slots=True)
class Holders:
    """`shown` are materialised views, which can go for a while; `in_the_way` says what else there is: `tables`, if any."""

    shown: frozenset[ObjectId]
    in_the_way: str
    tables: frozenset[ObjectId]

    def __bool__(self) -> bool:
        return bool(self.shown or self.in_the_way)


def holders_of_rows(table: ObjectId, live: Catalog, target: Catalog) -> Holders:
    """Those of this table's row type, or of types and views made of it. What goes anyway is gone by then."""
    shown: set[ObjectId] = set()
    in_the_way, tables = "", set()
    queue, seen = [table], {table}
    while queue:
        needed = queue.pop()
        for i in sorted(live.dependents_of(needed) - seen):
            seen.add(i)
            if i.kind in ("view", "materialized view") and not _shows(live.objects[i], needed):
                continue  # it has something else of it: how many rows there are
            if i.kind in _BETWEEN:
                queue.append(i)
            elif i not in target.objects:
                continue
            elif i.kind == "materialized view":
                shown.add(i)
            elif i.kind == "table" and needed not in live.wholes_of(i):
                in_the_way = f"{i} has rows of {table} in a column, which must stay as they are."
                tables.add(i)
    return Holders(frozenset(shown), in_the_way, frozenset(tables))


def _shows(query: SchemaObject, needed: ObjectId) -> bool:
    """Whether a view has a column of this type; quotes in names are as the server sets them."""
    types = {c.type.removesuffix("[]").replace('"', "") for c in getattr(query, "columns", ())}
    return ".".join(needed.name).replace('"', "") in types
