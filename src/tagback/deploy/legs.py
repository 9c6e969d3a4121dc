"""The legs of a way back: one where nothing is on the shelf, else deployment by deployment, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tagback.catalog import Catalog, LossKind, ObjectId, Rename, follow
from tagback.deploy.back import Leg
from tagback.deploy.drift import Gap, keep
from tagback.engines.session import BROKEN, KeptRows, Session
from tagback.ledger.history import History, Point
from tagback.ledger.records import (
    LOOKED_AT,
    MADE,
    NO_SNAPSHOT,
    AppliedChangeset,
    DeploymentId,
    Shelf,
    ShelfState,
    SnapshotId,
)
from tagback.ledger.store import Ledger
from tagback.plan import plan


class _Place(NamedTuple):
    """The start of a stage: what was done from there on goes."""

    deployment: int
    stage: int
    snapshot: SnapshotId


def legs(
    session: Session,
    ledger: Ledger,
    history: History,
    point: Point,
    live: Catalog,
    target: Catalog,
    kept: Sequence[Gap],
) -> list[Leg]:
    """The way from `live` to the point; `target` is its schema with what is `kept` of what was changed by hand."""
    undone = history.undone(point.depth)
    shelves = undone_shelves(ledger, history, point.depth)
    renamed = [(d, stage, r) for d, stage, r in ledger.renames() if _is_undone(d, stage, undone, history)]
    everything = [(int(c.deployment), c.position) for c in undone]
    looked_at = [
        (s.deployment, s.stage, s.kept.table)
        for s in ledger.everything_kept()
        if s.kept.how == LOOKED_AT and _is_undone(s.deployment, s.stage, undone, history)
    ]
    made = [
        (s.deployment, s.stage, s.kept.table)
        for s in ledger.everything_kept()
        if s.kept.how == MADE and _is_undone(s.deployment, s.stage, undone, history)
    ]
    written = _at_start(looked_at, renamed) | _at_end(made, renamed)
    noted = [s for s in ledger.everything_kept() if s.snapshot != NO_SNAPSHOT]
    noted = [s for s in noted if _is_undone(s.deployment, s.stage, undone, history)]
    broken = [s for s in noted if s.kept.how == BROKEN]
    net = Leg(target, _net(renamed), (), tuple(everything), (), written, broken=tuple(s.kept for s in broken))
    committing = session.capabilities.schema_changes_commit
    places = _places(history, undone, shelves, [s for s in noted if s.kept.how != BROKEN])
    deployments = len({c.deployment for c in undone})
    if committing:
        places = _with_gaps(places, ledger, live)
    in_parts = committing and len(places) > deployments
    if not shelves and not in_parts and not (deployments > 1 and _takes_rows(session, live, net)):
        return [net]
    found = []
    until = (float("inf"), 0)
    for n, place in enumerate(places):
        since = (place.deployment, place.stage)
        last = n == len(places) - 1
        whole, passing = target, {}
        of_leg = tuple(s for s in shelves if since <= (s.deployment, s.stage) < until)
        if not last:
            recorded = ledger.load_snapshot(place.snapshot)
            if committing:
                before = _net((d, stage, r) for d, stage, r in renamed if (d, stage) < since)
                earlier = {r.after: r.before for r in before}
                recorded = _without_new(recorded, target, earlier)
                passing = {s.kept.table: _passing(s, target, earlier) for s in of_leg}
            whole = keep(recorded, live, kept)[0] if kept else recorded
        found.append(
            Leg(
                whole,
                _net((d, stage, r) for d, stage, r in renamed if since <= (d, stage) < until),
                of_leg,
                tuple(c for c in everything if _belongs(c, since, until, history)),
                _net((d, stage, r) for d, stage, r in renamed if since < (d, stage) < until),
                _at_start(
                    [(d, stage, t) for d, stage, t in looked_at if since <= (d, stage) < until],
                    [(d, stage, r) for d, stage, r in renamed if since <= (d, stage) < until],
                )
                | _at_end(
                    [
                        *((d, stage, t) for d, stage, t in made if since <= (d, stage) < until),
                        *((s.deployment, s.stage, s.kept.table) for s in of_leg if s.kept.table not in whole.objects),
                    ],
                    [(d, stage, r) for d, stage, r in renamed if since <= (d, stage) < until],
                ),
                passing,
                tuple(s.kept for s in broken if since <= (s.deployment, s.stage) < until),
            )
        )
        until = since
    return found


def undoes(ledger: Ledger, undone: Sequence[AppliedChangeset], leg: Leg, kept: KeptRows) -> tuple[tuple[int, int], ...]:
    """The changesets after which what a leg took comes again.

    A table that wasn't there before a deployment goes on the first leg; its rows come again with the changesets that made it.
    """
    deployments = sorted({c.deployment for c in undone})
    if not kept.whole or len(deployments) < 2:
        return leg.undoes
    renamed, ends = ledger.renames(), {d.id: d for d in ledger.deployments()}
    for deployment in deployments:
        later = _net((d, stage, r) for d, stage, r in renamed if deployment < d <= deployments[-1])
        name = {r.after: r.before for r in later}.get(kept.table, kept.table)
        own = {r.after for d, _, r in renamed if d == deployment}
        before, after = (
            ledger.load_snapshot(s) for s in (ends[deployment].snapshot_before, ends[deployment].snapshot_after)
        )
        if name in after.objects and name not in before.objects and name not in own:
            return tuple((int(c.deployment), c.position) for c in undone if c.deployment == deployment)
    return leg.undoes


def undone_shelves(ledger: Ledger, history: History, depth: int) -> list[Shelf]:
    """What was kept of the changesets that going back there takes back, what was purged of it included."""
    undone = history.undone(depth)
    return [
        s for s in ledger.shelves() if s.snapshot != NO_SNAPSHOT and _is_undone(s.deployment, s.stage, undone, history)
    ]


def undone_tables(ledger: Ledger, history: History, depth: int) -> frozenset[ObjectId]:
    """The tables whose rows were kept, by the names that they had there."""
    undone = history.undone(depth)
    renamed = [(d, stage, r) for d, stage, r in ledger.renames() if _is_undone(d, stage, undone, history)]
    shelves = undone_shelves(ledger, history, depth)
    return _at_start([(s.deployment, s.stage, s.kept.table) for s in shelves if s.kept.rows], renamed)


def net_renames(ledger: Ledger, history: History, depth: int) -> tuple[Rename, ...]:
    """Renames since so many changesets were in effect, the name then first."""
    undone = history.undone(depth)
    return _net((d, stage, r) for d, stage, r in ledger.renames() if _is_undone(d, stage, undone, history))


def failed_legs(
    ledger: Ledger, deployment: int, live: Catalog, target: Catalog, snapshot: SnapshotId, until: int | None
) -> list[tuple[int, Leg]]:
    """The way back from a deployment that ended between its parts, each leg with the stage to whose beginning it goes.

    `until`: the stage to whose beginning an earlier attempt has come already.
    """
    end = float("inf") if until is None else until
    renamed = [(d, stage, r) for d, stage, r in ledger.renames() if d == deployment]
    noted = [
        s
        for s in ledger.everything_kept()
        if s.deployment == deployment and not s.undoes and s.snapshot != NO_SNAPSHOT and s.stage < end
    ]
    shelves = [s for s in noted if s.kept.place and s.state is ShelfState.KEPT]
    # What was kept is compared with what its part left, so a later one that looked at rows goes by itself.
    places = sorted({_Place(deployment, s.stage, s.snapshot) for s in noted}, reverse=True)
    if not places or places[-1].snapshot != snapshot:
        places.append(_Place(deployment, 0, snapshot))
    found = []
    for _, stage, at in _with_gaps(places, ledger, live, end):
        leg = Leg(
            target if at == snapshot else ledger.load_snapshot(at),
            _net((d, s, r) for d, s, r in renamed if stage <= s < end),
            tuple(s for s in shelves if s.stage == stage),
        )
        found.append((stage, leg))
        end = stage
    return found


def _places(
    history: History, undone: Sequence[AppliedChangeset], shelves: Sequence[Shelf], noted: Sequence[Shelf]
) -> list[_Place]:
    """Where the legs end, the newest first. `noted` are shelves, too, and the parts that only looked at rows."""
    found = {_Place(s.deployment, s.stage, s.snapshot) for s in shelves}
    in_parts = {p.deployment for p in found if not history.by_id[DeploymentId(p.deployment)].granular}
    found |= {_Place(s.deployment, s.stage, s.snapshot) for s in noted if s.deployment in in_parts}
    for s in shelves:
        gone = next((c for c in undone if (c.deployment, c.position) == (s.deployment, s.stage)), None)
        later = any(c.deployment == s.deployment and c.position > s.stage for c in undone)
        if gone is not None and later and history.by_id[s.deployment].granular:
            # What was kept is compared with what its changeset left: what a later one made of the table has to go first.
            found.add(_Place(s.deployment, s.stage + 1, gone.snapshot))
    first: dict[int, AppliedChangeset] = {}
    for c in undone:
        first.setdefault(c.deployment, c)
    for deployment, c in first.items():
        stage = _stage_of((deployment, c.position), history)[1]
        if not any(p.deployment == deployment and p.stage <= stage for p in found):
            # Inside a granular deployment this is the point itself, whose schema is known.
            found.add(_Place(deployment, stage, history.by_id[c.deployment].snapshot_before))
    return sorted(found, reverse=True)


def _with_gaps(places: Sequence[_Place], ledger: Ledger, live: Catalog, end: float = float("inf")) -> list[_Place]:
    """Legs end, too, where a table or a column wasn't there that is there before and after: these are two of one name.

    `end`: the stage at which `live` is.
    """
    found = list(places)
    later = live
    journals = {p.deployment: ledger.journal(DeploymentId(p.deployment)) for p in places}
    for n, place in enumerate(places):
        until = places[n - 1][:2] if n else (float("inf"), 0)
        start = ledger.load_snapshot(place.snapshot)
        for entry in journals[place.deployment]:
            ends_before = (place.deployment, entry.position) < until and entry.position < end
            if place.stage < entry.position and ends_before and entry.snapshot != NO_SNAPSHOT:
                between = ledger.load_snapshot(entry.snapshot)
                if _has_gap(start, between, later):
                    found.append(_Place(place.deployment, entry.position, entry.snapshot))
        later = start
    return sorted(found, reverse=True)


def _has_gap(before: Catalog, between: Catalog, after: Catalog) -> bool:
    for i in before.objects.keys() & after.objects.keys():
        if i.kind != "table":
            continue
        was, then = ({p.name[-1].casefold() for p in c.objects[i].parts} for c in (before, after))
        if i not in between.objects:
            if not was & then:
                return True
        elif (was & then) - {p.name[-1].casefold() for p in between.objects[i].parts}:
            return True
    return False


def _passing(s: Shelf, target: Catalog, earlier: Mapping[ObjectId, ObjectId]) -> frozenset[str]:
    """Columns of what was kept that aren't in the table at the end of the way."""
    table = s.kept.table
    then = target.objects.get(earlier.get(table, table))
    if then is None:
        return frozenset()
    there = {p.name[-1].casefold() for p in then.parts}
    named = {c: ObjectId("column", (*table.name, c)) for c in s.kept.names}
    return frozenset(c for c, i in named.items() if earlier.get(i, i).name[-1].casefold() not in there)


