"""What deployments and rollbacks keep of rows: how it is noted, and how what a rollback took away comes again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId, Rename, Step, follow, renames
from tagback.changelog import Changeset
from tagback.deploy.results import Shelved
from tagback.deploy.stage import Observed, Overlay
from tagback.deploy.steps import RefusedStepError, run_sparing
from tagback.engines.session import KeptRows, Redo, Rules, Session, StatementError, Stood
from tagback.errors import RefusedError
from tagback.ledger.history import History
from tagback.ledger.records import (
    LOOKED_AT,
    MADE,
    NO_DEPLOYMENT,
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

    Entries without a place say how many rows new tables got, which tables were compared and are the same, and of which ones
    rows referred to nothing.
    """
    made = [_without_place(table, MADE, count) for table, count in observed.made.items()]
    made += [_without_place(table, LOOKED_AT) for table in sorted(observed.looked_at)]
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
        for n, kept in enumerate((*observed.kept, *made, *observed.broken))
    ]


def _without_place(table: ObjectId, how: str, rows: int = 0) -> KeptRows:
    return KeptRows(table, "", (), (), (), (), False, new=rows, how=how)


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
    kept = [s for s in (ledger.shelves() if numbers else ()) if s.state is ShelfState.KEPT and s.undoes]
    for s in kept:
        if numbers.keys() >= set(s.undoes):
            found.setdefault(max(numbers[one] for one in s.undoes), []).append(s)
    overlays: dict[int, Overlay] = {}
    renamed = ledger.renames() if found else ()
    for number, shelves in found.items():
        # A rollback's last leg went furthest back: what it took away comes first.
        legs = sorted({(s.deployment, -s.stage) for s in shelves})
        of_legs = [[s for s in shelves if (s.deployment, -s.stage) == leg] for leg in legs]
        first = min(numbers[one] for s in shelves for one in s.undoes)
        single = [_Overlay(session, ledger, some, first, renamed) for some in of_legs]
        overlay = _Chain(single) if session.capabilities.schema_changes_commit else together(single)
        if overlay is not None:
            overlays[number] = overlay
    return overlays


def _named_for(s: Shelf, renamed: Iterable[tuple[DeploymentId, int, Rename]], before: Catalog) -> Shelf:
    """The table that stood after the leg by the names that it and its columns have in a schema since.

    These are those of the rollback's end, or of the end of a leg before that: what later legs took back may have come again.
    """
    stretches: dict[int, list[Rename]] = {}
    for deployment, stage, rename in renamed:
        if deployment == s.deployment and leg_of(stage) > s.stage:
            stretches.setdefault(stage, []).append(rename)
    stages = sorted(stretches)
    found = []
    for end in range(len(stages), -1, -1):
        names = {r.before: r.after for r in follow(tuple(stretches[stage]) for stage in stages[:end])}
        found.append(_named_by(s, names))
        stood = found[-1].kept.stood
        if stood is None or _parts(before, stood.table) >= {*stood.columns.values()}:
            return found[-1]
    return found[0]


def leg_of(stage: int) -> int:
    """The number of a rollback's leg by the stage that its renames are noted at (see `tagback.deploy.committing`)."""
    return (stage + 1) // 2


def _parts(catalog: Catalog, table: ObjectId) -> set[str]:
    return {p.name[-1] for p in catalog.objects[table].parts} if table in catalog.objects else set()


def _named_by(s: Shelf, names: Mapping[ObjectId, ObjectId]) -> Shelf:
    """With other names for the table that stood and its columns."""
    stood = s.kept.stood
    if stood is None:
        return s

    def at_end(column: str) -> str:
        i = ObjectId("column", (*stood.table.name, column))
        return names.get(i, i).name[-1]

    columns = {c: at_end(name) for c, name in stood.columns.items()}
    return replace(
        s, kept=replace(s.kept, stood=replace(stood, table=names.get(stood.table, stood.table), columns=columns))
    )


