"""The one way back: from whatever the schema is to a recorded one, rows included, and the proof that it got there.

Rollback to a tag, the end of a failed deployment where statements commit one by one, recovery and drift repair all
come through here. It starts from what is, so it can be begun again after a crash. What it takes away is kept, as a
deployment's doings are.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tagback.catalog import (
    SUBORDINATE,
    Catalog,
    Loss,
    LossKind,
    ObjectId,
    Rename,
    Restoration,
    Step,
    by_appending,
    knowing,
    renames,
)
from tagback.deploy.events import Compared, Listener
from tagback.deploy.moves import Move, missing_schemas, moves
from tagback.deploy.results import PlannedStep
from tagback.deploy.steps import RefusedStepError, UnfitError, run_sparing, run_steps, types_first, unfit
from tagback.engines.session import Disagreement, KeptRows, Rules, Session
from tagback.errors import FailedError, RefusedError
from tagback.ledger.records import Shelf
from tagback.plan import Plan, plan


class ColumnOrder(enum.StrEnum):
    """Where a column that comes back stands: in its place, or behind the others where the engine only appends."""

    EXACT = "exact"
    LOGICAL = "logical"


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of the way back. `renamed`: name at the target, name now. `shelves`: rows to be merged at the target.

    `undoes` are the changesets (deployment and position) that it takes back. `since`: what was renamed after the stage
    that the shelves are of. `passing` are columns, by table at the target, that won't be there at the end of the way.
    `looked_at`: tables that the changesets may have written to, by their names at the target; those
    that go by their names now. `broken`: what referred to nothing where a foreign key went and nothing else.
    """

    target: Catalog
    renamed: tuple[Rename, ...] = ()
    shelves: tuple[Shelf, ...] = ()
    undoes: tuple[tuple[int, int], ...] = ()
    since: tuple[Rename, ...] = ()
    looked_at: frozenset[ObjectId] = frozenset()
    passing: Mapping[ObjectId, frozenset[str]] = field(default_factory=dict)
    broken: tuple[KeptRows, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    """What was done: the steps with what each took away and how long it took, the rows, and the schema afterwards.

    `before` is the schema at the leg's start and `kept` what the leg took away; `taken` is that by the names that were given
    back before anything was taken. `target` is the leg's, with columns in
    the order that was asked for. `home` are tables that were moved back from the shelf: nothing of them is there any more.
    """

    steps: tuple[PlannedStep, ...]
    before: Catalog
    target: Catalog
    after: Catalog
    kept: tuple[KeptRows, ...]
    restored: Mapping[ObjectId, int]
    conflicts: tuple[Disagreement, ...]
    conflicts_total: int
    home: tuple[Shelf, ...]
    taken: tuple[KeptRows, ...] = ()


def bring_back(
    session: Session,
    live: Catalog,
    leg: Leg,
    label: str,
    listen: Listener,
    *,
    restore: bool = False,
    strict: bool = False,
    order: ColumnOrder = ColumnOrder.EXACT,
    decided: Callable[[Catalog], None] = lambda live: None,
) -> Return:
    """Goes one leg inside the open transaction and compares. `label` begins the names of the places for what it takes away.

    `decided` is called with the schema as it is when all that may be refused has been, and nothing but names changed.

    `restore`: what was kept stands against what was written since; `strict`: there must be no such conflict.
    RefusedError, with nothing decided yet, when a kind can't be managed or rows don't fit; FailedError when a step
    fails. Whoever calls rolls the transaction back then.
    """
    done: list[PlannedStep] = []
    target = leg.target
    start = live = knowing(live, leg.renamed)
    moved, naming = names_back(session, live, target, leg.renamed)
    if naming:
        run_steps(session, naming, {}, done, listen, len(naming))
        live = knowing(session.read_catalog(), leg.renamed)
    if order is ColumnOrder.LOGICAL:
        target = by_appending(live, target)
    session.begin_stage(label, live, commits=session.capabilities.schema_changes_commit)
    shelves = [s for s in leg.shelves if has_place(s.kept, target)]
    ways_home = session.ways_home([s.kept for s in shelves])
    home = tuple(s for s in shelves if s.kept.place in ways_home)
    if home:
        homing = [*missing_schemas([s.kept.table for s in home], live, target), *itertools.chain(*ways_home.values())]
        run_steps(session, homing, {}, done, listen, len(done) + len(homing))
        live = knowing(session.read_catalog(), leg.renamed)
        shelves = [s for s in shelves if s not in home]
    rules = {
        s.kept.place: Rules(restore=restore, back=s.back, passing=leg.passing.get(s.kept.table, frozenset()))
        for s in shelves
    }
    _hold(session, live, target, shelves)
    merge = session.merge([s.kept for s in shelves], live, target, rules, _names_of_added(shelves, leg, moved))
    if merge.conflicts_total and strict:
        raise _in_conflict(merge.conflicts, merge.conflicts_total)
    rows = {**_refills(leg.looked_at, live, target, merge.rows), **merge.rows}
    planned = plan(live, target, rows)
    if planned.blocked:
        raise RefusedError(
            "There is no way back that is safe:\n  " + "\n  ".join(planned.blocked),
            code="irreversible",
            hint="Nothing was touched.",
        )
    counts = _counted(session, planned, target)
    _check_narrowing(counts)
    _check_unkept(counts, live)
    touched = {loss.table for loss, count in counts.items() if count}
    touched |= (merge.rows.keys() | {s.kept.table for s in shelves} | leg.looked_at) & live.objects.keys()
    touched -= {i for i in touched if live.objects[i].refill}
    decided(live)
    session.keep_start(touched)
    _go(
        session,
        (*planned.steps, *merge.finish),
        counts,
        done,
        listen,
        live,
        target,
        [*(s.kept for s in leg.shelves), *leg.broken],
    )
    after = session.read_catalog() if done else live
    taken = _take(session, label, live, after, [s.kept for s in shelves]) if touched else ()
    kept = tuple(_named_as_before(k, moved) for k in taken)
    session.forget_start()
    listen(Compared(target.fingerprint, after.fingerprint, len(after.objects)))
    restored = {**merge.restored, **{s.kept.table: s.kept.gone for s in home}}
    return Return(
        tuple(done), start, target, after, kept, restored, merge.conflicts, merge.conflicts_total, home, taken
    )


def _go(
    session: Session,
    steps: Sequence[Step],
    counts: Mapping[Loss, int],
    done: list[PlannedStep],
    listen: Listener,
    live: Catalog,
    target: Catalog,
    given: Sequence[KeptRows],
) -> None:
    """Runs the steps of the plan. A refusal that no sparing helps against is told with the rows."""
    before = len(done)

    def run(tried: Sequence[Step]) -> None:
        del done[before:]
        try:
            run_steps(session, tried, counts, done, listen, before + len(tried))
        except UnfitError as e:
            raise e.error from e

    try:
        run_sparing(session, steps, run, live, target, given)
    except RefusedStepError as e:
        if session.capabilities.schema_changes_commit:
            raise UnfitError(e.error) from None
        raise unfit(session, e.steps, target, e.error) from None


def names_back(
    session: Session, live: Catalog, target: Catalog, renamed: Sequence[Rename]
) -> tuple[list[Move], list[Step]]:
    """What is renamed before anything else, and the steps for it."""
    moved = moves(live, target, renamed, cased=session.capabilities.cased_names)
    steps = [*missing_schemas([there for _, there in moved], live, target)]
    shapes = {o.shaped_by.name: o.shaped_by for o in live.objects.values() if o.shaped_by is not None}
    for here, there in moved:
        within = shapes.get(here.name[:-1]) if here.kind == "column" else None
        steps += session.rename(Rename(here, there, within)) or ()
    return moved, steps


def has_place(kept: KeptRows, target: Catalog) -> bool:
    """Whether what was kept can go there: on the way, what was taken away by hand isn't."""
    table = target.objects.get(kept.table)
    there = {p.name[-1].casefold() for p in table.parts} if table is not None else set()
    return table is not None and {c.casefold() for c in kept.names} <= there


def _hold(session: Session, live: Catalog, target: Catalog, shelves: Sequence[Shelf]) -> None:
    """Keeps others out of the tables whose rows come back, or would be lost, before they are looked at."""
    coming = {s.kept.table: Restoration((), ()) for s in shelves}
    planned = plan(live, target, coming)
    tables = {t for t in (*coming, *(loss.table for loss in planned.losses)) if t in live.objects}
    changing = {step.object for step in planned.steps}
    changing |= {whole for i in changing if (whole := _table_of(i, live)) is not None}
    session.hold(tables, tables & changing)


def _table_of(i: ObjectId, live: Catalog) -> ObjectId | None:
    """What this is a part of; it needn't be there yet."""
    if i in live.objects:
        return live.objects[i].part_of
    return ObjectId("table", i.name[:-1]) if i.kind in SUBORDINATE else None


def _take(
    session: Session, label: str, live: Catalog, after: Catalog, given: Sequence[KeptRows]
) -> tuple[KeptRows, ...]:
    """Keeps what went. All of it: what the same changesets would make again by themselves may not be what was there."""
    kept, _ = session.shelve(label, live, after, {r.before: r.after for r in renames(live, after)}, given=given)
    return kept


def _named_as_before(kept: KeptRows, moved: Sequence[Move]) -> KeptRows:
    """With the names that the table and its columns had before they were moved."""

    def before(i: ObjectId) -> ObjectId:
        for here, there in reversed(moved):
            if i == there:
                i = here
            elif there.kind == "table" and i.kind == "column" and i.name[:-1] == there.name:
                i = ObjectId("column", (*here.name, i.name[-1]))
        return i

    names = {c: before(ObjectId("column", (*kept.table.name, c))).name[-1] for c in kept.names}
    return replace(
        kept,
        table=before(kept.table),
        columns=tuple(replace(c, name=names[c.name]) for c in kept.columns),
        key=tuple(names[c] for c in kept.key),
        matched=tuple(names[c] for c in kept.matched),
        stood=kept.stood and replace(kept.stood, columns={names[c]: there for c, there in kept.stood.columns.items()}),
    )


def _in_conflict(conflicts: Sequence[Disagreement], total: int) -> RefusedError:
    shown = [f"{c.table}, {c.key}" + (f": {c.column}" if c.column else "") for c in conflicts[:10]]
    more = [f"… and {total - len(shown)} more"] if total > len(shown) else []
    return RefusedError(
        "Values that the deployment changed were written to since:\n  " + "\n  ".join([*shown, *more]),
        code="conflict",
        hint="--on-conflict keep leaves what was written since, --on-conflict restore brings the old values back."
        " Nothing was touched.",
    )


def _counted(session: Session, planned: Plan, target: Catalog) -> Mapping[Loss, int]:
    """What the plan's steps would destroy now; types that values are turned into are made for that, if they aren't there."""
    making = types_first(planned.steps, target)
    if not making or session.capabilities.schema_changes_commit:
        return session.count_each(planned.losses)
    session.savepoint()
    try:
        run_steps(session, making, {}, [], lambda event: None, len(making))
        counts = session.count_each(planned.losses)
    except FailedError:  # they need more than that; then what can't be tried counts as lost
        session.rollback_to_savepoint()
        counts = session.count_each(planned.losses)
    session.rollback_to_savepoint()
    session.release_savepoint()
    return counts


def _refills(
    written: Iterable[ObjectId], live: Catalog, target: Catalog, coming: Mapping[ObjectId, Restoration]
) -> dict[ObjectId, Restoration]:
    """What the deployment wrote to, and stays, is filled anew from where it has its rows; with these it is so anyway."""
    both = ((i, target.objects[i]) for i in written if i in target.objects and live.objects.get(i) == target.objects[i])
    return {i: Restoration((), o.refill) for i, o in both if o.refill and not coming.keys() & {*o.acts_on_rows_of}}


def _check_unkept(counts: Mapping[Loss, int], live: Catalog) -> None:
    """RefusedError where rows would go that nothing can keep."""
    lost = {loss: count for loss, count in counts.items() if count and live.keeps_nothing_of(loss.table)}
    if lost:
        raise RefusedError(
            "The way back would take away rows that can't be kept:\n  "
            + "\n  ".join(f"{loss}: {count}" for loss, count in lost.items()),
            code="data_loss",
            hint="Save what these rows say elsewhere and remove them, then roll back. Nothing was touched.",
        )


def _check_narrowing(counts: Mapping[Loss, int]) -> None:
    """RefusedError where values can't go back into the column's type unharmed."""
    narrowed = {loss: count for loss, count in counts.items() if loss.kind is LossKind.VALUES and count}
    if narrowed:
        raise RefusedError(
            "Today's values don't fit the schema to return to:\n  "
            + "\n  ".join(f"{loss}: {count}" for loss, count in narrowed.items()),
            code="data_loss",
            hint="Correct these values, then roll back. Nothing was touched.",
        )


def _names_of_added(shelves: Sequence[Shelf], leg: Leg, moved: Sequence[Move]) -> dict[ObjectId, ObjectId]:
    """The names that columns have now which the start doesn't have: renamed since, or moved out of the way."""
    names = {r.before: r.after for r in leg.renamed}
    earlier = {r.after: r.before for r in leg.since}
    later = {r.before: r.after for r in leg.since}
    found = {}
    for s in shelves:
        now = names.get(s.kept.table, s.kept.table)
        then = earlier.get(now, now)  # at the end of the stage that made these columns
        for name in s.kept.added:
            by_start = ObjectId("column", (*s.kept.table.name, name))
            column = later.get(ObjectId("column", (*then.name, name)), ObjectId("column", (*now.name, name)))
            for here, there in moved:
                if column == here:
                    column = there
                elif here.kind == "table" and column.name[:-1] == here.name:
                    column = ObjectId("column", (*there.name, column.name[-1]))
            found[by_start] = column
    return found
