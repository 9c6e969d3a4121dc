"""What keeping rows costs, and giving them back: changes to a large table, and the same to a small one.

A figure for the rows is what the large table took more than the small one: starting, connecting and reading the catalog
are in both. *Keeping* is that of `tagback apply` less that of the plain statement.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contenders import Command, Contender, Floor, Tagback
from databases import Databases
from processes import Spent, run
from report import Bound, Part

from changes import Change

SMALL = 1000  # rows
NOISE = 0.001  # seconds; nothing is taken for less

_COLUMNS = "(id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, amount INTEGER NOT NULL, note TEXT)"
_VALUES = "SELECT n, 'name ' || n, n % 1000, 'a note of some length for row ' || n FROM numbers"
_COUNTED = "SELECT count(*), sum(amount), sum(length(name)), sum(length(note)), sum(id % 7 * amount) FROM large"


@dataclass(frozen=True, slots=True)
class Task:
    """A change, and what of the table has to be kept for it: a copy of that is what keeping is compared with."""

    name: str
    sql: str
    copy: str


TASKS = (
    Task("DROP TABLE", "DROP TABLE large", "SELECT * FROM large"),
    Task("DROP COLUMN", "ALTER TABLE large DROP COLUMN note", "SELECT id, note FROM large"),
    Task("UPDATE of all", "UPDATE large SET amount = amount + 1, note = note || '!'", "SELECT * FROM large"),
    Task(
        "UPDATE of one in 100",
        "UPDATE large SET amount = amount + 1 WHERE id % 100 = 0",
        "SELECT * FROM large WHERE id % 100 = 0",
    ),
)
PLAIN, COPY, APPLY, BACK = "plain", "CREATE TABLE AS", "apply", "rollback"


@dataclass(frozen=True, slots=True)
class Figure:
    """All that one kind of process took for one task at one number of rows: seconds, and bytes of memory."""

    engine: str
    task: str
    rows: int
    process: str
    seconds: tuple[float, ...]
    memory: tuple[int, ...]


class Shelves:
    """One run: collects the figures of every task on every engine."""

    def __init__(self, folder: Path, rows: int, rounds: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._sizes = (min(SMALL, rows // 10), rows)
        self._rounds = rounds
        self._say = say
        self._spent: dict[tuple[str, str, int, str], list[Spent]] = {}

    def measure(self, engine: str, place: Databases, psql: Path) -> None:
        """All rounds on one engine; SQLite both with a rollback journal, as it is by default, and in WAL mode."""
        ways = {"sqlite": [], "sqlite, WAL": ["PRAGMA journal_mode = WAL"]} if engine == "sqlite" else {engine: []}
        for name, settings in ways.items():
            for size in self._sizes:
                place.prepare(f"{name} {size}", [*settings, *_large(engine, size)])
            for n in range(self._rounds):
                for task in TASKS:
                    self._say(f"{name}, {self._sizes[1]:,} rows, round {n + 1} of {self._rounds}: {task.name}")
                    for size in self._sizes[:: -1 if n % 2 else 1]:
                        self._one(name, place, psql, task, size)

    def _one(self, engine: str, place: Databases, psql: Path, task: Task, size: int) -> None:
        def spend(contender: Contender, url: str, process: str, commands: Iterable[Command]) -> None:
            (spent,) = [run(command) for command in commands]
            self._spent.setdefault((engine, task.name, size, process), []).append(spent)

        for process, sql in ((PLAIN, task.sql), (COPY, f"CREATE TABLE copy AS {task.copy}")):
            url = place.fresh(f"{engine} {size}")
            floor = Floor(self._room(), [Change(1, "change", sql, "")], psql)
            spend(floor, url, process, floor.apply(url))
            place.drop(url)
        url = place.fresh(f"{engine} {size}")
        before = _state(place, url)
        tagback = Tagback(self._room(), [Change(1, "change", task.sql, "")])
        for command in tagback.before(url):
            run(command)
        spend(tagback, url, APPLY, tagback.apply(url))
        if _state(place, url) == before:
            raise SystemExit(f"{task.name} was not applied")
        spend(tagback, url, BACK, tagback.back(url))
        if _state(place, url) != before:
            raise SystemExit(f"{task.name} was not taken back")
        place.drop(url)

    def _room(self) -> Path:
        return self._folder / f"shelf-{sum(map(len, self._spent.values()))}"

    def part(self) -> Part:
        """Everything measured."""
        figures = [
            Figure(*key, tuple(round(s.seconds, 5) for s in spent), tuple(s.memory for s in spent))
            for key, spent in self._spent.items()
        ]
        return Part(
            f"A table with few rows and with many: medians of whole commands.\n\n{table(figures)}",
            bounds(figures),
            {"shelf": [asdict(f) for f in figures]},
        )


def table(figures: Sequence[Figure]) -> str:
    """Markdown: medians in seconds, and tagback's memory."""
    lines = [
        f"| | rows | {PLAIN} | {COPY} | {APPLY} | {BACK} | memory of {APPLY} | of {BACK} |",
        "| --- |" + " ---: |" * 7,
    ]
    for engine, task, rows in dict.fromkeys((f.engine, f.task, f.rows) for f in figures):
        here = {f.process: f for f in figures if (f.engine, f.task, f.rows) == (engine, task, rows)}
        seconds = [f"{statistics.median(here[p].seconds):.3f} s" for p in (PLAIN, COPY, APPLY, BACK)]
        memory = [f"{max(here[p].memory) / 1e6:.0f} MB" for p in (APPLY, BACK)]
        lines.append(f"| {engine}: {task} | {rows:,} | " + " | ".join(seconds + memory) + " |")
    return "\n".join(lines)


