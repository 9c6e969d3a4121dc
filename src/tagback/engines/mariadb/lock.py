"""The deployment lock: a named lock of the server's, which goes with its holder's connection."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from typing import Any

from tagback.errors import UnreachableError

Ask = Callable[..., list[tuple[Any, ...]]]
_LONGEST = 64  # characters of a lock's name


class Lock:
    """This connection's hold on the lock of one database. Names of locks are the whole server's."""

    def __init__(self, ask: Ask, database: str) -> None:
        self._ask = ask
        name = f"tagback {database}"
        self._name = name if len(name) <= _LONGEST else f"tagback {hashlib.sha256(name.encode()).hexdigest()[:48]}"
        self.taken = False

    def take(self, seconds: float) -> None:
        """Takes it, waiting at most so long. UnreachableError says who has it."""
        deadline = time.monotonic() + seconds
        while True:
            ((got,),) = self._ask("SELECT get_lock(%s, 0)", (self._name,))
            if got == 1:
                self.taken = True
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._not_free(seconds)
            # Short turns can be interrupted, and jitter keeps waiters from knocking at the same moments.
            time.sleep(min(left, random.uniform(0.05, 0.25)))

    def release(self) -> None:
        """Gives it back."""
        self.taken = False
        self._ask("SELECT release_lock(%s)", (self._name,))

    def check(self) -> None:
        """UnreachableError where it isn't this connection's any more: a statement may have released it."""
        ((held,),) = self._ask("SELECT is_used_lock(%s) <=> connection_id()", (self._name,))
        if not held:
            self.taken = False
            raise UnreachableError(
                "The deployment lock was lost: a statement released it.",
                code="lock_lost",
                hint="Nothing further was written. `tagback recover` ends what was begun.",
            )

    def _not_free(self, seconds: float) -> UnreachableError:
        ((holder,),) = self._ask("SELECT is_used_lock(%s)", (self._name,))
        who = f" by connection {holder}" if holder is not None else ""
        return UnreachableError(
            f"The deployment lock of this database was not free within {seconds:g} s: it is held{who}.",
            code="lock_timeout",
            hint="Another deployment runs, or the server still works off a statement of one that was killed. Try again,"
            " or raise --lock-wait.",
        )
