"""Takes deployments back: to a tag, the end of a deployment or a changeset, or by count; and proves the result."""

from __future__ import annotations

import contextlib
import datetime
import enum
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tagback.catalog import Catalog, ObjectId, by_appending, reordered
from tagback.deploy.author import author
from tagback.deploy.back import ColumnOrder, Leg, Return, bring_back
from tagback.deploy.committing import Going, foreseen, foreseen_conflicts, run_legs, undone_unless_done
from tagback.deploy.conflicts import told_of
from tagback.deploy.drift import Gap, OnDrift, check_rows, column_order, is_drift, keep, not_together, refuse, told
from tagback.deploy.events import CatalogRead, Committing, Listener
from tagback.deploy.legs import legs, net_renames, undoes, undone_shelves, undone_tables
from tagback.deploy.results import Restored, RolledBack, Shelved
from tagback.deploy.shelf import expire, expired, limit, purged_reasons
from tagback.deploy.shelves import place_label, shelved
from tagback.deploy.steps import STEP_FAILED
from tagback.deploy.turn import in_turn
from tagback.engines.session import Disagreement, Session, StatementError
from tagback.errors import FailedError, RefusedError, UsageError
from tagback.ledger.history import History, Point, read_history
from tagback.ledger.records import (
    NO_SNAPSHOT,
    AppliedChangeset,
    Deployment,
    DeploymentId,
    DeploymentKind,
    Outcome,
    Receipt,
    Reversibility,
    Shelf,
    ShelfState,
    SnapshotId,
    TagState,
    now,
)
from tagback.ledger.store import Ledger

_MOST_CONFLICTS = 1000  # that are listed


