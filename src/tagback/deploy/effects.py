"""What each statement destroys and locks, told from what came of all that ran with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, is_gone
from tagback.changelog import Statement
from tagback.deploy.results import PlannedStep
from tagback.deploy.stage import WRITES, Observed, Work, names_in
from tagback.engines.session import KeptRows, Session

_FURTHER = WRITES | {"DROP", "DO", "CALL", "SELECT", "EXECUTE"}  # by cascades, triggers and functions


@dataclass(frozen=True, slots=True)
class Tried:
    """One stage that has run: the schema before it, what came of it, and the locks then and before.

    `always`: the lock that every statement takes, where the engine has but one.
    """

    works: Sequence[Work]
    before: Catalog
    observed: Observed
    locks: Mapping[ObjectId, str] = field(default_factory=dict)
    earlier: Mapping[ObjectId, str] = field(default_factory=dict)
    always: str = ""


def held(session: Session, now: Catalog, start: Catalog) -> dict[ObjectId, str]:
    """The strongest lock that the transaction has on each table that was there at its start, in the engine's words."""
    if not session.capabilities.locks_held:
        return {}
    lines = {start.lineage.get(o.id, "") for o in start.objects.values() if o.id.kind == "table"}
    tables = {o.id: line for o in now.objects.values() if (line := now.lineage.get(o.id, "")) and line in lines}
    if not tables:
        return {}
    modes = {str(line): str(mode) for line, mode in session.execute(session.capabilities.locks_held)}
    return {table: modes[line] for table, line in tables.items() if line in modes}


def without_effects(works: Iterable[Work]) -> tuple[PlannedStep, ...]:
    """The statements where they can't be tried."""
    return tuple(_step(w, s, None, "", (), 0) for w in works for s in w.statements)


def planned(tried: Tried) -> tuple[PlannedStep, ...]:
    """The stage's statements, with how long each took. What the stage destroyed is told once, of the likeliest."""
    statements = [(w, s) for w in tried.works for s in w.statements]
    names = _names(tried)
    destroys: list[list[str]] = [[] for _ in statements]
    rows = [0] * len(statements)
    for at, _, words, count in lost(tried):
        destroys[at].append(words)
        rows[at] += count
    return tuple(
        _step(work, s, seconds, ", ".join(_told(_tables_in(s, names), tried)), tuple(dict.fromkeys(what)), count)
        for (work, s), seconds, what, count in zip(statements, tried.observed.seconds, destroys, rows, strict=True)
    )


def lost(tried: Tried) -> Iterator[tuple[int, KeptRows, str, int]]:
    """The likeliest statement's number, from 0, for each thing that was destroyed: of what was kept, in words, how many rows."""
    statements = [s for w in tried.works for s in w.statements]
    names = _names(tried)
    named = [_tables_in(s, names) for s in statements]
    for kept in tried.observed.kept:
        for words, wanted, count in _lost(kept, tried):
            yield _likeliest(statements, [kept.table in n for n in named], wanted), kept, words, count


def writers(tried: Tried, table: ObjectId) -> list[int]:
    """The numbers of the statements, from 0, that write to rows of a table which was there before."""
    statements = [s for w in tried.works for s in w.statements]
    names = _names(tried)
    return [n for n, s in enumerate(statements) if table in _tables_in(s, names) and _first(s) in WRITES - {"INSERT"}]


def who_changed(tried: Tried, i: ObjectId | None) -> int:
    """The likeliest statement's number, from 0, for a change of an object; None: of one that isn't known."""
    statements = [s for w in tried.works for s in w.statements]
    if i is None:
        return _likeliest(statements, [False] * len(statements), lambda statement, there: False)
    own, around = i.name[-1].casefold(), {name.casefold() for name in i.name[-2:-1]}
    words = [names_in(s) for s in statements]
    whole = [own in w and around <= w for w in words]
    for named in (whole, [own in w for w in words], [bool(around & w) for w in words]):
        if any(named):
            return _likeliest(statements, named, lambda statement, there: False)
    return who_changed(tried, None)


