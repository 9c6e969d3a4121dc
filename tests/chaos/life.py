"""One database's life: runs of tagback that are struck, ways of going on, and what must hold after each."""

from __future__ import annotations

import enum
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.clients import DEFAULT_D, Account, Writer, problems
from tests.chaos.hosts import Host
from tests.chaos.shop import LAST, TAGS, write
from tests.support import oracle
from tests.writers.connections import NoColumn, connect

WRITERS = 3
PATIENCE = 90.0  # seconds that a run may take
AS_BEFORE = (1, 2, 3, 130)
"""Exit statuses that say: nothing has changed."""
_STATIC = (
    "SELECT * FROM customer ORDER BY id",
    "SELECT * FROM orders ORDER BY id",
    "SELECT * FROM purchase ORDER BY id",
    "SELECT * FROM item WHERE id < 0 ORDER BY id",
    "SELECT * FROM address WHERE id < 0 ORDER BY id",
)


class Fault(enum.Enum):
    """What strikes."""

    KILLED = "kill -9"
    INTERRUPTED = "Ctrl-C"
    TERMINATED = "SIGTERM"
    FULL = "disk full"
    CUT = "connection cut"
    ENDED = "session ended at the server"
    PAUSED = "paused, its session ended, another goes on"
    SERVER = "kill -9 of the server"
    RIVALS = "2 to 8 at once, one killed"


EVERYWHERE = (Fault.KILLED, Fault.INTERRUPTED, Fault.TERMINATED, Fault.RIVALS)


def faults(engine: str) -> tuple[Fault, ...]:
    """Those that can happen there."""
    if engine == "sqlite":
        return (*EVERYWHERE, Fault.FULL)
    return (*EVERYWHERE, Fault.CUT, Fault.ENDED, Fault.PAUSED, Fault.SERVER)


@dataclass(frozen=True, slots=True)
class Known:
    """A place that the database can be at."""

    schema: Mapping[str, str]
    rows: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """One run: what it is called with, and the tags of the places it leads from and to."""

    name: str
    arguments: tuple[str, ...]
    start: str
    end: str

    @property
    def title(self) -> str:
        return f"{self.name} {self.start} → {self.end}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A process's end."""

    code: int | None
    output: str


