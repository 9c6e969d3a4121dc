"""The one way back: from whatever the schema is to a recorded one, and the proof that it got there.

Rollback to a tag, the end of a failed deployment where statements commit one by one, recovery and drift repair all
come through here. It starts from what is, so it can be begun again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """Renames back, columns before tables, past names that are taken at the moment."""
    wanted = [r for r in renamed if _applies(r, live, target)]
    columns = [r for r in wanted if r.before.kind in SUBORDINATE]
    others = [r for r in wanted if r.before.kind not in SUBORDINATE]
    now_of = {r.before.name: r.after.name for r in renamed if r.before.kind == "table"}
    moves: list[Move] = []
    taken = set(live.objects) | {part for o in live.objects.values() for part in o.parts}
    for group in (columns, others):
        pairs = []
        for r in group:
            goal = r.before
            if goal.kind in SUBORDINATE:
                goal = ObjectId(goal.kind, (*now_of.get(goal.name[:-1], goal.name[:-1]), goal.name[-1]))
            pairs.append((r.after, goal))
        moves += _past_each_other(pairs, taken)
    return [*_out_of_the_way(live, target, wanted), *moves]


def _schemas(moves: Sequence[Move], live: Catalog, target: Catalog) -> Iterable[Step]:
    """Makes the schemas that something moves back into and that are gone."""
    wanted = {ObjectId("schema", there.name[:1]) for _, there in moves} - live.objects.keys()
    return [step for i in sorted(wanted & target.objects.keys()) for step in target.objects[i].create()]


def _out_of_the_way(live: Catalog, target: Catalog, wanted: Sequence[Rename]) -> list[Move]:
    """Renames of what has a name to return to, is of another kind and goes in the end: a view, say, or an index."""
    moving = {r.after for r in wanted}
    goals = {_shared_name(r.before): r.before.kind for r in wanted if _shared_name(r.before)}
    return [
        (i, ObjectId(i.kind, (*i.name[:-1], f"obstacle_by_tagback_{n}")))
        for n, i in enumerate(live.objects)
        if goals.get(_shared_name(i), i.kind) != i.kind and i not in moving and i not in target.objects
    ]


def _shared_name(i: ObjectId) -> tuple[str, ...]:
    """The name that no two tables, views, indexes, sequences or types can have; empty for what is named within a table."""
    if i.kind == "constraint":  # its index, if it has one, stands beside the table
        return (*i.name[:-2], i.name[-1])
    return () if i.kind in SUBORDINATE else i.name


def _applies(r: Rename, live: Catalog, target: Catalog) -> bool:
    return live.owner_of(r.after) is not None and target.owner_of(r.before) is not None


def _past_each_other(pairs: Sequence[Move], taken: set[ObjectId]) -> list[Move]:
    """The moves in an order that never meets a name in use: by way of names nobody has where they would.

    Those names must not look like tagback's own: what has one of them is still to be seen, and to be dropped.
    """
    moving = {here for here, _ in pairs}
    if not any(goal in taken for _, goal in pairs):
        return list(pairs)
    first, last = [], []
    for n, (here, goal) in enumerate(pairs, 1):
        between = ObjectId(here.kind, (*here.name[:-1], f"between_by_tagback_{n}"))
        first.append((here, between))
        last.append((between, goal))
    away = [
        (goal, ObjectId(goal.kind, (*goal.name[:-1], f"away_by_tagback_{n}")))
        for n, (_, goal) in enumerate(pairs, 1)
        if goal in taken and goal not in moving
    ]
    return [*first, *away, *last]
