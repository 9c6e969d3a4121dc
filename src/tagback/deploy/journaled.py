"""A deployment in parts that commit, each noted before and after: statements that can't run in a transaction, or end it.

The parts are visible while it runs. When one fails, the schema goes back to the start by the plan that every return
uses; when the process dies, the next run finds the deployment unfinished and does the same.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tagback.catalog import Catalog, Restoration
from tagback.changelog import Changeset, Statement
from tagback.deploy.apply import ApplyOptions, check_allowed, told, unmanaged, with_expired
from tagback.deploy.effects import Tried, without_effects
from tagback.deploy.events import ChangesetDone, ChangesetStarted, Committing, Listener
from tagback.deploy.once import Once, as_once, deployed_once
from tagback.deploy.recover import return_to_start
from tagback.deploy.results import Applied
from tagback.deploy.shelf import expire, limit
from tagback.deploy.shelves import overlays_of, place_label, shelved, shelves_of, together
from tagback.deploy.stage import Observed, Overlay, Work, run_stage, run_statement
from tagback.deploy.start import Start, begin_in_ledger
from tagback.deploy.tags import generated_tag
from tagback.deploy.verdict import FREE, Verdict, judge, worst
from tagback.deploy.verdicts import verdicts
from tagback.engines.session import Session
from tagback.errors import RefusedError
from tagback.ledger.history import History, read_history
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    AppliedChangeset,
    Author,
    Deployment,
    DeploymentKind,
    JournalEntry,
    Outcome,
    Reversibility,
    SnapshotId,
    now,
)
from tagback.ledger.store import Ledger
from tagback.plan import plan

_NOT_TRIED = Verdict(
    Reversibility.CONDITIONAL,
    ("it has statements that can't run in a transaction; a dry run doesn't try these deployments",),
)


@dataclass(frozen=True, slots=True)
class Part:
    """What commits together: whole changesets, or one statement. `bare`: it runs outside of any transaction.

    `text`: what the one statement comes to.
    """

    works: tuple[Work, ...]
    bare: bool
    text: str = ""


def apply_journaled(
    session: Session,
    changesets: Sequence[Changeset],
    statements: Mapping[str, tuple[Statement, ...]],
    changed: Sequence[tuple[Changeset, AppliedChangeset]],
    by: Author,
    options: ApplyOptions,
    listen: Listener,
) -> Applied:
    """Deploys part by part. Errors leave the database as it was before, or are StuckError.

    `changed`: deployed changesets whose files are others now, and accepted; their checksums commit with the end.
    """
    if options.dry_run:
        return _not_tried(session, changesets, _parts(changesets, statements, ()), by, options)
    record, start = _begin(session, by, options, listen)
    limit(session, Ledger(session), options.shelf_limit)
    before, previous = start.live, record.previous_tag
    overlays = overlays_of(session, Ledger(session), start.history, changesets)
    parts = _parts(changesets, statements, overlays if session.capabilities.schema_changes_commit else ())
    session.commit()
    try:
        at, tried, notes = _run_parts(
            session, record, parts, before, overlays, deployed_once(start.history, changesets), options, listen
        )
        purged = expire(session, Ledger(session), options.shelf_retention)
        verdict = worst([FREE, *(t.observed.verdict for t in tried)])
        record = _end(session, record, changesets, changed, at, verdict, listen)
    except BaseException:
        return_to_start(session, record, listen)
        raise
    result = _result(record, before, at, changesets, verdict, tried, previous, parts, options)
    return with_expired(replace(result, notes=(*notes, *result.notes)), purged)


def _not_tried(
    session: Session, changesets: Sequence[Changeset], parts: Sequence[Part], by: Author, options: ApplyOptions
) -> Applied:
    """What a dry run says: it writes nothing at all."""
    session.begin_reading()
    ledger = Ledger(session)
    history = read_history(ledger)
    live = session.read_catalog()
    record = _record(session, ledger, history, NO_SNAPSHOT, by, options)
    session.rollback()
    return _result(record, live, live, changesets, _NOT_TRIED, (), record.previous_tag, parts, options)


def _run_parts(
    session: Session,
    record: Deployment,
    parts: Sequence[Part],
    at: Catalog,
    overlays: Mapping[int, Overlay],
    once: Once,
    options: ApplyOptions,
    listen: Listener,
) -> tuple[Catalog, list[Tried], list[str]]:
    """Runs the parts and leaves a transaction open for the ledger: what can't be taken back commits with the end."""
    queue = list(parts)
    tried: list[Tried] = []
    notes: list[str] = []
    position = 0
    while queue:
        part = queue.pop(0)
        position += 1
        for beginning in overlays.values() if session.capabilities.schema_changes_commit else ():
            if beginning.first in {work.number for work in part.works}:
                beginning.begin(at)
        part = _as_meant(session, part)
        if part.bare and not session.capabilities.schema_changes_commit:
            observed = _run_bare(session, record, position, part.works[0], at, listen)
            tried.append(Tried(part.works, at, observed))
            at = observed.after
            continue
        if part.bare:
            overlay = overlays.get(part.works[0].number) if not part.works[0].statements else None
            if overlay is not None and _changes_only_rows(at, overlay):
                observed = _run_together(session, record, position, part, at, overlay, options, listen)
                _note(session, record, position, part, observed, at)
                session.commit()
            else:
                observed = _run_observed(session, record, position, part, at, overlay, once, options, listen)
            tried.append(Tried(part.works, at, observed))
            at = observed.after
            continue
        put_now = None if session.capabilities.schema_changes_commit else _put_after(part, queue, overlays)
        observed = _run_together(session, record, position, part, at, put_now, options, listen)
        if queue and observed.verdict.reversibility is Reversibility.IRREVERSIBLE:
            session.rollback()
            part = _with_the_rest(part, queue, observed.verdict)
            queue.clear()
            observed = _run_together(
                session, record, position, part, at, _put_after(part, queue, overlays), options, listen
            )
        _note(session, record, position, part, observed, at)
        tried.append(Tried(part.works, at, observed))
        at = observed.after
        notes += observed.notes
        if queue:
            session.commit()
    if not parts or parts[-1].bare:
        session.begin()
    return at, tried, notes


