"""Start-up pays only for what is used: a person who types `tagback --help` must not wait for a database driver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tagback.cli import main

HEAVY = {"psycopg", "rich", "hypothesis", "postgast", "asyncio"}


def test_help_imports_neither_a_database_driver_nor_the_terminal_library() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "tagback", "--help"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    report = [line for line in answer.stderr.splitlines() if line.startswith("import time:")]
    messages = [line for line in answer.stderr.splitlines() if line not in report]
    assert messages == []
    assert answer.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in report}
    assert "tagback" in imported  # otherwise the output was not understood
    assert imported & HEAVY == set()


def imported_by(folder: Path, *arguments: str) -> set[str]:
    """The modules that a call of the program imports."""
    command = [sys.executable, "-X", "importtime", "-m", "tagback", *arguments]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    report = [line for line in answer.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in report}


def test_help_imports_no_use_case(tmp_path: Path) -> None:
    found = imported_by(tmp_path, "--help")
    assert "tagback.cli.front" in found
    rooms = {name for name in found if name.startswith(("tagback.deploy", "tagback.engines", "tagback.ledger"))}
    assert rooms | (found & {"msgspec", "sqlite3"}) == set()


def test_status_imports_only_what_it_looks_with(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    assert main(["--url", url, "tag", "r1"]) == 0
    found = imported_by(tmp_path, "--url", url, "status")
    assert {"tagback.deploy.look", "sqlite3"} <= found
    unused = {"psycopg", "rich", "subprocess", "socket", "getpass", "tomllib", "tagback.deploy.apply"}
    unused |= {"tagback.deploy.rollback", "tagback.changelog.reader", "tagback.engines.postgres"}
    assert found & unused == set()


def test_status_compares_files_without_what_splits_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1_t.sql").write_text("CREATE TABLE t (i int);\n")
    assert main(["--url", url, "tag", "r1"]) == 0
    found = imported_by(tmp_path, "--url", url, "status", "--changelog", "m")
    # What is loaded by name at its first use isn't in the report, only what that imports: the reader and the splitter.
    assert "tagback.changelog.listing" in found
    assert "tagback.changelog.classify" not in found