@dataclass(slots=True)
class Trial:
    """What became of one fault. `problems` is everything that must not be."""

    command: Command
    fault: Fault
    where: str = ""
    story: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Life:
    """A database with writers; `trials` goes on until it is stopped or something is wrong."""

    def __init__(self, host: Host, folder: Path, turn: int, chance: random.Random) -> None:
        self._host = host
        self._chance = chance
        self._good, self._failing = write(folder, host.engine)
        self._accounts = [Account() for _ in range(WRITERS)]
        self._tags = ["v1"]  # the places that can be returned to, and the one it is at
        self._seconds: dict[str, float] = {}
        self._name = host.create(turn=turn)
        self._known = self._places()
        self._writers: list[Writer] = []

    def trials(self) -> Iterator[Trial]:
        """Faults, one after the other, on this database."""
        self._start_writers()
        try:
            while True:
                trial = Trial(self._command(), self._chance.choice(faults(self._host.engine)))
                try:
                    self._try(trial)
                except Exception as e:  # noqa: BLE001 - whatever it is, it is told with what had been done
                    trial.problems.append(f"{type(e).__name__}: {e}")
                yield trial
                if trial.problems:
                    return
        finally:
            self._stop_writers()

    def close(self) -> None:
        """Drops the database."""
        self._host.drop(self._name)

    # ------------------------------------------------------------------ the places

    @property
    def _at(self) -> str:
        return self._tags[-1]

    def _places(self) -> dict[str, Known]:
        """What the database is at each tag, before anybody writes."""
        known = {}
        for tag in TAGS:
            done = self._run(self._apply(tag))
            assert done.code == 0, done
            known[tag] = self._look()
        done = self._run(("rollback", "--to", "v1", "--yes"))
        assert done.code == 0, done
        assert self._look() == known["v1"], _differences(known["v1"], self._look())
        return known

    def _apply(self, tag: str) -> tuple[str, ...]:
        return ("apply", "--changelog", str(self._good), "--to", LAST[tag], "--tag", tag, "--allow-irreversible")

    def _command(self) -> Command:
        """Anything that can be done from here."""
        here = TAGS.index(self._at)
        possible = [Command("rollback", ("rollback", "--to", tag, "--yes"), self._at, tag) for tag in self._tags[:-1]]
        possible += [Command("apply", self._apply(tag), self._at, tag) for tag in TAGS[here + 1 : here + 2]]
        failing = ("apply", "--changelog", str(self._failing), "--tag", "v4", "--allow-irreversible")
        return self._chance.choice([*possible, *possible, Command("failing apply", failing, self._at, self._at)])

    def _look(self) -> Known:
        connection = connect(self._host.url(self._name))
        rows: list[object] = []
        try:
            for query in _STATIC:
                try:
                    rows.append(tuple(connection.all(query)))
                except NoColumn:
                    rows.append(None)
        finally:
            connection.close()
        return Known(dict(self._host.schema(self._name)), tuple(rows))

    # ------------------------------------------------------------------ one fault

    def _try(self, trial: Trial) -> None:
        command = trial.command
        ended = self._struck(trial)
        trial.story.append(f"{command.title}, {trial.fault.value}: {ended}")
        self._pause(trial)
        found = self._look()
        if ended.code in AS_BEFORE and found != self._known[command.start]:
            trial.problems += [
                f"it said {ended.code}, and the database is not as before:",
                *self._nearest(found, command),
            ]
        if ended.code == 0 and found != self._known[command.end]:
            trial.problems += ["it said 0, and is not at its end:", *self._nearest(found, command)]
        # Python's own start can be interrupted before anything of tagback is loaded.
        if "Traceback" in ended.output and not ended.output.rstrip().endswith("KeyboardInterrupt"):
            trial.problems.append("a traceback reached the user")
        self._go_on()
        if not trial.problems:
            self._finish(trial)
            self._judge(trial)

    def _finish(self, trial: Trial) -> None:
        """`recover`, or the same once more; now and then that is killed, too."""
        recover = self._chance.random() < 0.5
        arguments = ("recover",) if recover else trial.command.arguments
        while self._chance.random() < 0.3:
            process = self._start(arguments)
            time.sleep(self._chance.uniform(0.1, 1) * self._expected(" ".join(arguments[:1])))
            process.kill()
            trial.story.append(f"{arguments[0]}, killed: {_end(process)}")
        done = self._run(arguments)
        trial.story.append(f"{arguments[0]}: {done}")
        wanted = 1 if trial.command.name == "failing apply" and not recover else 0
        if done.code != wanted:
            trial.problems.append(f"{arguments[0]} ended with {done.code}")

    def _judge(self, trial: Trial) -> None:
        self._pause(trial)
        found, command = self._look(), trial.command
        places = [tag for tag in (command.start, command.end) if found == self._known[tag]]
        if not places:
            trial.problems += ["it is at no place:", *self._nearest(found, command)]
            return
        trial.where = places[0]
        if self._at != trial.where:
            been = [tag for tag in self._tags if TAGS.index(tag) < TAGS.index(trial.where)]
            self._tags = [*been, trial.where]
        status = self._run(("status", "--json"))
        if f'"tag": "{self._at}"' not in status.output:
            trial.problems.append(f"the database is at {self._at}, and status says {status.output[:300]}")
        connection = connect(self._host.url(self._name))
        columns: dict[str, object] = {"b": None} if self._at == "v1" else {"d": DEFAULT_D}
        trial.problems += problems(connection, self._accounts, columns)[:20]
        connection.close()
        trial.problems += self._host.leftovers(self._name)
        self._go_on()

    def _nearest(self, found: Known, command: Command) -> list[str]:
        lists = [
            [f"  compared with {tag}:", *_differences(self._known[tag], found)] for tag in (command.start, command.end)
        ]
        return min(lists, key=len)[:20]

    # ------------------------------------------------------------------ striking

    def _struck(self, trial: Trial) -> Ended:
        """Runs the command into the fault."""
        command, fault = trial.command, trial.fault
        limit = self._chance.randrange(0, 40) * 4096 if fault is Fault.FULL else None
        process = self._start(command.arguments, limit)
        began = time.monotonic()
        expected = self._expected(command.title)
        strike: dict[Fault, Callable[[], object]] = {
            Fault.KILLED: process.kill,
            Fault.INTERRUPTED: lambda: process.send_signal(signal.SIGINT),
            Fault.TERMINATED: process.terminate,
            Fault.CUT: self._host.cut,
            Fault.ENDED: lambda: self._host.end_sessions(self._name),
            Fault.PAUSED: lambda: self._take_over(trial, process),
            Fault.SERVER: self._host.kill_server,
            Fault.RIVALS: lambda: self._join(trial, process, expected),
            Fault.FULL: lambda: None,
        }
        if fault is not Fault.RIVALS:
            time.sleep(self._chance.uniform(0.15, 1.05) * expected)
        strike[fault]()
        ended = _end(process)
        if ended.code == 0 and fault not in (Fault.RIVALS, Fault.PAUSED):
            self._seconds[command.title] = 0.5 * expected + 0.5 * (time.monotonic() - began)
        return ended

    def _take_over(self, trial: Trial, process: subprocess.Popen[str]) -> None:
        """Whoever was paused wakes up when another has gone on; it must not write."""
        process.send_signal(signal.SIGSTOP)
        self._host.end_sessions(self._name)
        done = self._run(("recover",))
        trial.story.append(f"recover, meanwhile: {done}")
        if done.code != 0:
            trial.problems.append(f"recover beside a paused run ended with {done.code}")
        process.send_signal(signal.SIGCONT)

    def _join(self, trial: Trial, process: subprocess.Popen[str], expected: float) -> None:
        others = [self._start(trial.command.arguments) for _ in range(self._chance.choice((1, 1, 2, 7)))]
        time.sleep(self._chance.uniform(0, 1.5) * expected)
        process.kill()
        for other in others:
            ended = _end(other)
            trial.story.append(f"beside it: {ended}")
            if ended.code != (1 if trial.command.name == "failing apply" else 0):
                trial.problems.append(f"one of several ended with {ended.code}: {ended.output[-600:]}")

    def _expected(self, title: str) -> float:
        return self._seconds.get(title, 1.0)

    def _start(self, arguments: tuple[str, ...], limit: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tagback", "--url", self._host.url_to_cut(self._name), *arguments]
        if arguments[0] != "status":
            command += ["--lock-wait", "60", "--lock-timeout", "5"]
        more = 0 if limit is None else Path(self._name).stat().st_size + limit
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=None if limit is None else (lambda: _limit(more)),  # noqa: PLW1509 - one call
        )

    def _run(self, arguments: tuple[str, ...]) -> Ended:
        return _end(self._start(arguments))

    # ------------------------------------------------------------------ writers

    def _start_writers(self) -> None:
        url = self._host.url(self._name)
        self._writers = [Writer(url, n + 1, WRITERS, account) for n, account in enumerate(self._accounts)]
        for writer in self._writers:
            writer.start()

    def _pause(self, trial: Trial) -> None:
        for writer in self._writers:
            if not writer.pause():
                trial.problems.append(f"{writer.name} is stuck")
            trial.problems += writer.problems

    def _go_on(self) -> None:
        for writer in self._writers:
            writer.is_new = self._at != "v1"
            writer.go_on()

    def _stop_writers(self) -> None:
        for writer in self._writers:
            writer.stop.set()
            writer.go_on()
        for writer in self._writers:
            writer.join(30)

    @property
    def writes(self) -> int:
        """How many writes were acknowledged so far."""
        return sum(account.writes for account in self._accounts)


def _limit(size: int) -> None:
    """No file may grow beyond that; a write that would is refused instead of ending the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _end(process: subprocess.Popen[str]) -> Ended:
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        return Ended(None, f"did not end in {PATIENCE} s\n{output}")
    return Ended(process.returncode, output)


def _differences(wanted: Known, found: Known) -> list[str]:
    told = oracle.schema_differences(wanted.schema, found.schema)
    return told + [f"rows: {a} became {b}" for a, b in zip(wanted.rows, found.rows, strict=True) if a != b]
