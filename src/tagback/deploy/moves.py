"""The names on the way back: what is to be renamed to what, in an order that never meets a name in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tagback.catalog import SUBORDINATE, Catalog, ObjectId, Rename, Step, is_gone

Move = tuple[ObjectId, ObjectId]
"""A rename to be done: the name before it and the name after it."""

Alike = Callable[[tuple[str, ...]], tuple[str, ...]]
"""What is the same for two names that can't be beside each other."""

_ROUTINES = ("function", "procedure")
_BY_THEMSELVES = (
    "collation",
    "conversion",
    "statistics",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "text search template",
)
"""Kinds that share their names with no other kind."""


def moves(live: Catalog, target: Catalog, renamed: Sequence[Rename], *, cased: bool) -> list[Move]:
    """Renames back, what is within a table before the table, past names that are taken at the moment.

    `cased`: names that differ only in the case of letters are two.
    """
    alike = _exactly if cased else _folded
    wanted = {r.after: r.before for r in renamed if _applies(r, live, target)}
    wanted = {here: there for here, there in wanted.items() if not _follows(here, wanted, live)}
    others = _others(live, renamed)
    if not wanted and not others:
        return []
    taken = set(live.objects) | {part for o in live.objects.values() for part in o.parts}
    within = [
        (here, _named(here, _own_name(there))) for here, there in sorted(wanted.items()) if not _shared_name(here)
    ]
    names = {i: _at_target(i, live, wanted) for i in taken if _shared_name(i)}
    obstacles = _obstacles(names, wanted, target, others, alike)
    routines = {i: there for i, there in names.items() if i.kind in _ROUTINES and i not in obstacles}
    rest = {i: there for i, there in names.items() if i.kind not in _ROUTINES and i not in obstacles}
    numbered = list(enumerate(obstacles, 1))
    return [
        *((i, _named(i, f"obstacle_by_tagback_{n}")) for n, i in numbered if i.kind in _ROUTINES),
        *_past_each_other_in_schemas(
            live, routines, wanted, alike
        ),  # while the types of their arguments have their names
        *((i, _named(i, f"obstacle_by_tagback_{n}")) for n, i in numbered if i.kind not in _ROUTINES),
        *_past_each_other(within, taken, alike),
        *_past_each_other_in_schemas(live, rest, wanted, alike),
    ]


def _others(live: Catalog, renamed: Sequence[Rename]) -> set[ObjectId]:
    """Tables that took the name of one that comes back, and what is part of them."""
    tables = {r.before for r in renamed if is_gone(r.after)} & live.objects.keys()
    return tables | {o.id for o in live.objects.values() if o.part_of in tables}


def _applies(r: Rename, live: Catalog, target: Catalog) -> bool:
    return live.owner_of(r.after) is not None and target.owner_of(r.before) is not None


def _follows(i: ObjectId, wanted: Mapping[ObjectId, ObjectId], live: Catalog) -> bool:
    """Whether it is a partition's column, which is renamed with that of what the partition is one of, or a typed table's."""
    table = ObjectId("table", i.name[:-1])
    if i.kind != "column" or table not in live.objects:
        return False
    shape = live.objects[table].shaped_by
    wholes = [*live.wholes_of(table), *([shape] if shape else [])]
    return any(ObjectId("column", (*whole.name, i.name[-1])) in wanted for whole in wholes)


def _at_target(i: ObjectId, live: Catalog, wanted: Mapping[ObjectId, ObjectId]) -> ObjectId:
    """The name that this will have after all moves: indexes, constraints and owned sequences go along with their table."""
    if i in wanted:
        return wanted[i]
    whole = live.objects[i].part_of if i in live.objects else None
    if i.kind in SUBORDINATE:  # a foreign key has a table, too, that it isn't dropped with
        whole = ObjectId("table", i.name[:-1])
    if whole is None or whole not in wanted or i.kind == "statistics":  # which have a schema of their own
        return i
    path = wanted[whole].name if i.kind in SUBORDINATE else wanted[whole].name[:-1]
    return ObjectId(i.kind, (*path, i.name[-1]))


def missing_schemas(goals: Iterable[ObjectId], live: Catalog, target: Catalog) -> Iterable[Step]:
    """Makes the schemas that something moves back into and that are gone."""
    wanted = {ObjectId("schema", goal.name[:1]) for goal in goals} - live.objects.keys()
    return [step for i in sorted(wanted & target.objects.keys()) for step in target.objects[i].create()]


def _obstacles(
    names: Mapping[ObjectId, ObjectId],
    wanted: Mapping[ObjectId, ObjectId],
    target: Catalog,
    others: set[ObjectId],
    alike: Alike,
) -> tuple[ObjectId, ...]:
    """What has a name that something else returns to, and goes in the end; what is within a table before the table."""
    arriving = {alike(_place(there)) for i, there in names.items() if there != i}

    def goes(i: ObjectId) -> bool:
        if i in wanted:
            return False
        if i in others:
            return True
        if target.owner_of(names[i]) is None or (i == names[i] and alike(_place(i)) in arriving):
            return True
        table = ObjectId("table", i.name[:-1])
        return i.kind in SUBORDINATE and table in names and goes(table)

    going = [i for i in names if goes(i)]
    staying = names.keys() - set(going)

    def shared(i: ObjectId) -> tuple[str, ...]:
        return alike(_shared_name(i))

    claimed = {shared(names[i]) for i in staying if shared(names[i]) != shared(i)}
    claimed |= {shared(i) for i in others if _shared_name(i)}
    found = [i for i in going if {shared(i), shared(names[i])} & claimed]
    return tuple(sorted(found, key=lambda i: (i.kind not in SUBORDINATE, i)))


