"""Objects without whose they are and who may do what with them: so that anybody can make them elsewhere, to read the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from tagback.catalog import Catalog, SchemaObject
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.kinds.database import DatabaseComment, DatabaseSettings
from tagback.engines.postgres.kinds.default_privileges import DefaultPrivileges
from tagback.engines.postgres.kinds.publication import PublishedSchema
from tagback.engines.postgres.kinds.trigger import EventTrigger

AS_RECORDED = (DefaultPrivileges, EventTrigger, DatabaseSettings, DatabaseComment, PublishedSchema)
"""Kinds that are about little else. Some take a superuser to make, and nothing hangs on them."""


def without_rights(catalog: Catalog, empty: Catalog) -> Catalog:
    """The schema as whoever read the `empty` database can make it there."""
    objects = {
        i: undressed(o, empty.maker, empty.objects.get(i))
        for i, o in catalog.objects.items()
        if not isinstance(o, AS_RECORDED)
    }
    return replace(catalog, objects=objects, _cache={})


def undressed(o: SchemaObject, maker: str, there: SchemaObject | None) -> SchemaObject:
    """The object as `maker` makes it; with owner, privileges and comment of what is `there`, if anything is."""
    if not isinstance(o, PgObject):
        return o
    if isinstance(there, PgObject):
        return _with(o, there.owner, there)
    changes: dict[str, Any] = {"owner": maker if o.owner else "", "acl": None}
    if columns := _columns(o):
        changes["columns"] = tuple(_given(c, None) for c in columns)
    return msgspec.structs.replace(o, **changes)


def dressed(o: SchemaObject, like: SchemaObject | None) -> SchemaObject:
    """The object with the owner, privileges and comment of `like`."""
    if not isinstance(o, PgObject) or not isinstance(like, PgObject):
        return o
    again = _with(o, like.owner, like)
    if columns := _columns(o):
        by_name = {c.name: c for c in _columns(like)}
        changes: dict[str, Any] = {"columns": tuple(_given(c, by_name.get(c.name)) for c in columns)}
        again = msgspec.structs.replace(again, **changes)
    return again


def _columns(o: PgObject) -> tuple[Column, ...]:
    return tuple(c for c in getattr(o, "columns", ()) if isinstance(c, Column))


def _with(o: PgObject, owner: str, like: PgObject) -> PgObject:
    return msgspec.structs.replace(o, owner=owner, acl=like.acl, comment=like.comment)


def _given(column: Column, like: Column | None) -> Column:
    """The column with the privileges of the other; with those that it starts with where there is none."""
    identity = column.identity
    if identity is not None:
        acl = like.identity.acl if like is not None and like.identity is not None else None
        identity = msgspec.structs.replace(identity, acl=acl)
    return msgspec.structs.replace(column, acl=like.acl if like is not None else (), identity=identity)
