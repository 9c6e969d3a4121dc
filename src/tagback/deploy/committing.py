"""A rollback where every step that changes the schema commits: noted leg by leg, and undone if it doesn't arrive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId, Rename
from tagback.deploy.back import Leg, Return, bring_back, has_place
from tagback.deploy.events import Listener
from tagback.deploy.moves import moves
from tagback.deploy.recover import LEG, return_to_start
from tagback.deploy.results import PlannedStep
from tagback.deploy.shelves import place_label
from tagback.deploy.steps import UnfitError
from tagback.engines.session import Disagreement, Rules, Session
from tagback.errors import RefusedError
from tagback.ledger.records import Deployment, JournalEntry, Shelf
from tagback.ledger.store import Ledger
from tagback.plan import plan

Going = Callable[[Catalog, Leg, str, Callable[[Catalog], None]], Return]
"""Goes one leg from a schema, with what `bring_back` wants besides: the label and whom to tell what was decided."""


@contextlib.contextmanager
def undone_unless_done(session: Session, record: Deployment, listen: Listener) -> Iterator[None]:
    """Whatever stops what is in here leads back to where it began; `record` is how it is noted while it runs.

    RefusedError when today's rows don't fit.
    """
    Ledger(session).save_deployment(record)
    session.commit()
    try:
        yield
    except UnfitError as e:
        return_to_start(session, record, listen)
        raise RefusedError(
            f"Today's rows don't fit the schema to return to: {e.error.message}",
            code="constraint",
            hint=f"It was found by this step: {e.error.statement}\nEverything was undone: correct these rows and try again.",
        ) from None
    except BaseException:
        return_to_start(session, record, listen)
        raise


def run_legs(
    session: Session, record: Deployment, way: Sequence[Leg], live: Catalog, go: Going, listen: Listener
) -> list[Return]:
    """Goes all legs from the schema `live`, each with its own commit, and leaves a transaction open for the ledger."""
    done: list[Return] = []
    for number, leg in enumerate(way, 1):
        session.begin()
        done.append(_run_leg(session, record, 2 * number, leg, done[-1].after if done else live, go, listen))
        session.commit()
    session.begin()
    return done


def _run_leg(
    session: Session, record: Deployment, stage: int, leg: Leg, at: Catalog, go: Going, listen: Listener
) -> Return:
    """Goes one leg; `stage` is its number among the stages, and the one before it is that of names alone."""
    ledger = Ledger(session)
    back = [Rename(r.after, r.before) for r in leg.renamed if at.owner_of(r.after) and leg.target.owner_of(r.before)]
    ledger.add_renames(record.id, [(stage - 1, r) for r in back])
    session.commit()
    session.begin()
    snapshots = []

    def decided(live: Catalog) -> None:
        start = (record.snapshot_before, ledger.load_snapshot(record.snapshot_before))
        snapshots.append(ledger.save_snapshot(live, start))
        entry = JournalEntry(stage, LEG, "intent", snapshots[-1])
        ledger.write_journal(record.id, entry)
        session.commit()
        session.begin()

    done = go(at, leg, place_label(record.id, stage), decided)
    if done.after.fingerprint != done.target.fingerprint:
        # Where the server chose another name than could be foreseen, the next plan sees it.
        session.commit()
        session.begin()
        again = bring_back(session, done.after, Leg(done.target), place_label(record.id, stage) + "_again", listen)
        done = replace(done, after=again.after, steps=(*done.steps, *again.steps))
    first = ledger.next_shelf(record.id)
    ledger.add_shelves(
        [Shelf(record.id, first + n, stage, snapshots[-1], (), {}, kept) for n, kept in enumerate(done.taken)]
    )
    ledger.write_journal(record.id, JournalEntry(stage, LEG, "done"))
    return done


def foreseen_conflicts(
    session: Session, live: Catalog, way: Sequence[Leg], label: str
) -> list[tuple[Disagreement, ...]]:
    """What would be in conflict on each leg, as far as it can be told with nothing done.

    That is until names change, once for a table, and where no leg before gives the table other columns.
    """
    found: list[tuple[Disagreement, ...]] = []
    met: set[ObjectId] = set()
    here = live
    for leg in way:
        if moves(live, leg.target, leg.renamed, cased=session.capabilities.cased_names):
            break
        shelves = [s for s in leg.shelves if has_place(s.kept, leg.target) and s.kept.table not in met]
        shelves = [s for s in shelves if _parts(here, s.kept.table) == _parts(live, s.kept.table)]
        here = leg.target
        met |= {s.kept.table for s in leg.shelves}
        rules = {s.kept.place: Rules(back=s.back, passing=leg.passing.get(s.kept.table, frozenset())) for s in shelves}
        session.begin_stage(label, live, commits=False)
        found.append(session.merge([s.kept for s in shelves], live, leg.target, rules, {}).conflicts)
        session.forget_start()
    return found


def _parts(catalog: Catalog, table: ObjectId) -> frozenset[ObjectId]:
    return frozenset(catalog.objects[table].parts) if table in catalog.objects else frozenset()


def foreseen(live: Catalog, way: Sequence[Leg]) -> tuple[PlannedStep, ...]:
    """The steps as far as they can be told without taking them: those of rows and names come on the way."""
    steps = []
    for leg in way:
        for step in plan(live, leg.target).steps:
            destroys = tuple(str(loss) for loss in step.destroys)
            steps.append(PlannedStep(step.sql, str(step.object), step.action.value, step.lock, destroys, 0, None))
        live = leg.target
    return tuple(steps)
