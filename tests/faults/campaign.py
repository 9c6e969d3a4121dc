"""One row of the table: a scenario on an engine, with one kind of fault at every place of it.

For each place the start is copied, a child process runs into the fault, and then the database is looked at: by
itself, after `recover` or after simply doing the same once more, and at last after a run without faults.
"""

from __future__ import annotations

import enum
import json
import logging
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tagback.cli.call import Settings
from tagback.cli.change import change
from tagback.deploy.look import Reader
from tagback.deploy.target import Target
from tagback.engines import connect
from tagback.errors import Exit, TagbackError
from tests.faults.ground import Ground, Ledger
from tests.faults.injection import KILLS, Counts, Fault, How, Place, hurt, hurt_drivers
from tests.faults.scenarios import WAIT, Act, Scenario, write
from tests.support import oracle

MOMENTS = 40  # for faults spread over a run's time
THOROUGH = 7  # every so many places all that must hold is looked at, even if nothing was touched
PATIENCE = 60.0  # seconds a run may take


class After(enum.StrEnum):
    """What is done after the fault."""

    RECOVER = "recover"
    REPEAT = "the same again"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended. `code`: its exit status as tagback's, None if it was killed; `trace` if it fell over."""

    code: int | None
    message: str
    trace: str
    counts: Counts
    seconds: float


