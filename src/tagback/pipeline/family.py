"""A run with all that it chains, as one: their steps and changes, with the places of the steps that chain them before theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tagback.pipeline.control import Control
from tagback.pipeline.records import OVER, Change, ChangeState, Run, RunState, StepRecord


@dataclass(frozen=True, slots=True)
class Member:
    """A run of the family. `prefix` are the places of the steps that chain it, empty for the first."""

    run: Run
    prefix: str

    def placed(self, path: str) -> str:
        """A path of this run, in the family."""
        return f"{self.prefix}/{path}" if self.prefix else path


def members(control: Control, run: Run, prefix: str = "") -> Iterator[Member]:
    """The run itself, then what it chained, in order."""
    yield Member(run, prefix)
    for child in control.children(run.id):
        yield from members(control, child.run, f"{prefix}/{child.path}" if prefix else child.path)


def all_steps(control: Control, run: Run) -> dict[str, StepRecord]:
    """All steps, each chained pipeline's behind the step that chains it. Of one that was tried again the last run counts."""
    found = control.steps(run.id)
    for child in control.children(run.id):
        below = {
            f"{child.path}/{p}": replace(s, path=f"{child.path}/{p}") for p, s in all_steps(control, child.run).items()
        }
        inserted: dict[str, StepRecord] = {}
        for path, step in found.items():
            if path not in below:
                inserted[path] = step
            if path == child.path:
                inserted |= below
        found = inserted
    return found


def all_changes(control: Control, run: Run) -> list[Change]:
    """What all of them did to databases, in the order in which they did."""
    found = [replace(c, path=m.placed(c.path)) for m in members(control, run) for c in control.changes(m.run.id)]
    return sorted(found, key=lambda c: c.order)


def end_all(control: Control, run: Run, state: RunState) -> None:
    """What a run chained and is not over ends in this state."""
    for member in members(control, run):
        if member.prefix and member.run.state not in OVER:
            control.set_state(member.run.id, state, over=True)


def end_taken_back(control: Control, run: Run, scope: str) -> None:
    """What a run chained below a scope has gone back, or is stuck; what else is not over ends as it stands."""
    for member in members(control, run):
        if member.prefix and below(member.prefix, scope):
            states = {c.state for c in control.changes(member.run.id)}
            stuck = ChangeState.FAILED in states
            if member.run.state not in OVER or stuck or ChangeState.BACK in states:
                control.set_state(member.run.id, RunState.STUCK if stuck else RunState.ROLLED_BACK, over=True)
    end_all(control, run, RunState.ABORTED)


def below(path: str, scope: str) -> bool:
    """Whether a step is the one of a scope, or within it; an empty one is everything."""
    return not scope or path == scope or path.startswith(f"{scope}/")
