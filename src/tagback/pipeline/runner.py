"""Drives a run: the stages in order, their steps, and what is done when one fails. It can be ended anywhere and goes on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagback.errors import TagbackError
from tagback.pipeline import events
from tagback.pipeline.attempts import Attempts, GroupAgainError, Halt, described
from tagback.pipeline.commands import end_left_behind
from tagback.pipeline.context import Context, Stopped, names_of
from tagback.pipeline.control import HEARTBEAT, RUN_TAKEN, Control, now, taken_over
from tagback.pipeline.document import read
from tagback.pipeline.durations import seconds
from tagback.pipeline.expressions import evaluate
from tagback.pipeline.family import all_steps, below, end_all, end_taken_back
from tagback.pipeline.outputs import seen_from, values_of
from tagback.pipeline.records import ABORT, ENDED, Answer, Run, RunState, StepRecord, StepState
from tagback.pipeline.retries import Retries
from tagback.pipeline.secrets import Secrets
from tagback.pipeline.specification import Pipeline
from tagback.pipeline.tree import Branch, Node, grow
from tagback.pipeline.undo import Undone, take_back


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: every step, and how each database stands that it changed."""

    run: Run
    steps: Mapping[str, StepRecord]
    failure: Mapping[str, Any]
    undone: tuple[Undone, ...]
    seconds: float