def _shared_name(i: ObjectId) -> tuple[str, ...]:
    """The name that no two tables, views, indexes, sequences or types can have; empty for what is named within a table.

    What has names of its own kind alone has that before it.
    """
    if i.kind == "constraint":  # its index, if it has one, stands beside the table
        return (*i.name[:-2], i.name[-1])
    if i.kind in SUBORDINATE:
        return ()
    return _place(i)


def _place(i: ObjectId) -> tuple[str, ...]:
    """The name, apart for kinds that have theirs for themselves."""
    return (i.kind, *i.name) if i.kind in _BY_THEMSELVES else i.name


def _named(i: ObjectId, own: str) -> ObjectId:
    """The same place under another name."""
    at = _own_at(i)
    return ObjectId(i.kind, (*i.name[:at], own, *i.name[at + 1 :]))


def _own_name(i: ObjectId) -> str:
    return i.name[_own_at(i)]


def _own_at(i: ObjectId) -> int:
    """Where in the path its own name stands: behind a function's are its arguments."""
    return len(i.name) - 1 if i.kind in SUBORDINATE else min(1, len(i.name) - 1)


def _past_each_other(pairs: Sequence[Move], taken: set[ObjectId], alike: Alike) -> list[Move]:
    """The moves in an order that never meets a name in use: by way of names nobody has where they would.

    Those names must not look like tagback's own: what has one of them is still to be seen, and to be dropped.
    """
    moving = {here for here, _ in pairs}
    holders = {(i.kind, alike(i.name)): i for i in taken}
    found = [holders.get((goal.kind, alike(goal.name))) for _, goal in pairs]
    if all(holder in (None, here) for holder, (here, _) in zip(found, pairs, strict=True)):
        return list(pairs)
    between = [_named(here, f"between_by_tagback_{n}") for n, (here, _) in enumerate(pairs, 1)]
    away = [
        (holder, _named(holder, f"away_by_tagback_{n}"))
        for n, holder in enumerate(found, 1)
        if holder is not None and holder not in moving
    ]
    first = [(here, mid) for (here, _), mid in zip(pairs, between, strict=True)]
    last = [(mid, goal) for (_, goal), mid in zip(pairs, between, strict=True)]
    return [*first, *away, *last]


def _past_each_other_in_schemas(
    live: Catalog, names: Mapping[ObjectId, ObjectId], wanted: Mapping[ObjectId, ObjectId], alike: Alike
) -> list[Move]:
    """The same for what shares names across a schema: what goes along with a table has its own name changed at most."""
    in_use = {alike(_shared_name(i)) for i in names}
    moving = {i: there for i, there in names.items() if i in wanted}
    moving |= {
        i: there
        for i, there in names.items()
        if there != i and alike(_shared_name(there)) in in_use - {alike(_shared_name(i))}
    }
    along = [i for i in sorted(moving) if _goes_along(i, live, names)]
    others = [i for i in sorted(moving) if not _goes_along(i, live, names)]
    renamed_first = [there for i in others if (there := _named(i, _own_name(moving[i]))) != i]
    if not any(alike(_shared_name(there)) in in_use for there in (*moving.values(), *renamed_first)):
        moved = [(i, _named(i, _own_name(moving[i]))) for i in along] + [(i, _taking(moving[i], i)) for i in others]
        return [(here, there) for here, there in moved if here != there]
    own = {i: f"between_by_tagback_{n}" for n, i in enumerate((*along, *others), 1)}
    moved = [(i, _named(i, own[i])) for i in (*along, *others)]
    goals = {i: _taking(goal, i) for i, goal in moving.items()}
    moved += [(_named(i, own[i]), _named(goals[i], own[i])) for i in others]
    moved += [(_named(goals[i], own[i]), goals[i]) for i in (*others, *along)]
    return [(here, there) for here, there in moved if here != there]


def _taking(routine: ObjectId, now: ObjectId) -> ObjectId:
    """A routine's other name with its arguments' types as they are called now; anything else's as it is."""
    return ObjectId(routine.kind, (*routine.name[:2], *now.name[2:])) if routine.kind in _ROUTINES else routine


def _goes_along(i: ObjectId, live: Catalog, names: Mapping[ObjectId, ObjectId]) -> bool:
    """Whether it is where its table is, whatever is said about itself."""
    part = i in live.objects and live.objects[i].part_of in names
    return i.kind in SUBORDINATE or (part and i.kind != "statistics")


def _exactly(name: tuple[str, ...]) -> tuple[str, ...]:
    return name


def _folded(name: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("".join(c.lower() if c.isascii() else c for c in part) for part in name)
