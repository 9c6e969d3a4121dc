"""Catalogs in between: those where computed values are plain ones for a while, or where some tables aren't there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId


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


def told(needed: ObjectId, table: ObjectId) -> str:
    """A tie in words."""
    return f"{needed} has to go for a while, and {table} has rows and can't be without it."
