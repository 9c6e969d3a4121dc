"""The examples do what their README says, with a real service."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.pipeline.conftest import Folder

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_service_that_the_release_breaks_gets_its_database_back(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "one-service", tmp_path / "example")
    folder = Folder(tmp_path / "example")
    url = ("--url", "sqlite:///shop.db")
    folder.call(*url, "apply", "--changelog", "migrations", "--to", "001_customers", "--tag", "v1")
    service = subprocess.Popen(
        [sys.executable, "service.py", "shop.db", "0"], cwd=folder.path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert service.stdout is not None
        address = service.stdout.readline().strip()
        done = folder.run("--var", f"service={address}")
    finally:
        service.kill()
        service.communicate()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    assert "503" in done.body["error"]["message"]
    assert folder.call(*url, "verify", "--tag", "v1").exit == 0
    with sqlite3.connect(folder.path / "shop.db") as connection:
        assert connection.execute("select * from customer").fetchall() == [(1, "Ada"), (2, "Bob"), (3, "Cyd")]
    connection.close()


def test_the_schema_for_editors_is_what_the_program_writes(folder: Folder) -> None:
    assert folder.call("pipeline", "schema").out == (EXAMPLES / "pipeline.schema.json").read_text()