def _changes_only_rows(at: Catalog, overlay: Overlay) -> bool:
    """Whether it is one transaction even where changes of the schema commit."""
    return not plan(at, at, {table: Restoration((), ()) for table in overlay.tables(at)}).steps


def _as_meant(session: Session, part: Part) -> Part:
    """The part as what its statement comes to, which some engines can tell only now."""
    statements = part.works[0].statements
    if not part.bare or not statements:
        return part
    meant = session.meant(statements[0])
    return replace(part, bare=not meant.transactional, text=meant.sql)


def _put_after(part: Part, rest: Sequence[Part], overlays: Mapping[int, Overlay]) -> Overlay | None:
    """What comes again once this part has run: the last one with a transaction up to the changeset that it belongs to."""

    def reaches(p: Part, number: int) -> bool:
        return not p.bare and any(work.number <= number for work in p.works)

    return together(
        [overlays[n] for n in sorted(overlays) if reaches(part, n) and not any(reaches(p, n) for p in rest)]
    )


def _with_the_rest(part: Part, rest: Sequence[Part], verdict: Verdict) -> Part:
    """The part and all that follows as one, so that nothing irreversible is committed before all has worked."""
    if any(p.bare for p in rest):
        raise RefusedError(
            "This part could not be taken back if a later one failed:\n  " + "\n  ".join(verdict.reasons),
            code="irreversible",
            hint="Statements that can't run in a transaction follow it. Deploy the two separately.",
        )
    return Part(tuple(work for p in (part, *rest) for work in p.works), bare=False)


