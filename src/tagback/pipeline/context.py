"""What a step works with: the run's names, its targets, its place in the control database, and time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from tagback.deploy.events import Event, Returned, Returning
from tagback.deploy.target import Target
from tagback.engines.session import StatementError
from tagback.errors import TagbackError, UsageError
from tagback.ledger.records import Reversibility
from tagback.pipeline.control import Control
from tagback.pipeline.events import Listener, StepTold
from tagback.pipeline.expressions import filled, length
from tagback.pipeline.failures import TimeLimitError
from tagback.pipeline.records import Run, StepRecord
from tagback.pipeline.secrets import Secrets
from tagback.pipeline.specification import Pipeline

_ENDED = ("cancelled", "interrupted")
"""The codes of errors of statements that were ended from outside."""


class Stopped(Exception):
    """The run ends while this step is still at work."""


@dataclass(frozen=True, slots=True)
class Context:
    """`record` is how the step stands in the control database, with what an attempt before this one noted.

    `until`: the moment (monotonic) at which the step must be over. `stop` is set when the run ends before the step.
    `waiting()`: while it lasts, the run waits for a person. `folder`: what the file's paths are relative to; empty for
    the present folder.
    """

    run: Run
    path: str
    pipeline: Pipeline
    control: Control
    note: Callable[[StepRecord], None]
    secrets: Secrets
    names: Mapping[str, Any]
    record: StepRecord
    listen: Listener
    until: float | None
    stop: threading.Event
    waiting: Callable[[], AbstractContextManager[None]]
    folder: str = ""

    def at(self, path: str) -> str:
        """A path of the pipeline's file, from the present folder."""
        return os.path.join(self.folder, path)

    def tell(self, text: str) -> None:
        """Says something to whoever watches, without secrets."""
        self.listen(StepTold(self.path, self.secrets.blotted(text)))

    def intend(self, **what: Any) -> None:
        """Notes what is about to be done to a database, before it is."""
        self.note(replace(self.record, intent=what))

    @property
    def left(self) -> float:
        """Seconds until the step must be over."""
        return float("inf") if self.until is None else self.until - time.monotonic()

    def pause(self, length: float) -> None:
        """Lets time pass; TimeLimitError when the step's is over, Stopped when the run is."""
        end = time.monotonic() + length
        while (rest := min(end, self.until or end) - time.monotonic()) > 0:
            if self.stop.wait(min(rest, 0.5)):
                raise Stopped
        self.check_time()

    def check_time(self) -> None:
        """TimeLimitError when there is none left."""
        if self.stop.is_set():
            raise Stopped
        if self.left <= 0:
            raise TimeLimitError("The step took longer than its timeout.")

    def url_of(self, name: str) -> str:
        """A target's URL, secrets and all."""
        if name not in self.pipeline.targets:
            raise UsageError(f"The pipeline has no target {name}.", code="unknown_target")
        return self.url_at(str(filled(self.pipeline.targets[name].url, self.names)))

    def url_at(self, url: str) -> str:
        """A URL, or a path; that of an SQLite file from the present folder."""
        scheme, sign, rest = url.partition("sqlite:///")
        if scheme or not sign:
            return url if "://" in url else self.at(url)
        return url if rest.startswith("/") or not self.folder else f"sqlite:///{quote(self.folder)}/{rest}"

    def lock_wait(self, name: str) -> float:
        """Seconds to wait for somebody else's deployment of a target to end, within the step's time."""
        return max(0.0, min(length(self.pipeline.targets[name].lock_wait, self.names), self.left))

    def at_worst(self, name: str) -> Reversibility | None:
        """The worst verdict that a deployment to a target may have, if there is one."""
        limit = self.pipeline.targets[name].at_worst
        return Reversibility(limit) if limit is not None else None

    @contextmanager
    def target(self, name: str, *, create: bool = False) -> Iterator[Target]:
        """Opens a target of the pipeline. What it is doing when the step's time is over, or the run is, is ended."""
        url, spec = self.url_of(name), self.pipeline.targets[name]
        wait = length(spec.lock_timeout, self.names) if spec.lock_timeout is not None else None
        returning = threading.Event()

        def listen(event: Event) -> None:
            match event:
                case Returning():
                    returning.set()
                case Returned():
                    returning.clear()

        with Target.open(url, create=create, listen=listen, lock_timeout=wait) as target:

            def cancel() -> None:
                if not returning.is_set():  # the way back of what was ended has all the time that it needs
                    target.session.cancel()

            with self.in_time(cancel):
                yield target

    @contextmanager
    def in_time(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Calls `cancel` once the step's time is over, or the run is, for what is done inside to end."""
        over = threading.Event()
        ending = threading.Thread(target=self._end_late, args=(cancel, over), daemon=True)
        ending.start()
        try:
            yield
        except TagbackError as e:
            waited = e.code == "lock_timeout" and self.left <= 0  # in turns that are too short to be ended
            if not isinstance(e, StatementError) and e.code not in _ENDED and not waited:
                raise
            if self.stop.is_set():
                raise Stopped from e
            if self.left <= 0:
                why = "it waited" if waited else "the statement was ended"
                raise TimeLimitError(f"The step took longer than its timeout; {why}: {e.message}") from e
            raise
        finally:
            over.set()
            ending.join()

    def _end_late(self, cancel: Callable[[], None], over: threading.Event) -> None:
        """Ends what runs once the time is over, again and again: between two statements there is nothing to end."""
        while not over.wait(0.2):
            if self.left <= 0 or self.stop.is_set():
                cancel()


def names_of(
    run: Run, pipeline: Pipeline, secrets: Secrets, steps: Mapping[str, Any], matrix: Mapping[str, Any]
) -> dict[str, Any]:
    """The names that expressions of a step know."""
    return {
        "variables": {**pipeline.variables, **run.variables},
        "secrets": secrets,
        "env": dict(os.environ),
        "steps": steps,
        "matrix": dict(matrix),
        "targets": {n: {"environment": t.environment, "tags": t.tags} for n, t in pipeline.targets.items()},
        "run": {"id": run.id, "pipeline": run.pipeline, "initiator": run.initiator, "state": run.state.value},
    }
