"""The bench of kept rows runs through with few of them; what it then says about speed doesn't matter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAYS = {"sqlite": {"sqlite", "sqlite, WAL"}, "postgresql": {"postgresql"}}


def measured(engine: str, folder: Path) -> dict[str, list[dict[str, object]]]:
    """What the bench found out about kept rows; it ends by itself where a change isn't applied or isn't taken back."""
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--parts", "shelf", "--engines", engine]
    command += ["--rows", "1000", "--rounds", "1", "--json", str(folder / "bench.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, list[dict[str, object]]] = json.loads((folder / "bench.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_every_change_is_measured_in_a_small_and_a_large_table(engine: str, tmp_path: Path) -> None:
    figures = measured(engine, tmp_path)["shelf"]
    tasks = ["DROP TABLE", "DROP COLUMN", "UPDATE of all", "UPDATE of one in 100"]
    processes = ["plain", "CREATE TABLE AS", "apply", "rollback"]
    assert {(f["engine"], f["task"], f["rows"], f["process"]) for f in figures} == {
        (way, task, rows, process)
        for way in WAYS[engine]
        for task in tasks
        for rows in (100, 1000)
        for process in processes
    }
