"""Where a deployment or a tag begins: the live schema, and the ledger's knowledge of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tagback.catalog import Catalog
from tagback.deploy.drift import describe
from tagback.deploy.events import CatalogRead, DriftAdopted, Listener
from tagback.engines.session import Session
from tagback.ledger.history import History, read_history
from tagback.ledger.records import NO_SNAPSHOT, SnapshotId
from tagback.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Start:
    """Where a deployment begins: the history, the live schema and the snapshot that holds it."""

    history: History
    live: Catalog
    snapshot: SnapshotId


def begin_in_ledger(session: Session, ledger: Ledger, listen: Listener) -> Start:
    """Reads the live schema inside the open transaction and makes sure the ledger has it."""
    ledger.create()
    history = read_history(ledger)
    clock = time.perf_counter()
    live = session.read_catalog()
    listen(CatalogRead(len(live.objects), time.perf_counter() - clock, live.fingerprint))
    if history.attested == NO_SNAPSHOT:
        return Start(history, live, ledger.save_snapshot(live))
    if ledger.snapshots()[history.attested].fingerprint == live.fingerprint:
        return Start(history, live, history.attested)
    attested = ledger.load_snapshot(history.attested)
    listen(DriftAdopted(describe(attested, live)))
    return Start(history, live, ledger.save_snapshot(live, (history.attested, attested)))
