"""What happens in a run, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class RunStarted(msgspec.Struct, frozen=True, tag_field="event", tag="run_started"):
    """A run begins, or goes on."""

    run: str
    pipeline: str
    resumed: bool


class StageStarted(msgspec.Struct, frozen=True, tag_field="event", tag="stage_started"):
    """A stage begins."""

    stage: str


class StepStarted(msgspec.Struct, frozen=True, tag_field="event", tag="step_started"):
    """A step begins, for the `attempt`-th time."""

    path: str
    kind: str
    attempt: int


class StepTold(msgspec.Struct, frozen=True, tag_field="event", tag="step_told"):
    """A step has something to say: a line of a command's output, what a check saw, what is waited for."""

    path: str
    text: str


class StillReachable(msgspec.Struct, frozen=True, tag_field="event", tag="still_reachable"):
    """While a check is watched: of each database that the run changed whether it can still go back without loss, in words."""

    path: str
    answers: dict[str, str]


class StepEnded(msgspec.Struct, frozen=True, tag_field="event", tag="step_ended"):
    """A step is over."""

    path: str
    kind: str
    state: str
    seconds: float
    summary: str
    error: dict[str, Any] = {}


class StrategyChosen(msgspec.Struct, frozen=True, tag_field="event", tag="strategy_chosen"):
    """What is done about a failure; `given`: the file says so, it isn't the default."""

    path: str
    error_type: str
    do: str
    given: bool


class GoingBack(msgspec.Struct, frozen=True, tag_field="event", tag="going_back"):
    """A database is being taken back."""

    target: str
    to: str


class WentBack(msgspec.Struct, frozen=True, tag_field="event", tag="went_back"):
    """How that ended."""

    target: str
    to: str
    ok: bool
    detail: str


class RunEnded(msgspec.Struct, frozen=True, tag_field="event", tag="run_ended"):
    """The run is over, or stops to wait for a person."""

    run: str
    state: str
    seconds: float


Event = (
    RunStarted
    | StageStarted
    | StepStarted
    | StepTold
    | StillReachable
    | StepEnded
    | StrategyChosen
    | GoingBack
    | WentBack
    | RunEnded
)
Listener = Callable[[Event], None]
