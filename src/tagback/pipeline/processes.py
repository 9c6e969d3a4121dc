"""Processes as runs know them: who they are beyond their number, and how one ends with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ASKED = 5.0
"""Seconds that a process has to end when it is asked to; then it is killed."""
_LOOK = 0.05


def began(process: int) -> str:
    """When a process of this host began, in the kernel's count; empty if there is none, or the kernel doesn't tell."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def identity(process: int) -> dict[str, Any]:
    """What tells this process from all others that ever had its number."""
    return {"host": os.uname().nodename, "pid": process, "began": began(process)}


def is_here(known: Mapping[str, Any]) -> bool:
    """Whether it would be a process of this host."""
    return bool(known["host"] == os.uname().nodename)


def left_behind(known: Mapping[str, Any]) -> bool:
    """Whether something of the group that this process led is still at work on this host.

    While any of a group lives, its number is given to no new process: one with that number and another beginning says
    that the group is gone.
    """
    leader = began(known["pid"])
    return leader in ("", known["began"]) and _any_alive(known["pid"])


def end_group(leader: int) -> None:
    """Ends a process with all that it started: first by asking, then whatever is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)
    if not _gone(leader, ASKED):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
        _gone(leader, ASKED)


def _gone(leader: int, within: float) -> bool:
    until = time.monotonic() + within
    while _any_alive(leader):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK)
    return True


def _any_alive(group: int) -> bool:
    """Whether a process of the group does anything yet: those that nobody has buried don't count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    seen = False
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
            seen = True
            if int(of_group) == group and state not in "ZX":
                return True
    return not seen  # a system that has no /proc: it said that there is one