def _parts(
    changesets: Sequence[Changeset], statements: Mapping[str, tuple[Statement, ...]], overlaid: Collection[int]
) -> list[Part]:
    """`overlaid`: numbers of changesets after which something comes again, in a part of its own."""
    parts: list[Part] = []
    together: list[Work] = []
    total = len(changesets)

    def close() -> None:
        if together:
            parts.append(Part(tuple(together), bare=False))
            together.clear()

    for number, c in enumerate(changesets, 1):
        own = statements[c.id]
        if c.transactional and all(s.transactional for s in own) and number not in overlaid:
            together.append(Work(c, own, number, total))
            continue
        close()
        parts += [Part((Work(c, (s,), number, total),), bare=not s.transactional) for s in own]
        if number in overlaid:
            parts.append(Part((Work(c, (), number, total),), bare=True))
    close()
    return parts


def _begin(session: Session, by: Author, options: ApplyOptions, listen: Listener) -> tuple[Deployment, Start]:
    session.begin()
    ledger = Ledger(session)
    start = begin_in_ledger(session, ledger, listen)
    record = _record(session, ledger, start.history, start.snapshot, by, options)
    ledger.save_deployment(record)
    ledger.attest(start.snapshot)
    return record, start


def _record(
    session: Session, ledger: Ledger, history: History, start: SnapshotId, by: Author, options: ApplyOptions
) -> Deployment:
    deployment = ledger.next_deployment()
    return Deployment(
        id=deployment,
        kind=DeploymentKind.APPLY,
        outcome=Outcome.RUNNING,
        tag=options.tag or generated_tag(history, deployment),
        previous_tag=history.current_tag or history.previous_tag,
        started=now(),
        ended="",
        author=by,
        epoch=session.epoch,
        snapshot_before=start,
        snapshot_after=NO_SNAPSHOT,
        reversibility=Reversibility.FREE,
        reasons=(),
        granular=0,
    )


def _run_together(
    session: Session,
    record: Deployment,
    position: int,
    part: Part,
    at: Catalog,
    overlay: Overlay | None,
    options: ApplyOptions,
    listen: Listener,
) -> Observed:
    session.begin()
    observed = run_stage(session, at, part.works, listen, place_label(record.id, position), overlay, alone=True)
    check_allowed(observed.verdict, options)
    return observed


def _note(
    session: Session,
    record: Deployment,
    position: int,
    part: Part,
    observed: Observed,
    before: Catalog,
    noted: SnapshotId = NO_SNAPSHOT,
) -> None:
    """Writes what an undo needs. `noted`: the schema `before`, where it has been recorded."""
    ledger = Ledger(session)
    ledger.add_renames(record.id, [(position, r) for r in observed.renamed])
    if observed.kept or observed.made or observed.looked_at:
        start = (record.snapshot_before, ledger.load_snapshot(record.snapshot_before))
        snapshot = ledger.save_snapshot(before, start) if noted == NO_SNAPSHOT else noted
        ledger.add_shelves(shelves_of(observed, record.id, position, snapshot, ledger.next_shelf(record.id)))
    ledger.write_journal(record.id, JournalEntry(position, _text(part), "done", noted))


def _run_observed(
    session: Session,
    record: Deployment,
    position: int,
    part: Part,
    at: Catalog,
    overlay: Overlay | None,
    once: Once,
    options: ApplyOptions,
    listen: Listener,
) -> Observed:
    """Runs a statement that commits by itself. What it starts from is noted before it, what it did after it."""
    ledger = Ledger(session)
    session.begin()
    snapshot = ledger.save_snapshot(at, (record.snapshot_before, ledger.load_snapshot(record.snapshot_before)))
    ledger.write_journal(record.id, JournalEntry(position, _text(part), "intent", snapshot))
    session.commit()
    label = place_label(record.id, position)
    observed = run_stage(session, at, part.works, listen, label, overlay, alone=True, commits=True)
    check_allowed(observed.verdict, options)
    before = once.get(part.works[0].changeset.id)
    if before is not None and observed.after.fingerprint != at.fingerprint:
        after = as_once(session, before, _text(part), at, observed.after, listen)
        observed = replace(observed, after=after)
    _note(session, record, position, part, observed, at, snapshot)
    session.commit()
    return observed


