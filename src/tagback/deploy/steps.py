"""The steps of a way back: run, told one by one, and refused in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tagback.catalog import Action, Catalog, Loss, LossKind, SchemaObject, Step
from tagback.deploy.events import Listener, StepDone
from tagback.deploy.results import PlannedStep
from tagback.engines.session import KeptRows, Session, StatementError
from tagback.errors import FailedError, RefusedError, counted

STEP_FAILED = "rollback_failed"
"""The error code of a step that was refused."""

_TOLD = 5  # rows that an error names


def run_steps(
    session: Session,
    steps: Sequence[Step],
    rows: Mapping[Loss, int],
    done: list[PlannedStep],
    listen: Listener,
    total: int,
) -> None:
    """Runs steps and notes each in `done`; `rows` says what they destroy, `total` how many there are in all."""

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
        raise (UnfitError if e.code in ("constraint", "data") else StepError)(e) from None


class StepError(FailedError):
    """A step was refused."""

    def __init__(self, error: StatementError) -> None:
        super().__init__(
            f"A step of the way back failed: {error.message}",
            code=STEP_FAILED,
            hint=(f"{error.hint}\n" if error.hint else "")
            + f"The step was: {error.statement}\nThe database is as it was before.",
        )
        self.error = error


class UnfitError(StepError):
    """Rows keep a step from being done."""


class RefusedStepError(Exception):
    """`error` stopped one of the steps; everything is as it was before the first, where the engine can go back there."""

    def __init__(self, steps: Sequence[Step], error: StatementError) -> None:
        super().__init__(str(error))
        self.steps, self.error = steps, error


def run_sparing(
    session: Session,
    steps: Sequence[Step],
    run: Callable[[Sequence[Step]], None],
    live: Catalog,
    target: Catalog,
    given: Sequence[KeptRows],
) -> None:
    """Has the steps run. Rows that were against a rule before it is made again are spared it, where that can be.

    RefusedStepError where rows are in the way; `given` are the rows that come back.
    """
    commits = session.capabilities.schema_changes_commit
    session.savepoint()
    while True:
        try:
            run(steps)
        except StatementError as e:
            if e.code not in ("constraint", "data"):
                raise
            if commits:
                raise RefusedStepError(steps, e) from None
            session.rollback_to_savepoint()
            spared = session.spared(steps, e, live, target, given)
            if spared is None:
                raise RefusedStepError(steps, e) from None
            steps = spared
            continue
        session.release_savepoint()
        return


def unfit(session: Session, steps: Sequence[Step], target: Catalog, error: StatementError) -> RefusedError:
    """Says which rows: goes there once more as far as that step, and looks. Everything is as it was before the first."""
    told = ""
    number = next((n for n, step in enumerate(steps) if step.sql == error.statement), len(steps))
    if number < len(steps):
        wanted = target.objects.get(steps[number].object)
        if wanted is None or not is_type(wanted):
            session.run_steps(steps[:number], lambda step, seconds: None)
        found = session.misfits(wanted, error.message) if wanted is not None else None
        if found is not None and found[0]:
            count, first = found
            more = "; …" if len(first) >= _TOLD else ""
            told = f"\n  {counted(count, 'row')} of today: {'; '.join(first)}{more}"
    return RefusedError(
        f"Today's rows don't fit the schema to return to: {error.message}{told}",
        code="constraint",
        hint=f"It was found by this step: {error.statement}\nNothing was changed: correct these rows and try again.",
    )


def is_type(o: SchemaObject) -> bool:
    """Whether rows of whatever table may be against it: those of the type that is there, and not of the one in the making."""
    return o.part_of is None and not o.carries_data and not [*o.acts_on_rows_of]


def types_first(steps: Sequence[Step], target: Catalog) -> list[Step]:
    """The steps that make types which values are turned into after them, and what these need."""
    turning = [n for n, step in enumerate(steps) if any(loss.kind is LossKind.VALUES for loss in step.destroys)]
    return [
        step
        for step in steps[: max(turning, default=0)]
        if step.action is Action.CREATE and (o := target.objects.get(step.object)) is not None and is_type(o)
    ]
