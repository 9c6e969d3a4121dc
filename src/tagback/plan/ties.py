"""Catalogs in between: what a table's computed values need has to go for a while, so they are plain values meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
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


def told(needed: ObjectId, table: ObjectId) -> str:
    """A tie in words."""
    return f"{needed} has to go for a while, and {table} has rows and can't be without it."