def locked(tried: Tried) -> tuple[str, ...]:
    """The locks of a stage: on tables that it names, that it changed, or that were locked less before."""
    names = _names(tried)
    tables = {t for w in tried.works for s in w.statements for t in _tables_in(s, names)}
    tables |= {k.table for k in tried.observed.kept}
    tables |= {t for t, mode in tried.locks.items() if tried.earlier.get(t) != mode}
    return tuple(_told(tables, tried))


def _step(
    work: Work, statement: Statement, seconds: float | None, lock: str, destroys: tuple[str, ...], rows: int
) -> PlannedStep:
    return PlannedStep(
        sql=statement.sql,
        object=work.changeset.id,
        action=" ".join(statement.words(1)).lower(),
        lock=lock,
        destroys=destroys,
        rows=rows,
        seconds_estimate=None if seconds is None else round(seconds, 4),
    )


def _told(tables: Collection[ObjectId], tried: Tried) -> list[str]:
    """`ACCESS EXCLUSIVE on table shop.item`, by table."""
    if tried.always:
        return [tried.always]
    return [f"{tried.locks[t]} on {t}" for t in sorted(tables) if t in tried.locks]


# ---------------------------------------------------------------------- which statement it was

_Wanted = Callable[[Statement, bool], bool]
"""Whether a statement, which names the table or doesn't, may have done it."""


def _lost(kept: KeptRows, tried: Tried) -> Iterable[tuple[str, _Wanted, int]]:
    """What was destroyed of a table, in words; who may have done it; of how many rows."""
    count = kept.gone + kept.changed
    if kept.whole:
        yield str(Loss(LossKind.TABLE, kept.table)), _drops, count
        return
    columns = _lost_columns(kept.table, tried.before, tried.observed)
    for n, column in enumerate(columns):
        yield str(Loss(LossKind.COLUMN, kept.table, column)), _alters(column), 0 if n else count
    if count and not columns:
        yield f"values of {kept.table}" if kept.changed else f"rows of {kept.table}", _writes, count


def _lost_columns(table: ObjectId, before: Catalog, observed: Observed) -> list[str]:
    names = {r.before: r.after for r in observed.renamed}
    now = observed.after.objects.get(names.get(table, table))
    there = {p for p in now.parts if p.kind == "column"} if now is not None else set()
    columns = [p for p in before.objects[table].parts if p.kind == "column"]
    here = now.id.name if now is not None else table.name
    return [c.name[-1] for c in columns if names.get(c, ObjectId("column", (*here, c.name[-1]))) not in there]


def _likeliest(statements: Sequence[Statement], named: Sequence[bool], wanted: _Wanted) -> int:
    """The first that may have done it; else the first that names the table; else one that reaches what it doesn't name."""
    tests: tuple[_Wanted, ...] = (
        wanted,
        lambda s, there: there and _first(s) not in ("CREATE", "COMMENT", "GRANT", "REVOKE"),
        lambda s, there: _first(s) in _FURTHER,
    )
    for test in tests:
        for n, (statement, there) in enumerate(zip(statements, named, strict=True)):
            if test(statement, there):
                return n
    return len(statements) - 1


def _drops(statement: Statement, named: bool) -> bool:
    return named and statement.words(2) == ("DROP", "TABLE")


def _alters(column: str) -> _Wanted:
    return lambda statement, named: named and _first(statement) == "ALTER" and column.casefold() in names_in(statement)


def _writes(statement: Statement, named: bool) -> bool:
    return named and _first(statement) in WRITES


def _first(statement: Statement) -> str:
    return "".join(statement.words(1))


def _names(tried: Tried) -> dict[str, set[ObjectId]]:
    """The tables there were, by all their own names before and after."""
    found: dict[str, set[ObjectId]] = {}
    pairs = [(o.id, o.id) for o in tried.before.objects.values() if o.id.kind == "table"]
    pairs += [(r.after, r.before) for r in tried.observed.renamed if r.before.kind == "table" and not is_gone(r.after)]
    for name, table in pairs:
        found.setdefault(name.name[-1].casefold(), set()).add(table)
    return found


def _tables_in(statement: Statement, names: Mapping[str, set[ObjectId]]) -> set[ObjectId]:
    return {table for word in names_in(statement) for table in names.get(word, ())}