def _run_bare(
    session: Session, record: Deployment, position: int, work: Work, at: Catalog, listen: Listener
) -> Observed:
    started = time.perf_counter()
    ledger = Ledger(session)
    statement = work.statements[0]
    listen(ChangesetStarted(work.changeset.id, work.number, work.total))
    ledger.write_journal(record.id, JournalEntry(position, statement.sql, "intent"))
    run_statement(session, work.changeset, statement)
    ledger.write_journal(record.id, JournalEntry(position, statement.sql, "done"))
    listen(ChangesetDone(work.changeset.id, work.number, work.total, 0.0))
    session.begin()
    live = session.read_catalog()
    session.rollback()
    verdict = judge(at, live, (), (), (), plan(live, at), (), {})
    return Observed(live, (), (), {}, verdict, {}, seconds=(time.perf_counter() - started,))


def _end(
    session: Session,
    record: Deployment,
    changesets: Sequence[Changeset],
    changed: Sequence[tuple[Changeset, AppliedChangeset]],
    at: Catalog,
    verdict: Verdict,
    listen: Listener,
) -> Deployment:
    """Writes the ledger in the transaction that is open, and commits it."""
    ledger = Ledger(session)
    start = ledger.load_snapshot(record.snapshot_before)
    after = ledger.save_snapshot(at, (record.snapshot_before, start))
    depth = read_history(ledger).depth + len(changesets)
    done = replace(
        record,
        outcome=Outcome.DONE,
        ended=now(),
        snapshot_after=after,
        reversibility=verdict.reversibility,
        reasons=verdict.reasons,
    )
    ledger.save_deployment(done)
    rows = [
        (
            AppliedChangeset(
                deployment=record.id,
                position=n,
                id=c.id,
                checksum=c.checksum,
                snapshot=after if n == len(changesets) else NO_SNAPSHOT,
                reversibility=verdict.reversibility,
                reasons=verdict.reasons if n == 1 else (),
                undone_by=NO_DEPLOYMENT,
            ),
            c.text,
        )
        for n, c in enumerate(changesets, 1)
    ]
    ledger.add_changesets(rows)
    for changeset, applied in changed:
        ledger.set_checksum(applied, changeset.checksum)
    ledger.add_tag(record.tag, record.id, depth, after, record.author.who)
    ledger.attest(after)
    listen(Committing())
    session.commit()
    return done


def _text(part: Part) -> str:
    if part.text:
        return part.text
    return part.works[0].statements[0].sql if len(part.works) == 1 and part.works[0].statements else "changesets"


def _result(
    record: Deployment,
    before: Catalog,
    after: Catalog,
    changesets: Sequence[Changeset],
    verdict: Verdict,
    tried: Sequence[Tried],
    previous: str,
    parts: Sequence[Part],
    options: ApplyOptions,
) -> Applied:
    return Applied(
        deployment=record.id,
        tag=record.tag,
        previous_tag=previous,
        changesets=tuple(c.id for c in changesets),
        fingerprint_before=before.fingerprint,
        fingerprint_after=after.fingerprint,
        reversibility=verdict.reversibility,
        reasons=verdict.reasons,
        shelved=shelved(k for t in tried for k in t.observed.kept),
        verdicts=verdicts(tried),
        notes=unmanaged(after),
        message=told(len(changesets), record.tag, options),
        duration_ms=0,
        plan=without_effects(work for part in parts for work in part.works) if options.dry_run else None,
    )
