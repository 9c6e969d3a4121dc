"""What every private server is made with: an account to run as, a free port, and an end with the test run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PR_SET_PDEATHSIG = 1


class ServerFailed(Exception):
    """The server could not be made or started; the text carries its own log."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user that the server runs as; `switch` is empty where that is the present user."""

    uid: int
    gid: int
    switch: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def unprivileged(cls, *names: str) -> Account:
        """The present user; for root, as whom servers refuse to run, the first of `names` that exists and else `nobody`."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in (*names, "nobody"):
            with contextlib.suppress(KeyError):
                user = pwd.getpwnam(name)
                switch = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
                return cls(user.pw_uid, user.pw_gid, switch)
        raise ServerFailed(f"A server refuses to run as root, and there is no user {' or '.join((*names, 'nobody'))}.")


def die_with_parent() -> Callable[[], None]:
    """For the child, between fork and exec: be ended by the kernel when the test process is killed (Linux)."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return lambda: None
    return lambda: prctl(PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
