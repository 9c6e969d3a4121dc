"""The shelf seen as a whole: what is kept, and what is thrown away by wish."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tagback.deploy.events import Committing, Listener
from tagback.deploy.turn import in_turn
from tagback.engines import shelf_query
from tagback.engines.session import Session
from tagback.errors import counted
from tagback.ledger.history import History, read_history
from tagback.ledger.records import NO_SNAPSHOT, DeploymentKind, Shelf, ShelfState
from tagback.ledger.store import Ledger

_ATTEMPTS = 5
_THERE = (ShelfState.KEPT, ShelfState.RETURNED)


@dataclass(frozen=True, slots=True)
class ShelfView:
    """What a deployment or a rollback did to one table, as it is kept. `needed`: a way back over it would use it.

    `place` is the table of the ledger that has the rows, and `sql` shows them under the table's own names; `gone`, `new`
    and `changed` count them.
    """

    deployment: int
    kind: str
    tag: str
    table: str
    rows: int
    gone: int
    new: int
    changed: int
    bytes: int
    how: str
    place: str
    kept_at: str
    needed: bool
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Purged:
    """The outcome of `shelf purge`."""

    purged: tuple[ShelfView, ...]
    rows: int
    bytes: int
    message: str


@dataclass(frozen=True, slots=True)
class ShelfSize:
    """How much is kept, and since when; `needed`: the bytes that ways back would use."""

    tables: int
    rows: int
    bytes: int
    needed: int
    oldest: str


def measure(ledger: Ledger, history: History) -> ShelfSize:
    """The shelf's size."""
    views = [_view(s, history) for s in ledger.shelves() if s.state in _THERE]
    return ShelfSize(
        tables=len({v.table for v in views}),
        rows=sum(v.rows for v in views),
        bytes=sum(v.bytes for v in views),
        needed=sum(v.bytes for v in views if v.needed),
        oldest=min((v.kept_at for v in views), default=""),
    )


def limit(session: Session, ledger: Ledger, most: int | None) -> None:
    """Has the shelf take so many bytes at most, what is there included; None: any."""
    if most is None:
        session.limit_shelf(None)
        return
    there = sum(s.kept.bytes for s in ledger.shelves() if s.state in _THERE)
    session.limit_shelf(most - there)


def expire(session: Session, ledger: Ledger, retention: datetime.timedelta | None) -> tuple[ShelfView, ...]:
    """Drops what is older, at the end of a deployment or rollback. Needed or not: the user set an age."""
    return _drop(session, ledger, retention) if retention is not None else ()


def expired(purged: Sequence[ShelfView]) -> tuple[str, ...]:
    """That in words."""
    if not purged:
        return ()
    tables = dict.fromkeys(v.table for v in purged)
    stuck = sorted({v.deployment for v in purged if v.needed and v.kind == DeploymentKind.APPLY.value})
    no_way = f"; there is no way back over {', '.join(f'deployment {d}' for d in stuck)} any more" if stuck else ""
    rows = counted(sum(v.rows for v in purged), "row")
    return (f"dropped from the shelf by shelf_retention: {rows} of {', '.join(tables)}{no_way}",)


def list_shelf(session: Session) -> tuple[ShelfView, ...]:
    """Everything that is kept, the oldest first; inside a reading transaction."""
    ledger = Ledger(session)
    history = read_history(ledger)
    return tuple(
        replace(_view(s, history), sql=shelf_query(session.engine, s.kept))
        for s in ledger.shelves()
        if s.state in _THERE and (s.kept.rows or s.snapshot != NO_SNAPSHOT)
    )


def purge(session: Session, older_than: datetime.timedelta | None, lock_wait: float, listen: Listener) -> Purged:
    """Drops what is older; without an age, what no way back needs any more.

    Deployments in effect that lose what was kept of them can't be gone back over any more.
    """
    return in_turn(
        session, lambda: _purge(session, older_than, listen), listen, lock_wait=lock_wait, attempts=_ATTEMPTS
    )


def _purge(session: Session, older_than: datetime.timedelta | None, listen: Listener) -> Purged:
    session.begin()
    purged = _drop(session, Ledger(session), older_than)
    listen(Committing())
    session.commit()
    rows, size = sum(v.rows for v in purged), sum(v.bytes for v in purged)
    return Purged(
        purged=purged,
        rows=rows,
        bytes=size,
        message=f"{counted(rows, 'row')} of {counted(len(purged), 'table')} dropped from the shelf."
        if purged
        else "There is nothing to drop from the shelf.",
    )


def _drop(session: Session, ledger: Ledger, older_than: datetime.timedelta | None) -> tuple[ShelfView, ...]:
    history = read_history(ledger)
    before = datetime.datetime.now(datetime.UTC) - older_than if older_than is not None else None
    chosen = []
    for s in ledger.shelves():
        view = _view(s, history)
        old = before is not None and datetime.datetime.fromisoformat(view.kept_at) <= before
        if s.state in _THERE and (old or (before is None and not view.needed)):
            chosen.append((s, view))
    session.drop_shelf([s.kept.place for s, _ in chosen])
    ledger.set_shelf_state([s for s, _ in chosen], ShelfState.PURGED)
    return tuple(view for _, view in chosen)


def _view(s: Shelf, history: History) -> ShelfView:
    d = history.by_id[s.deployment]
    in_effect = any(c.deployment == s.deployment for c in history.changesets)
    latest = history.deployments[-1].id == s.deployment
    return ShelfView(
        deployment=s.deployment,
        kind=d.kind.value,
        tag=d.tag,
        table=s.kept.table.path,
        rows=s.kept.rows,
        gone=s.kept.gone,
        new=s.kept.new,
        changed=s.kept.changed,
        bytes=s.kept.bytes,
        how=s.kept.how,
        place=s.kept.place,
        kept_at=d.ended or d.started,
        needed=in_effect if s.snapshot != NO_SNAPSHOT else latest and s.state is ShelfState.KEPT,
    )


def purged_reasons(shelves: Sequence[Shelf]) -> tuple[str, ...]:
    """Why a way back over these has nothing to give back; nothing if it has."""
    return tuple(
        f"what deployment {s.deployment} did to {counted(s.kept.rows, 'row')} of {s.kept.table} was purged from the shelf"
        for s in shelves
        if s.state is ShelfState.PURGED and s.kept.rows and s.snapshot != NO_SNAPSHOT
    )
