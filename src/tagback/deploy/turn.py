"""One at a time: the deployment lock around a change, and the change once more while other locks aren't to be had."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tagback.deploy.events import Listener, Locked, Retrying
from tagback.deploy.recover import recover_interrupted
from tagback.engines.session import Session, StatementError
from tagback.errors import FailedError, TagbackError

_LONGEST_PAUSE = 30.0  # seconds

T = TypeVar("T")


def in_turn(session: Session, change: Callable[[], T], listen: Listener, *, lock_wait: float, attempts: int) -> T:
    """Makes the change under the lock, after ending what was interrupted; whatever it raises is rolled back.

    It is begun anew after a lock timeout, a deadlock or a serialisation failure, `attempts` times in all, with growing
    pauses of random length: two that stood in each other's way should not meet again.
    """
    session.lock(lock_wait)
    try:
        listen(Locked(session.place))
        recover_interrupted(session, listen)
        attempt = 1
        while True:
            try:
                return change()
            except StatementError as e:
                session.rollback()
                if e.code == "disk_full":
                    raise _disk_full(e) from e
                if e.lost or not e.retryable:
                    raise
                if attempt >= attempts:
                    raise _gave_up(e, attempts) from None
                pause = min(_LONGEST_PAUSE, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)
                listen(Retrying(e.message, attempt, attempts, pause))
                time.sleep(pause)
                attempt += 1
            except BaseException:
                session.rollback()
                raise
    finally:
        session.unlock()


def _disk_full(e: StatementError) -> TagbackError:
    return FailedError(
        f"There is no space left: {e.message}",
        code="disk_full",
        location=e.location,
        hint="Everything was undone: the database is as it was before. Make room on the disk of the database and of its"
        " temporary files; `tagback shelf purge` drops kept rows that nothing needs, and shelf_limit keeps the shelf small.",
    )


def _gave_up(e: StatementError, attempts: int) -> TagbackError:
    return TagbackError(
        f"{e.message} ({attempts} attempts)",
        code=e.code,
        location=e.location,
        hint="The database is as it was before. Find the session that holds the lock, raise --lock-timeout, or try"
        " again at a quieter time.",
    )
