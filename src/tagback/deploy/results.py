"""What the use-cases give back; the fields are those of the command line's JSON."""

from __future__ import annotations

from dataclasses import dataclass

from tagback.ledger.records import Reversibility


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step that would run. `rows`: how many rows it would destroy; `seconds_estimate`: measured where it was tried."""

    sql: str
    object: str
    action: str
    lock: str
    destroys: tuple[str, ...]
    rows: int
    seconds_estimate: float | None


@dataclass(frozen=True, slots=True)
class Shelved:
    """Data that was kept."""

    table: str
    rows: int
    bytes: int
    how: str


@dataclass(frozen=True, slots=True)
class ChangesetVerdict:
    """The verdict on one changeset, observed by itself in a dry run and with `--granular`, else told from the whole.

    `seconds` is how long its statements took; `locks` are those that it takes on tables which were there before, and
    none where it wasn't observed by itself.
    """

    id: str
    reversibility: Reversibility
    reasons: tuple[str, ...]
    shelved: tuple[Shelved, ...]
    rows: int
    bytes: int
    seconds: float
    locks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of `apply`. `deployment` is None when nothing was pending."""

    deployment: int | None
    tag: str
    previous_tag: str
    changesets: tuple[str, ...]
    fingerprint_before: str
    fingerprint_after: str
    reversibility: Reversibility
    reasons: tuple[str, ...]
    shelved: tuple[Shelved, ...]
    verdicts: tuple[ChangesetVerdict, ...]
    notes: tuple[str, ...]
    message: str
    duration_ms: int
    plan: tuple[PlannedStep, ...] | None = None
    purged: tuple[Shelved, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """Rows that came back."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that both the deployment and the application changed; without a column, a row. `kept`: later or restored."""

    table: str
    key: str
    column: str
    kept: str


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The outcome of `rollback`. `receipt` is None when there was nothing to undo, or in a dry run.

    `reordered` are tables whose columns were to be appended, and stand in another order than at the tag: there `verified`
    means equal but for that.
    """

    deployments: tuple[int, ...]
    changesets: tuple[str, ...]
    tag: str
    fingerprint_before: str
    fingerprint_after: str
    fingerprint_expected: str
    verified: bool
    restored: tuple[Restored, ...]
    conflicts: tuple[Conflict, ...]
    conflicts_total: int
    shelved: tuple[Shelved, ...]
    kept_drift: tuple[str, ...]
    reordered: tuple[str, ...]
    receipt: int | None
    notes: tuple[str, ...]
    message: str
    duration_ms: int
    plan: tuple[PlannedStep, ...] | None = None
    purged: tuple[Shelved, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovered:
    """The outcome of `recover`: which deployments were ended, and the tag that stands now."""

    deployments: tuple[int, ...]
    tag: str
    fingerprint: str
    message: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The outcome of `rehearse`: the schema of the target, as it was built elsewhere, after deploying, and taken back.

    `reversibility` is that of the schema alone, None with nothing pending: there were no rows.
    """

    changesets: tuple[str, ...]
    fingerprint_target: str
    fingerprint_built: str
    fingerprint_after: str
    fingerprint_back: str
    reversibility: Reversibility | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    message: str
    duration_ms: int
