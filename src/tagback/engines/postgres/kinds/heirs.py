"""Children by inheritance: which columns they have from their parents, and which children can't be made as they are."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.reading import Reading


def marked(r: Reading, relation: int, parents: tuple[int, ...], inherited: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns, with those that come from parents marked."""
    strict = {c.name for parent in parents for c in r.columns.get(parent, ()) if c.not_null}
    marks = {}
    for n, c in zip(r.attributes.get(relation, {}), r.columns.get(relation, ()), strict=True):
        mark = inherited.get(str(n), "")
        own = c.name not in strict or (relation, n) in r.own_not_nulls
        if mark and c.not_null and own == (mark == "alone"):
            mark = "stricter" if own else "looser"
        marks[n] = mark
    columns = tuple(
        msgspec.structs.replace(c, inherited=marks[n])
        for n, c in zip(r.attributes.get(relation, {}), r.columns.get(relation, ()), strict=True)
    )
    r.columns[relation] = columns
    return columns


def odd_heirs(r: Reading, parents: Mapping[int, tuple[tuple[int, ...], Mapping[str, str]]], odd: set[int]) -> set[int]:
    """Children that CREATE TABLE … INHERITS wouldn't make so, as their parents got columns later; and all they hang with."""
    found = set(odd)
    for child, (own, _) in parents.items():
        order: dict[str, None] = {}
        for parent in own:
            order |= dict.fromkeys(r.attributes.get(parent, {}).values())
        order |= dict.fromkeys(r.attributes.get(child, {}).values())
        if list(order) != list(r.attributes.get(child, {}).values()):
            found.add(child)
    while True:
        more = {p for child, (own, _) in parents.items() if child in found for p in own}
        more |= {child for child, (own, _) in parents.items() if found & set(own)}
        if more <= found:
            return found if parents else set()
        found |= more
