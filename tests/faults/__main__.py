"""Every fault at every place: `python -m tests.faults` prints the table, `--write docs/faults.md` keeps it.

Errors and kills are tried at every place (`--stride`), the other faults on PostgreSQL at every fifth of those. Exit
status 1 when one of them ended anywhere but at the start or at the end; each is told with what was found.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.faults.campaign import Row
from tests.faults.injection import JOURNALED, KILLS, POSTGRES, SQLITE, How
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.table import markdown
from tests.faults.worker import begin, one_row
from tools import postgres_programs

SELDOM = 5  # of the places that errors and kills are tried at, for the other faults on PostgreSQL
OFTEN = KILLS - {How.KILLED_TWICE} | {How.REFUSED}


def faults(engine: str, of: Scenario) -> tuple[How, ...]:
    """All kinds that can happen there."""
    if engine == "sqlite":
        return SQLITE
    return JOURNALED if of.journaled else POSTGRES


def main() -> int:
    options = _options()
    jobs = [
        (engine, s.name, how.name, options.stride if engine == "sqlite" or how in OFTEN else options.stride * SELDOM)
        for engine in ("sqlite", "postgresql")
        for s in SCENARIOS
        for how in faults(engine, s)
        if engine in s.engines
        and engine.startswith(options.engine)
        and options.scenario in ("", s.name)
        and options.fault in ("", how.name)
    ]
    began = time.monotonic()
    rows: dict[int, Row] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), initializer=begin) as pool:
        # The longest first, or the last of them would be waited for alone.
        numbers = sorted(
            range(len(jobs)), key=lambda n: (jobs[n][0] == "sqlite", jobs[n][1] not in ("undone", "journaled"))
        )
        running = {pool.submit(one_row, *jobs[n]): n for n in numbers}
        for done in as_completed(running):
            row = rows[running[done]] = done.result()
            left = f"{len(rows)}/{len(jobs)} {row.engine} {row.scenario}, {row.how.title}:"
            told = [f"{left} {row.points} tried, {len(row.stuck)} stuck", *row.stuck]
            sys.stderr.write("\n".join(told) + "\n")
    ordered = [rows[n] for n in sorted(rows)]
    postgres = postgres_programs.find().version if any(r.engine == "postgresql" for r in ordered) else ""
    page = markdown(ordered, (time.monotonic() - began) / 60, postgres)
    sys.stdout.write(page)
    if options.write:
        options.write.write_text(page)
    return 1 if any(r.stuck for r in ordered) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="try every n-th place")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    parser.add_argument("--engine", default="", choices=["", "sqlite", "postgres"])
    parser.add_argument("--scenario", default="", choices=["", *(s.name for s in SCENARIOS)])
    parser.add_argument("--fault", default="", choices=["", *How.__members__])
    parser.add_argument("--write", type=Path, help="file for the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
