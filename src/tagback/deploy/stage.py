"""Runs statements inside the open transaction, watches what they do to rows, and judges the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, Rename, is_gone, knowing, renames
from tagback.changelog import Changeset, Statement, TokenKind, locate, significant
from tagback.changelog.directives import BACK, NO_KEEP, directives
from tagback.deploy.back import names_back
from tagback.deploy.events import ChangesetDone, ChangesetStarted, Listener, RowsKept, RunAgain
from tagback.deploy.steps import run_steps
from tagback.deploy.verdict import Verdict, judge, worst
from tagback.engines.session import KeptRows, Session, StatementError, Unkept
from tagback.errors import ChangelogError, FailedError, Location, RefusedError, TagbackError
from tagback.ledger.records import Reversibility
from tagback.plan import Plan, plan

_MOST_RUNS = 4
WRITES = {"UPDATE", "DELETE", "INSERT", "REPLACE", "TRUNCATE", "MERGE", "COPY", "WITH"}


@dataclass(frozen=True, slots=True)
class Work:
    """One changeset with the statements of it that are to run, and its place in the deployment, from 1."""

    changeset: Changeset
    statements: tuple[Statement, ...]
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What a stage did: the schema after it, renames, what was kept of the rows, how to get columns again, the verdict.

    `ways` are expressions over the new columns, by table and old column. `made` says how many rows new tables got;
    `looked_at` are tables that were compared and found unchanged, and what is to be filled anew; `broken` says of tables,
    too, that rows referred to nothing.
    `seconds` are those that each statement took.
    """

    after: Catalog
    renamed: tuple[Rename, ...]
    kept: tuple[KeptRows, ...]
    ways: Mapping[ObjectId, Mapping[str, str]]
    verdict: Verdict
    made: Mapping[ObjectId, int]
    looked_at: frozenset[ObjectId] = frozenset()
    broken: tuple[KeptRows, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()


class Overlay(Protocol):
    """What is done to rows once the statements of some changesets have run, before anything is judged."""

    @property
    def first(self) -> int:
        """The number of the first of these changesets."""

    def begin(self, before: Catalog) -> None:
        """Sees the rows as they are before the changesets run; it is the first call that counts."""

    def tables(self, before: Catalog) -> Set[ObjectId]:
        """The tables of a schema since then whose rows it may change."""

    def put(self, after: Catalog) -> str:
        """Changes the rows; gives what a person should know."""


def run_stage(
    session: Session,
    before: Catalog,
    works: Sequence[Work],
    listen: Listener,
    label: str,
    overlay: Overlay | None = None,
    *,
    alone: bool,
    commits: bool = False,
) -> Observed:
    """Runs the statements and observes; FailedError, located in the changelog, when one fails.

    `label` begins the names of the places where rows are kept. `alone`: no other stage runs in this transaction.
    `commits`: the statements run outside of any.
    """
    session.begin_stage(label, before, commits=commits)
    needed = _needed(before, works, overlay)
    foreseen = set() if alone and session.keeps_late() else needed | _foreseen_all(session, before, works)
    _hold(session, before, works, foreseen)
    kept = set(foreseen - session.movable(foreseen - needed - _named(before, works, _writes)))
    if overlay is not None:
        overlay.begin(before)
    ahead = [s for work in works for s in work.statements]
    for _ in range(_MOST_RUNS):
        if kept:
            session.keep_start(kept & needed)
            session.keep_start(kept, ahead)
            listen(RowsKept(tuple(str(t) for t in sorted(kept))))
        session.savepoint()
        session.watch(before)
        try:
            seconds = _run_changesets(session, works, listen)
            session.settle()
            after = session.read_catalog()
            touched, short = session.touched(before, after), session.short()
        except _InTheWayError as e:
            touched, short = e.tables, frozenset()
        refilled = frozenset(i for i in touched if i in before.objects and before.objects[i].refill)
        untold = (needed | touched) - kept - refilled
        missed = (session.keep_late(untold) if alone else untold) | short
        kept |= untold
        ahead = []
        if not missed:
            break
        session.rollback_to_savepoint()
        listen(RunAgain(tuple(str(t) for t in sorted(missed))))
    else:
        raise FailedError(
            "The rows that this deployment touches are others on every run; what it destroys can't be told.",
            code="unobservable",
            hint="The database is as it was before.",
        )
    session.release_savepoint()
    made = _made(session, before, after)
    note = ""
    if overlay is not None:
        note = overlay.put(after)
        after = session.read_catalog()
    notes = (note,) if note else ()
    renamed = renames(before, after)
    ways = ways_back(before, after, works, renamed)
    not_kept = _not_to_be_kept(before, works)
    rows, unkept = _shelve(session, label, before, after, renamed, ways, not_kept)
    session.forget_start()
    broken = tuple(k for k in rows if not k.place)
    rows = tuple(k for k in rows if k.place)
    unwanted = [k for k in rows if k.table in not_kept]
    session.drop_shelf([k.place for k in unwanted])
    rows = tuple(k for k in rows if k not in unwanted)
    looked_at = refilled | frozenset(t for t in kept if t.kind == "table") - {k.table for k in rows}
    verdict = judge(
        before,
        after,
        rows,
        unkept,
        [k.table for k in unwanted if k.rows],
        _way_back(session, before, after, renamed, commits=commits),
        renamed,
        ways,
    )
    if rows and session.doubts():
        verdict = worst([verdict, Verdict(Reversibility.CONDITIONAL, session.doubts())])
    return Observed(after, renamed, rows, ways, verdict, made, looked_at, broken, notes, seconds)


def _way_back(
    session: Session, before: Catalog, after: Catalog, renamed: Sequence[Rename], *, commits: bool
) -> Plan | None:
    """The plan of the way back. Where names have to be given back first, that is tried and undone, if it can be."""
    _, naming = names_back(session, after, before, renamed)
    if not naming:
        return None if renamed and commits else plan(knowing(after, renamed), before)
    if commits or session.capabilities.schema_changes_commit:
        return None
    session.savepoint()
    try:
        run_steps(session, naming, {}, [], lambda event: None, len(naming))
        named = session.read_catalog()
    except (FailedError, RefusedError):  # what the rollback would run into it tells when it is asked for
        return None
    finally:
        session.rollback_to_savepoint()
    return plan(knowing(named, renamed), before)


def hold_foreseen(session: Session, before: Catalog, works: Sequence[Work]) -> None:
    """Locks what a glance at the statements names, before anything of it is looked at or set aside."""
    _hold(session, before, works, _foreseen(before, works))


def _hold(session: Session, before: Catalog, works: Sequence[Work], tables: set[ObjectId]) -> None:
    if tables:
        session.hold(tables, tables & _named(before, works, _changes_tables))


def _foreseen_all(session: Session, before: Catalog, works: Sequence[Work]) -> frozenset[ObjectId]:
    """Tables whose rows the statements will touch, as far as their texts say."""
    return session.reached(_foreseen(before, works), before, [s for work in works for s in work.statements])


def _needed(before: Catalog, works: Sequence[Work], overlay: Overlay | None) -> set[ObjectId]:
    """Tables that are compared whatever the statements do to them."""
    columns = {column for column, _, _ in _backs(works)}
    found = {o.id for o in before.objects.values() if o.carries_data and columns & {p.name[-1] for p in o.parts}}
    if overlay is not None:
        found |= overlay.tables(before)
    return found


def _made(session: Session, before: Catalog, after: Catalog) -> dict[ObjectId, int]:
    """How many rows are in new tables."""
    renamed = renames(before, after)
    moved = {r.after for r in renamed}
    others = {r.before for r in renamed if is_gone(r.after)}
    new = [
        Loss(LossKind.TABLE, o.id)
        for o in after.objects.values()
        if o.carries_data
        and not o.holds_nothing
        and any(p.kind == "column" for p in o.parts)
        and (o.id not in before.objects or o.id in others)
        and o.id not in moved
    ]
    return {loss.table: count for loss, count in session.count_each(new).items() if count}


def _shelve(
    session: Session,
    label: str,
    before: Catalog,
    after: Catalog,
    renamed: Sequence[Rename],
    ways: Mapping[ObjectId, Mapping[str, str]],
    uncounted: Collection[ObjectId],
) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
    try:
        return session.shelve(label, before, after, {r.before: r.after for r in renamed}, ways, uncounted=uncounted)
    except StatementError as e:
        if not ways or e.retryable or e.lost or e.code in ("disk_full", "interrupted"):
            raise
        raise FailedError(
            f"What a `-- tagback: {BACK}` says can't be evaluated: {e.message}",
            code="directive",
            hint="It is an expression over the columns that the table has after the deployment. The database is as it was.",
        ) from e


def _backs(works: Sequence[Work]) -> list[tuple[str, str, Location]]:
    """What `-- tagback: back COLUMN = EXPRESSION` says, and where."""
    found = []
    for work in works:
        for directive in directives(work.changeset):
            if directive.name == BACK:
                place = Location(str(work.changeset.path), directive.line, 1)
                column, sign, expression = (part.strip() for part in directive.argument.partition("="))
                if not sign or not column or not expression:
                    raise ChangelogError("the directive `-- tagback: back` needs COLUMN = EXPRESSION", location=place)
                found.append((column, expression, place))
    return found


def ways_back(
    before: Catalog, after: Catalog, works: Sequence[Work], renamed: Sequence[Rename]
) -> dict[ObjectId, dict[str, str]]:
    """The expressions of the changesets, for the tables that lost a column of that name."""
    names = {r.before: r.after for r in renamed}
    found: dict[ObjectId, dict[str, str]] = {}
    for column, expression, place in _backs(works):
        tables = []
        for o in before.objects.values():
            part = next((p for p in o.parts if p.kind == "column" and p.name[-1] == column), None)
            now = after.objects.get(names.get(o.id, o.id))
            lost = now is not None and not any(p.name[-1] == column for p in now.parts)
            if o.carries_data and not o.holds_nothing and part is not None and part not in names and lost:
                tables.append(o.id)
        wholes = {(table, *before.wholes_of(table))[-1] for table in tables}
        if len(wholes) != 1:
            how = "no table" if not tables else f"{len(tables)} tables"
            raise ChangelogError(f"`-- tagback: back` names the column {column}, which {how} lost", location=place)
        for table in tables:
            found.setdefault(table, {})[column] = expression
    return found


def _not_to_be_kept(before: Catalog, works: Sequence[Work]) -> set[ObjectId]:
    return _foreseen(before, [w for w in works if any(d.name == NO_KEEP for d in directives(w.changeset))])


def run_statement(session: Session, changeset: Changeset, statement: Statement) -> None:
    """Runs one statement of a changeset; its failure becomes an error with the place in the file."""
    try:
        session.run(statement.sql)
    except StatementError as e:
        raise located(e, changeset, statement) from None


def located(e: StatementError, changeset: Changeset, statement: Statement) -> TagbackError:
    """The server's error with the place in the changelog; errors that may pass or lost connections stay what they are."""
    where = locate(changeset, statement.start + (e.position or 0))
    if e.retryable or e.lost or e.code == "disk_full":
        e.location = where
        return e
    first = " ".join(statement.sql.split())
    return FailedError(
        e.message,
        code=e.code,
        location=where,
        hint=(f"{e.hint}\n" if e.hint else "")
        + f"In changeset {changeset.id}: {first[:120]}{'…' if len(first) > 120 else ''}\n"
        "The whole deployment was undone: the database is as it was before. Correct the changeset and apply again.",
    )


def _run_changesets(session: Session, works: Sequence[Work], listen: Listener) -> tuple[float, ...]:
    """Runs all statements of all changesets in one go: the engine may have several on their way at once.

    Gives the seconds until each was done, counted from the one before.
    """
    statements = [(work.changeset, statement) for work in works for statement in work.statements]
    progress = _told(works, listen)
    clock = [time.perf_counter()]

    def done() -> None:
        clock.append(time.perf_counter())
        next(progress, None)

    next(progress, None)
    try:
        session.run_each([statement.sql for _, statement in statements], done)
    except StatementError as e:
        if e.in_the_way:
            raise _InTheWayError(e.in_the_way) from None
        raise located(e, *statements[min(len(clock) - 1, len(statements) - 1)]) from None
    return tuple(b - a for a, b in pairwise(clock))


class _InTheWayError(Exception):
    """What these tables became on the shelf may be why a statement failed."""

    def __init__(self, tables: frozenset[ObjectId]) -> None:
        super().__init__(", ".join(map(str, sorted(tables))))
        self.tables = tables


def _told(works: Sequence[Work], listen: Listener) -> Iterator[None]:
    """Tells when changesets begin and end; goes on by one statement each time it is asked."""
    for work in works:
        listen(ChangesetStarted(work.changeset.id, work.number, work.total))
        started = time.perf_counter()
        for _ in work.statements:
            yield
        listen(ChangesetDone(work.changeset.id, work.number, work.total, time.perf_counter() - started))


def _foreseen(before: Catalog, works: Sequence[Work]) -> set[ObjectId]:
    """Tables that a glance at the statements names as written to; what it misses, observation finds."""
    return _named(before, works, _destroys)


def _named(before: Catalog, works: Sequence[Work], wanted: Callable[[Statement], bool]) -> set[ObjectId]:
    """The tables whose names are in these statements."""
    tables: dict[str, list[ObjectId]] = {}
    for o in before.objects.values():
        if o.id.kind == "table" and o.carries_data:  # a foreign one's rows are elsewhere
            tables.setdefault(o.id.name[-1].casefold(), []).append(o.id)
    found: set[ObjectId] = set()
    if not tables:
        return found
    for work in works:
        for statement in work.statements:
            if wanted(statement):
                found.update(table for name in names_in(statement) for table in tables.get(name, ()))
    return found


def names_in(statement: Statement) -> set[str]:
    """All words and quoted names of a statement, case-folded and without quotes."""
    found = (
        t.text for t in significant(statement.sql, statement.dialect) if t.kind in (TokenKind.WORD, TokenKind.QUOTED)
    )
    return {text.strip('"`[]').replace('""', '"').casefold() for text in found}


def _changes_tables(statement: Statement) -> bool:
    return statement.words(1) in (("ALTER",), ("DROP",), ("TRUNCATE",))


def _destroys(statement: Statement) -> bool:
    """Whether it may take values away or change them."""
    return statement.words(2) == ("DROP", "TABLE") or _writes(statement)


def _writes(statement: Statement) -> bool:
    """The same, where the table stays."""
    words = statement.words(2)
    if words[:1] and words[0] in WRITES:
        return True
    if words != ("ALTER", "TABLE"):
        return False
    rest = statement.sql.upper()
    return " TYPE " in rest or "DROP " in rest or "USING" in rest