class OnConflict(enum.StrEnum):
    """Whose value stands where the deployment and the application both wrote."""

    KEEP = "keep"
    RESTORE = "restore"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Where to, exactly one of the first four, and how. `lock_wait`: seconds to wait for the deployment lock.

    `only`: the deployments that may be taken back, by their tags; another one's on the way is a RefusedError.
    `shelf_limit`: bytes that the shelf may take in all; `shelf_retention`: what is kept longer is dropped at the end.
    """

    to: str | None = None
    deployment: int | None = None
    count: int | None = None
    to_changeset: str | None = None
    dry_run: bool = False
    on_conflict: OnConflict = OnConflict.KEEP
    on_drift: OnDrift = OnDrift.REFUSE
    column_order: ColumnOrder = ColumnOrder.EXACT
    only: frozenset[str] | None = None
    shelf_limit: int | None = None
    shelf_retention: datetime.timedelta | None = None
    lock_wait: float = 60.0
    attempts: int = 5


def rollback(session: Session, options: RollbackOptions, listen: Listener) -> RolledBack:
    """Brings the database back. Errors say what state the database is in."""
    started = time.monotonic()
    result = in_turn(
        session,
        lambda: _attempt(session, options, listen),
        listen,
        lock_wait=options.lock_wait,
        attempts=options.attempts,
    )
    return replace(result, duration_ms=round(1000 * (time.monotonic() - started)))


def find_point(history: History, options: RollbackOptions) -> Point:
    """The place the options name; UsageError or RefusedError when there is none."""
    if options.to is not None:
        return history.at_tag(options.to)
    if options.deployment is not None:
        return history.at_deployment(options.deployment)
    if options.to_changeset is not None:
        return history.at_changeset(options.to_changeset)
    if options.count is None or options.count < 0:
        raise UsageError("Say where to go back to.", hint="Give one of --to, --deployment, --count, --to-changeset.")
    return history.before_last(options.count)


def _attempt(session: Session, options: RollbackOptions, listen: Listener) -> RolledBack:
    began = now()
    obstacle = session.ledger_obstacle()
    if obstacle is not None:
        raise obstacle
    session.begin()
    ledger = Ledger(session)
    history = read_history(ledger)
    point = find_point(history, options)
    undone = history.undone(point.depth)
    if options.only is not None:
        _refuse_others(history, undone, options.only)
    _refuse_irreversible(undone, purged_reasons(undone_shelves(ledger, history, point.depth)))
    clock = time.perf_counter()
    live = session.read_catalog()
    listen(CatalogRead(len(live.objects), time.perf_counter() - clock, live.fingerprint))
    recorded = ledger.load_snapshot(point.snapshot)
    gaps = _gaps(ledger, history, point, live)
    target = recorded
    kept: tuple[str, ...] = ()
    if gaps and options.on_drift is OnDrift.REFUSE:
        raise refuse(gaps)
    if gaps and options.on_drift is OnDrift.KEEP:
        target, kept = keep(recorded, live, gaps, net_renames(ledger, history, point.depth))
        check_rows(recorded, target, undone_tables(ledger, history, point.depth))
    attested = ledger.fingerprint(history.attested)
    near = by_appending(live, target) if options.column_order is ColumnOrder.LOGICAL else target
    if not undone and live.fingerprint == near.fingerprint == attested:
        session.rollback()
        return _nothing(history, point, live, target, kept, dry_run=options.dry_run)
    limit(session, ledger, options.shelf_limit)
    deployment = ledger.next_deployment()
    way = legs(session, ledger, history, point, live, target, gaps if options.on_drift is OnDrift.KEEP else ())

    def go(here: Catalog, leg: Leg, label: str, decided: Callable[[Catalog], None]) -> Return:
        try:
            return bring_back(
                session,
                here,
                leg,
                label,
                listen,
                restore=options.on_conflict is OnConflict.RESTORE,
                strict=options.on_conflict is OnConflict.FAIL,
                order=options.column_order,
                decided=decided,
            )
        except FailedError as e:
            if not kept or e.code != STEP_FAILED:
                raise
            raise not_together(e) from e

    if session.capabilities.schema_changes_commit and options.dry_run:
        met = foreseen_conflicts(session, live, way, place_label(deployment, 0))
        session.rollback()
        return _not_taken(history, point, undone, live, way, met, options)
    with contextlib.ExitStack() as safe:
        if session.capabilities.schema_changes_commit:
            before = ledger.save_snapshot(live, (history.attested, ledger.load_snapshot(history.attested)))
            record = _rollback_record(session, history, deployment, began, before)
            safe.enter_context(undone_unless_done(session, record, listen))
            done = run_legs(session, record, way, live, go, listen)
            ledger.forget_shelves(deployment)
        else:
            done = _in_one_transaction(way, live, deployment, go)
        at, goal = (done[-1].after, done[-1].target) if done else (live, live)
        if at.fingerprint != goal.fingerprint:
            raise _not_equal(goal, at)
        elsewhere = reordered(target, goal)
        ids = tuple(dict.fromkeys(c.deployment for c in reversed(undone)))
        standing = [t.name for t in history.tags if t.depth == point.depth]
        tag = options.to or (standing[-1] if standing else "")
        receipt = _record(
            session, ledger, history, point, undone, (live, recorded, at), tag, (deployment, began), kept, elsewhere
        )
        _note_rows(ledger, deployment, way, done, undone, early=session.capabilities.schema_changes_commit)
        restore = options.on_conflict is OnConflict.RESTORE
        conflicts, listed = told_of(way, [r.conflicts for r in done], restore=restore)
        purged = expire(session, ledger, options.shelf_retention)
        if options.dry_run:
            session.rollback()
        else:
            listen(Committing())
            _commit(session)
    return RolledBack(
        deployments=ids,
        changesets=tuple(c.id for c in reversed(undone)),
        tag=tag,
        fingerprint_before=live.fingerprint,
        fingerprint_after=at.fingerprint,
        fingerprint_expected=goal.fingerprint,
        verified=at.fingerprint == goal.fingerprint,
        restored=_restored(done),
        conflicts=conflicts[:_MOST_CONFLICTS],
        conflicts_total=sum(r.conflicts_total for r in done) - (listed - len(conflicts)),
        shelved=shelved(k for r in done for k in r.kept),
        kept_drift=kept,
        reordered=tuple(str(i) for i in elsewhere),
        receipt=None if options.dry_run else receipt,
        notes=expired(purged),
        purged=tuple(Shelved(v.table, v.rows, v.bytes, v.how) for v in purged),
        message=told(len(undone), len(ids), point.name, kept=bool(kept), dry_run=options.dry_run, reordered=elsewhere),
        duration_ms=0,
        plan=tuple(step for r in done for step in r.steps) if options.dry_run else None,
    )


def _commit(session: Session) -> None:
    """RefusedError when a deferred check finds that today's rows don't fit the schema that comes back."""
    try:
        session.commit()
    except StatementError as e:
        if e.code != "constraint":
            raise
        raise RefusedError(
            f"Today's rows don't fit the schema to return to: {e.message}",
            code="constraint",
            hint="The database is as it was; correct the rows and try again.",
        ) from None


def _refuse_others(history: History, undone: Sequence[AppliedChangeset], only: frozenset[str]) -> None:
    others = [d for i in dict.fromkeys(c.deployment for c in undone) if (d := history.by_id[i]).tag not in only]
    if others:
        d = others[-1]
        raise RefusedError(
            f"Deployment {d.id} of {d.author.who}, tagged {d.tag}, lies on the way back and isn't to be taken back.",
            code="deployed_since",
            hint="Nothing was touched. `tagback rollback --to TAG` takes it back too; or mend by one more deployment.",
        )


def _refuse_irreversible(undone: Sequence[AppliedChangeset], purged: Sequence[str]) -> None:
    if purged:
        raise RefusedError(
            "Going back would lose data:\n  " + "\n  ".join(purged),
            code="irreversible",
            hint="Nothing was touched. `tagback tags` shows which tags can still be reached.",
        )
    stuck = [c for c in undone if c.reversibility is Reversibility.IRREVERSIBLE]
    if not stuck:
        return
    reasons = dict.fromkeys(reason for c in stuck for reason in c.reasons)
    raise RefusedError(
        f"Deployment {stuck[0].deployment} was deployed as irreversible, and going back over it would lose data:\n  "
        + "\n  ".join(reasons),
        code="irreversible",
        hint="Nothing was touched. `tagback tags` shows which tags can still be reached.",
    )


def _gaps(ledger: Ledger, history: History, point: Point, live: Catalog) -> list[Gap]:
    gaps = []
    heads = ledger.snapshots()
    for left, found in history.gaps(point):
        if is_drift(ledger, history, heads, left, found):
            gaps.append(Gap(ledger.load_snapshot(left), ledger.load_snapshot(found)))
    if ledger.fingerprint(history.attested) != live.fingerprint:
        gaps.append(Gap(ledger.load_snapshot(history.attested), live))
    return gaps


def _restored(done: Sequence[Return]) -> tuple[Restored, ...]:
    """Rows that came back, by table."""
    rows: dict[str, int] = {}
    for r in done:
        for table, count in r.restored.items():
            rows[table.path] = rows.get(table.path, 0) + count
    return tuple(Restored(table, count) for table, count in sorted(rows.items()))


def _note_rows(
    ledger: Ledger,
    deployment: DeploymentId,
    way: Sequence[Leg],
    done: Sequence[Return],
    undone: Sequence[AppliedChangeset],
    *,
    early: bool,
) -> None:
    """Writes what the rollback took away, leg by leg, and what it gave back.

    `early`: tables that won't be there in the end go on the first leg.
    """
    position = ledger.next_shelf(deployment)
    for number, (leg, r) in enumerate(zip(way, done, strict=True), 1):
        shelves = [
            Shelf(deployment, position + n, number, NO_SNAPSHOT, of, {}, kept)
            for n, kept in enumerate(r.kept)
            for of in [undoes(ledger, undone, leg, kept) if early else leg.undoes]
        ]
        ledger.add_shelves(shelves)
        ledger.set_shelf_state(leg.shelves, ShelfState.RETURNED)
        ledger.set_shelf_state(r.home, ShelfState.HOME)
        position += len(shelves)


def _not_equal(target: Catalog, after: Catalog) -> FailedError:
    from tagback.deploy.drift import describe

    return FailedError(
        "The way back did not lead to the recorded schema:\n  " + "\n  ".join(describe(target, after)),
        code="not_equal",
        hint="Everything was undone: the database is as it was before. This is a defect of tagback; please report it.",
    )


def _nothing(
    history: History, point: Point, live: Catalog, target: Catalog, kept: tuple[str, ...], *, dry_run: bool
) -> RolledBack:
    elsewhere = reordered(target, live)
    but = f", but for {column_order(elsewhere)}" if elsewhere else ""
    return RolledBack(
        deployments=(),
        changesets=(),
        tag=history.current_tag,
        fingerprint_before=live.fingerprint,
        fingerprint_after=live.fingerprint,
        fingerprint_expected=live.fingerprint,
        verified=True,
        restored=(),
        conflicts=(),
        conflicts_total=0,
        shelved=(),
        kept_drift=kept,
        reordered=tuple(str(i) for i in elsewhere),
        receipt=None,
        notes=(),
        message=f"Nothing to undo: the database is at {point.name} already{but}.",
        duration_ms=0,
        plan=() if dry_run else None,
    )


def _in_one_transaction(way: Sequence[Leg], live: Catalog, deployment: DeploymentId, go: Going) -> list[Return]:
    """Goes the legs until one doesn't arrive."""
    done: list[Return] = []
    for number, leg in enumerate(way, 1):
        here = done[-1].after if done else live
        done.append(go(here, leg, place_label(deployment, number), lambda decided: None))
        if done[-1].after.fingerprint != done[-1].target.fingerprint:
            break
    return done


