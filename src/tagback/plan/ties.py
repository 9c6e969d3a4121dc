"""Catalogs in between: those where computed values are plain ones for a while, or where some tables aren't there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId
from tagback.plan.order import reaches


def freed(catalog: Catalog, ties: Mapping[ObjectId, frozenset[ObjectId]]) -> Catalog | None:
    """The catalog where these objects don't need what each is tied to; None where one can't be without that."""
    objects, dependencies = dict(catalog.objects), dict(catalog.dependencies)
    for i, needed in ties.items():
        free = objects[i].freed(needed) if i in objects else None
        if free is None:
            return None
        objects[i] = free
        dependencies[i] = dependencies.get(i, frozenset()) - needed
    return replace(catalog, objects=objects, dependencies=dependencies, _cache={})


def without(catalog: Catalog, tables: Collection[ObjectId]) -> Catalog:
    """What is there besides these, while they aren't."""
    if not tables:
        return catalog
    objects = {i: o for i, o in catalog.objects.items() if i not in tables}
    dependencies = {i: needs for i, needs in catalog.dependencies.items() if i not in tables}
    return replace(catalog, objects=objects, dependencies=dependencies, _cache={})


def heirs(
    live: Catalog, target: Catalog, up: Iterable[ObjectId], down: Collection[ObjectId]
) -> dict[ObjectId, frozenset[ObjectId]]:
    """What is made with parts whose names are others' until these go."""
    found = {}
    for i in up:
        owners = {o for part in target.objects[i].parts if (o := live.owner_of(part)) is not None and o != i}
        if owners & {*down}:
            found[i] = frozenset(owners & {*down})
    return found


def circular(catalog: Catalog) -> dict[ObjectId, frozenset[ObjectId]]:
    """What has rows and is needed itself by something that it needs: a table with rows in it of a view of its own."""

    def needs(i: ObjectId) -> Iterable[ObjectId]:
        return {o for n in catalog.dependencies.get(i, ()) if (o := catalog.owner_of(n)) is not None and o != i}

    found = {}
    for o in catalog.objects.values():
        if o.carries_data and o.part_of is None:
            circle = frozenset(n for n in needs(o.id) if reaches(n, o.id, needs))
            if circle:
                found[o.id] = circle
    return found


def broken(catalog: Catalog, circles: Mapping[ObjectId, frozenset[ObjectId]]) -> Catalog | None:
    """The catalog without the columns that make circles, what needs these, and what acts on these tables' rows.

    None where such a column can't be without.
    """
    objects, dependencies = dict(catalog.objects), dict(catalog.dependencies)
    gone: set[ObjectId] = set()
    for i, types in circles.items():
        opened = objects[i].without_columns_of(types)
        if opened is None or (types and opened == objects[i]):
            return None
        gone |= {*objects[i].parts} - {*opened.parts}
        objects[i] = opened
        dependencies[i] = dependencies.get(i, frozenset()) - types
    gone |= {o.id for o in catalog.objects.values() if not circles.keys().isdisjoint(o.acts_on_rows_of)}
    while True:
        more = {i for i, needed in dependencies.items() if i not in circles and not needed.isdisjoint(gone)}
        more |= {o.id for o in objects.values() if o.part_of in gone}
        if more <= gone:
            break
        gone |= more
    if any(i in objects and objects[i].carries_data for i in gone):
        return None
    objects = {i: o for i, o in objects.items() if i not in gone}
    dependencies = {i: needed for i, needed in dependencies.items() if i not in gone}
    return replace(catalog, objects=objects, dependencies=dependencies, _cache={})


def told(needed: ObjectId, table: ObjectId) -> str:
    """A tie in words."""
    return f"{needed} has to go for a while, and {table} has rows and can't be without it."
