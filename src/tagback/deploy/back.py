"""The one way back: from whatever the schema is to a recorded one, and the proof that it got there.

Rollback to a tag, the end of a failed deployment where statements commit one by one, recovery and drift repair all
come through here. It starts from what is, so it can be begun again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tagback.catalog import SUBORDINATE, Catalog, Loss, ObjectId, Rename, Step
from tagback.deploy.events import Compared, Listener, StepDone
from tagback.deploy.results import PlannedStep
from tagback.deploy.verdict import written_since
from tagback.engines.session import Session, StatementError
from tagback.errors import FailedError, RefusedError
from tagback.ledger.records import RecordedContent
from tagback.plan import plan

Move = tuple[ObjectId, ObjectId]
"""A rename to be done: the name before it and the name after it."""


@dataclass(frozen=True, slots=True)
class Return:
    """What was done: the steps with what each destroyed and how long it took, and the schema found afterwards."""

    steps: tuple[PlannedStep, ...]
    after: Catalog


def bring_back(
    session: Session,
    live: Catalog,
    target: Catalog,
    renamed: Sequence[Rename],
    contents: Iterable[RecordedContent],
    listen: Listener,
) -> Return:
    """Brings the schema to `target` inside the open transaction and compares. `renamed`: name at the target, name now.

    RefusedError, with nothing decided yet, when a kind can't be managed or data would be lost; FailedError when a step
    fails or the result isn't the target. Whoever calls rolls the transaction back then.
    """
    done: list[PlannedStep] = []
    moves = _moves(live, target, renamed)
    naming = [*_schemas(moves, live, target)]
    naming += [step for here, there in moves for step in session.rename(Rename(here, there)) or ()]
    if naming:
        _run(session, naming, {}, done, listen, len(naming))
        live = session.read_catalog()
    planned = plan(live, target)
    if planned.blocked:
        raise RefusedError(
            "There is no way back that is safe:\n  " + "\n  ".join(planned.blocked),
            code="irreversible",
            hint="Nothing was touched.",
        )
    rows = _check_losses(session, live, planned.losses, contents, moves)
    _run(session, planned.steps, rows, done, listen, len(naming) + len(planned.steps))
    after = session.read_catalog() if done else live
    listen(Compared(target.fingerprint, after.fingerprint, len(after.objects)))
    return Return(tuple(done), after)


def _check_losses(
    session: Session,
    live: Catalog,
    losses: Sequence[Loss],
    contents: Iterable[RecordedContent],
    moves: Sequence[Move],
) -> dict[Loss, int]:
    """How much each step takes away; RefusedError when it is anything that the application wrote."""
    counts = session.count_each(losses)
    noted = {loss: _before_moves(loss, moves) for loss in losses}
    written = written_since(session, live, counts, noted, contents)
    if written:
        raise RefusedError(
            "Going back would lose data that was written since:\n  "
            + "\n  ".join(f"{noted.get(loss, loss)}: {count}" for loss, count in written.items()),
            code="data_loss",
            hint="Save these rows elsewhere and remove them, then roll back. Nothing was touched.",
        )
    return counts


def _before_moves(loss: Loss, moves: Sequence[Move]) -> Loss:
    """The loss under the names that its table and column had before they were moved: those that were recorded."""
    table, column = loss.table, loss.column
    for here, there in reversed(moves):
        if there == table:
            table = here
        if column and there == ObjectId("column", (*table.name, column)):
            column = here.name[-1]
    return replace(loss, table=table, column=column)


def _run(
    session: Session,
    steps: Sequence[Step],
    rows: dict[Loss, int],
    done: list[PlannedStep],
    listen: Listener,
    total: int,
) -> None:
    def note(step: Step, seconds: float) -> None:
        done.append(
            PlannedStep(
                sql=step.sql,
                object=str(step.object),
                action=step.action.value,
                lock=step.lock,
                destroys=tuple(str(loss) for loss in step.destroys),
                rows=sum(rows.get(loss, 0) for loss in step.destroys),
                seconds_estimate=round(seconds, 4),
            )
        )
        listen(StepDone(step.sql, len(done), total))

    try:
        session.run_steps(steps, note)
    except StatementError as e:
        if e.retryable or e.lost:
            raise
        if e.code == "constraint":
            raise RefusedError(
                f"Today's rows don't fit the schema to return to: {e.message}",
                code="constraint",
                hint=f"It was found by this step: {e.statement}\nThe database is as it was; correct the rows and try again.",
            ) from None
        raise FailedError(
            f"A step of the way back failed: {e.message}",
            code="rollback_failed",
            hint=f"The step was: {e.statement}\nThe database is as it was before.",
        ) from None


# ---------------------------------------------------------------------- names


def _moves(live: Catalog, target: Catalog, renamed: Sequence[Rename]) -> list[Move]:
    """Renames back, what is within a table before the table, past names that are taken at the moment."""
    wanted = {r.after: r.before for r in renamed if _applies(r, live, target)}
    if not wanted:
        return []
    taken = set(live.objects) | {part for o in live.objects.values() for part in o.parts}
    within = [
        (here, _named(here, _own_name(there))) for here, there in sorted(wanted.items()) if not _shared_name(here)
    ]
    names = {i: _at_target(i, live, wanted) for i in taken if _shared_name(i)}
    obstacles = _obstacles(names, wanted, target)
    return [
        *((i, _named(i, f"obstacle_by_tagback_{n}")) for n, i in enumerate(obstacles, 1)),
        *_past_each_other(within, taken),
        *_past_each_other_in_schemas(live, {i: there for i, there in names.items() if i not in obstacles}, wanted),
    ]


def _applies(r: Rename, live: Catalog, target: Catalog) -> bool:
    return live.owner_of(r.after) is not None and target.owner_of(r.before) is not None


def _at_target(i: ObjectId, live: Catalog, wanted: Mapping[ObjectId, ObjectId]) -> ObjectId:
    """The name that this will have after all moves: indexes, constraints and owned sequences go along with their table."""
    if i in wanted:
        return wanted[i]
    whole = live.objects[i].part_of if i in live.objects else None
    if i.kind in SUBORDINATE:  # a foreign key has a table, too, that it isn't dropped with
        whole = ObjectId("table", i.name[:-1])
    if whole is None or whole not in wanted:
        return i
    path = wanted[whole].name if i.kind in SUBORDINATE else wanted[whole].name[:-1]
    return ObjectId(i.kind, (*path, i.name[-1]))


def _schemas(moves: Sequence[Move], live: Catalog, target: Catalog) -> Iterable[Step]:
    """Makes the schemas that something moves back into and that are gone."""
    wanted = {ObjectId("schema", there.name[:1]) for _, there in moves} - live.objects.keys()
    return [step for i in sorted(wanted & target.objects.keys()) for step in target.objects[i].create()]


def _obstacles(
    names: Mapping[ObjectId, ObjectId], wanted: Mapping[ObjectId, ObjectId], target: Catalog
) -> tuple[ObjectId, ...]:
    """What has a name that something else returns to, and goes in the end; what is within a table before the table."""
    arriving = {there for i, there in names.items() if there != i}

    def goes(i: ObjectId) -> bool:
        if i in wanted:
            return False
        if target.owner_of(names[i]) is None or (i == names[i] and i in arriving):
            return True
        table = ObjectId("table", i.name[:-1])
        return i.kind in SUBORDINATE and table in names and goes(table)

    going = [i for i in names if goes(i)]
    staying = names.keys() - set(going)
    claimed = {_shared_name(names[i]) for i in staying if _shared_name(names[i]) != _shared_name(i)}
    found = [i for i in going if {_shared_name(i), _shared_name(names[i])} & claimed]
    return tuple(sorted(found, key=lambda i: (i.kind not in SUBORDINATE, i)))


def _shared_name(i: ObjectId) -> tuple[str, ...]:
    """The name that no two tables, views, indexes, sequences or types can have; empty for what is named within a table."""
    if i.kind == "constraint":  # its index, if it has one, stands beside the table
        return (*i.name[:-2], i.name[-1])
    return () if i.kind in SUBORDINATE else i.name


def _named(i: ObjectId, own: str) -> ObjectId:
    """The same place under another name."""
    at = _own_at(i)
    return ObjectId(i.kind, (*i.name[:at], own, *i.name[at + 1 :]))


def _own_name(i: ObjectId) -> str:
    return i.name[_own_at(i)]


def _own_at(i: ObjectId) -> int:
    """Where in the path its own name stands: behind a function's are its arguments."""
    return len(i.name) - 1 if i.kind in SUBORDINATE else min(1, len(i.name) - 1)