class _Overlay:
    """What one leg of a rollback took away. See `tagback.deploy.stage.Overlay`."""

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        shelves: Sequence[Shelf],
        first: int,
        renamed: Collection[tuple[DeploymentId, int, Rename]],
    ) -> None:
        self._session, self._ledger, self._shelves = session, ledger, shelves
        self._renamed = renamed
        self._before: Catalog | None = None
        self._digests: Mapping[ObjectId, str] = {}
        self._began: Mapping[ObjectId, Catalog] = {}  # where that isn't what was there before
        self.first = first

    def begin(self, before: Catalog) -> None:
        if self._before is None:
            self._shelves = [_named_for(s, self._renamed, before) for s in self._shelves]
            stood = [stood.table for s in self._shelves if (stood := _stood(s.kept, before)) is not None]
            self._session.set_aside(stood, before)
            self._digests = self._session.digests(stood, before)
            self._before = before

    def tables(self, before: Catalog) -> Set[ObjectId]:
        began = self._before or before
        names = {r.before: r.after for r in renames(began, before)}
        stood = [stood.table for s in self._shelves if (stood := _stood(s.kept, began)) is not None]
        return {names.get(table, table) for table in stood} & before.objects.keys()

    def follows(self, others: Iterable[_Overlay], after: Catalog) -> None:
        """Where these have put the same table's rows, it begins with what they led to, not with what was there before."""
        before = self._before
        assert before is not None
        tables = {s.kept.table for s in self._shelves} & {s.kept.table for o in others for s in o._shelves}
        if not tables:
            return
        names = {r.before: r.after for r in renames(before, after)}
        self._shelves = [_named_by(s, names) if s.kept.table in tables else s for s in self._shelves]
        stood = [s.kept.stood.table for s in self._shelves if s.kept.table in tables and s.kept.stood is not None]
        there = [table for table in stood if table in after.objects]
        self._session.set_aside(there, after)
        self._digests = {**self._digests, **self._session.digests(there, after)}
        self._began = {**self._began, **dict.fromkeys(there, after)}

    def put(self, after: Catalog) -> str:
        session, by = self._session, self._shelves[0].deployment
        there = [s for s in self._shelves if _is_there(s.kept, after)]
        if session.capabilities.schema_changes_commit:
            self._digests = self._digests_now()
        stood = {s.position: self._stood_where_it_is(s.kept, after) for s in there}
        lost = [s.kept.table.path for s in there if not _can_be_told(s.kept, stood[s.position])]
        if lost:
            return f"what rollback {by} took away stays on the shelf: {', '.join(lost)} was changed since"
        rules = {s.kept.place: Rules(redo=self._redo(stood[s.position])) for s in there}
        session.savepoint()
        try:
            merge = session.merge([s.kept for s in there], after, after, rules, {})
            steps = plan(after, after, merge.rows)
            if not steps.blocked:
                self._run(steps.steps, after, there)
        except (StatementError, RefusedError) as e:
            if isinstance(e, StatementError) and (e.retryable or e.lost or e.code in ("disk_full", "interrupted")):
                raise
            session.rollback_to_savepoint()
            return f"what rollback {by} took away did not fit any more and stays on the shelf: {e.message}"
        session.release_savepoint()
        if steps.blocked:
            return f"what rollback {by} took away stays on the shelf: {'; '.join(steps.blocked)}"
        self._ledger.set_shelf_state(there, ShelfState.RETURNED)
        return ""

    def _digests_now(self) -> Mapping[ObjectId, str]:
        """Others may have written between the statements."""
        assert self._before is not None
        found = dict(self._digests)
        for began in {id(c): c for c in (self._before, *self._began.values())}.values():
            tables = [i for i in self._digests if self._began.get(i, self._before) is began]
            found |= self._session.digests(tables, began)
        return found

    def _run(self, steps: Sequence[Step], after: Catalog, there: Sequence[Shelf]) -> None:
        def run(tried: Sequence[Step]) -> None:
            self._session.run_steps(tried, lambda step, seconds: None)

        if self._session.capabilities.schema_changes_commit:
            run(steps)
            return
        try:
            run_sparing(self._session, steps, run, after, after, [s.kept for s in there])
        except RefusedStepError as e:
            self._session.release_savepoint()
            raise e.error from None

    def _stood_where_it_is(self, kept: KeptRows, after: Catalog) -> Stood | None:
        """The table before the changesets ran, if it isn't one that they renamed or dropped and made another one for."""
        assert self._before is not None
        if kept.stood is not None and kept.stood.table in self._began:
            return _stood(kept, self._began[kept.stood.table])
        moved = {r.before for r in renames(self._before, after)}
        return None if kept.stood is None and kept.table in moved else _stood(kept, self._before)

    def _redo(self, stood: Stood | None) -> Redo:
        return Redo(stood, unwritten=stood is not None and self._digests.get(stood.table) == stood.digest)


def _is_there(kept: KeptRows, after: Catalog) -> bool:
    """Whether the table is; one between a leg and the end may have had its name."""
    table = after.objects.get(kept.table)
    return table is not None and {p.name[-1] for p in table.parts} >= set(kept.key or kept.matched)


def _can_be_told(kept: KeptRows, stood: Stood | None) -> bool:
    """Whether the table is still there, with the columns that tell its rows apart; one that was gone is made again."""
    return kept.whole if stood is None else set(kept.key or kept.matched) <= stood.columns.keys()


def _stood(kept: KeptRows, before: Catalog) -> Stood | None:
    """The table before the changesets run again: None where there is none, so that they make it."""
    stood = kept.stood or Stood(kept.table, {c: c for c in kept.names})  # if it was gone, somebody made another one
    if stood.table not in before.objects:
        return None
    there = {p.name[-1] for p in before.objects[stood.table].parts}
    columns = {c: name for c, name in stood.columns.items() if name in there}
    return None if kept.whole and not columns else replace(stood, columns=columns)  # it is made in the place of another


class _Together:
    """Overlays of several legs that are put at one point, one after the other."""

    def __init__(self, overlays: Sequence[Overlay]) -> None:
        self._overlays = overlays
        self.first = min(o.first for o in overlays)

    def begin(self, before: Catalog) -> None:
        for overlay in self._overlays:
            overlay.begin(before)

    def tables(self, before: Catalog) -> Set[ObjectId]:
        return {t for o in self._overlays for t in o.tables(before)}

    def put(self, after: Catalog) -> str:
        return "; ".join(note for overlay in self._overlays if (note := overlay.put(after)))


class _Chain(_Together):
    """Overlays of legs that each took back a part of what one changeset did: each goes on where the last one has ended."""

    def __init__(self, overlays: Sequence[_Overlay]) -> None:
        super().__init__(overlays)
        self._legs = overlays

    def put(self, after: Catalog) -> str:
        notes = []
        for n, overlay in enumerate(self._legs):
            overlay.follows(self._legs[:n], after)
            notes.append(overlay.put(after))
        return "; ".join(filter(None, notes))


def together(overlays: Sequence[Overlay]) -> Overlay | None:
    """One after the other, as one; None for none."""
    if len(overlays) < 2:
        return overlays[0] if overlays else None
    return _Together(overlays)
