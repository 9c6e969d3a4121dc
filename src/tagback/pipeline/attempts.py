"""One step or group until it is done, given up, or ends the run: attempts, and the strategies between them."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tagback.errors import Exit, TagbackError, UsageError
from tagback.pipeline import events
from tagback.pipeline.context import Stopped
from tagback.pipeline.control import now
from tagback.pipeline.durations import seconds
from tagback.pipeline.expressions import filled_in, length
from tagback.pipeline.failures import type_of
from tagback.pipeline.records import StepRecord, StepState
from tagback.pipeline.retries import place_of
from tagback.pipeline.specification import Rollback, Strategy
from tagback.pipeline.steps import perform
from tagback.pipeline.tree import Node

if TYPE_CHECKING:
    from tagback.pipeline.runner import Runner

_LOOK = 1.0  # seconds between two looks at what people said


class Halt(Exception):
    """The run goes on no further. `do` says what comes of what it changed, below `scope` (empty: everything)."""

    def __init__(self, step: str, error: dict[str, Any], do: str, scope: str) -> None:
        super().__init__(step)
        self.step, self.error, self.do, self.scope = step, error, do, scope

    @property
    def fields(self) -> dict[str, Any]:
        """To be noted, and made again from that."""
        return {"step": self.step, "error": self.error, "do": self.do, "scope": self.scope}


class GroupAgainError(TagbackError):
    """The group around the step `path` is to run again, as `strategy` says; `levels` are the step's, for when it may not."""

    def __init__(
        self, error: TagbackError, path: str, strategy: Strategy, levels: Sequence[Sequence[Strategy]]
    ) -> None:
        super().__init__(
            error.message, hint=error.hint, location=error.location, code=error.code, exit_code=error.exit_code
        )
        self.path, self.strategy, self.levels = path, strategy, levels

    @property
    def place(self) -> str:
        """Of the strategy."""
        return place_of(self.strategy, self.levels, self.path)


