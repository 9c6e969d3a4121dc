"""What a statement came to once, from the same schema: a server may choose otherwise the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagback.catalog import Catalog, diff
from tagback.changelog import Changeset
from tagback.deploy.events import Listener
from tagback.deploy.steps import run_steps
from tagback.engines.session import Session
from tagback.ledger.history import History
from tagback.ledger.records import NO_DEPLOYMENT, NO_SNAPSHOT, DeploymentId
from tagback.ledger.store import Ledger
from tagback.plan import plan

Once = Mapping[str, DeploymentId]
"""For changesets that were taken back the deployment that they were in last, by their ids."""


def deployed_once(history: History, changesets: Sequence[Changeset]) -> Once:
    """Those of the changesets that ran before with the same text."""
    texts = {c.id: c.checksum for c in changesets}
    gone = [c for c in history.all_changesets if c.undone_by != NO_DEPLOYMENT]
    return {c.id: c.deployment for c in gone if texts.get(c.id) == c.checksum}


def as_once(
    session: Session, once: DeploymentId, statement: str, before: Catalog, after: Catalog, listen: Listener
) -> Catalog:
    """The schema after a statement, led to what the same one made in that deployment where only chance made it another.

    Later statements may name what they found then.
    """
    wanted = _made(Ledger(session), once, statement, before)
    if wanted is None or not _by_chance(after, wanted):
        return after
    run_steps(session, plan(after, wanted).steps, {}, [], listen, 0)
    return session.read_catalog()


def _by_chance(after: Catalog, wanted: Catalog) -> bool:
    found = diff(after, wanted)
    return not (found.added or found.removed) and all(
        after.objects[i].interchangeable(wanted.objects[i]) for i in found.changed
    )


def _made(ledger: Ledger, once: DeploymentId, statement: str, before: Catalog) -> Catalog | None:
    """What that deployment found before the next statement, or left in the end."""
    heads = ledger.snapshots()
    found = False
    for entry in ledger.journal(once):
        if entry.snapshot == NO_SNAPSHOT:
            continue
        if found:
            return ledger.load_snapshot(entry.snapshot)
        found = entry.statement == statement and heads[entry.snapshot].fingerprint == before.fingerprint
    end = next(d.snapshot_after for d in ledger.deployments() if d.id == once)
    return ledger.load_snapshot(end) if found else None
