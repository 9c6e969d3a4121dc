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


def read(session: Session, deployment: DeploymentId) -> tuple[JournalEntry, ...]:
    """The statements of a deployment in the order in which they were noted."""
    rows = session.execute(
        "SELECT position, statement, state FROM {journal} WHERE deployment = ? AND position > 0 ORDER BY position",
        (deployment,),
    )
    return tuple(_entry(int(str(r[0])), str(r[1]), str(r[2])) for r in rows)


def _entry(position: int, statement: str, noted: str) -> JournalEntry:
    state, _, snapshot = noted.partition(" ")
    return JournalEntry(position, statement, state, SnapshotId(int(snapshot or NO_SNAPSHOT)))


def write_way_back(session: Session, deployment: DeploymentId, stage: int) -> None:
    """Notes to the beginning of which stage the way back has come."""
    write(session, deployment, JournalEntry(0, "the way back", f"at {stage}"))


def way_back(session: Session, deployment: DeploymentId) -> int | None:
    """To the beginning of which stage the way back has come; None where there was none."""
    rows = session.execute("SELECT state FROM {journal} WHERE deployment = ? AND position = 0", (deployment,))
    return int(str(rows[0][0]).partition(" ")[2]) if rows else None
