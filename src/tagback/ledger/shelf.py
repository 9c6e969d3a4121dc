"""The ledger's table of what was kept of rows, and what has become of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tagback.engines.session import KeptRows, Session
from tagback.ledger.records import DeploymentId, Shelf, ShelfState, SnapshotId


def add(session: Session, shelves: Sequence[Shelf]) -> None:
    """Notes what was kept."""
    session.execute_many(
        "INSERT INTO {shelf} (deployment, position, stage, snapshot, undoes, back, kept, row_count, size, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                s.deployment,
                s.position,
                s.stage,
                s.snapshot,
                _json(s.undoes),
                _json(s.back),
                _json(s.kept),
                s.kept.rows,
                s.kept.bytes,
                s.state.value,
            )
            for s in shelves
        ],
    )


def read(session: Session) -> tuple[Shelf, ...]:
    """Everything that was ever kept, oldest first, and how many rows new tables got, which has no place."""
    rows = session.execute(
        "SELECT deployment, position, stage, snapshot, undoes, back, kept, state FROM {shelf}"
        " ORDER BY deployment, position"
    )
    return tuple(
        Shelf(
            deployment=DeploymentId(int(str(r[0]))),
            position=int(str(r[1])),
            stage=int(str(r[2])),
            snapshot=SnapshotId(int(str(r[3]))),
            undoes=msgspec.json.decode(str(r[4]), type=tuple[tuple[int, int], ...]),
            back=msgspec.json.decode(str(r[5]), type=dict[str, str]),
            kept=msgspec.json.decode(str(r[6]), type=KeptRows),
            state=ShelfState(str(r[7])),
        )
        for r in rows
    )


def set_state(session: Session, shelves: Sequence[Shelf], state: ShelfState) -> None:
    """Notes what has become of these."""
    session.execute_many(
        "UPDATE {shelf} SET state = ? WHERE deployment = ? AND position = ?",
        [(state.value, s.deployment, s.position) for s in shelves],
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
