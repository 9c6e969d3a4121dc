"""Questions that may take too long."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from tagback.engines.session import Answered, StatementError


def within(connection: sqlite3.Connection, seconds: float, question: Callable[[], Answered]) -> Answered | None:
    """The answer, or None when there was none in so many seconds. See Session.ask_within."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() >= until, 10_000)
    try:
        return question()
    except StatementError as e:
        if e.code != "interrupted" or time.monotonic() < until:
            raise
        return None
    finally:
        connection.set_progress_handler(None, 0)