def _past_each_other(pairs: Sequence[Move], taken: set[ObjectId]) -> list[Move]:
    """The moves in an order that never meets a name in use: by way of names nobody has where they would.

    Those names must not look like tagback's own: what has one of them is still to be seen, and to be dropped.
    """
    moving = {here for here, _ in pairs}
    if not any(goal in taken for _, goal in pairs):
        return list(pairs)
    between = [_named(here, f"between_by_tagback_{n}") for n, (here, _) in enumerate(pairs, 1)]
    away = [
        (goal, _named(goal, f"away_by_tagback_{n}"))
        for n, (_, goal) in enumerate(pairs, 1)
        if goal in taken and goal not in moving
    ]
    first = [(here, mid) for (here, _), mid in zip(pairs, between, strict=True)]
    last = [(mid, goal) for (_, goal), mid in zip(pairs, between, strict=True)]
    return [*first, *away, *last]


def _past_each_other_in_schemas(
    live: Catalog, names: Mapping[ObjectId, ObjectId], wanted: Mapping[ObjectId, ObjectId]
) -> list[Move]:
    """The same for what shares names across a schema: what goes along with a table has its own name changed at most."""
    in_use = {_shared_name(i) for i in names}
    moving = {i: there for i, there in names.items() if i in wanted}
    moving |= {
        i: there for i, there in names.items() if there != i and _shared_name(there) in in_use - {_shared_name(i)}
    }
    along = [i for i in sorted(moving) if _goes_along(i, live, names)]
    others = [i for i in sorted(moving) if not _goes_along(i, live, names)]
    renamed_first = [there for i in others if (there := _named(i, _own_name(moving[i]))) != i]
    if not any(_shared_name(there) in in_use for there in (*moving.values(), *renamed_first)):
        moves = [(i, _named(i, _own_name(moving[i]))) for i in along] + [(i, moving[i]) for i in others]
        return [(here, there) for here, there in moves if here != there]
    own = {i: f"between_by_tagback_{n}" for n, i in enumerate((*along, *others), 1)}
    moves = [(i, _named(i, own[i])) for i in (*along, *others)]
    moves += [(_named(i, own[i]), _named(moving[i], own[i])) for i in others]
    moves += [(_named(moving[i], own[i]), moving[i]) for i in (*others, *along)]
    return [(here, there) for here, there in moves if here != there]


def _goes_along(i: ObjectId, live: Catalog, names: Mapping[ObjectId, ObjectId]) -> bool:
    """Whether it is where its table is, whatever is said about itself."""
    return i.kind in SUBORDINATE or (i in live.objects and live.objects[i].part_of in names)
