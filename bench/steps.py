"""What the runner of pipelines costs a step: the time of a whole run, less that of the same work done without it.

Each kind of step is done as often in a loop of this process: the command started and waited for, the query asked, the
changelog deployed, through the same functions that the steps call.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from report import Bound, Part

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.target import Target
from tagback.engines import first_row

ALLOWED = 0.05
"""Seconds a step that the runner may add."""
COUNT = 20
QUERY = "SELECT count(*) AS n FROM customer"
KINDS = {
    "wait": "wait: {for: 0}",
    "run": 'run: {command: ["true"]}',
    "check": f'check: {{sql: {{target: d0, query: "{QUERY}", expect: "n == 1"}}}}',
    "apply": "apply: {target: dN, changelog: changelog}",
}


class Steps:
    """The times of every kind, in seconds a step: with the runner, and the work alone."""

    def __init__(self, folder: Path, rounds: int, say: Callable[[str], None]) -> None:
        self._folder = folder / "steps"
        self._rounds = rounds
        self._say = say
        self.times: dict[str, list[tuple[float, float]]] = {}

    def measure(self) -> None:
        """All rounds."""
        for n in range(self._rounds):
            for kind in KINDS:
                self._say(f"pipeline steps, round {n + 1} of {self._rounds}: {kind}")
                self._prepare()
                alone = self._alone(kind)
                self._prepare()
                self.times.setdefault(kind, []).append((self._driven(kind), alone))

    def _prepare(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "changelog").mkdir(parents=True)
        first = "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO customer VALUES (1, 'Ada');"
        (self._folder / "changelog" / "001_first.sql").write_text(first)
        with Target.open(self._url(0), create=True) as target:
            target.apply(self._folder / "changelog", ApplyOptions(tag="v1"))
        for n in range(1, COUNT):
            shutil.copy(self._folder / "d0.db", self._folder / f"d{n}.db")
        (self._folder / "changelog" / "002_second.sql").write_text("ALTER TABLE customer ADD COLUMN mail TEXT;")

    def _url(self, n: int) -> str:
        return f"sqlite:///{self._folder}/d{n}.db"

    def _driven(self, kind: str) -> float:
        targets = "".join(f'  d{n}: {{url: "sqlite:///d{n}.db"}}\n' for n in range(COUNT))
        steps = "".join(f"      - {{name: s{n}, {KINDS[kind].replace('dN', f'd{n}')}}}\n" for n in range(COUNT))
        text = f"name: bench\ntargets:\n{targets}stages:\n  - name: one\n    steps:\n{steps}"
        (self._folder / "pipeline.yaml").write_text(text)
        command = [str(Path(sys.executable).with_name("tagback")), "pipeline", "run", "--events", "events"]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        *_, last = (self._folder / "events").read_text().splitlines()
        return float(json.loads(last)["seconds"]) / COUNT

    def _alone(self, kind: str) -> float:
        began = time.perf_counter()
        for n in range(COUNT):
            if kind == "run":
                subprocess.run(["true"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            elif kind == "check":
                first_row(self._url(0), QUERY, 30)
            elif kind == "apply":
                with Target.open(self._url(n)) as target:
                    target.apply(self._folder / "changelog", ApplyOptions(tag="v2"))
        return (time.perf_counter() - began) / COUNT

    def part(self) -> Part:
        """The table, and the bound for each kind."""
        lines = ["| step | with the runner | the work alone | the runner's own |", "| --- | ---: | ---: | ---: |"]
        bounds = []
        for kind, times in self.times.items():
            driven, alone = (statistics.median(t[n] for t in times) for n in (0, 1))
            own = statistics.median(d - a for d, a in times)
            lines.append(f"| {kind} | {1000 * driven:.1f} ms | {1000 * alone:.1f} ms | {1000 * own:.1f} ms |")
            bounds.append(
                Bound(f"pipeline: a step `{kind}` costs less than {1000 * ALLOWED:.0f} ms more", own / ALLOWED)
            )
        text = f"Steps of pipelines on SQLite, medians of {self._rounds} rounds of {COUNT} steps.\n\n" + "\n".join(
            lines
        )
        return Part(text, bounds, {"steps": {k: [list(t) for t in v] for k, v in self.times.items()}})
