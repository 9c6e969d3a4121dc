"""Ends deployments that were interrupted: the database goes back to where they began."""

from __future__ import annotations

import time
from dataclasses import replace

from tagback.changelog import significant
from tagback.deploy.back import Leg, bring_back, has_place
from tagback.deploy.events import Listener, Recovering, Retrying, Returned, Returning
from tagback.deploy.legs import failed_legs
from tagback.deploy.results import Recovered
from tagback.deploy.shelves import place_label
from tagback.engines.session import Session, StatementError
from tagback.errors import StuckError, TagbackError
from tagback.ledger.history import read_history
from tagback.ledger.records import NO_SNAPSHOT, Deployment, JournalEntry, Outcome, Shelf, ShelfState, now
from tagback.ledger.store import Ledger

LEG = "a leg of the way back"
"""What the journal says in place of a statement for a leg of a rollback."""

_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to take back what was interrupted, while locks aren't to be had."""


def recover(session: Session, lock_wait: float, listen: Listener) -> Recovered:
    """Ends what is unfinished; says so when nothing is."""
    session.lock(lock_wait)
    try:
        ended = recover_interrupted(session, listen)
        history = read_history(Ledger(session))
        session.begin()
        fingerprint = session.read_catalog().fingerprint
    finally:
        session.rollback()
        session.unlock()
    what = ", ".join(str(d) for d in ended)
    return Recovered(
        deployments=ended,
        tag=history.current_tag,
        fingerprint=fingerprint,
        message=f"Interrupted deployment {what} was taken back; the database is as it was before it."
        if ended
        else "Nothing was interrupted.",
    )


def recover_interrupted(session: Session, listen: Listener) -> tuple[int, ...]:
    """Takes back deployments that began to commit and didn't end. The lock must be held."""
    ended = []
    for deployment in reversed([d for d in Ledger(session).deployments() if d.outcome is Outcome.RUNNING]):
        listen(Recovering(deployment.id))
        return_to_start(session, deployment, listen)
        ended.append(int(deployment.id))
    if session.capabilities.schema_changes_commit:
        there = [s.kept.place for s in Ledger(session).shelves() if s.state in (ShelfState.KEPT, ShelfState.RETURNED)]
        session.sweep(there)
    return tuple(ended)


def return_to_start(session: Session, deployment: Deployment, listen: Listener) -> None:
    """Brings the schema to the one the deployment began with, and notes that it failed.

    Waits and tries again while locks aren't to be had, and where somebody ends a statement of it: what was meant is the
    deployment. StuckError when it can't be done; nothing is discarded then, and the same can be tried again.
    """
    listen(Returning(deployment.id))
    try:
        _return_patiently(session, deployment, listen)
    finally:
        listen(Returned(deployment.id))


def _return_patiently(session: Session, deployment: Deployment, listen: Listener) -> None:
    for attempt, pause in enumerate((*_PAUSES, None), 1):
        try:
            _return_to_start(session, deployment, listen)
            return
        except StatementError as e:
            session.rollback()
            if e.lost:
                raise
            if not (e.retryable or e.code == "cancelled") or pause is None:
                raise _stuck(deployment, e) from e
            listen(Retrying(e.message, attempt, 1 + len(_PAUSES), pause))
            time.sleep(pause)
        except TagbackError as e:
            session.rollback()
            raise _stuck(deployment, e) from e


def _stuck(deployment: Deployment, e: TagbackError) -> StuckError:
    return StuckError(
        f"Deployment {deployment.id} was interrupted and can't be taken back by itself: {e.message}",
        hint=f"{e.hint}\nWhat it had committed is in effect. Remove the cause, then run `tagback recover` again.",
    )


