"""Who needs whom, told from the definitions: the server keeps no such record."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tagback.catalog import ObjectId, SchemaObject
from tagback.engines.mariadb.kinds.base import column_id, table_id
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.kinds.program import Trigger, View
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import NAME, STRING, bare

_TOKEN = re.compile(rf"({NAME.pattern})|{STRING.pattern}|(\w+)|(\S)", re.DOTALL)
_SOURCES = ("FROM", "JOIN", "STRAIGHT_JOIN")


def dependencies(objects: Mapping[ObjectId, SchemaObject]) -> dict[ObjectId, frozenset[ObjectId]]:
    """What each object needs to be made."""
    relations = {i.name[0]: i for i in objects if i.kind in ("table", "view", "sequence")}
    functions = {i.name[0]: i for i in objects if i.kind == "function"}
    found: dict[ObjectId, frozenset[ObjectId]] = {}
    for i, o in objects.items():
        match o:
            case ForeignKey():
                needed = _of_foreign_key(o)
            case View():
                needed = _of_view(o, relations, functions)
            case Trigger():
                needed = {table_id(o.table), *([ObjectId("trigger", (o.follows,))] if o.follows else [])}
            case Table():
                needed = _of_table(o, relations)
            case _ if i.kind == "package body":
                needed = {ObjectId("package", i.name)}
            case _:
                continue
        needed.discard(i)
        if needed:
            found[i] = frozenset(needed)
    return found


def _of_foreign_key(key: ForeignKey) -> set[ObjectId]:
    table = key.id.name[0]
    own = {table_id(table), *(column_id(table, c) for c in key.columns)}
    if key.schema:
        return own
    return own | {table_id(key.parent), *(column_id(key.parent, c) for c in key.parent_columns)}


def _of_view(view: View, relations: Mapping[str, ObjectId], functions: Mapping[str, ObjectId]) -> set[ObjectId]:
    """The tables and views after FROM and JOIN, and the functions that are called."""
    found: set[ObjectId] = set()
    tokens = [(m[1], (m[2] or m[3] or "").upper()) for m in _TOKEN.finditer(view.query)]
    source = False  # whether a name here is that of a table
    for at, (name, word) in enumerate(tokens):
        behind = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if name:
            if source and behind != "." and bare(name) in relations:
                found.add(relations[bare(name)])
            if behind == "(" and bare(name) in functions:
                found.add(functions[bare(name)])
            source = False
        elif word in _SOURCES:
            source = True
        elif word != "(":
            source = False
    return found


def _of_table(table: Table, relations: Mapping[str, ObjectId]) -> set[ObjectId]:
    """The sequences that columns take their values from."""
    found: set[ObjectId] = set()
    for c in table.columns:
        if "nextval" in c.rest or "lastval" in c.rest:
            for quoted in NAME.findall(c.rest):
                named = relations.get(bare(quoted))
                if named is not None and named.kind == "sequence":
                    found.add(named)
    return found
