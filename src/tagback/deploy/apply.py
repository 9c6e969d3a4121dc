"""Deploys what is pending: all of it, or none of it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagback.catalog import Catalog, ObjectId
from tagback.changelog import Changelog, Changeset, Statement, read_changelog
from tagback.deploy.author import author
from tagback.deploy.effects import Tried, held, planned
from tagback.deploy.events import Committing, Listener
from tagback.deploy.pending import changed_files, find_pending, statements_of
from tagback.deploy.results import Applied, Shelved
from tagback.deploy.shelf import ShelfView, expire, expired, limit
from tagback.deploy.shelves import overlays_of, place_label, shelved, shelves_of
from tagback.deploy.stage import Observed, Work, hold_foreseen, run_stage
from tagback.deploy.start import Start, begin_in_ledger
from tagback.deploy.tags import check_free, generated_tag, is_here
from tagback.deploy.turn import in_turn
from tagback.deploy.verdict import FREE, Verdict, is_worse, worst
from tagback.deploy.verdicts import verdicts
from tagback.engines.session import Session
from tagback.errors import RefusedError, UsageError, counted
from tagback.ledger.history import History, read_history
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    AppliedChangeset,
    Author,
    Deployment,
    DeploymentKind,
    Outcome,
    Reversibility,
    SnapshotId,
    now,
)
from tagback.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to deploy. A dry run gives its answer even if the deployment would be refused as irreversible.

    `at_worst`: the worst verdict on the way back that it may have, also where an irreversible one is allowed.

    `lock_wait`: seconds to wait for the deployment lock; `attempts`: runs when locks aren't to be had.

    `shelf_limit`: bytes that the shelf may take in all; `shelf_retention`: what is kept longer is dropped at the end.
    """

    tag: str | None = None
    to: str | None = None
    format: str | None = None
    granular: bool = False
    dry_run: bool = False
    allow_irreversible: bool = False
    at_worst: Reversibility | None = None
    accept_changed: tuple[str, ...] = ()
    shelf_limit: int | None = None
    shelf_retention: datetime.timedelta | None = None
    lock_wait: float = 60.0
    attempts: int = 5


def apply(session: Session, changelog_path: Path, options: ApplyOptions, listen: Listener) -> Applied:
    """Deploys the pending changesets of a changelog as one deployment. Errors say what state the database is in."""
    changelog = read_changelog(changelog_path, options.format)
    return apply_changelog(session, changelog, changelog_path, options, listen)


def apply_changelog(
    session: Session, changelog: Changelog, changelog_path: Path, options: ApplyOptions, listen: Listener
) -> Applied:
    """The same for a changelog that was read already."""
    started = time.monotonic()
    result = in_turn(
        session,
        lambda: _attempt(session, changelog, changelog_path, options, listen),
        listen,
        lock_wait=options.lock_wait,
        attempts=options.attempts,
    )
    return replace(result, duration_ms=round(1000 * (time.monotonic() - started)))


def _attempt(session: Session, changelog: Changelog, path: Path, options: ApplyOptions, listen: Listener) -> Applied:
    history = read_history(Ledger(session))
    unknown = set(options.accept_changed) - {c.id for c, _ in changed_files(changelog, history)}
    if unknown:
        raise UsageError(f"These changesets have not changed: {', '.join(sorted(unknown))}.", code="accept_changed")
    accepted = _without_checksums(history, changelog, options.accept_changed)
    pending = find_pending(changelog, accepted, options.to)
    if options.tag is not None and (pending.changesets or not is_here(history, options.tag)):
        check_free(history, options.tag)
    statements = statements_of(pending.changesets, session)
    obstacle = session.ledger_obstacle()
    if obstacle is not None:
        raise obstacle
    outside = [
        c for c in pending.changesets if not c.transactional or any(not s.transactional for s in statements[c.id])
    ]
    changed = changed_files(changelog, history)
    in_parts = session.capabilities.schema_changes_commit and bool(pending.changesets)
    if in_parts or (outside and session.capabilities.statements_outside_transactions):
        from tagback.deploy.journaled import apply_journaled

        if options.granular:
            raise _not_granular(outside or pending.changesets)
        result = apply_journaled(session, pending.changesets, statements, changed, author(path), options, listen)
        return replace(result, notes=(*pending.notes, *result.notes, *dict.fromkeys(session.notices)))
    session.begin()
    ledger = Ledger(session)
    start = begin_in_ledger(session, ledger, listen)
    limit(session, ledger, options.shelf_limit)
    if start.history != history:
        # Where the write transaction is the lock, somebody else may have deployed until it began.
        session.rollback()
        return _attempt(session, changelog, path, options, listen)
    result = _deploy(session, start, pending.changesets, statements, author(path), options, listen)
    for changeset, applied in changed:
        ledger.set_checksum(applied, changeset.checksum)
    result = with_expired(result, expire(session, ledger, options.shelf_retention))
    obstacle = session.ledger_obstacle()
    if obstacle is not None:  # made by a changeset, it would be in the way of all that comes
        raise obstacle
    if options.dry_run:
        session.rollback()
        if len(pending.changesets) > 1 and not options.granular:
            alone = _one_by_one(session, pending.changesets, statements, author(path), options, listen)
            result = replace(result, verdicts=alone.verdicts, plan=alone.plan)
    else:
        listen(Committing())
        session.commit()
    return replace(result, notes=(*pending.notes, *result.notes, *dict.fromkeys(session.notices)))


