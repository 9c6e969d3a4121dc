"""The ledger's table of statements that run by themselves, each noted before it and after it."""

from __future__ import annotations

from tagback.engines.session import Session
from tagback.ledger.records import DeploymentId, JournalEntry, now


def write(session: Session, deployment: DeploymentId, entry: JournalEntry) -> None:
    """Notes how it stands with a statement."""
    session.execute("DELETE FROM {journal} WHERE deployment = ? AND position = ?", (deployment, entry.position))
    session.execute(
        "INSERT INTO {journal} (deployment, position, statement, state, at) VALUES (?, ?, ?, ?, ?)",
        (deployment, entry.position, entry.statement, entry.state, now()),
    )


def last(session: Session, deployment: DeploymentId) -> JournalEntry | None:
    """The last statement of a deployment that was noted."""
    rows = session.execute(
        "SELECT position, statement, state FROM {journal} WHERE deployment = ? ORDER BY position DESC LIMIT 1",
        (deployment,),
    )
    return JournalEntry(int(str(rows[0][0])), str(rows[0][1]), str(rows[0][2])) if rows else None
