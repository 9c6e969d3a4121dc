"""What every row must be after changesets that were taken back are deployed again, in plain Python.

It is the way back's merge the other way round: *theirs* is the row before the way back, *base* the one that it left, *ours*
the one of today. A value that nobody wrote since is theirs. What was written since, and rows that came since, are what
the changesets make of them: *made* is what they do to today's rows by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.stateful.model import ANY, Engine, Place
from tests.support.oracle import Rows

Row = tuple[str, ...]
Wanted = tuple[frozenset[str], ...]
"""What may be in each column."""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything between the deployment and the redo. `began` and `ended` are the deployment's; `made` as above.

    `whole`: all of it went back as one. If not, what was written since may be made of what an earlier changeset made.
    """

    began: Place
    ended: Place
    left: Place
    returned: Place
    now: Place
    made: Place
    whole: bool = True


def redo_differences(engine: Engine, story: Story, found: Mapping[str, Rows]) -> list[str]:
    """The tables whose rows aren't what they must be."""
    lines = []
    for table, rows in story.left.rows.items():
        if table not in found or found[table].columns != rows.columns:
            lines.append(
                f"{table} has columns {found[table].columns if table in found else 'none'}, not {rows.columns}"
            )
        else:
            lines += [f"{table} after the redo: {line}" for line in _Redo(engine, story, table).wrong(found[table])]
    return lines