def _without_new(recorded: Catalog, target: Catalog, earlier: Mapping[ObjectId, ObjectId]) -> Catalog:
    """Tables that aren't at the end of the way go at its beginning, with all that was written to them, and what needs them.

    `earlier`: names at the end of the way by those here.
    """
    gone = {i for i in recorded.objects if i.kind == "table" and earlier.get(i, i) not in target.objects}
    while gone:
        hanging = {
            i
            for i, o in recorded.objects.items()
            if i not in gone
            and (o.part_of in gone or any(recorded.owner_of(n) in gone for n in recorded.dependencies.get(i, ())))
        }
        if not hanging:
            break
        gone |= hanging
    stay = {i: o for i, o in recorded.objects.items() if i not in gone}
    needs = {i: needed for i, needed in recorded.dependencies.items() if i in stay}
    return replace(recorded, objects=stay, dependencies=needs, _cache={}) if gone else recorded


def _belongs(changeset: tuple[int, int], since: tuple[int, int], until: tuple[float, int], history: History) -> bool:
    """Whether a leg takes this changeset back, or a part of it: of a deployment in parts it isn't known which."""
    if since <= _stage_of(changeset, history) < until:
        return True
    return changeset[0] == since[0] and not history.by_id[DeploymentId(changeset[0])].granular


