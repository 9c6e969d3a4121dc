"""The deployment lock: a session-level advisory lock, which the server releases when its holder's connection ends."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

from tagback.errors import UnreachableError

KEY = 0x7461676261636B31  # "tagback1" in ASCII; advisory locks are per database

_OF_THIS_DATABASE = f"""
    l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid = {KEY >> 32} AND l.objid = {KEY & 0xFFFFFFFF}
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"""

_HELD = f"""
    SELECT pg_catalog.pg_backend_pid(), EXISTS (
        SELECT FROM pg_catalog.pg_locks l WHERE {_OF_THIS_DATABASE} AND l.pid = pg_catalog.pg_backend_pid())"""

_HOLDER = f"""
    SELECT l.pid, a.application_name, a.usename, a.client_addr::text, a.backend_start::timestamp(0)::text
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE {_OF_THIS_DATABASE}"""

_MODES = (
    "AccessShare RowShare RowExclusive ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive".split()
)
_WORDS = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode).upper() for mode in _MODES]

TABLE_LOCKS = f"""
    SELECT l.relation::text, (ARRAY{_WORDS})[max(pg_catalog.array_position(ARRAY{[m + "Lock" for m in _MODES]}, l.mode))]
    FROM pg_catalog.pg_locks l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
    GROUP BY l.relation"""
"""The strongest lock that this transaction has on each relation, as LOCK TABLE calls it."""


class Lock:
    """This connection's hold on the lock. `ask` runs one statement and gives its rows."""

    def __init__(self, ask: Callable[[str], list[tuple[object, ...]]]) -> None:
        self._ask = ask
        self._process: object = None  # of the server, as it was when the lock was taken

    @property
    def taken(self) -> bool:
        return self._process is not None

    def take(self, seconds: float) -> None:
        """Takes it, waiting at most so long. UnreachableError names who has it."""
        deadline = time.monotonic() + seconds
        while True:
            ((process, taken),) = self._ask(
                f"SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_try_advisory_lock({KEY})"
            )
            if taken:
                self._process = process
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._not_free(seconds)
            # Jitter, so that several waiters don't knock at the same moments for ever.
            time.sleep(min(left, random.uniform(0.05, 0.25)))

    def release(self) -> None:
        """Gives it back."""
        self._process = None
        self._ask(f"SELECT pg_catalog.pg_advisory_unlock({KEY})")

    def lost(self) -> str:
        """Why it isn't this connection's any more; empty if all is well. Forgets it then."""
        if self._process is None:
            return ""
        ((process, held),) = self._ask(_HELD)
        reason = ""
        if process != self._process:
            reason = (
                f"The server process behind the connection changed from {self._process} to {process}: a pooler is in"
                " between that gives each transaction another one, and a lock can't be held through it."
            )
        elif not held:
            reason = "The deployment lock of this connection was released: by pg_advisory_unlock_all, say."
        if reason:
            self._process = None
        return reason

    def _not_free(self, seconds: float) -> UnreachableError:
        holder = "another session"
        for pid, application, user, address, since in self._ask(_HOLDER):
            where = f" from {address}" if address else ""
            holder = f"process {pid} ({application or 'unnamed'}, user {user}{where}, connected since {since} UTC)"
        return UnreachableError(
            f"The deployment lock of this database was not free within {seconds:g} s: {holder} has it.",
            code="lock_timeout",
            hint="Wait for the other deployment to end; a dead one is ended with SELECT pg_terminate_backend(PID).",
        )


def lock_lost(reason: str) -> UnreachableError:
    """The error for a lock that this connection no longer has; the transaction has been rolled back."""
    return UnreachableError(
        f"{reason} Nothing was changed.",
        code="lock_lost",
        hint="Connect to the server directly, or through a pooler in session mode.",
    )