class _Redo:
    """One table's, by its names before the way back; `there` maps its columns to their names after it."""

    def __init__(self, engine: Engine, story: Story, table: str) -> None:
        self._engine, self._table, self._story = engine, table, story
        self._left, self._made = story.left.rows[table], story.made.rows.get(table)
        pair = story.returned.identities.pairs(
            story.left.identities, table, engine.fold, first_names=engine.first_names
        )
        self._name, self._there = pair if pair is not None else ("", {})
        self._there = {c: t for c, t in self._there.items() if c in self._left.columns}
        self._types = {c.name: c for c in story.left.sketch.tables[table]}
        self._types_there = {c.name: c for c in story.returned.sketch.tables.get(self._name, ())}

    def wrong(self, found: Rows) -> list[str]:
        if self._name not in self._story.now.rows:
            return self._other(found, [self._left])
        base, ours = self._story.returned.rows[self._name], self._story.now.rows[self._name]
        if base.values == ours.values:
            if not self._looked_at() and not self._story.whole:
                return []
            taken = [self._left] if self._looked_at() else [self._left, self._made]
            return self._other(found, [t for t in taken if t is not None])
        sides = self._sides(found, base, ours)
        return self._by_key(*sides) if sides is not None else []

    def _other(self, found: Rows, wanted: Sequence[Rows]) -> list[str]:
        if any(found.values == w.values for w in wanted):
            return []
        missing, extra = wanted[0].values - found.values, found.values - wanted[0].values
        return [f"nobody wrote since, and missing {sorted(missing.elements())}, too many {sorted(extra.elements())}"]

    def _looked_at(self) -> bool:
        """Whether the deployment or the way back did anything to the rows: else it isn't known that there is anything."""
        before = self._story.began.rows.get(self._name)
        return before is None or before.values != self._story.ended.rows[self._table].values

    # ------------------------------------------------------------------ row by row

    def _sides(self, found: Rows, base: Rows, ours: Rows) -> tuple[dict[Row, Row], ...] | None:
        """Rows by key: theirs, base, ours, made, at the deployment's begin and end, and those found; None without keys."""
        key = tuple(c for c in self._left.columns if self._types[c].tells)
        there = tuple(self._there[c] for c in key if c in self._there)
        began = self._story.began.rows.get(self._name)
        if not key or len(there) < len(key) or self._made is None or began is None:
            return None
        if self._made.columns != self._left.columns or any(
            self._types[c].type != self._types_there[self._there[c]].type for c in key
        ):
            return None
        ended = self._story.ended.rows[self._table]
        found_sides = []
        for rows, columns in (
            *((r, key) for r in (self._left, self._made, ended, found)),
            *((r, there) for r in (base, ours, began)),
        ):
            places = [rows.columns.index(c) for c in columns if c in rows.columns]
            by_key = {tuple(row[p] for p in places): row for row in rows.values}
            if len(places) < len(key) or len(by_key) < rows.values.total():
                return None
            found_sides.append(by_key)
        theirs, made, ended_by_key, found_by_key, base_by_key, ours_by_key, began_by_key = found_sides
        return theirs, base_by_key, ours_by_key, made, began_by_key, ended_by_key, found_by_key

    def _by_key(
        self,
        theirs: dict[Row, Row],
        base: dict[Row, Row],
        ours: dict[Row, Row],
        made: dict[Row, Row],
        began: dict[Row, Row],
        ended: dict[Row, Row],
        found: dict[Row, Row],
    ) -> list[str]:
        lines = []
        for key in sorted({*theirs, *base, *ours, *made, *found}):
            looked_at = self._differs(began.get(key), ended.get(key)) or self._differs(base.get(key), theirs.get(key))
            wanted = self._wanted(
                theirs.get(key), base.get(key), ours.get(key), made.get(key), looked_at, was_made=key in ended
            )
            row = found.get(key)
            if not self._story.whole and not (looked_at and base.get(key) == ours.get(key)):
                continue
            if not any(_fits(row, w) for w in wanted):
                lines.append(f"{', '.join(key)} is {row}, and should be {' or '.join(map(_said, wanted))}")
        return lines

    def _wanted(
        self,
        theirs: Row | None,
        base: Row | None,
        ours: Row | None,
        made: Row | None,
        looked_at: bool,
        *,
        was_made: bool,
    ) -> list[Wanted | None]:
        """What the row may be; None: not there."""
        as_made = _exactly(made)
        if base is None and ours is None:
            if theirs is not None:
                return [_exactly(theirs)]
            return [None] if was_made else [as_made, None]  # what is made under another key may be an old row
        if base is None or ours is None:
            return [as_made] if base is None else [as_made, None]
        if ours == base and not looked_at:
            return [_exactly(theirs), as_made]
        if theirs is None:
            return [None] if ours == base else [as_made]
        if ours == base:
            return [_exactly(theirs)]
        return [as_made] if not looked_at or made is None else [self._merged(theirs, base, ours, made)]

    def _merged(self, theirs: Row, base: Row, ours: Row, made: Row) -> Wanted:
        was, now = (dict(zip(self._columns_there(base), row, strict=True)) for row in (base, ours))
        others = [c for c in was if c not in self._there.values()]
        other = any(was[c] != now[c] for c in others)
        left_alone = not self._differs(base, theirs)
        wanted = []
        for n, c in enumerate(self._left.columns):
            there = self._there.get(c, "")
            if was[there] != now[there] if there in was else other:
                wanted.append(frozenset({made[n]}))
            elif left_alone or was.get(there) != theirs[n]:
                wanted.append(frozenset({theirs[n]}))
            else:  # of a row that the way back changed, it isn't kept how its other values stood
                wanted.append(frozenset({theirs[n], made[n]}))
        return tuple(wanted)

    def _columns_there(self, row: Row) -> tuple[str, ...]:
        columns = self._story.returned.rows[self._name].columns
        assert len(columns) == len(row)
        return columns

    def _differs(self, there: Row | None, here: Row | None) -> bool:
        """Whether a row of the schema after the way back is another one in the schema before it."""
        if there is None or here is None:
            return there is not here
        was = dict(zip(self._columns_there(there), there, strict=True))
        return any(was.get(self._there.get(c, "")) != value for c, value in zip(self._left.columns, here, strict=True))


def _exactly(row: Row | None) -> Wanted | None:
    return None if row is None else tuple(frozenset({value}) for value in row)


def _fits(row: Row | None, wanted: Wanted | None) -> bool:
    if row is None or wanted is None:
        return row is None and wanted is None
    return all(ANY in may or value in may for value, may in zip(row, wanted, strict=True))


def _said(wanted: Wanted | None) -> str:
    return "gone" if wanted is None else f"({', '.join(' or '.join(sorted(may)) for may in wanted)})"
