"""What happens during a deployment or a rollback, for whoever listens: the terminal, a log, a page."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Locked(msgspec.Struct, frozen=True):
    """The deployment lock is held."""

    place: str


class Recovering(msgspec.Struct, frozen=True):
    """An interrupted deployment was found and is being taken back."""

    deployment: int


class Returning(msgspec.Struct, frozen=True):
    """What had begun to commit is being taken back: whatever was to be stopped is stopping, and this has to end."""

    deployment: int


class Returned(msgspec.Struct, frozen=True):
    """That is over, well or not."""

    deployment: int


class CatalogRead(msgspec.Struct, frozen=True):
    """The schema was read at the start: so many objects, and the fingerprint that a failure must lead back to."""

    objects: int
    seconds: float
    fingerprint: str


class DriftAdopted(msgspec.Struct, frozen=True):
    """The schema isn't what the last deployment left; what was changed by hand becomes part of the start."""

    differences: tuple[str, ...]


class RowsKept(msgspec.Struct, frozen=True):
    """The rows of these tables were copied, to compare them afterwards."""

    tables: tuple[str, ...]


class ChangesetStarted(msgspec.Struct, frozen=True):
    """A changeset begins; `number` of `total`, from 1."""

    id: str
    number: int
    total: int


class ChangesetDone(msgspec.Struct, frozen=True):
    """A changeset's statements have run."""

    id: str
    number: int
    total: int
    seconds: float


class RunAgain(msgspec.Struct, frozen=True):
    """Rows were touched that nobody foresaw: the same is run again with these tables kept beforehand."""

    tables: tuple[str, ...]


class Retrying(msgspec.Struct, frozen=True):
    """A lock wasn't to be had in time; the deployment was undone and begins anew after a pause."""

    reason: str
    attempt: int
    attempts: int
    pause: float


class StepDone(msgspec.Struct, frozen=True):
    """One step of a way back has run."""

    sql: str
    number: int
    total: int


class Committing(msgspec.Struct, frozen=True):
    """Everything has run; from here on an interrupt comes too late."""


class Compared(msgspec.Struct, frozen=True):
    """The schema was read again and compared with the one it has to be."""

    expected: str
    actual: str
    objects: int


Event = (
    Locked
    | Recovering
    | Returning
    | Returned
    | CatalogRead
    | DriftAdopted
    | RowsKept
    | ChangesetStarted
    | ChangesetDone
    | RunAgain
    | Retrying
    | StepDone
    | Compared
    | Committing
)

Listener = Callable[[Event], None]


def silent(_: Event) -> None:
    """Listens to nothing."""
