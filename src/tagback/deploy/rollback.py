"""Takes deployments back: to a tag, the end of a deployment or a changeset, or by count; and proves the result."""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tagback.catalog import Catalog, Rename, follow
from tagback.deploy.author import author
from tagback.deploy.back import bring_back
from tagback.deploy.drift import Gap, OnDrift, keep, refuse
from tagback.deploy.events import CatalogRead, Committing, Listener
from tagback.deploy.results import RolledBack
from tagback.deploy.turn import in_turn
from tagback.engines.session import Session, StatementError
from tagback.errors import FailedError, RefusedError, UsageError, counted
from tagback.ledger.history import History, Point, read_history
from tagback.ledger.records import (
    NO_SNAPSHOT,
    AppliedChangeset,
    Deployment,
    DeploymentKind,
    Outcome,
    Receipt,
    RecordedContent,
    Reversibility,
    TagState,
)
from tagback.ledger.store import Ledger, now


class OnConflict(enum.StrEnum):
    """Whose value stands where the deployment and the application both wrote."""

    KEEP = "keep"
    RESTORE = "restore"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Where to, exactly one of the first four, and how. `lock_wait`: seconds to wait for the deployment lock."""

    to: str | None = None
    deployment: int | None = None
    count: int | None = None
    to_changeset: str | None = None
    dry_run: bool = False
    on_conflict: OnConflict = OnConflict.KEEP
    on_drift: OnDrift = OnDrift.REFUSE
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
    session.begin()
    ledger = Ledger(session)
    history = read_history(ledger)
    point = find_point(history, options)
    undone = history.undone(point.depth)
    _refuse_irreversible(undone)
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
        target, kept = keep(recorded, live, gaps)
    if not undone and live.fingerprint == target.fingerprint:
        session.rollback()
        return _nothing(history, point, live, target, kept, dry_run=options.dry_run)
    renamed = net_renames(ledger, history, point.depth)
    contents = _contents(ledger, undone)
    back = bring_back(session, live, target, renamed, contents, listen)
    verified = back.after.fingerprint == target.fingerprint
    if not verified:
        raise _not_equal(target, back.after)
    ids = tuple(dict.fromkeys(c.deployment for c in reversed(undone)))
    standing = [t.name for t in history.tags if t.depth == point.depth]
    tag = options.to or (standing[-1] if standing else "")
    receipt = _record(session, ledger, history, point, undone, (live, recorded, back.after), tag, began, kept)
    if options.dry_run:
        session.rollback()
    else:
        listen(Committing())
        _commit(session)
    done = "would be" if options.dry_run else "are"
    return RolledBack(
        deployments=ids,
        changesets=tuple(c.id for c in reversed(undone)),
        tag=tag,
        fingerprint_before=live.fingerprint,
        fingerprint_after=back.after.fingerprint,
        fingerprint_expected=target.fingerprint,
        verified=verified,
        restored=(),
        conflicts=(),
        conflicts_total=0,
        kept_drift=kept,
        receipt=None if options.dry_run else receipt,
        message=f"{counted(len(undone), 'changeset')} of {counted(len(ids), 'deployment')} {done} undone;"
        f" the schema is that of {point.name}.",
        duration_ms=0,
        plan=back.steps if options.dry_run else None,
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


def _refuse_irreversible(undone: Sequence[AppliedChangeset]) -> None:
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
    for left, found in history.gaps(point):
        a, b = ledger.load_snapshot(left), ledger.load_snapshot(found)
        if a.fingerprint != b.fingerprint:
            gaps.append(Gap(a, b))
    if ledger.snapshots()[history.attested].fingerprint != live.fingerprint:
        gaps.append(Gap(ledger.load_snapshot(history.attested), live))
    return gaps


def net_renames(ledger: Ledger, history: History, depth: int) -> tuple[Rename, ...]:
    """Renames since so many changesets were in effect, the name then first; a stretch for each that noted some."""
    undone = {(c.deployment, c.position) for c in history.undone(depth)}
    whole = {c.deployment for c in history.undone(depth)}
    stretches: dict[tuple[int, int], list[Rename]] = {}
    for deployment, stage, rename in ledger.renames():
        granular = history.by_id[deployment].granular
        if (deployment, stage) in undone if granular else deployment in whole:
            stretches.setdefault((deployment, stage), []).append(rename)
    return follow(tuple(stretches[key]) for key in sorted(stretches))


def _contents(ledger: Ledger, undone: Sequence[AppliedChangeset]) -> list[RecordedContent]:
    """What the undone deployments left in places they made, the newest first."""
    ids = {c.deployment for c in undone}
    return [content for deployment, content in reversed(ledger.contents()) if deployment in ids]


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
    return RolledBack(
        deployments=(),
        changesets=(),
        tag=history.current_tag,
        fingerprint_before=live.fingerprint,
        fingerprint_after=live.fingerprint,
        fingerprint_expected=target.fingerprint,
        verified=True,
        restored=(),
        conflicts=(),
        conflicts_total=0,
        kept_drift=kept,
        receipt=None,
        message=f"Nothing to undo: the database is at {point.name} already.",
        duration_ms=0,
        plan=() if dry_run else None,
    )


def _record(
    session: Session,
    ledger: Ledger,
    history: History,
    point: Point,
    undone: Sequence[AppliedChangeset],
    catalogs: tuple[Catalog, Catalog, Catalog],
    tag: str,
    began: str,
    kept: tuple[str, ...],
) -> int:
    """Writes the rollback, what it undid, and the receipt; gives the receipt's id."""
    live, recorded, after = catalogs
    attested = ledger.load_snapshot(history.attested)
    before = ledger.save_snapshot(live, (history.attested, attested))
    now_at = ledger.save_snapshot(after, (point.snapshot, recorded))
    deployment = ledger.next_deployment()
    ledger.save_deployment(
        Deployment(
            id=deployment,
            kind=DeploymentKind.ROLLBACK,
            outcome=Outcome.DONE,
            tag=tag,
            previous_tag=history.current_tag,
            started=began,
            ended=now(),
            author=author(),
            epoch=session.epoch,
            snapshot_before=before,
            snapshot_after=now_at,
            reversibility=Reversibility.FREE,
            reasons=(),
            granular=0,
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
        verdict="equal" if not kept else "equal but for what was kept: " + "; ".join(kept),
        objects=len(after.objects),
        details="; ".join(c.id for c in undone),
        at=now(),
    )
    ledger.add_receipt(receipt)
    return receipt.id