@dataclass(frozen=True, slots=True)
class Remembered:
    """What tagback says about a database, without numbers and times that differ from run to run."""

    applied: tuple[str, ...]
    tag: str
    tags: tuple[str, ...]
    history: tuple[tuple[object, ...], ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A database at the start or at the end of a scenario."""

    state: oracle.State
    remembered: Remembered
    ledger: Ledger


@dataclass(slots=True)
class Row:
    """What became of the points of one scenario and fault."""

    engine: str
    scenario: str
    title: str
    how: How
    places: int = 0
    points: int = 0
    at_start: int = 0
    at_end: int = 0
    seconds: float = 0.0
    stuck: list[str] = field(default_factory=list)

    def add(self, where: str, problems: list[str], label: str) -> None:
        """Counts one point."""
        self.points += 1
        if problems:
            self.stuck.append(label + "\n    " + "\n    ".join(problems))
        elif where == "end":
            self.at_end += 1
        else:
            self.at_start += 1


class Campaign:
    """A scenario on an engine: its start and its end are made once, then every fault is tried."""

    def __init__(self, ground: Ground, scenario: Scenario, folder: Path) -> None:
        self._ground = ground
        self._scenario = scenario
        self._folder = folder
        self._second = 0  # where the recovery after the last kill was killed
        write(folder, scenario.files(ground.engine))
        self._start_name = ground.empty()
        with Target.open(ground.url(self._start_name), create=True) as target:
            scenario.prepare(target, folder)
            self.start = self._known(self._start_name, target)
        name = ground.copy(self._start_name)
        self.clean = self._run(name, scenario.act, None)
        assert self.clean.code == (Exit.FAILED if scenario.fails else Exit.DONE), self.clean
        with Target.open(ground.url(name)) as target:
            self.end = self._known(name, target)
        ground.drop(name)
        assert not self.start.remembered.wrong, self.start.remembered
        assert not self.end.remembered.wrong, self.end.remembered

    def close(self) -> None:
        """Drops what was made."""
        self._ground.drop(self._start_name)

    def points(self, how: How) -> Iterator[int]:
        """All places at which this fault can happen."""
        match how.place:
            case Place.CALL:
                return iter(range(1, self.clean.counts.calls + 1))
            case Place.STATEMENT:
                return iter(range(1, self.clean.counts.statements + 1))
            case Place.MOMENT:
                return iter(range(1, MOMENTS + 1))
            case Place.PAGE:
                return iter(range(1, 100))  # until one run has all it needs

    def row(self, how: How, stride: int = 1, offset: int = 0) -> Row:
        """Tries the fault at every `stride`-th place; both ways of going on take turns."""
        row = Row(self._ground.engine, self._scenario.name, self._scenario.title, how)
        started = time.monotonic()
        name = self._ground.copy(self._start_name)
        began = self._ground.moment()
        for turn, at in enumerate(self.points(how)):
            row.places += 1
            if turn % stride != offset % stride:
                continue
            after = After.RECOVER if (turn // stride) % 2 else After.REPEAT
            outcome = self._run(name, self._scenario.act, Fault(how, at))
            if row.points % THOROUGH and how is not How.KILLED_TWICE and self._is_untouched(name, began, outcome):
                row.add("start", [], "")
                began = self._ground.moment()
                continue
            self._look(name, row, Fault(how, at), after, outcome)
            self._ground.drop(name)
            name = self._ground.copy(self._start_name)
            if how.place is Place.PAGE and outcome.code == Exit.DONE:
                break
            began = self._ground.moment()
        self._ground.drop(name)
        row.seconds = time.monotonic() - started
        return row

    def _is_untouched(self, name: str, began: int, outcome: Outcome) -> bool:
        """Whether nothing at all was committed since it began, nothing is left, and the run told no tale: this is the start.

        It needs no `recover` to see, and a run without faults works as it did from the same bytes before. The database
        serves for the next fault.
        """
        if outcome.trace or outcome.code == Exit.DONE:
            return False
        self._ground.settle(name)
        return self._ground.untouched_since(began) and not self._ground.leftovers(name)

    def one(self, row: Row, fault: Fault, after: After) -> Outcome:
        """One fault, and all that must hold afterwards; noted in `row`."""
        name = self._ground.copy(self._start_name)
        outcome = self._run(name, self._scenario.act, fault)
        self._look(name, row, fault, after, outcome)
        self._ground.drop(name)
        return outcome

    def _look(self, name: str, row: Row, fault: Fault, after: After, outcome: Outcome) -> None:
        try:
            where, problems = self._judge(name, fault, after, outcome)
        except Exception:  # noqa: BLE001 - whatever it is, the other places shall be tried too
            where, problems = "", [traceback.format_exc()]
        label = f"{row.engine}, {self._scenario.name}, {fault.how.name} at {fault.at}, then {after.value}: {outcome.message}"
        row.add(where, problems, label)

    # ------------------------------------------------------------------ judging

    def _judge(self, name: str, fault: Fault, after: After, outcome: Outcome) -> tuple[str, list[str]]:
        """Where the database ended, and what is wrong.

        After `recover` an independent look must see the start or the end, and a run without faults must work. Where
        the same is simply done again, an independent look must see the end.
        """
        problems = [f"no clean error: {outcome.trace}"] if outcome.trace else []
        if fault.how in KILLS and outcome.code is not None and fault.how is not How.KILLED_SOMETIME:
            problems.append("the run was not killed")
        problems += self._false_report(name, fault, outcome)
        if fault.how is How.KILLED_TWICE:
            self._kill_recovery(name)
        with Target.open(self._ground.url(name), create=True) as target:
            if after is After.RECOVER:
                target.recover(lock_wait=WAIT)
                where = self._where(name, target, problems)
                problems += self._again(target)
                found = remember(target)
                if found != self.end.remembered:
                    problems.append(f"a run without faults led to {found}")
            else:
                where = "end" if remember(target) == self.end.remembered and not self._scenario.fails else "start"
                problems += self._again(target)
                self._where(name, target, problems, only="end")
        return where, problems + self._ground.leftovers(name)

    def _false_report(self, name: str, fault: Fault, outcome: Outcome) -> list[str]:
        """Success means the end; a failure that says `as before` means the start, without any recovering."""
        if outcome.code is None or outcome.trace or (fault.how is How.EXCEPTION and self._scenario.journaled):
            return []
        # No server reports a failure of what it did commit, and nobody promised anything about a bare exception.
        invented = fault.how in (How.FAILED, How.EXCEPTION)
        if outcome.code == Exit.DONE:
            wanted = [self.end]
        elif outcome.code in (Exit.UNREACHABLE, Exit.STUCK):
            return []
        else:
            wanted = [self.start, self.end] if invented else [self.start]
        self._ground.settle(name)
        state, _ = self._ground.look(name)
        if any(state == known.state for known in wanted):
            return []
        return [f"the run said {outcome.code}: {outcome.message}", *oracle.differences(wanted[0].state, state)]

    def _where(self, name: str, target: Target, problems: list[str], only: str = "") -> str:
        """`start` or `end`, when schema, rows and ledger are all those of the one or the other."""
        found = self._known(name, target)
        for where, known in (("start", self.start), ("end", self.end)):
            if only not in ("", where) or found.state != known.state or found.remembered != known.remembered:
                continue
            if where == "start" and not self._scenario.journaled and found.ledger != known.ledger:
                problems.append("the ledger is not byte for byte that of the start")
            return where
        for where, known in (("start", self.start), ("end", self.end)):
            if only in ("", where):
                problems.append(f"not at the {where}:")
                problems += oracle.differences(known.state, found.state)
                if found.remembered != known.remembered:
                    problems.append(f"remembered {found.remembered} instead of {known.remembered}")
        return "neither"

    def _again(self, target: Target) -> list[str]:
        """The same run without faults, which must work at once wherever the first one ended."""
        try:
            self._scenario.act(target, self._folder)
        except TagbackError as error:
            if (self._scenario.fails and error.exit_code == Exit.FAILED) or error.code == "tag_exists":
                return []
            return [f"a run without faults ends with {error.exit_code} {error.code}: {error.message}"]
        return []

    def _kill_recovery(self, name: str) -> None:
        """Kills `recover` at the place after the one of the last time, so that in the end it was killed at each."""

        self._second += 1

        def recover(counts: Counts) -> str:
            fault = Fault(How.KILLED_DURING, self._second)
            hurt_drivers(fault, counts)
            Target(hurt(connect(self._ground.url(name)), None, counts)).recover(lock_wait=WAIT)
            return ""

        if in_child(recover).code is not None:
            self._second = 0  # beyond its last statement: from the first again

    def _known(self, name: str, target: Target) -> Known:
        remembered = remember(target)
        state, ledger = self._ground.look(name)
        return Known(state, remembered, ledger)

    # ------------------------------------------------------------------ running

    def _run(self, name: str, act: Act, fault: Fault | None) -> Outcome:
        url = self._ground.url(name)
        delay = self.clean.seconds * fault.at / MOMENTS if fault and fault.how.place is Place.MOMENT else None

        def run(counts: Counts) -> str:
            hurt_drivers(fault, counts)
            if fault and fault.how is How.SIGNALLED:
                # What turns signals into a clean end, and proves it, is the command line's.
                opened = change(
                    Settings(url=url, lock_wait=WAIT), lambda t: act(_counting(t, counts), self._folder), create=True
                )
                return str(getattr(opened, "message", ""))
            with Target(hurt(connect(url, create=True), fault, counts)) as target:
                return str(getattr(act(target, self._folder), "message", ""))

        return in_child(run, delay)


def _counting(target: Target, counts: Counts) -> Target:
    """The target, with calls and catalog reads counted as in the run without faults."""
    target.session = hurt(target.session, None, counts)
    return target


def remember(target: Target) -> Remembered:
    """Asks tagback for all it knows, and notes where its answers don't agree with each other."""
    target.session.begin_reading()
    try:
        return _remember(Reader(target.session))
    finally:
        target.session.rollback()


def _remember(reader: Reader) -> Remembered:
    status = reader.status(None)
    wrong = [f"drift: {d}" for d in status.drift]
    wrong += [f"interrupted: {d}" for d in status.interrupted]
    try:
        comparison = reader.verify(None)
        if not comparison.equal:
            wrong.append(comparison.message)
    except TagbackError as error:
        if error.code != "nothing_attested":
            raise
    history = reader.past()
    tags = [t.tag for t in reader.tags()]
    if tuple(t.tag for t in status.tags) != tuple(tags):
        wrong.append(f"status and tags differ: {status.tags} {tags}")
    inside = [c for d in history if d.kind == "apply" and d.outcome == "done" for c in d.changesets]
    if not set(status.applied) <= set(inside):
        wrong.append(f"in effect but of no deployment: {set(status.applied) - set(inside)}")
    return Remembered(
        applied=status.applied,
        tag=status.tag,
        tags=tuple(tags),
        history=tuple(
            (d.kind, d.outcome, d.tag, d.previous_tag, d.changesets, d.undone) for d in history if d.outcome != "failed"
        ),
        wrong=tuple(wrong),
    )


def in_child(work: Callable[[Counts], str], kill_after: float | None = None) -> Outcome:
    """Runs `work` in a forked process, killed after so many seconds if a time is given."""
    reading, writing = os.pipe()
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # test runners have threads; the child uses nothing of theirs
        process = os.fork()
    if process == 0:
        os.close(reading)
        _be_child(work, writing)
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(process, 0)
    seconds = time.monotonic() - began
    if os.WIFSIGNALED(status) or not text:
        return Outcome(None, f"ended by signal {os.WTERMSIG(status)}", "", Counts(), seconds)
    told = json.loads(text)
    return Outcome(told["code"], told["message"], told["trace"], Counts(told["calls"], told["statements"]), seconds)


def _be_child(work: Callable[[Counts], str], pipe: int) -> NoReturn:
    logging.disable()
    signal.alarm(int(PATIENCE))  # a run that hangs ends, and counts as stuck
    signal.signal(signal.SIGINT, signal.default_int_handler)
    time.sleep = lambda _: None  # pauses before the next attempt
    counts = Counts()
    told: dict[str, Any] = {"code": int(Exit.DONE), "message": "", "trace": ""}
    try:
        told["message"] = work(counts)
    except TagbackError as error:
        told |= {"code": int(error.exit_code), "message": f"{error.code}: {error.message}"}
    except KeyboardInterrupt:
        told |= {"code": int(Exit.INTERRUPTED), "message": "interrupted"}
    except BaseException:  # noqa: BLE001 - the child says what it was, and must end here
        told |= {"code": -1, "message": "traceback", "trace": traceback.format_exc()}
    os.write(pipe, json.dumps({**told, "calls": counts.calls, "statements": counts.statements}).encode())
    os._exit(0)