def _rollback_record(
    session: Session, history: History, deployment: DeploymentId, began: str, before: SnapshotId
) -> Deployment:
    """The rollback as it is while it runs."""
    return Deployment(
        id=deployment,
        kind=DeploymentKind.ROLLBACK,
        outcome=Outcome.RUNNING,
        tag="",
        previous_tag=history.current_tag,
        started=began,
        ended="",
        author=author(),
        epoch=session.epoch,
        snapshot_before=before,
        snapshot_after=NO_SNAPSHOT,
        reversibility=Reversibility.FREE,
        reasons=(),
        granular=0,
    )


def _not_taken(
    history: History,
    point: Point,
    undone: Sequence[AppliedChangeset],
    live: Catalog,
    way: Sequence[Leg],
    met: Sequence[Sequence[Disagreement]],
    options: RollbackOptions,
) -> RolledBack:
    """What a dry run says where steps can't be tried."""
    conflicts, _ = told_of(way, met, restore=options.on_conflict is OnConflict.RESTORE)
    ids = tuple(dict.fromkeys(c.deployment for c in reversed(undone)))
    nothing = _nothing(history, point, live, live, (), dry_run=True)
    return replace(
        nothing,
        deployments=ids,
        changesets=tuple(c.id for c in reversed(undone)),
        fingerprint_expected=way[-1].target.fingerprint,
        verified=False,
        conflicts=conflicts[:_MOST_CONFLICTS],
        conflicts_total=len(conflicts),
        message=f"{told(len(undone), len(ids), point.name, kept=False, dry_run=True)} It wasn't tried: every step commits.",
        plan=foreseen(live, way),
    )


