"""tagback against the floor and its peers: whole commands as processes, in turn, medians, ratios. `make bench` runs this.

    .venv/bin/python bench/run.py --rounds 5 --sizes 100,1000 --engines sqlite,postgresql --json build/bench.json
    .venv/bin/python bench/run.py --parts shelf --rows 1000000 --rounds 3

Every contender gets a fresh copy of the same database in every round, and who begins changes from round to round. After
applying and after going back a census of tables, views, indexes and columns must be the same for all: nobody is fast by
not doing the work. Exit status 1 when a promise about speed is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import report  # noqa: E402
from contenders import Alembic, Command, Contender, Dbmate, Django, Floor, Tagback  # noqa: E402
from databases import Census, Databases, databases  # noqa: E402
from processes import run  # noqa: E402
from report import Measure, Part  # noqa: E402
from shelf import Shelves  # noqa: E402
from steps import Steps  # noqa: E402

from changes import changes  # noqa: E402
from tests.support.folders import fast_place, temporary_folder  # noqa: E402
from tools.postgres_programs import find  # noqa: E402

ENOUGH = 60.0  # seconds after which a contender has shown often enough how long a task takes
CATALOG = """
import sys, time
from tagback.engines import connect
session = connect(sys.argv[1])
session.begin_reading()
times = []
for _ in range(5):
    session.rollback(); session.begin_reading()
    started = time.perf_counter(); catalog = session.read_catalog(); times.append(time.perf_counter() - started)
assert sum(o.id.kind == "table" for o in catalog.objects.values()) >= 2000, len(catalog.objects)
print(sorted(times)[2])
"""
START = """
import gc, sys
from tagback.cli import OBJECTS_BETWEEN_COLLECTIONS
gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
import tagback.cli.run
from tagback.engines import connect
connect(sys.argv[1]).close()
gc.freeze()
"""


class Bench:
    """One run: collects the times of every contender at every task."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.times: dict[tuple[str, int, str, str], list[float]] = {}

    def measure(self, engine: str, place: Databases, size: int, names: Sequence[str]) -> None:
        """All rounds for one engine and one number of changesets."""
        contenders = self._contenders(engine, size, names)
        for n in range(self.rounds):
            expected: dict[str, Census] = {}
            for contender in contenders[n % len(contenders) :] + contenders[: n % len(contenders)]:
                say(f"{engine}, {size:,} changesets, round {n + 1} of {self.rounds}: {contender.name}")
                self._one(engine, place, size, contender, expected)

    def _contenders(self, engine: str, size: int, names: Sequence[str]) -> list[Contender]:
        todo, place = changes(size), self.folder / f"{engine}-{size}"
        found: list[Contender] = [
            Tagback(place / "tagback", todo),
            Floor(place / "floor", todo, psql(engine)),
        ]
        peers: list[type[Contender]] = [Dbmate, Alembic, Django]
        return found + [peer(place / peer.name, todo) for peer in peers if peer.name.lower() in names]

    def _one(self, engine: str, place: Databases, size: int, c: Contender, expected: dict[str, Census]) -> None:
        url = place.fresh()
        start = place.census(url)
        for command in c.before(url):
            run(command)

        def task(name: str, commands: list[Command]) -> None:
            times = self.times.setdefault((engine, size, name, c.name), [])
            if commands and (len(times) == 0 or sum(times) < ENOUGH or name == "apply"):
                times.append(sum(run(command).seconds for command in commands))

        task("apply", c.apply(url))
        if expected.setdefault("applied", place.census(url)) != place.census(url):
            raise SystemExit(f"{c.name} did not apply what the others did")
        for _ in range(3):
            task("status", c.status(url))
            if isinstance(c, Tagback):
                task("status, files compared", c.status_with_changelog(url))
            elif isinstance(c, (Dbmate, Django)):
                self.times[engine, size, "status, files compared", c.name] = self.times[engine, size, "status", c.name]
        backs = len(self.times.get((engine, size, "back", c.name), ()))
        task("back", c.back(url))
        if len(self.times[engine, size, "back", c.name]) > backs and place.census(url) != start:
            raise SystemExit(f"{c.name} did not go back to where it began")
        place.drop(url)

    def result(self) -> list[Measure]:
        """Everything measured, in a fixed order."""
        order = ["apply", "back", "status", "status, files compared"]
        keys = sorted(
            (k for k, v in self.times.items() if v), key=lambda k: (k[0] != "sqlite", k[1], order.index(k[2]))
        )
        return [Measure(*key, tuple(round(t, 5) for t in self.times[key])) for key in keys]


