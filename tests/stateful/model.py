"""What every row must be after a way back, in plain Python: promises 2 to 4 of the design, told once more.

For each table of the tag, by key: *theirs* is the row when the deployment began, *base* the row it left, *ours* today's.
A value that the deployment changed goes back where ours is still base; where theirs is base, ours stands; where both
were changed there is a conflict. The model knows nothing of tagback; where a thing can't be told from the three it says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.stateful.sketch import Column, Identities, Sketch
from tests.support.oracle import Rows

ANY = "?"
"""A value that can't be told. Values are as the oracle shows them: `repr`, so that none looks like this."""
NULL = "None"

Row = tuple[str, ...]
Conflict = tuple[str, str, str]
"""Table, key and column; no column: the row."""


@dataclass(frozen=True, slots=True)
class Place:
    """A state that a deployment's stage began or ended with."""

    rows: Mapping[str, Rows]
    sketch: Sketch
    identities: Identities


@dataclass(frozen=True, slots=True)
class Expected:
    """A table's rows. Up to `loose` of them may be others; `guessed`: nothing is known."""

    columns: tuple[str, ...]
    values: Counter[Row]
    loose: int = 0
    guessed: bool = False


@dataclass(slots=True)
class Outcome:
    """Rows by table, and what is in conflict: `sure` must be reported, `maybe` may be."""

    tables: dict[str, Expected]
    sure: set[Conflict] = field(default_factory=set)
    maybe: set[Conflict] = field(default_factory=set)
    untold: set[str] = field(default_factory=set)  # tables with conflicts that can't be told one by one


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine makes of values. `default`: the value of a default, ANY where it isn't a constant.

    `convert`: a value in another type's column, from and to. `told`: a key's value in words. `first_names`: renames of
    columns are followed in a table that was made anew under the name of another one.
    """

    fold: Callable[[str], str]
    default: Callable[[Column], str]
    convert: Callable[[str, Column, Column], str]
    told: Callable[[str], str]
    first_names: bool = False


def today(place: Place) -> dict[str, Expected]:
    """What is there now, to go back from."""
    return {name: Expected(rows.columns, rows.values) for name, rows in place.rows.items()}


def go_back(engine: Engine, began: Place, ended: Place, now: Mapping[str, Expected], *, restore: bool) -> Outcome:
    """One deployment is taken back: from today's tables, which bear the names it left, to those it found."""
    outcome = Outcome({})
    for table, start in began.rows.items():
        pair = ended.identities.pairs(began.identities, table, engine.fold, first_names=engine.first_names)
        if pair is None or pair[0] not in now:
            outcome.tables[table] = Expected(start.columns, start.values)
            continue
        merge = _Merge(engine, table, (began, ended), pair[0], pair[1], now[pair[0]], restore)
        outcome.tables[table] = merge.result(outcome)
    return outcome


def shelved_nothing(engine: Engine, began: Place, ended: Place) -> bool:
    """Whether the rows that a deployment left would be those that it found, by a change of the schema alone."""
    for table, start in began.rows.items():
        pair = ended.identities.pairs(began.identities, table, engine.fold, first_names=engine.first_names)
        if pair is None:
            if start.values:
                return False
            continue
        now = Expected(ended.rows[pair[0]].columns, ended.rows[pair[0]].values)
        if _Merge(engine, table, (began, ended), pair[0], pair[1], now, restore=False).given() != start.values:
            return False
    return True


