"""Whole processes, with what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from contenders import Command, environment

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall time in seconds, and the most memory that was resident, in bytes.

    The latter is never below the bench's own, as a new process begins as a copy of the old one: some 25 MB.
    """

    seconds: float
    memory: int


def run(command: Command) -> Spent:
    """Runs one process to its end; the bench ends where it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command.argv, cwd=command.cwd, env=environment(command), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise SystemExit(f"{' '.join(command.argv[:6])} ended with {process.returncode}:\n{said}")
    return Spent(seconds, usage.ru_maxrss * _UNIT)