def bounds(figures: Sequence[Figure]) -> list[Bound]:
    """The promises about kept rows."""
    return [bound for engine in dict.fromkeys(f.engine for f in figures) for bound in _bounds(figures, engine)]


def _bounds(figures: Sequence[Figure], engine: str) -> Iterable[Bound]:
    small, large = sorted({f.rows for f in figures})
    medians = {(f.task, f.rows, f.process): statistics.median(f.seconds) for f in figures if f.engine == engine}
    memory = {(f.task, f.rows, f.process): max(f.memory) for f in figures if f.engine == engine}

    def rows(task: str, process: str) -> float:
        return max(medians[task, large, process] - medians[task, small, process], NOISE)

    def keeping(task: str) -> float:
        return max(rows(task, APPLY) - rows(task, PLAIN), NOISE)

    if engine == "postgresql":
        both = [medians["DROP TABLE", size, APPLY] + medians["DROP TABLE", size, BACK] for size in (small, large)]
        text = f"a dropped table of {large:,} rows goes and comes back within 1.25 × the time of {small:,}"
        yield Bound(f"{engine}: {text}", both[1] / (1.25 * both[0]))
    of = f"of {large:,} rows"
    task = "DROP COLUMN"
    yield Bound(
        f"{engine}: keeping a column {of} within 1.5 × copying it with its key",
        keeping(task) / (1.5 * rows(task, COPY)),
    )
    task = "UPDATE of all"
    yield Bound(
        f"{engine}: keeping an UPDATE of all {of} within 2 × copying them", keeping(task) / (2 * rows(task, COPY))
    )
    for task in ("UPDATE of all", "UPDATE of one in 100"):
        yield Bound(f"{engine}: {task} {of} within 1.5 × the plain one", rows(task, APPLY) / (1.5 * rows(task, PLAIN)))
    worst = max(memory[t.name, large, p] / memory[t.name, small, p] for t in TASKS for p in (APPLY, BACK))
    yield Bound(f"{engine}: memory for {large:,} rows within 1.25 × that for {small:,}", worst / 1.25)


def _large(engine: str, size: int) -> list[str]:
    """A table with that many rows, settled."""
    if engine == "sqlite":
        numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {size})"
        settle = "ANALYZE"
    else:
        numbers = f"WITH numbers (n) AS (SELECT generate_series(1, {size}))"
        settle = "VACUUM (ANALYZE, FREEZE) large"
    return [f"CREATE TABLE large {_COLUMNS}", f"INSERT INTO large {numbers} {_VALUES}", settle]


def _state(place: Databases, url: str) -> tuple[object, object]:
    """Structure and, as sums, values."""
    census = place.census(url)
    whole = any(row == ("large", "note") for row in census)
    return census, place.ask(url, _COUNTED) if whole else None