def _stage_of(changeset: tuple[int, int], history: History) -> tuple[int, int]:
    deployment, position = changeset
    granular = next(d.granular for d in history.deployments if d.id == deployment)
    return deployment, position if granular else 1


def _is_undone(deployment: int, stage: int, undone: Iterable[AppliedChangeset], history: History) -> bool:
    positions = [c.position for c in undone if c.deployment == deployment]
    if not positions:
        return False
    granular = next(d.granular for d in history.deployments if d.id == deployment)
    return not granular or stage in positions


def _at_start(
    tables: Iterable[tuple[int, int, ObjectId]], renamed: Sequence[tuple[int, int, Rename]]
) -> frozenset[ObjectId]:
    """The names that tables had before these renames, given by their names at some stage's start."""
    found = set()
    for deployment, stage, table in tables:
        until = _net((d, s, r) for d, s, r in renamed if (d, s) < (deployment, stage))
        found.add(next((r.before for r in until if r.after == table), table))
    return frozenset(found)


def _at_end(
    tables: Iterable[tuple[int, int, ObjectId]], renamed: Sequence[tuple[int, int, Rename]]
) -> frozenset[ObjectId]:
    """The names that tables have after these renames, given by their names at some stage's end."""
    found = set()
    for deployment, stage, table in tables:
        since = _net((d, s, r) for d, s, r in renamed if (d, s) > (deployment, stage))
        found.add(next((r.after for r in since if r.before == table), table))
    return frozenset(found)


def _net(renamed: Iterable[tuple[int, int, Rename]]) -> tuple[Rename, ...]:
    stretches: dict[tuple[int, int], list[Rename]] = {}
    for deployment, stage, rename in renamed:
        stretches.setdefault((deployment, stage), []).append(rename)
    return follow(tuple(stretches[key]) for key in sorted(stretches))


def _takes_rows(session: Session, live: Catalog, net: Leg) -> bool:
    """Whether going there in one leg would take rows along; then each deployment's are kept apart, for its redo."""
    if net.renamed:
        return True
    losses = [loss for loss in plan(live, net.target).losses if loss.kind is not LossKind.VALUES]
    return any(session.count_each(losses).values())
