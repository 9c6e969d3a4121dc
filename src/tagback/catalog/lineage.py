"""Renames: found inside one deployment by what identifies an object physically, and followed across deployments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tagback.catalog.model import Catalog, ObjectId


@dataclass(frozen=True, slots=True, order=True)
class Rename:
    """The same object under two names: a table, a column, or anything else that has a lineage."""

    before: ObjectId
    after: ObjectId


def renames(before: Catalog, after: Catalog) -> tuple[Rename, ...]:
    """Objects and columns of the same kind and lineage whose own name (the last part of the path) or schema changed.

    A column whose table was renamed isn't itself renamed.
    """
    places = {(i.kind, line): i for i, line in after.lineage.items()}
    found = []
    for old, line in before.lineage.items():
        new = places.get((old.kind, line))
        if new is None or new == old:
            continue
        own_part = slice(-1, None) if old.kind == "column" else slice(None)
        if new.name[own_part] != old.name[own_part]:
            found.append(Rename(old, new))
    return tuple(sorted(found))


def follow(chain: Iterable[tuple[Rename, ...]]) -> tuple[Rename, ...]:
    """The net renames over consecutive deployments, oldest first; those that cancel out are left out."""
    origin: dict[ObjectId, ObjectId] = {}  # name now -> name at the start
    for step in chain:
        moved_tables = {r.before.name: r.after.name for r in step if r.before.kind != "column"}
        carried: dict[ObjectId, ObjectId] = {}
        taken = {r.before for r in step}
        for now, start in origin.items():
            if now in taken:
                continue
            if now.kind == "column" and now.name[:-1] in moved_tables:
                carried[ObjectId("column", (*moved_tables[now.name[:-1]], now.name[-1]))] = start
            else:
                carried[now] = start
        back = {after: before for before, after in moved_tables.items()}
        for r in step:
            start = origin.get(r.before, r.before)
            if r.before.kind == "column" and r.before not in origin:
                start = _column_at_start(r.before, origin)
            carried[r.after] = start
        del back
        origin = carried
    return tuple(sorted(Rename(start, now) for now, start in origin.items() if now != start))


def _column_at_start(column: ObjectId, origin: dict[ObjectId, ObjectId]) -> ObjectId:
    """The column under the name that its table had at the start."""
    for kind in {i.kind for i in origin if i.kind != "column"}:
        table = origin.get(ObjectId(kind, column.name[:-1]))
        if table is not None:
            return ObjectId("column", (*table.name, column.name[-1]))
    return column
