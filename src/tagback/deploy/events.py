"""What happens during a deployment or a rollback, for whoever listens: the terminal, a log, a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Locked:
    """The deployment lock is held."""

    place: str


@dataclass(frozen=True, slots=True)
class Recovering:
    """An interrupted deployment was found and is being taken back."""

    deployment: int


@dataclass(frozen=True, slots=True)
class CatalogRead:
    """The schema was read at the start: so many objects, and the fingerprint that a failure must lead back to."""

    objects: int
    seconds: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DriftAdopted:
    """The schema isn't what the last deployment left; what was changed by hand becomes part of the start."""

    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsKept:
    """The rows of these tables were copied, to compare them afterwards."""

    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangesetStarted:
    """A changeset begins; `number` of `total`, from 1."""

    id: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class ChangesetDone:
    """A changeset's statements have run."""

    id: str
    number: int
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunAgain:
    """Rows were touched that nobody foresaw: the same is run again with these tables kept beforehand."""

    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retrying:
    """A lock wasn't to be had in time; the deployment was undone and begins anew after a pause."""

    reason: str
    attempt: int
    attempts: int
    pause: float


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step of a way back has run."""

    sql: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Committing:
    """Everything has run; from here on an interrupt comes too late."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The schema was read again and compared with the one it has to be."""

    expected: str
    actual: str
    objects: int


Event = (
    Locked
    | Recovering
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
