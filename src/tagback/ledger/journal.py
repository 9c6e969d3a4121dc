"""The ledger's table of statements that run by themselves, each noted before it and after it."""

from __future__ import annotations

from tagback.engines.session import Session
from tagback.ledger.records import NO_SNAPSHOT, DeploymentId, JournalEntry, SnapshotId, now


def write(session: Session, deployment: DeploymentId, entry: JournalEntry) -> None:
    """Notes how it stands with a statement. The schema before it is noted as `intent 12`."""
    state = f"{entry.state} {entry.snapshot}" if entry.snapshot != NO_SNAPSHOT else entry.state
    session.execute("DELETE FROM {journal} WHERE deployment = ? AND position = ?", (deployment, entry.position))
    session.execute(
        "INSERT INTO {journal} (deployment, position, statement, state, at) VALUES (?, ?, ?, ?, ?)",
        (deployment, entry.position, entry.statement, state, now()),
    )


def last(session: Session, deployment: DeploymentId) -> JournalEntry | None:
    """The last statement of a deployment that was noted."""
    rows = session.execute(
        "SELECT position, statement, state FROM {journal} WHERE deployment = ? AND position > 0"
        " ORDER BY position DESC LIMIT 1",
        (deployment,),
    )
    if not rows:
        return None
    state, _, snapshot = str(rows[0][2]).partition(" ")
    return JournalEntry(int(str(rows[0][0])), str(rows[0][1]), state, SnapshotId(int(snapshot or NO_SNAPSHOT)))


def write_way_back(session: Session, deployment: DeploymentId, stage: int) -> None:
    """Notes to the beginning of which stage the way back has come."""
    write(session, deployment, JournalEntry(0, "the way back", f"at {stage}"))


def way_back(session: Session, deployment: DeploymentId) -> int | None:
    """To the beginning of which stage the way back has come; None where there was none."""
    rows = session.execute("SELECT state FROM {journal} WHERE deployment = ? AND position = 0", (deployment,))
    return int(str(rows[0][0]).partition(" ")[2]) if rows else None
