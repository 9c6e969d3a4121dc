"""Start-up pays only for what is used: a person who types `tagback --help` must not wait for a database driver."""

from __future__ import annotations

import subprocess
import sys

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
