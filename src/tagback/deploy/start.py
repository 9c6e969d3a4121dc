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
    """Where a deployment begins: the history, the live schema, the snapshot that holds it, and drift in words."""

    history: History
    live: Catalog
    snapshot: SnapshotId
    drift: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the start."""
        if not self.drift:
            return ()
        return ("changed outside tagback before, and part of the start now: " + "; ".join(self.drift),)


def begin_in_ledger(session: Session, ledger: Ledger, listen: Listener) -> Start:
    """Reads the live schema inside the open transaction and makes sure the ledger has it."""
    ledger.create()
    history = read_history(ledger)
    clock = time.perf_counter()
    live = session.read_catalog()
    listen(CatalogRead(len(live.objects), time.perf_counter() - clock, live.fingerprint))
    if history.attested == NO_SNAPSHOT:
        return Start(history, live, ledger.save_snapshot(live))
    if ledger.fingerprint(history.attested) == live.fingerprint:
        return Start(history, live, ledger.here(history.attested))
    attested = ledger.load_snapshot(history.attested)
    drift = describe(attested, live)
    listen(DriftAdopted(drift))
    return Start(history, live, ledger.save_snapshot(live, (history.attested, attested)), drift)