def _one_by_one(
    session: Session,
    changesets: Sequence[Changeset],
    statements: dict[str, tuple[Statement, ...]],
    by: Author,
    options: ApplyOptions,
    listen: Listener,
) -> Applied:
    """Tries the same once more, now observing each changeset: as a whole they may be better than each by itself."""
    session.begin()
    ledger = Ledger(session)
    start = begin_in_ledger(session, ledger, listen)
    limit(session, ledger, None)
    alone = replace(options, granular=True, allow_irreversible=True)
    result = _deploy(session, start, changesets, statements, by, alone, listen)
    session.rollback()
    return result


def with_expired(result: Applied, purged: Sequence[ShelfView]) -> Applied:
    """The result with what the retention dropped."""
    told = tuple(Shelved(v.table, v.rows, v.bytes, v.how) for v in purged)
    return replace(result, purged=told, notes=(*result.notes, *expired(purged)))


def _not_granular(outside: Sequence[Changeset]) -> UsageError:
    names = ", ".join(c.id for c in outside)
    return UsageError(
        f"--granular isn't possible here: {names} can't run in a transaction.",
        code="granular",
        hint="Deploy up to there with --to, then that changeset without --granular, then the rest. Nothing was touched.",
    )


def _without_checksums(history: History, changelog: Changelog, accepted: Sequence[str]) -> History:
    """The history as if the accepted files had always been what they are now."""
    new = {c.id: c.checksum for c in changelog.changesets if c.id in accepted}
    if not new:
        return history
    changed = tuple(replace(c, checksum=new.get(c.id, c.checksum)) for c in history.all_changesets)
    return replace(history, all_changesets=changed)


def _deploy(
    session: Session,
    start: Start,
    changesets: Sequence[Changeset],
    statements: dict[str, tuple[Statement, ...]],
    by: Author,
    options: ApplyOptions,
    listen: Listener,
) -> Applied:
    began = now()
    ledger = Ledger(session)
    previous = start.history.current_tag or start.history.previous_tag
    if not changesets:
        return _nothing_pending(ledger, start, previous, by.who, options)
    works = [Work(c, statements[c.id], n, len(changesets)) for n, c in enumerate(changesets, 1)]
    overlays = overlays_of(session, ledger, start.history, changesets)
    # What was taken back in several legs is put again in as many: then each changeset's end has to be seen.
    whole = all(number == len(works) and overlay.first == 1 for number, overlay in overlays.items())
    granular = options.granular or not whole
    stages: list[list[Work]] = [[w] for w in works] if granular else [works]
    observed: list[Observed] = []
    tried: list[Tried] = []
    locks: dict[ObjectId, str] = {}
    at = start.live
    deployment = ledger.next_deployment()
    if overlays:
        hold_foreseen(session, start.live, works)
    for number, stage in enumerate(stages, 1):
        for beginning in overlays.values():
            if beginning.first in {work.number for work in stage}:
                beginning.begin(at)
        overlay = overlays.get(stage[-1].number)
        label = place_label(deployment, number)
        observed.append(run_stage(session, at, stage, listen, label, overlay, alone=len(stages) == 1))
        earlier, before, at = locks, at, observed[-1].after
        if options.dry_run or len(stages) == len(works):
            locks = held(session, before, start.live)
        tried.append(Tried(stage, before, observed[-1], locks, earlier, session.capabilities.lock_on_writing))
    if not session.ledger_exists():
        raise RefusedError(
            "A changeset removed tagback's own tables.",
            code="ledger_removed",
            hint="Everything was undone; the database is as it was before.",
        )
    verdict = worst(o.verdict for o in observed)
    if not options.dry_run:
        check_allowed(verdict, options)
    tag = options.tag or generated_tag(start.history, deployment)
    snapshots = [start.snapshot]
    catalogs = [start.live]
    for o in observed:
        snapshots.append(ledger.save_snapshot(o.after, (snapshots[-1], catalogs[-1])))
        catalogs.append(o.after)
    record = Deployment(
        id=deployment,
        kind=DeploymentKind.APPLY,
        outcome=Outcome.DONE,
        tag=tag,
        previous_tag=previous,
        started=began,
        ended=now(),
        author=by,
        epoch=session.epoch,
        snapshot_before=start.snapshot,
        snapshot_after=snapshots[-1],
        reversibility=verdict.reversibility,
        reasons=verdict.reasons,
        granular=int(granular),
    )
    ledger.save_deployment(record)
    ledger.add_changesets(_rows(record, works, observed, snapshots))
    ledger.add_renames(deployment, [(n, r) for n, o in enumerate(observed, 1) for r in o.renamed])
    for number, o in enumerate(observed, 1):
        ledger.add_shelves(shelves_of(o, deployment, number, snapshots[number - 1], ledger.next_shelf(deployment)))
    ledger.add_tag(tag, deployment, start.history.depth + len(works), snapshots[-1], record.author.who)
    ledger.attest(snapshots[-1])
    return Applied(
        deployment=deployment,
        tag=tag,
        previous_tag=previous,
        changesets=tuple(c.id for c in changesets),
        fingerprint_before=start.live.fingerprint,
        fingerprint_after=at.fingerprint,
        reversibility=verdict.reversibility,
        reasons=verdict.reasons,
        shelved=shelved(k for o in observed for k in o.kept),
        verdicts=verdicts(tried),
        notes=(*start.notes, *(note for o in observed for note in o.notes), *unmanaged(at)),
        message=told(len(changesets), tag, options),
        duration_ms=0,
        plan=tuple(step for t in tried for step in planned(t)) if options.dry_run else None,
    )