class _Merge:
    """One table's. Columns are those of the start; `there` maps them to the names that the deployment left."""

    def __init__(
        self,
        engine: Engine,
        table: str,
        places: tuple[Place, Place],
        name: str,
        there: Mapping[str, str],
        now: Expected,
        restore: bool,
    ) -> None:
        began, ended = places
        self._engine, self._table, self._restore = engine, table, restore
        self._start, self._end, self._now = began.rows[table], ended.rows[name], now
        self._before = {c.name: c for c in began.sketch.tables[table]}
        self._after = {c.name: c for c in ended.sketch.tables[name]}
        self._there = {c: there[c] for c in self._start.columns if there.get(c) in self._end.columns}
        self._odd = any(
            there.get(c) not in (None, *self._end.columns) for c in self._start.columns
        )  # generated at the end
        self._added = [c for c in self._end.columns if c not in self._there.values()]
        key = tuple(c for c in self._start.columns if self._before[c].tells)
        self._key = key if all(c in self._there for c in key) else ()

    def result(self, outcome: Outcome) -> Expected:
        columns = self._start.columns
        if self._now.guessed or self._now.loose or self._odd:
            outcome.untold.add(self._table)
            return Expected(columns, Counter(), guessed=True)
        if not self._key:
            return self._without_key(outcome)
        keyed = [self._by_key(Rows(columns, self._start.values), self._start.columns, self._key)]
        ends = [self._there[c] for c in self._key]
        for side in (self._end.values, self._now.values):
            keyed.append(self._by_key(Rows(self._end.columns, side), self._end.columns, ends))
        theirs, base, ours = keyed
        if theirs is None or base is None or ours is None:
            outcome.untold.add(self._table)
            return Expected(columns, Counter(), guessed=True)
        rows: Counter[Row] = Counter()
        for key in theirs.keys() | base.keys() | ours.keys():
            row = self._row(key, theirs.get(key), base.get(key), ours.get(key), outcome)
            if row is not None:
                rows[row] += 1
        return Expected(columns, rows)

    def _by_key(self, rows: Rows, columns: Sequence[str], key: Sequence[str]) -> dict[Row, Row] | None:
        """None where keys can't be told. Keys are as the start's columns have them."""
        found = {}
        for row in rows.values:
            values = dict(zip(columns, row, strict=True))
            told = tuple(values[k] for k in key)
            if columns is not self._start.columns:
                told = tuple(self._converted(c, v) for c, v in zip(self._key, told, strict=True))
            if ANY in told or told in found or rows.values[row] > 1:
                return None
            found[told] = row
        return found

    # ------------------------------------------------------------------ values

    def _converted(self, column: str, value: str) -> str:
        before, after = self._before[column], self._after[self._there[column]]
        return ANY if value == ANY else self._engine.convert(value, after, before)

    def _projected(self, row: Row) -> dict[str, str]:
        """A row of today's columns as the start's, before anything is restored."""
        values = dict(zip(self._end.columns, row, strict=True))
        return {
            c: self._converted(c, values[self._there[c]]) if c in self._there else self._engine.default(self._before[c])
            for c in self._start.columns
        }

    def _row(self, key: Row, theirs: Row | None, base: Row | None, ours: Row | None, outcome: Outcome) -> Row | None:
        if ours is None:
            return theirs if base is None else None
        mine = self._projected(ours)
        as_it_is = tuple(mine.values())
        if theirs is None and base is None:
            return as_it_is
        if base is None:
            assert theirs is not None
            if as_it_is != theirs:
                self._conflict(outcome, key, "", maybe=ANY in as_it_is)
            return theirs if self._restore else as_it_is
        if theirs is None:
            if ours == base:
                return None
            self._conflict(outcome, key, "")
            return None if self._restore else as_it_is
        return self._both(key, theirs, base, ours, outcome)

    def _both(self, key: Row, theirs: Row, base: Row, ours: Row, outcome: Outcome) -> Row:
        was = dict(zip(self._start.columns, theirs, strict=True))
        left = dict(zip(self._end.columns, base, strict=True))
        now = dict(zip(self._end.columns, ours, strict=True))
        mine, given = self._projected(ours), self._projected(base)
        superseded = any(left[a] != now[a] for a in self._added)
        anything = any(given[c] != was[c] for c in self._start.columns)
        found = []
        for c in self._start.columns:
            changed = given[c] != was[c]
            if c not in self._there:
                found.append(was[c])
                if superseded and anything and changed:
                    self._conflict(outcome, key, c, maybe=given[c] == ANY)
            elif not changed:
                found.append(mine[c])
            elif left[self._there[c]] == now[self._there[c]]:
                found.append(was[c])
            elif given[c] == ANY or mine[c] == ANY:  # whether the deployment changed it can't be told
                found.append(ANY)
                self._conflict(outcome, key, c, maybe=True)
            else:
                if mine[c] != was[c]:
                    self._conflict(outcome, key, c)
                found.append(was[c] if self._restore else mine[c])
        return tuple(found)

    def _conflict(self, outcome: Outcome, key: Row, column: str, *, maybe: bool = False) -> None:
        told = ", ".join(f"{name}={self._engine.told(value)}" for name, value in zip(self._key, key, strict=True))
        (outcome.maybe if maybe else outcome.sure).add((self._table, told, column))

    # ------------------------------------------------------------------ without a key

    def given(self) -> Counter[Row]:
        """The rows that the deployment left, as the start's columns."""
        given = Counter[Row]()
        for row, times in self._end.values.items():
            given[tuple(self._projected(row).values())] += times
        return given

    def _without_key(self, outcome: Outcome) -> Expected:
        start, end, now = self._start, self._end, self._now
        columns = start.columns
        given = self.given()
        if end.values == now.values:
            return Expected(columns, start.values)
        if _fit(given, start.values):  # nothing was done to them
            rows = Counter[Row]()
            for row, times in now.values.items():
                rows[tuple(self._projected(row).values())] += times
            if any(ANY in row for row in [*given, *rows]):
                outcome.untold.add(self._table)
            return Expected(columns, rows)
        outcome.untold.add(self._table)
        came, went = now.values - end.values, end.values - now.values
        return Expected(columns, start.values, loose=came.total() + went.total())


def _fit(wanted: Counter[Row], found: Counter[Row]) -> bool:
    return not unlike(wanted, found)


def unlike(wanted: Counter[Row], found: Counter[Row]) -> tuple[Counter[Row], Counter[Row]] | None:
    """What is missing and what is too much, where the two don't fit: ANY is any value."""
    missing, extra = wanted - found, found - wanted
    for row in [row for row in missing.elements() if ANY in row]:
        for other in extra:
            if extra[other] > 0 and all(a in (ANY, b) for a, b in zip(row, other, strict=True)):
                missing[row] -= 1
                extra[other] -= 1
                break
    missing, extra = +missing, +extra
    return (missing, extra) if missing or extra else None


def wrong(outcome: Outcome, found: Mapping[str, Rows], reported: Mapping[str, int]) -> list[str]:
    """The tables whose rows aren't what they must be. `reported`: conflicts by table, which loosen what can't be told."""
    lines = []
    for table, expected in outcome.tables.items():
        if expected.guessed:
            continue
        rows = found.get(table)
        if rows is None or rows.columns != expected.columns:
            lines.append(f"{table} has columns {rows.columns if rows else 'none'}, not {expected.columns}")
            continue
        differs = unlike(expected.values, rows.values)
        if differs is None:
            continue
        missing, extra = differs
        most = expected.loose + (reported.get(table, 0) if expected.loose else 0)
        if missing.total() > most or extra.total() > most:
            lines.append(
                f"rows of {table} ({', '.join(expected.columns)}): missing {sorted(missing.elements())},"
                f" too many {sorted(extra.elements())}" + (f"; {most} may be others" if most else "")
            )
    return lines