def _record(
    session: Session,
    ledger: Ledger,
    history: History,
    point: Point,
    undone: Sequence[AppliedChangeset],
    catalogs: tuple[Catalog, Catalog, Catalog],
    tag: str,
    begun: tuple[DeploymentId, str],
    kept: tuple[str, ...],
    elsewhere: Sequence[ObjectId],
) -> int:
    """Writes the rollback, what it undid, and the receipt; gives the receipt's id."""
    live, recorded, after = catalogs
    but = [f"what was kept: {'; '.join(kept)}"] if kept else []
    but += [column_order(elsewhere, len(elsewhere))] if elsewhere else []
    verdict = f"equal but for {' and '.join(but)}" if but else "equal"
    attested = ledger.load_snapshot(history.attested)
    before = ledger.save_snapshot(live, (history.attested, attested))
    now_at = ledger.save_snapshot(after, (point.snapshot, recorded))
    deployment, began = begun
    ledger.save_deployment(
        replace(
            _rollback_record(session, history, deployment, began, before),
            outcome=Outcome.DONE,
            tag=tag,
            ended=now(),
            snapshot_after=now_at,
            reasons=(verdict,) if elsewhere else (),
        )
    )
    ledger.mark_undone(undone, deployment)
    ledger.end_tags(history.tags_after(point.depth), TagState.RELEASED)
    ledger.attest(now_at if now_at != NO_SNAPSHOT else point.snapshot)
    receipt = Receipt(
        id=ledger.next_receipt(),
        deployment=deployment,
        tag=tag,
        expected=recorded.fingerprint,
        actual=after.fingerprint,
        verdict=verdict,
        objects=len(after.objects),
        details="; ".join(c.id for c in undone),
        at=now(),
    )
    ledger.add_receipt(receipt)
    return receipt.id
