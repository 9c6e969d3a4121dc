"""What deployments and rollbacks keep of rows: how it is noted, and how what a rollback took away comes again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagback.catalog import Catalog, ObjectId, renames
from tagback.changelog import Changeset
from tagback.deploy.results import Shelved
from tagback.deploy.stage import Observed, Overlay
from tagback.engines.session import KeptRows, Rules, Session, StatementError
from tagback.errors import RefusedError
from tagback.ledger.history import History
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    DeploymentId,
    Shelf,
    ShelfState,
    SnapshotId,
)
from tagback.ledger.store import Ledger
from tagback.plan import plan


def place_label(deployment: DeploymentId, stage: int) -> str:
    """How the names of the places of one stage begin."""
    return f"shelf_{deployment}_{stage}"


def shelves_of(
    observed: Observed, deployment: DeploymentId, stage: int, snapshot: SnapshotId, first: int
) -> list[Shelf]:
    """What a stage kept, for the ledger. `snapshot`: the schema at its start; `first`: the first one's position.

    Of new tables it only says how many rows they got; that has no place.
    """
    made = [KeptRows(table, "", (), (), (), (), False, new=count, how="made") for table, count in observed.made.items()]
    return [
        Shelf(
            deployment=deployment,
            position=first + n,
            stage=stage,
            snapshot=snapshot,
            undoes=(),
            back=dict(observed.ways.get(kept.table, {})),
            kept=kept,
        )
        for n, kept in enumerate((*observed.kept, *made))
    ]


def shelved(kept: Iterable[KeptRows]) -> tuple[Shelved, ...]:
    """For people and for JSON."""
    return tuple(Shelved(k.table.path, k.rows, k.bytes, k.how) for k in kept if k.rows)


def overlays_of(
    session: Session, ledger: Ledger, history: History, changesets: Sequence[Changeset]
) -> dict[int, Overlay]:
    """What rollbacks took away of what these changesets make again, by the number of the changeset after which it is put.

    A changeset is the same again if its id and text are. What was taken back together is put when all of it is there.
    """
    undone = {c.id: c for c in history.all_changesets if c.undone_by != NO_DEPLOYMENT}
    numbers: dict[tuple[int, int], int] = {}
    for number, changeset in enumerate(changesets, 1):
        once = undone.get(changeset.id)
        if once is not None and once.checksum == changeset.checksum:
            numbers[int(once.deployment), once.position] = number
    found: dict[int, list[Shelf]] = {}
    for s in ledger.shelves() if numbers else ():
        if s.state is ShelfState.KEPT and s.undoes and s.kept.rows and numbers.keys() >= set(s.undoes):
            found.setdefault(max(numbers[one] for one in s.undoes), []).append(s)
    overlays = {}
    for number, shelves in found.items():
        # A rollback's last leg went furthest back: what it took away comes first.
        legs = sorted({(s.deployment, -s.stage) for s in shelves})
        of_legs = [[s for s in shelves if (s.deployment, -s.stage) == leg] for leg in legs]
        overlay = together([_overlay(session, ledger, some) for some in of_legs])
        if overlay is not None:
            overlays[number] = overlay
    return overlays


def _made(ledger: Ledger, undoes: Iterable[tuple[int, int]]) -> dict[ObjectId, int]:
    """How many rows these changesets had put into each table."""
    deployments = {deployment for deployment, _ in undoes}
    found: dict[ObjectId, int] = {}
    for s in ledger.everything_kept():
        if s.deployment in deployments and s.snapshot != NO_SNAPSHOT:
            found[s.kept.table] = found.get(s.kept.table, 0) + s.kept.new
    return found


def _overlay(session: Session, ledger: Ledger, shelves: Sequence[Shelf]) -> Overlay:
    by = shelves[0].deployment
    made = {(s.deployment, s.position): _made(ledger, s.undoes).get(s.kept.table, -1) for s in shelves}

    def put(before: Catalog, after: Catalog) -> str:
        there = [s for s in shelves if s.kept.table in after.objects]
        rules = {s.kept.place: Rules(redo=True, made=made[s.deployment, s.position]) for s in there}
        names = {r.after: r.before for r in renames(before, after)}
        session.savepoint()
        try:
            merge = session.merge([s.kept for s in there], after, after, rules, names)
            steps = plan(after, after, merge.rows)
            if not steps.blocked:
                session.run_steps(steps.steps, lambda step, seconds: None)
        except (StatementError, RefusedError) as e:
            if isinstance(e, StatementError) and (e.retryable or e.lost or e.code in ("disk_full", "interrupted")):
                raise
            session.rollback_to_savepoint()
            return f"what rollback {by} took away did not fit any more and stays on the shelf: {e.message}"
        session.release_savepoint()
        if steps.blocked:
            return f"what rollback {by} took away stays on the shelf: {'; '.join(steps.blocked)}"
        ledger.set_shelf_state(there, ShelfState.RETURNED)
        return ""

    return Overlay(frozenset(s.kept.table for s in shelves), put)


def together(overlays: Sequence[Overlay]) -> Overlay | None:
    """One after the other, as one; None for none."""
    if len(overlays) < 2:
        return overlays[0] if overlays else None

    def put(before: Catalog, after: Catalog) -> str:
        return "; ".join(note for overlay in overlays if (note := overlay.put(before, after)))

    return Overlay(frozenset(t for o in overlays for t in o.tables), put)
