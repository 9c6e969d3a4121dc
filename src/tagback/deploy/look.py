"""Looking without touching: status, history, tags, verify and diff. None of these waits for the deployment lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagback.catalog import LABEL, Catalog, Loss, LossKind, ObjectId, SchemaObject, diff, explain, knowing
from tagback.deploy.drift import describe, is_drift
from tagback.deploy.legs import net_renames, undone_shelves
from tagback.deploy.shelf import ShelfSize, measure, purged_reasons
from tagback.deploy.steps import is_type, types_first
from tagback.engines.session import Answered, KeptRows, Session
from tagback.engines.versions import OTHER_MAJOR
from tagback.errors import Exit, RefusedError, TagbackError, UsageError, counted
from tagback.ledger.history import History, Point, read_history
from tagback.ledger.records import NO_SNAPSHOT, DeploymentKind, Outcome, Reversibility, SnapshotId
from tagback.ledger.store import Ledger
from tagback.plan import plan

_UNTOLD = (-1, ())  # rows against something that can't be counted

WITHIN = 2.0
"""Seconds for looking at live rows, in all."""


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag as people ask about it: can it be reached without loss now, and if not, why.

    `reachable` is None where the live rows couldn't be looked at in time; `reasons` say then what isn't known.
    """

    tag: str
    set_at: str
    who: str
    changesets: int
    behind: int
    fingerprint: str
    reachable: bool | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The present state. `pending` and `changed` are None when no changelog was given."""

    place: str
    server: str
    tag: str
    fingerprint: str
    attested: str
    drift: tuple[str, ...]
    applied: tuple[str, ...]
    pending: tuple[str, ...] | None
    changed: tuple[str, ...] | None
    interrupted: tuple[int, ...]
    shelf: ShelfSize
    unmanaged: tuple[str, ...]
    tags: tuple[TagView, ...]
    message: str


@dataclass(frozen=True, slots=True)
class PastDeployment:
    """One line of the history."""

    id: int
    kind: str
    outcome: str
    tag: str
    previous_tag: str
    started: str
    ended: str
    who: str
    host: str
    revision: str
    changesets: tuple[str, ...]
    undone: bool
    reversibility: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that differs. `change`: added, removed, changed; `details`: `field: before -> after`."""

    object: str
    change: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two schemas compared, object by object."""

    a: str
    b: str
    fingerprint_a: str
    fingerprint_b: str
    equal: bool
    differences: tuple[ObjectChange, ...]
    objects: int
    message: str


class Reader:
    """One consistent look at a target: the ledger and the live schema in one transaction, rolled back at the end."""

    def __init__(self, session: Session, within: float = WITHIN) -> None:
        self._session = session
        self._until = time.monotonic() + within
        self._within = within
        self.ledger = Ledger(session)
        self.history: History = read_history(self.ledger)
        self.live: Catalog = session.read_catalog()
        self._heads = self.ledger.snapshots()
        self._counts: dict[Loss, int | None] = {}
        self._unfit: dict[SchemaObject, tuple[int, tuple[str, ...]] | None] = {}
        self._unknown: list[str] = []

    # ------------------------------------------------------------------ status, tags, history

    def status(self, changelog: Path | None, format: str | None = None) -> Status:
        """Where the database stands."""
        pending: tuple[str, ...] | None = None
        changed: tuple[str, ...] | None = None
        if changelog is not None:
            from tagback.changelog import read_changelog
            from tagback.deploy.pending import changed_files

            read = read_changelog(changelog, format)
            applied = {c.id: c.checksum for c in self.history.changesets}
            pending = tuple(
                c.id for c in read.changesets if c.id not in applied or (c.repeatable and applied[c.id] != c.checksum)
            )
            changed = tuple(c.id for c, _ in changed_files(read, self.history))
        return Status(
            place=self._session.place,
            server=self._session.server,
            tag=self.history.current_tag,
            fingerprint=self.live.fingerprint,
            attested=self._print(self.history.attested),
            drift=self.drift(),
            applied=tuple(c.id for c in self.history.changesets),
            pending=pending,
            changed=changed,
            interrupted=tuple(int(d.id) for d in self.history.interrupted),
            shelf=measure(self.ledger, self.history),
            unmanaged=tuple(str(o.id) for o in self.live.unmanaged),
            tags=self.tags(),
            message=self._summary(pending),
        )

    def drift(self) -> tuple[str, ...]:
        """What was changed outside tagback since the last deployment, rollback or tag; or why that can't be told."""
        try:
            if not self._drifted():
                return ()
            return describe(self.ledger.load_snapshot(self.history.attested), self.live)
        except RefusedError as e:
            if e.code != OTHER_MAJOR:
                raise
            return (e.message,)

    def tags(self) -> tuple[TagView, ...]:
        """All tags that stand, newest last, each with the answer to `can we still go back there?`."""
        return tuple(self._tag_view(t.name) for t in self.history.tags)

    def past(self) -> tuple[PastDeployment, ...]:
        """All deployments and rollbacks, oldest first."""
        by_deployment: dict[int, list[str]] = {}
        undone: dict[int, bool] = {}
        for c in self.history.all_changesets:
            by_deployment.setdefault(c.deployment, []).append(c.id)
            undone[c.deployment] = undone.get(c.deployment, True) and bool(c.undone_by)
            if c.undone_by:
                by_deployment.setdefault(c.undone_by, []).insert(0, c.id)
        return tuple(
            PastDeployment(
                id=d.id,
                kind=d.kind.value,
                outcome=d.outcome.value,
                tag=d.tag,
                previous_tag=d.previous_tag,
                started=d.started,
                ended=d.ended,
                who=d.author.who,
                host=d.author.host,
                revision=d.author.revision,
                changesets=tuple(by_deployment.get(d.id, ())),
                undone=d.kind is DeploymentKind.APPLY and d.outcome is Outcome.DONE and undone.get(d.id, False),
                reversibility=d.reversibility.value,
                reasons=d.reasons,
            )
            for d in self.history.deployments
        )

    # ------------------------------------------------------------------ comparing

    def compare(self, a: str, b: str) -> Comparison:
        """Two states, each a tag or `live`."""
        return _compare(a, self._state(a), b, self._state(b))

    def verify(self, tag: str | None) -> Comparison:
        """The live schema against the attested one; UsageError when none was ever recorded."""
        if tag is not None:
            return _compare(f"tag {tag}", self._state(tag), "live", self.live)
        if self.history.attested == NO_SNAPSHOT:
            raise UsageError(
                "Nothing is attested yet: this database was never deployed to or tagged.",
                code="nothing_attested",
                hint="`tagback tag NAME` marks the present state.",
            )
        name = self.history.current_tag
        attested = self.ledger.load_snapshot(self.history.attested)
        # A rollback may have kept what was changed by hand: then the tag is near, but not what was recorded.
        is_tag = name and self.ledger.fingerprint(self.history.tag(name).snapshot) == attested.fingerprint
        return _compare(f"tag {name}" if is_tag else "the last recorded state", attested, "live", self.live)

    # ------------------------------------------------------------------

    def _state(self, name: str) -> Catalog:
        if name == "live":
            return self.live
        return self.ledger.load_snapshot(self.history.tag(name).snapshot)

    def _drifted(self) -> bool:
        attested = self.history.attested
        return attested != NO_SNAPSHOT and self.ledger.fingerprint(attested) != self.live.fingerprint

    def _print(self, snapshot: SnapshotId) -> str:
        head = self._heads.get(snapshot)
        return head.fingerprint if head else ""

    def _tag_view(self, name: str) -> TagView:
        t = self.history.tag(name)
        self._unknown.clear()
        reasons: tuple[str, ...] = ()
        try:
            reasons = self._obstacles(t.depth, t.snapshot)
            gaps = self.history.gaps(Point(t.depth, t.snapshot, name))
            if self._drifted() or any(
                is_drift(self.ledger, self.history, self._heads, left, found) for left, found in gaps
            ):
                reasons = (
                    *reasons,
                    "the schema was changed outside tagback: --on-drift has to say what becomes of that",
                )
        except RefusedError as e:
            if e.code != OTHER_MAJOR:
                raise
            self._unknown.append(f"not known: {e.message}")
        unknown = tuple(self._unknown)
        return TagView(
            tag=t.name,
            set_at=t.set_at,
            who=t.who,
            changesets=t.depth,
            behind=self.history.depth - t.depth,
            fingerprint=self._print(t.snapshot),
            reachable=False if reasons else None if unknown else True,
            reasons=(*reasons, *unknown),
        )

    def _obstacles(self, depth: int, snapshot: SnapshotId) -> tuple[str, ...]:
        """Why that place can't be reached without loss now; nothing if it can."""
        undone = self.history.undone(depth)
        stuck = [c for c in undone if c.reversibility is Reversibility.IRREVERSIBLE]
        if stuck:
            return tuple(dict.fromkeys(reason for c in stuck for reason in c.reasons))
        shelves = undone_shelves(self.ledger, self.history, depth)
        purged = purged_reasons(shelves)
        if purged:
            return purged
        if all(c.reversibility is not Reversibility.CONDITIONAL for c in undone):
            return ()
        renamed = net_renames(self.ledger, self.history, depth)
        if any(r.before.kind != LABEL for r in renamed):
            # The plan is known only after renaming.
            self._unknown.append("not known: something was renamed since, and `rollback --dry-run` is needed to tell")
            return ()
        target = self.ledger.load_snapshot(snapshot)
        back = plan(knowing(self.live, renamed), target)
        if back.blocked:
            return back.blocked
        given = [s.kept for s in shelves if s.kept.rows and s.kept.place]
        labels = {ObjectId("enum", r.before.name[:-1]) for r in renamed if r.before.kind == LABEL}
        misfits = self._misfits(target, {k.table for k in given}, labels)
        narrowed = [loss for loss in back.losses if loss.kind is LossKind.VALUES]
        made = {step.object.name[-1] for step in types_first(back.steps, target)}
        untold = [loss for loss in narrowed if any(name in loss.type_after for name in made)]
        self._unknown += [f"not known: {loss}: `rollback --dry-run` tells" for loss in untold]
        narrowed = [loss for loss in narrowed if loss not in untold]
        narrowed += [loss for loss in back.losses if self.live.keeps_nothing_of(loss.table)]
        lost = [f"{loss}: {count}" for loss in narrowed if (count := self._lost(loss))]
        return (*misfits, *lost, *self._without_values(target, given))

    def _without_values(self, target: Catalog, given: Sequence[KeptRows]) -> list[str]:
        """Columns that come back and must have a value, which rows that came since have none for."""
        found = []
        for i in sorted(diff(self.live, target).names & self.live.objects.keys() & target.objects.keys()):
            there = {p.name[-1] for p in self.live.objects[i].parts}
            missing = [c for c, fills in target.objects[i].required(target).items() if c not in there and not fills]
            if not missing:
                continue
            now = self._lost(Loss(LossKind.TABLE, i))
            kept = [k for k in given if k.table == i]
            since = now - sum(k.changed for k in kept if set(missing) & set(k.names)) - sum(k.new for k in kept)
            if since > 0:
                found.append(f"{counted(since, 'row')} of {i} came since: {', '.join(missing)} must have a value")
        return found

    def _lost(self, loss: Loss) -> int:
        if loss not in self._counts:
            counts = self._in_time(lambda: self._session.count_each([loss]))
            self._counts[loss] = counts[loss] if counts is not None else None
        count = self._counts[loss]
        if count is None:
            self._not_looked(loss.table, str(loss))
        return count or 0

    def _in_time(self, question: Callable[[], Answered]) -> Answered | None:
        left = self._until - time.monotonic()
        return self._session.ask_within(left, question) if left > 0 else None

    def _not_looked(self, table: ObjectId, what: str) -> None:
        rows = self._session.rough_rows(table)
        large = f" (about {rows:,} rows)" if rows is not None else ""
        self._unknown.append(f"not known: {what}: {table}{large} couldn't be looked through within {self._within:g} s")

    def _misfits(self, target: Catalog, given: Set[ObjectId], labels: Set[ObjectId]) -> tuple[str, ...]:
        """What would come back and has rows against it; of tables in `given` rows change before it does.

        `labels`: types some of whose labels have another name now.
        """
        found = []
        for i in sorted(diff(self.live, target).names):
            o, now = target.objects.get(i), self.live.objects.get(i)
            if o is None or not (o.limits_rows or o.required(target) or (is_type(o) and o.limits_beyond(now))):
                continue
            tables = self._tables_of(o)
            if not tables or not tables <= self.live.objects.keys():
                continue
            if o not in self._unfit:
                self._unfit[o] = self._in_time(partial(self._count_misfits, o)) if i not in labels else _UNTOLD
            misfits = self._unfit[o]
            if misfits is None:
                self._not_looked(min(tables), str(i))
            elif misfits == _UNTOLD:
                self._unknown.append(f"not known: whether all rows satisfy {i}; `rollback --dry-run` tells")
            elif misfits[0]:
                told = f"{i} does not hold for {counted(misfits[0], 'row')}: {'; '.join(misfits[1])}"
                if given.isdisjoint(tables):
                    found.append(told)
                else:
                    self._unknown.append(
                        f"not known: {told}; rows that come back may change that: `rollback --dry-run` tells"
                    )
        return tuple(found)

    def _tables_of(self, o: SchemaObject) -> set[ObjectId]:
        """Whose rows may be against it."""
        if is_type(o):
            return {
                t for t, needs in self.live.dependencies.items() if o.id in needs and self.live.objects[t].carries_data
            }
        return {*o.acts_on_rows_of, *([o.part_of] if o.part_of is not None else [o.id] if o.carries_data else [])}

    def _count_misfits(self, wanted: SchemaObject) -> tuple[int, tuple[str, ...]]:
        return self._session.misfits(wanted, "") or _UNTOLD

    def _summary(self, pending: tuple[str, ...] | None) -> str:
        if not self.ledger.exists:
            return "This database was never deployed to."
        if self.history.interrupted:
            return "A deployment was interrupted; `tagback recover` ends it."
        if pending:
            return f"{counted(len(pending), 'changeset')} pending."
        return "Up to date." if pending is not None else f"{counted(self.history.depth, 'changeset')} in effect."


def _compare(name_a: str, a: Catalog, name_b: str, b: Catalog) -> Comparison:
    difference = diff(a, b)
    changes = [ObjectChange(str(i), "added", ()) for i in difference.added]
    changes += [ObjectChange(str(i), "removed", ()) for i in difference.removed]
    for i in difference.changed:
        details = tuple(f"{c.field}: {c.before} -> {c.after}" for c in explain(a, b, i))
        changes.append(ObjectChange(str(i), "changed", details))
    equal = a.fingerprint == b.fingerprint
    message = (
        f"Equal: {counted(len(b.objects), 'object')}, object by object."
        if equal
        else f"{name_a} and {name_b} differ in {counted(len(difference), 'object')}."
    )
    return Comparison(name_a, name_b, a.fingerprint, b.fingerprint, equal, tuple(changes), len(b.objects), message)


class DifferenceError(TagbackError):
    """Two schemas that should be equal aren't."""

    code = "difference"
    exit_code = Exit.CHECK_FAILED
