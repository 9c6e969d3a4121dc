"""The demo runs as `make demo` runs it, and ends well only if every claim on the screen held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "demo" / "demo.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_demo_keeps_what_it_claims_on_sqlite(tmp_path: Path) -> None:
    done = run("--folder", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 100,500 rows of before hold the same values, prices and dropped column included" in done.stdout


def test_the_demo_keeps_what_it_claims_on_postgresql(tmp_path: Path, pg_url: str) -> None:
    done = run("--url", pg_url, "--folder", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the 25 orders taken meanwhile are still there" in done.stdout


def test_the_demo_leaves_a_database_that_is_in_use_alone(tmp_path: Path, pg_url: str) -> None:
    import psycopg

    with psycopg.connect(pg_url) as connection:
        connection.execute("CREATE TABLE somebodys (x integer)")
    done = run("--url", pg_url, "--folder", tmp_path / "demo")
    assert done.returncode == 1
    assert "not empty" in done.stdout
    with psycopg.connect(pg_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relname IN ('customer', 'meta')").fetchall() == [
            (0,)
        ]