def told(changesets: int, tag: str, options: ApplyOptions) -> str:
    """The result's message: of a dry run, what would have been."""
    if options.dry_run:
        return f"{counted(changesets, 'changeset')} would be deployed, and the state tagged {tag}; nothing was changed."
    return f"Deployed {counted(changesets, 'changeset')}; the state is tagged {tag}."


def check_allowed(verdict: Verdict, options: ApplyOptions) -> None:
    """RefusedError for what could not be taken back, unless that was allowed, and for what is worse than it may be."""
    limit = options.at_worst
    if limit is not None and is_worse(verdict.reversibility, limit):
        raise RefusedError(
            f"The way back from this deployment would be {verdict.reversibility.value}; here it has to be {limit.value}"
            f"{' or better' if limit is not Reversibility.FREE else ''}"
            + (":\n  " + "\n  ".join(verdict.reasons) if verdict.reasons else "."),
            code="policy",
            hint="It was tried and undone: the database is as it was before.",
        )
    if verdict.reversibility is Reversibility.IRREVERSIBLE and not options.allow_irreversible:
        raise no_way_back(verdict.reasons)


def no_way_back(reasons: Sequence[str]) -> RefusedError:
    """Says why a deployment isn't made, or wouldn't be."""
    return RefusedError(
        "There would be no way back without loss from this deployment:\n  " + "\n  ".join(reasons),
        code="irreversible",
        hint="It was tried and undone: the database is as it was before. --allow-irreversible deploys it all the same.",
    )


def _nothing_pending(ledger: Ledger, start: Start, previous: str, who: str, options: ApplyOptions) -> Applied:
    message = "Nothing is pending."
    tag = start.history.current_tag
    if options.tag is not None and is_here(start.history, options.tag) and start.snapshot == start.history.attested:
        tag = options.tag
        message += f" The present state is tagged {tag} already."
    elif options.tag is not None:
        check_free(start.history, options.tag)
        tag = options.tag
        ledger.add_tag(tag, start.history.top, start.history.depth, start.snapshot, who)
        ledger.attest(start.snapshot)
        message += f" The present state {'would be' if options.dry_run else 'is'} tagged {tag}."
    return Applied(
        deployment=None,
        tag=tag,
        previous_tag=previous,
        changesets=(),
        fingerprint_before=start.live.fingerprint,
        fingerprint_after=start.live.fingerprint,
        reversibility=FREE.reversibility,
        reasons=(),
        shelved=(),
        verdicts=(),
        notes=(*start.notes, *unmanaged(start.live)),
        message=message,
        duration_ms=0,
        plan=() if options.dry_run else None,
    )


def _rows(
    record: Deployment, works: Sequence[Work], observed: Sequence[Observed], snapshots: Sequence[SnapshotId]
) -> list[tuple[AppliedChangeset, str]]:
    granular = len(observed) == len(works)
    rows = []
    for n, work in enumerate(works):
        verdict = observed[n].verdict if granular else observed[0].verdict
        last = n == len(works) - 1
        applied = AppliedChangeset(
            deployment=record.id,
            position=work.number,
            id=work.changeset.id,
            checksum=work.changeset.checksum,
            snapshot=snapshots[n + 1] if granular else snapshots[-1] if last else NO_SNAPSHOT,
            reversibility=verdict.reversibility,
            reasons=verdict.reasons if granular or n == 0 else (),
            undone_by=NO_DEPLOYMENT,
        )
        rows.append((applied, work.changeset.text))
    return rows


def unmanaged(catalog: Catalog) -> tuple[str, ...]:
    """`unmanaged: 2 policies`, by kind."""
    kinds: dict[str, int] = {}
    for o in catalog.unmanaged:
        kinds[o.id.kind] = kinds.get(o.id.kind, 0) + 1
    if not kinds:
        return ()
    return ("unmanaged: " + ", ".join(f"{n} {k}" for k, n in sorted(kinds.items())),)