def version_time(folder: Path) -> float:
    """How long tagback takes to do nothing at all."""
    command = Command((str(Path(sys.executable).with_name("tagback")), "--version"), folder)
    return statistics.median(run(command).seconds for _ in range(7))


def start_up(folder: Path, place: Databases) -> float:
    """How long it takes until the command line is loaded and a connection stands: driver and server have their share."""
    url = place.fresh()
    command = Command((sys.executable, "-c", START, url), folder)
    seconds = statistics.median(run(command).seconds for _ in range(9))
    place.drop(url)
    return seconds


def catalog(place: Databases) -> float:
    """How long reading 2,000 tables takes, each with a key, an index and a foreign key."""
    url = place.fresh()
    tables = [
        f"CREATE TABLE wide_{n} (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL DEFAULT '', amount INTEGER"
        f" CHECK (amount > 0), parent INTEGER REFERENCES wide_{max(0, n - 1)} (id));"
        f"CREATE INDEX wide_{n}_by_name ON wide_{n} (name);"
        for n in range(2000)
    ]
    if url.startswith("sqlite:"):
        import sqlite3

        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.executescript("BEGIN;" + "".join(tables) + "COMMIT;")
        connection.close()
    else:
        import psycopg

        with psycopg.connect(url) as server:
            server.execute("".join(tables).encode())
    done = subprocess.run([sys.executable, "-c", CATALOG, url], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    place.drop(url)
    return float(done.stdout)


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures tagback against the floor and its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--parts",
        default="changesets,shelf,steps",
        help="what is measured: many small changesets, kept rows, steps of pipelines",
    )
    parser.add_argument("--sizes", default="100,1000", help="numbers of changesets")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the table whose rows are kept")
    parser.add_argument("--engines", default="sqlite,postgresql")
    parser.add_argument("--peers", default="dbmate,alembic,django")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    wanted = options.parts.split(",")
    parts = []
    with temporary_folder(fast_place()) as folder, databases(options.engines.split(",")) as places:
        versions = report.versions([p.version for p in places.values()])
        if "changesets" in wanted:
            parts.append(changesets(folder, places, options))
        if "shelf" in wanted:
            shelves = Shelves(folder, options.rows, options.rounds, say)
            for engine, place in places.items():
                shelves.measure(engine, place, psql(engine))
            parts.append(shelves.part())
        if "steps" in wanted:
            steps = Steps(folder, options.rounds, say)
            steps.measure()
            parts.append(steps.part())
    report.write(options.json, parts, versions)
    print(report.text(parts, versions))
    print(f"\nAll figures: {options.json}")
    return 0 if all(b.kept for p in parts for b in p.bounds) else 1


def changesets(folder: Path, places: Mapping[str, Databases], options: argparse.Namespace) -> Part:
    """Many small changesets, against the peers."""
    bench = Bench(folder, options.rounds)
    empty = version_time(folder)
    starts = {engine: start_up(folder, place) for engine, place in places.items()}
    catalogs = {engine: catalog(place) for engine, place in places.items()}
    for size in map(int, options.sizes.split(",")):
        for engine, place in places.items():
            bench.measure(engine, place, size, options.peers.split(","))
    return report.part(bench.result(), empty, starts, catalogs)


def psql(engine: str) -> Path:
    """The client that runs plain statements, where there is one."""
    return find().bindir / "psql" if engine == "postgresql" else Path()


if __name__ == "__main__":
    sys.exit(main())
