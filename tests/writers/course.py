"""A column is dropped, brought back and dropped again, over and over, while an application writes; then accounts are settled."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.writers.application import DROPPED, SETUP, Values, Writer
from tests.writers.connections import connect

WRITERS = 4
TOLERANCE = 0.5  # seconds that a busy machine may take to wake everybody up


@dataclass(frozen=True, slots=True)
class Phase:
    """One run of tagback, with the longest wait of one of the application's statements that met it.

    `held`: how long tagback kept writers out of the table. `bound` is what a statement may have to wait: the time limit
    in the lock's queue, and then as long as the lock was held. All in seconds. SQLite has no queue: who waits tries again
    and again, and the other writers may come first each time, so there is none.
    """

    name: str
    seconds: float
    stall: float
    held: float
    bound: float | None

    @property
    def within(self) -> bool:
        """Whether nobody waited longer than that."""
        return self.bound is None or self.stall <= self.bound + TOLERANCE


@dataclass(slots=True)
class Report:
    """What a course came to; `problems` is everything that must not be."""

    engine: str
    rows: int
    phases: list[Phase] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def told(self) -> str:
        """For people."""
        lines = [f"{self.engine}, {self.rows} rows at the start, {WRITERS} writers"]
        lines += [f"  acknowledged: {', '.join(f'{n} {kind}s' for kind, n in sorted(self.acknowledged.items()))}"]
        lines += [f"  refused:      {', '.join(f'{n} {why}' for why, n in sorted(self.refused.items())) or 'none'}"]
        lines += ["  phase                runs  longest run  lock held  longest stall  bound (of that run)"]
        for name in dict.fromkeys(p.name for p in self.phases):
            phases = [p for p in self.phases if p.name == name]
            worst = max(phases, key=lambda p: p.stall)
            longest = max(p.seconds for p in phases)
            bound = "none" if worst.bound is None else f"{worst.bound:.2f} s"
            seconds = f"{longest:>10.2f} s {worst.held:>8.2f} s {worst.stall:>12.2f} s {bound:>10}"
            lines.append(f"  {name:<20} {len(phases):>4} {seconds}")
        return "\n".join([*lines, *(f"  PROBLEM: {p}" for p in self.problems[:20])])


class Course:
    """One database on trial. `obstructed`: a long transaction stands in the way of some runs, longer than the time limit."""

    def __init__(self, url: str, folder: Path, rows: int, lock_timeout: float, *, obstructed: bool = False) -> None:
        self._url = url
        self._changelog = folder / "changelog"
        self._changelog.mkdir()
        self._lock_timeout = lock_timeout
        self._obstructed = obstructed
        self._sqlite = url.startswith("sqlite")
        self._writers: list[Writer] = []
        self._phases: list[tuple[str, float, float, float]] = []  # name, beginning, end, time the lock was held
        self.report = Report(url.partition(":")[0], rows)
        self._fill(rows)

    def run(self, seconds: float) -> Report:
        """The whole course. At least the column goes, comes back and goes; at the end it is there again."""
        for w in self._writers:
            w.start()
        until = time.monotonic() + seconds
        number = 0
        self._pause()
        while number < 3 or time.monotonic() < until or number % 2 == 0:
            obstructed = self._obstructed and number % 3 == 0
            if number % 2:
                self._tagback("column back", "rollback", "--to", "before", "--yes", obstructed=obstructed)
            else:
                name = "column dropped"
                self._tagback(name, "apply", "--changelog", str(self._changelog), obstructed=obstructed)
            number += 1
            self._pause()
        for w in self._writers:
            w.stop.set()
        for w in self._writers:
            w.join(60)
            self.report.problems += w.problems
            self.report.acknowledged += w.acknowledged
            self.report.refused += w.refused
        self._settle(("a", "c"))
        self._tagback("nobody writes", "rollback", "--to", "before", "--yes")
        self._settle(("a", "b", "c"))
        self._measure()
        return self.report

    # ------------------------------------------------------------------ before

    def _fill(self, rows: int) -> None:
        (self._changelog / "001_item.sql").write_text(SETUP)
        if self._sqlite:
            with_wal = connect(self._url)
            with_wal.run("PRAGMA journal_mode = WAL")
            with_wal.close()
        self._cli("apply", "--changelog", str(self._changelog), "--tag", "before")
        (self._changelog / "002_drop.sql").write_text(DROPPED)
        accounts: list[dict[int, Values]] = [{} for _ in range(WRITERS)]
        for key in range(rows):
            accounts[key % WRITERS][key] = {"a": key, "b": f"start {key}", "c": f"start {key}"}
        filling = connect(self._url)
        filling.run(
            f"INSERT INTO item WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows - 1})"
            " SELECT i, i, 'start ' || i, 'start ' || i FROM n"
        )
        filling.run("INSERT INTO pulse VALUES (1)")
        filling.close()
        self._writers = [Writer(self._url, n, WRITERS, account) for n, account in enumerate(accounts)]

    # ------------------------------------------------------------------ tagback's runs

    def _tagback(self, name: str, *arguments: str, obstructed: bool = False) -> None:
        watch = None if self._sqlite else _Watch(self._url)
        obstacle = threading.Thread(target=self._stand_in_the_way, daemon=True)
        if obstructed:
            obstacle.start()
            time.sleep(0.1)
            name += ", late"
        began = time.monotonic()
        answer = self._cli(*arguments)
        ended = time.monotonic()
        if obstructed:
            obstacle.join()
        held = watch.stop() if watch is not None else ended - began
        self._phases.append((name, began, ended, held))
        if answer.get("conflicts_total"):
            self.report.problems.append(
                f"{name}: {answer['conflicts_total']} conflicts, such as {answer['conflicts']}"[:300]
            )

    def _cli(self, *arguments: str) -> Mapping[str, object]:
        command = [sys.executable, "-m", "tagback", "--url", self._url, *arguments, "--json"]
        command += ["--lock-timeout", str(self._lock_timeout)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.report.problems.append(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout[-900:]}")
        answer: Mapping[str, object] = json.loads(done.stdout or "{}")
        return answer

    def _stand_in_the_way(self) -> None:
        """A report that reads the table, and keeps its lock for longer than tagback waits."""
        reader = connect(self._url)
        reader.begin(snapshot=True)
        reader.run("SELECT count(*) FROM item")
        time.sleep(1.5 * self._lock_timeout)
        reader.rollback()
        reader.close()

    def _pause(self) -> None:
        time.sleep(0.7)

    # ------------------------------------------------------------------ afterwards

    def _settle(self, columns: tuple[str, ...]) -> None:
        """Compares the table with the accounts, row by row, in these columns."""
        wanted = {key: tuple(row[c] for c in columns) for w in self._writers for key, row in w.rows.items()}
        found = {int(str(key)): tuple(values) for key, *values in self._all(columns)}
        problems: list[str] = []
        for key in sorted(wanted.keys() | found.keys()):
            if key not in found:
                problems.append(f"row {key} is lost: {wanted[key]}")
            elif key not in wanted:
                problems.append(f"row {key} was deleted or never acknowledged, and is there: {found[key]}")
            elif wanted[key] != found[key]:
                problems.append(f"row {key} is {found[key]}, but {wanted[key]} was acknowledged")
        if problems:
            self.report.problems += [f"{len(problems)} rows are wrong in {', '.join(columns)}", *problems[:10]]

    def _all(self, columns: tuple[str, ...]) -> list[tuple[object, ...]]:
        from tests.support import client

        return client.rows(self._url, f"SELECT id, {', '.join(columns)} FROM item")

    def _measure(self) -> None:
        waits = [stall for w in self._writers for stall in w.stalls]
        for name, began, ended, held in self._phases:
            stall = max((b - a for a, b in waits if a < ended and b > began), default=0.0)
            bound = None if self._sqlite else self._lock_timeout + held
            phase = Phase(name, ended - began, stall, held, bound)
            self.report.phases.append(phase)
            if not phase.within:
                self.report.problems.append(f"{name}: a statement waited {stall:.2f} s, more than {bound} s")


class _Watch:
    """Looks how long tagback's locks keep writers out of the table, from a connection of its own."""

    _HELD = """
        SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'tagback' AND l.relation = 'item'::regclass AND l.granted
            AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._stopped = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """The longest time without a break, in seconds."""
        self._stopped.set()
        self._thread.join()
        self._connection.close()
        return self._longest

    def _look(self) -> None:
        holding = False
        before = began = time.monotonic()
        while not self._stopped.wait(0.005):
            now = time.monotonic()
            held = self._connection.execute(self._HELD).fetchone() != (0,)
            if held and not holding:
                began = before
            if held or holding:
                self._longest = max(self._longest, now - began)
            before, holding = now, held
