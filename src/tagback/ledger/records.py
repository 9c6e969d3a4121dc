"""What the ledger remembers, as values."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from typing import NewType

from tagback.catalog import Fingerprint
from tagback.engines.session import KeptRows

DeploymentId = NewType("DeploymentId", int)
SnapshotId = NewType("SnapshotId", int)

NO_DEPLOYMENT = DeploymentId(0)
NO_SNAPSHOT = SnapshotId(0)

MADE, LOOKED_AT = "made", "looked at"
"""How rows are kept that have no place: of a new table only their number is, of one that was compared and is the same none."""


class DeploymentKind(enum.StrEnum):
    """A deployment brings changesets or takes them back: both are changes, and both are remembered."""

    APPLY = "apply"
    ROLLBACK = "rollback"


class Outcome(enum.StrEnum):
    """How a deployment ended. RUNNING: it didn't yet, or its process died."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Reversibility(enum.StrEnum):
    """The verdict on the way back, from best to worst."""

    FREE = "free"
    CAPTURED = "captured"
    CONDITIONAL = "conditional"
    IRREVERSIBLE = "irreversible"


class TagState(enum.StrEnum):
    """SET: names a state. RELEASED: its deployment was rolled back; the name is free. MOVED: set anew elsewhere."""

    SET = "set"
    RELEASED = "released"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Author:
    """Who runs tagback, where, and from which source."""

    who: str
    host: str
    tool: str
    revision: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """One row of the ledger's main table; times are ISO 8601 in UTC, empty `ended` while it runs."""

    id: DeploymentId
    kind: DeploymentKind
    outcome: Outcome
    tag: str
    previous_tag: str
    started: str
    ended: str
    author: Author
    epoch: str
    snapshot_before: SnapshotId
    snapshot_after: SnapshotId
    reversibility: Reversibility
    reasons: tuple[str, ...]
    granular: int


@dataclass(frozen=True, slots=True)
class AppliedChangeset:
    """A changeset as it was deployed. `snapshot` is the schema at its end where that was recorded, else NO_SNAPSHOT.

    What was judged together is taken back together, and its first changeset has the reasons for all.
    """

    deployment: DeploymentId
    position: int
    id: str
    checksum: str
    snapshot: SnapshotId
    reversibility: Reversibility
    reasons: tuple[str, ...]
    undone_by: DeploymentId


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for a state. Higher positions were set later.

    `depth` is how many changesets were in effect: what is in effect is a stack, so that says which. `deployment` is
    the one that brought the last of them (NO_DEPLOYMENT: none was).
    """

    position: int
    name: str
    deployment: DeploymentId
    depth: int
    snapshot: SnapshotId
    set_at: str
    who: str
    state: TagState


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """A recorded catalog without its objects."""

    id: SnapshotId
    parent: SnapshotId
    fingerprint: Fingerprint
    engine: str
    major: str


class ShelfState(enum.StrEnum):
    """KEPT: the rows are there. RETURNED: they were merged back. HOME: the table itself was moved back, and nothing is left.

    PURGED: they were dropped by wish.
    """

    KEPT = "kept"
    RETURNED = "returned"
    HOME = "home"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a deployment or a rollback did to one table's rows.

    `stage` is the part of the deployment that did it and `snapshot` the schema at its start. `undoes` are the changesets
    (deployment and position) that a rollback took back by it. `back` are expressions that give a column again.
    """

    deployment: DeploymentId
    position: int
    stage: int
    snapshot: SnapshotId
    undoes: tuple[tuple[int, int], ...]
    back: dict[str, str]
    kept: KeptRows
    state: ShelfState = ShelfState.KEPT


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One statement that ran by itself: `intent` before, `done` or `failed` after. `snapshot`: the schema before it."""

    position: int
    statement: str
    state: str
    snapshot: SnapshotId = NO_SNAPSHOT


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was compared after a rollback, and the verdict: `equal`, or in words what differs by wish."""

    id: int
    deployment: DeploymentId
    tag: str
    expected: Fingerprint
    actual: Fingerprint
    verdict: str
    objects: int
    details: str
    at: str


def now() -> str:
    """The present in the ledger's form: ISO 8601, UTC, microseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat()
