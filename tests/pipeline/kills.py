"""Kills the runner of the two-database example at random moments and goes on with the run: `make kills`.

It must end as if undisturbed: both databases at the same tag, each deployed once. A kill's moment and whether the release is
a good one come from the seed; where it struck is told by the last event.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tagback.deploy.target import Target
from tests.pipeline.conftest import Folder
from tests.support.postgres import PostgresServer, running_server
from tools import postgres_programs

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two-databases"
GOOD = "ALTER TABLE part ADD COLUMN place text NOT NULL DEFAULT 'north';"
SECOND = 0.3
"""How often whoever goes on is killed, too."""


class KillFailed(AssertionError):
    """A run did not end as if undisturbed."""


@dataclass
class Ground:
    """What every try begins with: the example's folder with both databases at v1, and how long an undisturbed run takes."""

    server: PostgresServer
    folder: Path
    template: str
    seconds: float = 1.0
    struck: Counter[str] = field(default_factory=Counter)
    twice: int = 0

    @contextmanager
    def fresh(self, *, good: bool) -> Iterator[tuple[Folder, dict[str, str], str]]:
        """A copy of it all: the folder, the environment, and the server's database."""
        database = self.server.create_database(self.template)
        with tempfile.TemporaryDirectory() as place:
            folder = Folder(Path(place) / "example")
            shutil.copytree(self.folder, folder.path)
            if good:
                folder.write("stock/002_places.sql", GOOD)
            try:
                yield folder, {**os.environ, "STOCK_URL": self.server.url(database)}, self.server.url(database)
            finally:
                self.server.drop_database(database)


@contextmanager
def ground() -> Iterator[Ground]:
    """Makes it, with a server of its own."""
    with running_server(postgres_programs.find()) as server, tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place) / "example")
        shutil.copytree(EXAMPLE, folder.path)
        template = server.create_database()
        for url, changelog, to in (
            ("sqlite:///shop.db", "shop", "001_orders"),
            (server.url(template), "stock", "001_parts"),
        ):
            done = folder.call("--url", url, "apply", "--changelog", changelog, "--to", to, "--tag", "v1")
            assert done.exit == 0, done.err
        made = Ground(server, folder.path, template)
        with made.fresh(good=False) as (copy, environment, _):
            assert copy.run("--events", "events", env=environment).body["state"] == "rolled back"
            made.seconds = json.loads((copy.path / "events").read_text().splitlines()[-1])["seconds"]
        yield made


def kill(ground: Ground, chance: random.Random) -> str:
    """One try; where the kill struck. KillFailed with all there is to know."""
    good = chance.random() < 0.5
    with ground.fresh(good=good) as (folder, environment, url):
        place = _killed(folder, ["run"], environment, chance.uniform(0, ground.seconds * 1.05))
        run = _run(folder, environment)
        if run is not None and chance.random() < SECOND:
            ground.twice += 1
            _killed(folder, ["resume", run], environment, chance.uniform(0, ground.seconds))
            run = _run(folder, environment)
        if run is not None:
            done = folder.call("pipeline", "resume", run, "--json", env=environment)
            ended, expected = done.body.get("state"), "done" if good else "rolled back"
            if ended != expected:
                raise KillFailed(f"{place}: the run is {ended}, not {expected}\n{done.out}\n{done.err}")
        _check(folder, url, place, good=good, begun=bool(_runs(folder, environment)))
        return place


def _killed(folder: Folder, arguments: list[str], environment: dict[str, str], after: float) -> str:
    """Starts a runner and kills it so many seconds after it took up the run; the last thing that it told."""
    events = folder.path / "events"
    size = events.stat().st_size if events.exists() else 0
    process = subprocess.Popen(
        folder.command("pipeline", *arguments, "--events", "events"),
        cwd=folder.path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and (not events.exists() or events.stat().st_size == size):
        time.sleep(0.005)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    last = next(e for e in reversed(lines) if e["event"] not in ("step_told", "strategy_chosen"))
    names = {
        "step_started": f"within {last.get('path')}",
        "step_ended": f"after {last.get('path')}",
        "stage_started": f"at the start of stage {last.get('stage')}",
        "run_started": "at the start of the run",
        "going_back": f"while {last.get('target')} went back",
        "went_back": f"after {last.get('target')} was back",
        "run_ended": "after the end",
    }
    return names[last["event"]]


def _run(folder: Folder, environment: dict[str, str]) -> str | None:
    """The run that is to be gone on with, if there is one."""
    return next((str(r["run"]) for r in _runs(folder, environment) if r["state"] in ("running", "waiting")), None)


def _runs(folder: Folder, environment: dict[str, str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = folder.call("pipeline", "list", "--json", env=environment).body.get("runs", [])
    return found


def _check(folder: Folder, url: str, place: str, *, good: bool, begun: bool) -> None:
    stand = []
    for name in (f"sqlite:///{folder.path}/shop.db", url):
        with Target.open(name) as target:
            released = any(t.tag == "v2" for t in target.tags())
            found = target.verify("v2" if released else "v1")
            times = sum(d.kind == "apply" and d.outcome == "done" for d in target.history())
        stand.append((released, found.equal))
        if times > 2:
            raise KillFailed(f"{place}: {name} was deployed {times - 1} times")
    expected = (good and begun, True)
    if stand != [expected, expected]:
        raise KillFailed(f"{place}: released and equal: {stand}, of a {'good' if good else 'bad'} release")


def table(ground: Ground, kills: int, seed: int) -> str:
    """What came of them, in Markdown."""
    lines = [
        f"| where the kill struck ({kills} kills, seed {seed}) | kills | ended as if undisturbed |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {place} | {n} | {n} |" for place, n in sorted(ground.struck.items(), key=lambda item: -item[1])]
    lines.append(f"| all; of them {ground.twice} whose next runner was killed, too | {kills} | {kills} |")
    return "\n".join(lines)


def main() -> int:
    """Ends at the first run that does not end as it should."""
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ground() as made:
        for n in range(options.kills):
            made.struck[kill(made, random.Random(f"{options.seed}/{n}"))] += 1
            if (n + 1) % 20 == 0:
                sys.stderr.write(f"{n + 1} of {options.kills}\n")
        sys.stdout.write(table(made, options.kills, options.seed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