class Runner:
    """One drive of one run, from its beginning or from where another one ended."""

    def __init__(
        self,
        control: Control,
        run: Run,
        pipeline: Pipeline,
        branches: Sequence[Branch],
        listen: events.Listener,
        above: Context | None = None,
    ) -> None:
        """`above`: the step of another run that this one is chained by."""
        self.control = control
        self.run = run
        self.pipeline = pipeline
        self.above = above
        folder = os.path.dirname(run.file)
        self.folder = "" if folder == os.getcwd() else folder
        self.secrets = Secrets(pipeline.secrets, self.folder, above.secrets if above is not None else None)
        self.branches = branches
        self.stop = threading.Event()
        self._listen_to = listen
        self._telling = threading.Lock()
        self._waits = 0
        self._abort: Answer | None = None
        self._report: dict[str, Any] = {}
        self.retries = Retries(control, run.id)
        self._steps = control.steps(run.id)
        self._values = values_of(node for branch in branches for node in branch.nodes)

    def drive(self) -> Outcome:
        """Goes on until the run is over. TagbackError only if the control database fails or somebody else took over.

        A chained one is Stopped when the run above it is.
        """
        started = time.monotonic()
        beating = threading.Event()
        heart = threading.Thread(target=self._beat, args=(beating,), daemon=True)
        heart.start()
        self.listen(events.RunStarted(self.run.id, self.run.pipeline, bool(self._steps)))
        try:
            end_left_behind(self.control, self.run.id, self.listen)
            state, failure, undone = self._all()
        finally:
            beating.set()
            heart.join()
        return self._over(state, failure, undone, time.monotonic() - started)

    def end(self, halt: Halt) -> Outcome:
        """Ends a run that was stopped: takes back what is to go back."""
        started = time.monotonic()
        return self._over(*self._halted(halt), time.monotonic() - started)

    def _over(self, state: RunState, failure: Mapping[str, Any], undone: tuple[Undone, ...], took: float) -> Outcome:
        report = {**self._report, "failure": failure, "undone": [_plain(u) for u in undone]}
        self.control.set_state(self.run.id, state, report, over=True)
        self.listen(events.RunEnded(self.run.id, state.value, round(took, 3)))
        run = self.control.run(self.run.id)
        return Outcome(run, all_steps(self.control, run), failure, undone, took)

    def _all(self) -> tuple[RunState, Mapping[str, Any], tuple[Undone, ...]]:
        pending = self.run.report.get("pending")
        if pending:  # a runner ended while it was taking back
            return self._halted(Halt(**pending))
        try:
            for branch in self.branches:
                self._stage(branch)
        except Halt as halt:
            self.stop.set()
            return self._halted(halt)
        except Stopped:
            if self._abort is None and self.above is not None:
                raise
            if self._abort is None:
                raise taken_over(self.run.id) from None
            error = {"type": "aborted", "message": f"{self._abort.who} aborted the run."}
            return self._halted(Halt("", error, self._abort.verdict, ""))
        except TagbackError:
            raise  # of the control database: it can't be noted what happens
        except Exception as e:  # noqa: BLE001 - what nobody thought of must not keep the databases from going back
            self.stop.set()
            error = described(TagbackError(f"Unexpected {type(e).__name__}: {e}", code="internal"))
            return self._halted(Halt("", error, "rollback_pipeline", ""))
        return RunState.DONE, {}, ()

    def _halted(self, halt: Halt) -> tuple[RunState, Mapping[str, Any], tuple[Undone, ...]]:
        halt.error = {k: self.secrets.blotted(str(v)) for k, v in halt.error.items()}
        failure = {"step": halt.step, "error": halt.error, "do": halt.do}
        if halt.do in ("abort", "mark_failure"):
            state = RunState.ABORTED if halt.do == "abort" else RunState.FAILED
            end_all(self.control, self.run, state)
            return state, failure, ()
        self.control.set_state(self.run.id, RunState.RUNNING, {"pending": halt.fields})
        undone = take_back(list(self.family(halt.scope)))
        end_taken_back(self.control, self.run, halt.scope)
        if any(not u.ok for u in undone):
            self._report = {"pending": halt.fields}
            return RunState.STUCK, failure, undone
        return (RunState.ROLLED_BACK if undone else RunState.FAILED), failure, undone

    def family(self, scope: str) -> Iterator[tuple[Context, str]]:
        """What is to be taken back below `scope`, in this run and in those that it chained: with what to work, and where."""
        yield replace(self._context(None), stop=threading.Event()), scope
        for child in self.control.children(self.run.id):
            if below(child.path, scope):
                pipeline = read(Path(child.run.file), child.run.document)
                branches = grow(pipeline, Path(child.run.file))
                runner = Runner(self.control, child.run, pipeline, branches, self.listen, self._context(None))
                yield from runner.family("")

    # ------------------------------------------------------------------ stages and groups

    def _stage(self, branch: Branch) -> None:
        name = branch.stage.name
        if not self._holds(branch.stage.when, {}, name):
            for node in branch.nodes:
                self._skip(node, "the stage's `when` does not hold")
            return
        self.listen(events.StageStarted(name))
        while True:
            try:
                self.together(branch.nodes, 1)
                return
            except GroupAgainError as e:  # of a step that is in no group: the stage is its group
                if self.retries.use(name, e.place) > e.strategy.times:
                    raise Halt(name, described(e), "rollback_pipeline", "") from e
                self.forget(branch.nodes)
                self.stop.wait(seconds(e.strategy.every))

    def _holds(self, when: str | None, matrix: Mapping[str, Any], path: str) -> bool:
        """Whether a condition holds; Halt if it has no value."""
        try:
            return when is None or bool(evaluate(when, self.names(matrix)))
        except TagbackError as e:
            raise Halt(path, described(e), "rollback_pipeline", "") from e

    def together(self, nodes: Sequence[Node], at_once: int) -> None:
        """Runs nodes, each after those that it needs, and no more at once than may. The first that halts ends them all."""
        left = list(nodes)
        running: dict[Future[None], Node] = {}
        halt: BaseException | None = None
        with ThreadPoolExecutor(max_workers=at_once) as pool, self._stopped_by_interrupts():
            while (left and halt is None) or running:
                for node in list(left) if halt is None else ():
                    waits = {n for n in node.step.needs if any(m.name == n for m in (*left, *running.values()))}
                    if len(running) < at_once and not waits:
                        left.remove(node)
                        running[pool.submit(self._node, node)] = node
                        if at_once == 1:
                            break
                done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    running.pop(future)
                    error = future.exception()
                    if error is not None and not isinstance(error, Stopped):
                        if halt is None or isinstance(
                            halt, GroupAgainError
                        ):  # what ends the run comes before trying again
                            halt = error
                        if not isinstance(error, GroupAgainError):
                            self.stop.set()  # what else is at work ends as soon as it can
        if halt is not None:
            raise halt
        if self.stop.is_set():
            raise Stopped

    @contextmanager
    def _stopped_by_interrupts(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop.set()
            raise

    def _node(self, node: Node) -> None:
        if self.stop.is_set():
            raise Stopped
        known = self._steps.get(node.path)
        if known is not None and known.state in ENDED:
            return
        if not self._holds(node.step.when, node.matrix, node.path):
            self._skip(node, "its `when` does not hold")
            return
        Attempts(self, node).make()

    def _skip(self, node: Node, why: str) -> None:
        record = StepRecord(node.path, node.step.kind, StepState.SKIPPED, 0, now(), now(), {"why": why})
        self.note(record)
        self.listen(events.StepEnded(node.path, node.step.kind, StepState.SKIPPED.value, 0.0, why))

    # ------------------------------------------------------------------ what steps need

    def note(self, record: StepRecord) -> None:
        """Writes how a step stands, without secrets, here and in the control database."""
        outputs = self.secrets.blotted_in(dict(record.outputs))
        error = self.secrets.blotted_in(dict(record.error))
        record = replace(record, outputs=outputs, error=error)  # type: ignore[arg-type]
        self._steps[record.path] = record
        self.control.set_step(self.run.id, record)

    def record(self, path: str) -> StepRecord | None:
        """How a step stands."""
        return self._steps.get(path)

    @property
    def intents(self) -> list[Mapping[str, Any]]:
        """What steps were about to do to databases, as far as this runner knows, in order."""
        return [record.intent for record in self._steps.values() if record.intent]

    def forget(self, nodes: Sequence[Node]) -> None:
        """These are to run again, from now on; what they intended for databases is still known."""
        for node in nodes:
            record = self._steps.get(node.path)
            if record is not None:
                self.note(replace(record, state=StepState.RUNNING, started=now(), outputs={}, error={}))
                self.control.forget_answers(self.run.id, node.path)
                self.retries.forget(node.path)
            self.forget(node.children)

    def names(self, matrix: Mapping[str, Any]) -> dict[str, Any]:
        """What expressions know."""
        steps = seen_from(matrix, dict(self._steps), self._values)
        return names_of(self.run, self.pipeline, self.secrets, steps, matrix)

    def context(self, node: Node, record: StepRecord, until: float | None) -> Context:
        """What a step works with."""
        return replace(self._context(node), record=record, until=until)

    def _context(self, node: Node | None) -> Context:
        path = node.path if node is not None else ""
        nothing = StepRecord(path, "", StepState.RUNNING, 0, now(), "")
        names = self.names(node.matrix if node is not None else {})
        return Context(
            self.run,
            path,
            self.pipeline,
            self.control,
            self.note,
            self.secrets,
            names,
            nothing,
            self.listen,
            None,
            self.stop,
            self.waiting,
            self.folder,
        )

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While somebody waits for a person, the run does: other steps may be at work beside it."""
        with self.above.waiting() if self.above is not None else nullcontext():
            self._count_waiting(1)
            try:
                yield
            finally:
                self._count_waiting(-1)

    def _count_waiting(self, more: int) -> None:
        with self._telling:
            self._waits += more
            self.control.set_state(self.run.id, RunState.WAITING if self._waits else RunState.RUNNING)

    def listen(self, event: events.Event) -> None:
        """Passes events on one at a time."""
        with self._telling:
            self._listen_to(event)

    def _beat(self, over: threading.Event) -> None:
        beat = time.monotonic()
        while not over.wait(1.0):
            try:
                said = self.control.answers(self.run.id, ABORT)
                if said and self._abort is None:
                    self._abort = said[-1]
                    self.stop.set()
                if time.monotonic() - beat >= HEARTBEAT:
                    self.control.beat(self.run.id)
                    beat = time.monotonic()
            except TagbackError as e:
                if e.code == RUN_TAKEN:
                    self.stop.set()
                    return
                # The database is busy, perhaps: there will be another sign.


def _plain(undone: Undone) -> dict[str, Any]:
    return {"target": undone.target, "to": undone.to, "ok": undone.ok, "detail": undone.detail}
