"""Renames: found inside one deployment by what identifies an object physically, and followed across deployments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from tagback.catalog.model import Catalog, ObjectId


@dataclass(frozen=True, slots=True, order=True)
class Rename:
    """The same object under two names: a table, a column, or anything else that has a lineage.

    A table whose name another one took, without any of its columns, has `gone` as its name after. `within` is, of a column
    to be renamed, what gives it to other tables, which have it renamed as well.
    """

    before: ObjectId
    after: ObjectId
    within: ObjectId | None = field(default=None, compare=False)


SUBORDINATE = frozenset({"attachment", "column", "constraint", "trigger", "policy", "rule", "default", "label"})
"""Kinds whose path begins with their table's, or their enum's: they aren't renamed when only that is."""

LABEL = "label"
"""A value of an enum. It isn't renamed before everything else, but when the enum is changed: rows are compared by it."""


def gone(table: ObjectId) -> ObjectId:
    """A name that nothing can have, for a table that isn't there any more though another one has its name."""
    return ObjectId(table.kind, (*table.name, ""))


def knowing(live: Catalog, renamed: Iterable[Rename]) -> Catalog:
    """The same, for a plan that leads to where these renames began: labels are told apart from others that came and went."""
    former: dict[ObjectId, dict[str, str]] = {}
    for r in renamed:
        if r.before.kind == LABEL:
            former.setdefault(ObjectId("enum", r.before.name[:-1]), {})[r.after.name[-1]] = r.before.name[-1]
    return replace(live, former=former) if former else live


def is_gone(name: ObjectId) -> bool:
    """Whether this is such a name."""
    return name.name[-1] == ""


def name_today(
    at_start: ObjectId, unless_renamed: ObjectId, names: Mapping[ObjectId, ObjectId], taken: Set[ObjectId]
) -> ObjectId | None:
    """The name today; None where it is gone, or something else was renamed to the old name and has `taken` it."""
    if at_start in names:
        return None if is_gone(names[at_start]) else names[at_start]
    return None if unless_renamed in taken else unless_renamed


def renames(before: Catalog, after: Catalog) -> tuple[Rename, ...]:
    """Objects and columns of the same kind and lineage under another name, and tables whose name another one took."""
    places = {(i.kind, line): i for i, line in after.lineage.items()}
    found = []
    for old, line in before.lineage.items():
        new = places.get((old.kind, line))
        if new is None or new == old:
            continue
        if _renamed(old, new) and _table_stayed(old, new, before, after):
            found.append(Rename(old, new))
    taken = {r.after for r in found}
    taken |= {ObjectId("table", r.after.name[:-1]) for r in found if r.after.kind == "column"}
    found += [Rename(i, gone(i)) for i in before.objects if i not in taken and _replaced(i, before, after, places)]
    return tuple(sorted(found))


def _table_stayed(old: ObjectId, new: ObjectId, before: Catalog, after: Catalog) -> bool:
    """Whether two columns are in what is one table at both ends: one built anew has its name only."""
    tables = ObjectId("table", old.name[:-1]), ObjectId("table", new.name[:-1])
    return (
        old.kind != "column" or tables[0] == tables[1] or before.lineage.get(tables[0]) == after.lineage.get(tables[1])
    )


def _replaced(table: ObjectId, before: Catalog, after: Catalog, places: Mapping[tuple[str, str], ObjectId]) -> bool:
    """Whether the table was dropped and another one has its name. One with columns of its is its successor, rebuilt."""
    if table.kind != "table" or table not in after.objects or ("table", before.lineage.get(table, "")) in places:
        return False
    columns = [{p.name[-1].casefold() for p in c.objects[table].parts if p.kind == "column"} for c in (before, after)]
    return not columns[0] & columns[1]


def follow(chain: Iterable[tuple[Rename, ...]]) -> tuple[Rename, ...]:
    """The net renames over consecutive stretches, oldest first; those that cancel out are left out."""
    origin: dict[ObjectId, ObjectId] = {}  # name now -> name at the start
    for stretch in chain:
        moved = {r.before: r.after for r in stretch}
        tables = {r.before.name: r.after.name for r in stretch if r.before.kind in ("table", "enum")}
        carried = {_moved(now, moved, tables): start for now, start in origin.items()}
        known = set(origin.values())
        for r in stretch:
            start = None if r.before in origin else _at_start(r.before, origin, known)
            if start is not None:
                carried[r.after] = start
        origin = carried
    return tuple(sorted(Rename(start, now) for now, start in origin.items() if _renamed(start, now)))


def _renamed(before: ObjectId, after: ObjectId) -> bool:
    """Whether the object's own name is another; what belongs to a table isn't renamed with it."""
    own = slice(-1, None) if before.kind in SUBORDINATE else slice(None)
    return before.name[own] != after.name[own]


def _moved(
    now: ObjectId, moved: Mapping[ObjectId, ObjectId], tables: Mapping[tuple[str, ...], tuple[str, ...]]
) -> ObjectId:
    if now in moved:
        return moved[now]
    if now.kind in SUBORDINATE and now.name[:-1] in tables:
        return ObjectId(now.kind, (*tables[now.name[:-1]], now.name[-1]))
    return now


def _at_start(name: ObjectId, origin: Mapping[ObjectId, ObjectId], known: Set[ObjectId]) -> ObjectId | None:
    """The name at the start of an object not renamed so far; None for one that came later, under a name given up."""
    start = name
    if name.kind in SUBORDINATE:
        table = ObjectId("enum" if name.kind == LABEL else "table", name.name[:-1])
        if table in origin:
            start = ObjectId(name.kind, (*origin[table].name, name.name[-1]))
        elif table in known:
            return None
    return None if start in known else start
