"""What the control database knows of runs and steps."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class RunState(enum.StrEnum):
    """How a run stands."""

    RUNNING = "running"
    WAITING = "waiting"  # for a person
    DONE = "done"
    FAILED = "failed"  # and what it had changed stands as it says
    ROLLED_BACK = "rolled back"
    STUCK = "stuck"  # a rollback failed: a person is needed
    ABORTED = "aborted"


ABORT = ""
"""The path that answers have which concern the run as a whole: that it is to end."""
OVER = frozenset({RunState.DONE, RunState.FAILED, RunState.ROLLED_BACK, RunState.STUCK, RunState.ABORTED})
"""Nothing goes on in such a run. Only the way back of one that is stuck may be tried again."""


class StepState(enum.StrEnum):
    """How a step stands."""

    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    IGNORED = "ignored"  # it failed, and the run went on
    FAILED = "failed"


ENDED = frozenset({StepState.DONE, StepState.SKIPPED, StepState.IGNORED})
"""The run goes on behind such a step."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a pipeline. `document` is the file's content as it was, `file` where it lay; `report` what came of it."""

    id: str
    pipeline: str
    file: str
    document: str
    variables: Mapping[str, Any]
    state: RunState
    started: str
    ended: str
    initiator: str
    runner: str
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Child:
    """A run that a step of another one chained."""

    path: str
    run: Run


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a run. `intent` is what it was about to do to a database, noted before it did."""

    path: str
    kind: str
    state: StepState
    attempts: int
    started: str
    ended: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    intent: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said to a step that waits for approval or intervention."""

    who: str
    verdict: str
    comment: str
    at: str


class ChangeState(enum.StrEnum):
    """How a database stands that a step changed."""

    CHANGING = "changing"  # begun; the target itself knows what came of it
    CHANGED = "changed"
    UNCHANGED = "unchanged"  # the step failed and left nothing, or had nothing to do
    BACK = "back"  # taken back, and verified
    FAILED = "not back"


@dataclass(frozen=True, slots=True)
class Change:
    """What a step did to a database: `tag_before` is the state that it found. `order`: the first of the run is 1.

    Of a step `rollback` with a place of its own it is empty: there is nothing to go back to.
    """

    path: str
    order: int
    target: str
    tag_before: str
    state: ChangeState
    detail: str = ""
