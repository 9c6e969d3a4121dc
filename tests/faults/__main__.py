"""Every fault at every place: `python -m tests.faults` prints the table, `--write docs/faults.md` keeps it.

Errors and kills are tried at every place (`--stride`), the other faults on PostgreSQL at every fifth of those. Exit
status 1 when one of them ended anywhere but at the start or at the end; each is told with what was found. With `--rows`
a run that was ended goes on where it was, and `--page` makes the page of what there is by then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.faults.injection import JOURNALED, KILLS, POSTGRES, SQLITE, How
from tests.faults.kept import Group, Kept
from tests.faults.scenarios import SCENARIOS, Scenario, scenario
from tests.faults.table import markdown
from tests.faults.worker import begin, one_row
from tools import postgres_programs

SELDOM = 5  # of the places that errors and kills are tried at, for the other faults on PostgreSQL
OFTEN = KILLS - {How.KILLED_TWICE} | {How.REFUSED, How.FAILED}


def faults(engine: str, of: Scenario) -> tuple[How, ...]:
    """All kinds that can happen there."""
    if engine == "sqlite":
        return SQLITE
    return JOURNALED if of.journaled else POSTGRES


def main() -> int:
    options = _options()
    groups = [
        Group(engine, s.name, how, options.stride if engine == "sqlite" or how in OFTEN else options.stride * SELDOM)
        for engine in ("sqlite", "postgresql")
        for s in SCENARIOS
        for how in faults(engine, s)
        if engine in s.engines
        and engine.startswith(options.engine)
        and options.scenario in ("", s.name)
        and options.fault in ("", how.name)
    ]
    commit = _commit()
    kept = Kept(options.rows, commit)
    missing = [g for g in groups if g not in kept.rows]
    if not options.page:
        _try(missing, kept, options.jobs, len(groups))
    rows = [kept.rows[g] for g in groups if g in kept.rows]
    postgres = postgres_programs.find().version if any(r.engine == "postgresql" for r in rows) else ""
    page = markdown(rows, [g for g in groups if g not in kept.rows], commit, postgres)
    sys.stdout.write(page)
    if options.write:
        options.write.write_text(page)
    return 1 if any(r.stuck for r in rows) else 0


def _try(groups: list[Group], kept: Kept, jobs: int, of: int) -> None:
    """Tries these faults and keeps what became of them, a group as soon as it is done."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=begin) as pool:
        # The longest first, or the last of them would be waited for alone.
        ordered = sorted(
            groups, key=lambda g: (g.how not in OFTEN, g.engine == "sqlite", not scenario(g.scenario).journaled)
        )
        running = {pool.submit(one_row, g.engine, g.scenario, g.how.name, g.stride): g for g in ordered}
        for done in as_completed(running):
            row = done.result()
            kept.add(running[done], row)
            left = f"{len(kept.rows)}/{of} {row.engine} {row.scenario}, {row.how.title}:"
            told = [f"{left} {row.points} tried, {len(row.stuck)} stuck, {row.seconds:.0f} s", *row.stuck]
            sys.stderr.write("\n".join(told) + "\n")


def _commit() -> str:
    """The commit that is tried, with a plus sign where files differ from it."""
    asked = ("git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*")
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="try every n-th place")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    parser.add_argument("--engine", default="", choices=["", "sqlite", "postgres"])
    parser.add_argument("--scenario", default="", choices=["", *(s.name for s in SCENARIOS)])
    parser.add_argument("--fault", default="", choices=["", *How.__members__])
    parser.add_argument("--rows", type=Path, help="file that keeps what is done, group by group")
    parser.add_argument("--page", action="store_true", help="try nothing; make the page of what --rows has")
    parser.add_argument("--write", type=Path, help="file for the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
