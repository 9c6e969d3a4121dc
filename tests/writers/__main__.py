"""A long run: `python -m tests.writers --seconds 60` on each engine. Exit status 1 when a write was lost or waited too long."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.folders import fast_place
from tests.support.postgres import running_server
from tests.writers.course import Course, Report
from tools import postgres_programs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.writers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long on each engine (60)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows at the start (100000)")
    parser.add_argument("--lock-timeout", type=float, default=2, help="tagback's (2)")
    parser.add_argument("--engine", choices=("sqlite", "postgres"), help="only that one")
    options = parser.parse_args()
    clean = True
    for engine in (options.engine,) if options.engine else ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory(prefix="tagback-writers-", dir=fast_place()) as folder:
            report = _run(engine, Path(folder), options.rows, options.lock_timeout, options.seconds)
        sys.stdout.write(report.told() + "\n")
        sys.stdout.flush()
        clean = clean and not report.problems
    return 0 if clean else 1


def _run(engine: str, folder: Path, rows: int, lock_timeout: float, seconds: float) -> Report:
    if engine == "sqlite":
        return Course(f"sqlite:///{folder / 'target.db'}", folder, rows, lock_timeout, obstructed=True).run(seconds)
    with running_server(postgres_programs.find()) as server:
        url = server.url(server.create_database())
        return Course(url, folder, rows, lock_timeout, obstructed=True).run(seconds)


if __name__ == "__main__":
    sys.exit(main())
