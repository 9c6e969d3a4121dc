"""Runs a use-case that changes the database: with progress, and with a proof of what is left when it is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tagback.cli.call import Settings
from tagback.cli.interrupts import Interrupts
from tagback.cli.page import short
from tagback.cli.progress import Progress
from tagback.deploy import events
from tagback.deploy.target import Target
from tagback.engines.session import StatementError
from tagback.errors import Exit, StuckError, TagbackError, UnreachableError

T = TypeVar("T")


def change(
    settings: Settings, action: Callable[[Target], T], *, progress: Progress | None = None, create: bool = False
) -> T:
    """Opens the target, does the action and closes it. An interrupt gives an error with exit status 130."""
    progress = progress or Progress(verbose=False)
    interrupts = Interrupts()

    def listen(event: events.Event) -> None:
        interrupts(event)
        progress(event)

    with interrupts:
        try:
            with Target.open(settings.url, create=create, listen=listen, lock_timeout=settings.lock_timeout) as target:
                interrupts.cancel = target.session.cancel
                try:
                    return action(target)
                finally:
                    interrupts.cancel = None
        except BaseException as e:
            if not interrupts.stopped:
                if isinstance(e, StatementError) and e.lost:
                    raise _lost(e, settings) from e
                raise
            progress.end()
            raise _interrupted(settings, interrupts.start) from None
        finally:
            progress.end()


def _lost(e: StatementError, settings: Settings) -> UnreachableError:
    return UnreachableError(
        f"The connection was lost: {e.message}",
        code="lost",
        location=e.location,
        hint=f"`{settings.command} recover` decides what became of it: the database is at its start or at its end.",
    )


def _interrupted(settings: Settings, start: str) -> TagbackError:
    """Looks at the database once more before saying that it is as it was."""
    if not start:
        return _stopped("Interrupted before anything was changed.")
    with Target.open(settings.url) as target:
        found = target.recover(lock_wait=settings.seconds_to_wait)
        if found.fingerprint == start:
            return _stopped(f"Interrupted; the database is as it was before, verified: fingerprint {short(start)}")
        if target.verify().equal:
            return _stopped("Interrupted and undone; somebody else has deployed since.")
    return StuckError(
        f"Interrupted, and the schema is not the one at the start: {short(found.fingerprint)} instead of {short(start)}.",
        hint=f"`{settings.command} verify` shows what differs.",
    )


def _stopped(message: str) -> TagbackError:
    return TagbackError(message, code="interrupted", exit_code=Exit.INTERRUPTED)