@dataclass
class Attempts:
    """The attempts at one node. Each strategy that tries again counts for itself, however often a runner dies meanwhile."""

    runner: Runner
    node: Node

    def make(self) -> None:
        """Ends normally when the run may go on behind the node; Halt, or for the group GroupAgainError, when not."""
        runner, node = self.runner, self.node
        known = runner.record(node.path)
        # What an attempt before this one intended for a database is still to be looked for in it.
        record = known or StepRecord(node.path, node.step.kind, StepState.RUNNING, 0, now(), "")
        while True:
            record = replace(
                record, attempts=record.attempts + 1, state=StepState.RUNNING, ended="", outputs={}, error={}
            )
            runner.note(record)
            runner.listen(events.StepStarted(node.path, node.step.kind, record.attempts))
            started = time.monotonic()
            try:
                outputs = self._once(record)
            except Halt as halt:
                self._end(self._now(record, halt.error), StepState.FAILED, started, "")
                raise
            except Stopped:
                stopped = {"type": "interrupted", "message": "The run ended while this was at work."}
                self._end(self._now(record, stopped), StepState.FAILED, started, stopped["message"])
                raise
            except TagbackError as e:
                record = self._now(record, described(e))
                if not self._again(record, e, started):
                    return
                continue
            self._end(replace(self._now(record, {}), outputs=outputs), StepState.DONE, started, "")
            return

    def _now(self, record: StepRecord, error: Mapping[str, Any]) -> StepRecord:
        """The record with what the attempt noted in it, and how it ended."""
        return replace(self.runner.record(record.path) or record, error=error)

    def _once(self, record: StepRecord) -> dict[str, Any]:
        runner, node = self.runner, self.node
        if node.step.steps is not None:
            runner.together(node.children, node.step.parallel)
            return {}
        context = runner.context(node, record, None)
        if node.step.timeout is not None:
            context = replace(context, until=time.monotonic() + length(node.step.timeout, context.names))
        part = filled_in(getattr(node.step, node.step.kind), context.names)
        if isinstance(part, Rollback) and node.step.rollback is not None and node.step.rollback.placed != part.placed:
            # What this run found is another place than the one that the file names.
            raise UsageError("The place to go back to has no value.", code="expression")
        try:
            return perform(node.step.kind, msgspec.structs.replace(node.step, **{node.step.kind: part}), context)
        except (TagbackError, Stopped):
            raise
        except Exception as e:  # what nobody thought of must not keep the databases from going back
            raise TagbackError(f"Unexpected {type(e).__name__}: {e}", code="internal") from e

    def _again(self, record: StepRecord, e: TagbackError, started: float) -> bool:
        """Decides about a failure: True to try again, False to go on behind the step; else Halt or GroupAgainError."""
        runner, node = self.runner, self.node
        if isinstance(e, GroupAgainError) and self._may(e.strategy, e.place):
            runner.forget(node.children)
            self._pause(e.strategy, e.place)
            return True
        path: str = node.path
        levels: Sequence[Sequence[Strategy]] = node.levels
        after: Strategy | None = None
        if isinstance(e, GroupAgainError):
            path, levels, after = e.path, e.levels, e.strategy
        strategy = self._chosen(type_of(e), path, levels, after)
        do: str = strategy.do if strategy is not None else "rollback_pipeline"
        runner.listen(events.StrategyChosen(node.path, type_of(e), do, strategy is not None))
        if strategy is not None and do == "manual":
            do = self._asked(record, strategy)
        if e.exit_code is Exit.STUCK and do in ("ignore", "mark_success", "mark_failure", "abort"):
            runner.listen(
                events.StepTold(node.path, f"the database is neither at its start nor at its end: {do} can't be")
            )
            do = "rollback_pipeline"
        if do == "retry":
            runner.note(record)
            runner.control.forget_answers(runner.run.id, node.path)
            if strategy is not None and strategy.do == "retry":
                self._pause(strategy, place_of(strategy, levels, path))
            return True
        if do in ("ignore", "mark_success"):
            self._end(record, StepState.IGNORED if do == "ignore" else StepState.DONE, started, e.message)
            return False
        self._end(record, StepState.FAILED, started, e.message)
        if do == "retry_group" and strategy is not None:
            raise GroupAgainError(e, path, strategy, levels)
        scope = {"rollback_group": node.path.rpartition("/")[0], "rollback_stage": node.path.partition("/")[0]}
        raise Halt(node.path, dict(record.error), do, scope.get(do, ""))

    def _chosen(
        self, kind: str, path: str, levels: Sequence[Sequence[Strategy]], after: Strategy | None
    ) -> Strategy | None:
        """The next strategy for this type of error that isn't used up, from the inside out; those up to `after` are."""
        fitting = [s for strategies in levels for s in strategies if not s.errors or kind in s.errors]
        if after is not None:
            fitting = fitting[next(n for n, s in enumerate(fitting) if s is after) + 1 :]
        return next((s for s in fitting if s.do != "retry" or self._may(s, place_of(s, levels, path))), None)

    def _may(self, s: Strategy, place: str) -> bool:
        """Whether it may be used once more, which then counts."""
        return self.runner.retries.use(self.node.path, place) <= s.times

    def _pause(self, s: Strategy, place: str) -> None:
        tries = self.runner.retries.used(self.node.path, place)
        rest = seconds(s.every) * s.backoff ** (tries - 1) * random.uniform(1 - s.jitter, 1 + s.jitter)
        self.runner.listen(events.StepTold(self.node.path, f"again in {rest:.1f} s ({tries} of {s.times})"))
        nothing = StepRecord(self.node.path, "", StepState.RUNNING, 0, now(), "")
        self.runner.context(self.node, nothing, None).pause(rest)

    def _asked(self, record: StepRecord, s: Strategy) -> str:
        """What a person decides, or what is to be done when nobody does in time."""
        runner, path = self.runner, self.node.path
        runner.note(record)
        run = runner.run.id
        runner.control.forget_answers(run, path)
        runner.listen(
            events.StepTold(
                path, f"waits for a decision: tagback pipeline decide {run} {path} retry|ignore|success|abort|rollback"
            )
        )
        until = time.monotonic() + seconds(s.timeout)
        context = runner.context(self.node, record, None)
        with runner.waiting():
            while time.monotonic() < until:
                said = [a for a in runner.control.answers(run, path) if a.verdict in DECISIONS]
                if said:
                    runner.listen(events.StepTold(path, f"{said[-1].who} decided: {said[-1].verdict}"))
                    return DECISIONS[said[-1].verdict]
                context.pause(min(_LOOK, max(0.05, until - time.monotonic())))
        runner.listen(events.StepTold(path, f"nobody decided in time: {s.then}"))
        return s.then

    def _end(self, record: StepRecord, state: StepState, started: float, summary: str) -> None:
        self.runner.note(replace(record, state=state, ended=now()))
        took = round(time.monotonic() - started, 3)
        kind = self.node.step.kind
        told = self.runner.secrets.blotted(summary)
        error = {k: self.runner.secrets.blotted(str(v)) for k, v in record.error.items()}
        self.runner.listen(events.StepEnded(self.node.path, kind, state.value, took, told, error))


def described(e: TagbackError) -> dict[str, Any]:
    """An error as runs keep it."""
    return {"type": type_of(e), "code": e.code, "message": e.message, "hint": e.hint, "at": str(e.location or "")}


DECISIONS = {
    "retry": "retry",
    "ignore": "ignore",
    "success": "mark_success",
    "abort": "abort",
    "rollback": "rollback_pipeline",
}
"""What a person can say to a step that failed, and what is done then."""