def _return_to_start(session: Session, deployment: Deployment, listen: Listener) -> None:
    session.rollback()
    session.begin()
    ledger = Ledger(session)
    if all(d.id != deployment.id for d in read_history(ledger).interrupted):
        # An interrupt can come between the last commit and the news of it.
        session.rollback()
        return
    _take_up(session, ledger, deployment)
    target = ledger.load_snapshot(deployment.snapshot_before)
    live = session.read_catalog()
    position = ledger.next_shelf(deployment.id)
    until = ledger.way_back(deployment.id)
    for stage, leg in failed_legs(ledger, deployment.id, live, target, deployment.snapshot_before, until):
        homeless = [s.kept.table for s in leg.shelves if s.kept.rows and not has_place(s.kept, leg.target)]
        if homeless:
            raise StuckError(f"what was kept of {homeless[0]} has no place in the schema that it is to go back to")
        back = bring_back(session, live, leg, f"shelf_{deployment.id}_back_{stage}", listen)
        live = back.after
        if session.capabilities.schema_changes_commit and live.fingerprint != leg.target.fingerprint:
            # Where the server chose another name than could be foreseen, the next plan sees it.
            live = bring_back(session, live, Leg(leg.target), f"shelf_{deployment.id}_again_{stage}", listen).after
        if live.fingerprint != leg.target.fingerprint:
            raise StuckError("the schema that was reached is not the one at the start")
        ledger.set_shelf_state(leg.shelves, ShelfState.RETURNED)
        ledger.set_shelf_state(back.home, ShelfState.HOME)
        ledger.add_shelves(
            [Shelf(deployment.id, position + n, stage, NO_SNAPSHOT, (), {}, kept) for n, kept in enumerate(back.kept)]
        )
        position += len(back.kept)
        ledger.write_way_back(deployment.id, stage)
        if session.capabilities.schema_changes_commit:
            session.commit()
            session.begin()
    ledger.set_shelf_state(_given_in_vain(ledger), ShelfState.KEPT)
    ledger.save_deployment(replace(deployment, outcome=Outcome.FAILED, ended=now()))
    ledger.attest(deployment.snapshot_before)
    session.commit()


def _given_in_vain(ledger: Ledger) -> list[Shelf]:
    """What rollbacks took of changesets that aren't in effect, and a deployment that failed gave back: it waits again."""
    history = read_history(ledger)
    active = {c.id for c in history.changesets}
    last = {c.id: (int(c.deployment), c.position) for c in history.all_changesets}
    waiting = {last[c] for c in last.keys() - active}
    returned = (s for s in ledger.shelves() if s.state is ShelfState.RETURNED and s.undoes)
    return [s for s in returned if waiting.issuperset(s.undoes)]


def _changes_only_shape(sql: str, session: Session) -> bool:
    """Whether other values in rows that it leaves are others': an ALTER TABLE only turns them into other types."""
    tokens = [t.text.upper() for t in significant(sql, session.dialect)]
    return tokens[:2] == ["ALTER", "TABLE"] and "PARTITION" not in tokens


def _take_up(session: Session, ledger: Ledger, deployment: Deployment) -> None:
    """Notes what the last statement did to rows, if it began and neither its success nor its failure was noted."""
    last = next(reversed(ledger.journal(deployment.id)), None)
    if last is None or last.state != "intent" or last.snapshot == NO_SNAPSHOT:
        return
    before, live = ledger.load_snapshot(last.snapshot), session.read_catalog()
    renamed = session.renamed_by(last.statement, before, live)
    ledger.add_renames(deployment.id, [(last.position, r) for r in renamed])
    label = place_label(deployment.id, last.position)
    if session.begin_stage(label, before, commits=True):
        given = () if last.statement == LEG or _changes_only_shape(last.statement, session) else None
        kept, _ = session.shelve(label, before, live, {r.before: r.after for r in renamed}, given=given)
        first = ledger.next_shelf(deployment.id)
        ledger.add_shelves(
            [Shelf(deployment.id, first + n, last.position, last.snapshot, (), {}, k) for n, k in enumerate(kept)]
        )
        session.forget_start()
    ledger.write_journal(deployment.id, JournalEntry(last.position, last.statement, "failed"))
    session.commit()
    session.begin()
