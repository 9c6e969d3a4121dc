"""A plan from one schema to another: the straight one, else by a detour."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from tagback.catalog import Action, Carry, Catalog, ObjectId, Restoration, Step
from tagback.plan.planner import Planner
from tagback.plan.result import Plan
from tagback.plan.ties import broken, circular, freed


def plan(live: Catalog, target: Catalog, rows: Mapping[ObjectId, Restoration] | None = None) -> Plan:
    """The steps that bring `live` to `target`; none when they are equal. `rows` come back into these tables of both.

    Where there is no straight way, computed values are plain ones meanwhile; where that doesn't help, tables in the way are
    made anew, and their rows moved.
    """
    found = _without_circles(live, target, rows or {})
    return found if not found.blocked else _past_circles(live, target, rows or {}) or found


def _without_circles(live: Catalog, target: Catalog, rows: Mapping[ObjectId, Restoration]) -> Plan:
    planner = Planner(live, target, rows)
    found = planner.plan()
    if not found.blocked:
        return found
    return _by_plain_values(planner, rows) or _by_moved_rows(planner, rows) or found


def _past_circles(live: Catalog, target: Catalog, rows: Mapping[ObjectId, Restoration]) -> Plan | None:
    """Three plans in a row: tables that need what needs them are empty in between, and without the columns that do."""
    circles = [circular(catalog) for catalog in (live, target)]
    tables = {*circles[0], *circles[1]}
    carried: dict[ObjectId, Carry] = {}
    for i in tables & live.objects.keys() & target.objects.keys():
        carry = live.objects[i].carried(target.objects[i], live, target)
        if carry is None:
            return None
        carried[i] = carry
        circles = [{**c, i: c.get(i, frozenset())} for c in circles]
    now, then = (broken(catalog, c) for catalog, c in zip((live, target), circles, strict=True))
    if not tables or now is None or then is None:
        return None
    out, into, rest = {}, {}, {i: r for i, r in rows.items() if i not in tables}
    for i in tables & (rows.keys() | carried.keys()):
        moved = _moved(rows.get(i), carried[i]) if i in carried else rows[i]
        if i in now.objects:
            out[i] = Restoration((*moved.out, *(carried[i].emptied if i in carried else ())), ())
        into[i] = Restoration((), moved.into)
    plans = (
        _without_circles(live, now, out),
        _without_circles(now, then, rest),
        _without_circles(then, target, into),
    )
    if any(p.blocked for p in plans):
        return None
    first, between, last = (p.steps for p in plans)
    return Plan((*_saved(first, tables), *between, *_saved(last, tables)))


def _saved(steps: Iterable[Step], tables: Collection[ObjectId]) -> list[Step]:
    """The same where what they take from these tables is there again later; what isn't goes when these are emptied."""
    return [
        s if s.action is Action.DELETE else replace(s, destroys=tuple(x for x in s.destroys if x.table not in tables))
        for s in steps
    ]


def _by_plain_values(planner: Planner, rows: Mapping[ObjectId, Restoration]) -> Plan | None:
    """Three plans in a row: something has to go for a while that computed values need. The last has them computed again."""
    live, target = planner.live, planner.target
    ties = dict(planner.ties)
    for table, needed in planner.tied.items() if ties else ():
        ties[table] = ties.get(table, frozenset()) | needed
    between = [freed(catalog, ties) for catalog in (live, target)]
    if not ties or None in between or between == [live, target]:
        return None
    now, then = (catalog for catalog in between if catalog is not None)
    plans = Planner(live, now, {}).plan(), Planner(now, then, rows).plan(), Planner(then, target, {}).plan()
    if any(p.blocked for p in plans):
        return None
    *steps, last = (p.steps for p in plans)
    again = tuple(replace(s, destroys=tuple(x for x in s.destroys if x.table not in ties)) for s in last)
    return Plan((*steps[0], *steps[1], *again))


def _by_moved_rows(planner: Planner, rows: Mapping[ObjectId, Restoration]) -> Plan | None:
    """One plan in which more and more tables are made anew, until it leads there; None if it never does."""
    live, target = planner.live, planner.target
    carried: dict[ObjectId, Carry] = {}
    while more := _further(planner, carried):
        carried |= more
        moved = {i: _moved(rows.get(i), carry) for i, carry in carried.items()}
        planner = Planner(live, target, {**rows, **moved}, carried)
        found = planner.plan()
        if not found.blocked:
            return found
    return None


def _moved(r: Restoration | None, carry: Carry) -> Restoration:
    """What comes back beside rows that are moved: first it is taken out of them, then put in with them."""
    return Restoration((*r.out, *carry.out), (*carry.into, *r.into)) if r else Restoration(carry.out, carry.into)


def _further(planner: Planner, carried: Mapping[ObjectId, Carry]) -> dict[ObjectId, Carry]:
    live, target = planner.live, planner.target
    for tables in _stuck(planner):
        found = {}
        for i in tables:
            if i in live.objects and i in target.objects and i not in carried:
                carry = live.objects[i].carried(target.objects[i], live, target)
                if carry is not None:
                    found[i] = carry
        if found:
            return found
    return {}


def _stuck(planner: Planner) -> Iterator[Iterable[ObjectId]]:
    """What could be made anew so that there is a way: the least that may help comes first, parts before the whole."""
    yield sorted(planner.ties)
    anew = {i for i in planner.rebuilt if planner.would_lose(i)}
    parts: dict[ObjectId, set[ObjectId]] = {}
    for o in (*planner.live.objects.values(), *planner.target.objects.values()):
        for part, whole in o.attaches:
            if part == o.id:
                parts.setdefault(whole, set()).add(part)
    yield sorted({part for i in anew for part in parts.get(i, ())} | (anew & {*itertools.chain(*parts.values())}))
    yield sorted(anew)
