"""Random faults: `python -m tests.chaos --minutes 10`, or so many `--kills` on each engine; prints what became of them.

Exit status 1 when something was lost, stuck or between two places; what had happened is kept in a file. `--write` keeps the table
as a page of the documentation.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.hosts import host
from tests.chaos.life import Fault, Life, Trial
from tests.support.folders import fast_place

ENGINES = ("sqlite", "postgresql", "mariadb")
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
LIFETIME = 25  # faults on one database


@dataclass(slots=True)
class Tally:
    """What became of the faults on one engine."""

    engine: str
    ends: Counter[tuple[Fault, str]] = field(default_factory=Counter)
    writes: int = 0
    seconds: float = 0.0
    wrong: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """Counts one."""
        where = "wrong"
        if trial.problems:
            self.wrong.append(trial)
        else:
            where = "start" if trial.where == trial.command.start else "end"
        self.ends[trial.fault, where] += 1

    @property
    def faults(self) -> int:
        return self.ends.total()


def chaos(engine: str, seed: int, *, faults: int, until: float) -> Tally:
    """So many faults, or as many as there is time for."""
    tally, began, turn = Tally(engine), time.monotonic(), 0
    with host(engine) as place:
        while tally.faults < faults and time.monotonic() < until:
            turn += 1
            chance = random.Random(f"{seed} {turn}")
            with tempfile.TemporaryDirectory(prefix="tagback-chaos-", dir=fast_place()) as folder:
                life = Life(place, Path(folder), turn, chance)
                for number, trial in enumerate(life.trials(), 1):
                    tally.add(trial)
                    if number == LIFETIME or tally.faults >= faults or time.monotonic() > until:
                        break
                tally.writes += life.writes
                life.close()
    tally.seconds = time.monotonic() - began
    return tally


def table(tallies: list[Tally]) -> str:
    """Engine, fault, outcome."""
    lines = [
        "| engine | fault | times | at the start | at the end | wrong |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for tally in tallies:
        for fault in Fault:
            counts = [tally.ends[fault, where] for where in ("start", "end", "wrong")]
            if sum(counts):
                cells = " | ".join(map(str, (sum(counts), *counts)))
                lines.append(f"| {TITLES[tally.engine]} | {fault.value} | {cells} |")
    return "\n".join(lines) + "\n"


def told(trial: Trial, engine: str, seed: int) -> str:
    """All that is known of one that went wrong."""
    lines = [f"{engine}, seed {seed}: {trial.command.title}, {trial.fault.value}", *trial.problems, "what was done:"]
    return "\n".join([*lines, *trial.story]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1e6, help="how long, shared by the engines")
    parser.add_argument("--kills", type=int, default=10**9, help="faults on each engine")
    parser.add_argument("--engine", choices=ENGINES, help="only that one")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one")
    parser.add_argument("--keep", type=Path, default=Path("chaos-failures.txt"), help="file for what went wrong")
    parser.add_argument("--write", type=Path, help="file for the page")
    options = parser.parse_args()
    seed = options.seed or random.randrange(1, 10**6)
    engines = (options.engine,) if options.engine else ENGINES
    tallies = []
    for engine in engines:
        sys.stderr.write(f"{engine}, seed {seed} …\n")
        until = time.monotonic() + options.minutes * 60 / len(engines)
        tally = chaos(engine, seed, faults=options.kills, until=until)
        tallies.append(tally)
        for trial in tally.wrong:
            text = told(trial, engine, seed)
            sys.stderr.write(text)
            with options.keep.open("a") as kept:
                kept.write(text + "\n")
        sys.stderr.write(
            f"{tally.faults} faults, {tally.writes} writes, {len(tally.wrong)} wrong, {tally.seconds:.0f} s\n"
        )
    sys.stdout.write(table(tallies))
    if options.write:
        options.write.write_text(page(tallies, seed))
    return 1 if any(t.wrong for t in tallies) else 0


def page(tallies: list[Tally], seed: int) -> str:
    """docs/chaos.md."""
    asked = ("git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*")
    commit = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    faults, writes = sum(t.faults for t in tallies), sum(t.writes for t in tallies)
    wrong, minutes = sum(len(t.wrong) for t in tallies), sum(t.seconds for t in tallies) / 60
    return f"""# Chaos

A shop goes back and forth between three releases by `apply` and `rollback`, and some releases fail at their end, while three
connections of an application write to it all the time. Each run is struck at a random moment. Then `recover` is called, or
the same run simply repeated; three in ten of those are killed, too, and so on. `make chaos` does it.

After each fault the schema, as the engine's own tools tell it, and the changesets' rows must be those of the start or of the
end; the ledger says the same; everything the application was told was written is there, nothing else is, and it can write;
nothing is left over. What the struck run said must be true: success means the end, exit 1, 2, 3 or 130 the start, before any
recovering.

{faults:,} faults, {writes:,} acknowledged writes, {wrong} wrong; commit {commit}, seed {seed}, {minutes:.0f} minutes.

{table(tallies)}"""


if __name__ == "__main__":
    sys.exit(main())
