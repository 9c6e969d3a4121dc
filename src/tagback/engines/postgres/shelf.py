"""The shelf on PostgreSQL: what was done to rows, kept in the ledger's schema, and merged with what was written since.

A place has core types only, so that nothing hangs on the living schema; values of all other types are text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId, Restoration, SchemaObject, Step, name_today
from tagback.engines.conflicts import MOST_CONFLICTS, counts, disagreements
from tagback.engines.merging import Side, nothing_given, shelf_missing, size_of
from tagback.engines.postgres.columns import Column, as_kept, exact, is_about_data, kept_form
from tagback.engines.postgres.copies import Copy, Described
from tagback.engines.postgres.images import Images
from tagback.engines.postgres.kinds.turning import cast
from tagback.engines.postgres.observation import LARGE_OBJECTS
from tagback.engines.postgres.places import Places, address
from tagback.engines.postgres.restoring import positions, restoration, which_differ
from tagback.engines.postgres.rows import Rows
from tagback.engines.postgres.sides import Sides
from tagback.engines.postgres.sqltext import SCHEMA, ident, literal, qualified
from tagback.engines.postgres.start import MOST_TIMES, Start
from tagback.engines.postgres.words import Words, in_form, total
from tagback.engines.redoing import Redoing
from tagback.engines.room import Room
from tagback.engines.session import (
    Disagreement,
    KeptColumn,
    KeptRows,
    Merge,
    Redo,
    Rules,
    StatementError,
    Stood,
    Unkept,
)
from tagback.errors import RefusedError


class Shelf:
    """The shelf's side of a session. `text` and `attempt` run a statement, as in `Rows`; for the others see `Images`."""

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
        theirs: Callable[[str], list[tuple[object, ...]]],
        undo: Callable[[str], None],
        rows: Rows,
    ) -> None:
        self._text = text
        self._attempt = attempt
        self._rows = rows
        self._merging = Redoing(Words())
        self._sides = Sides(attempt)
        self.places = Places(text)
        self._merges = 0
        self.room = Room()
        images = Images(text, attempt, theirs, undo, rows)
        self.start = Start(text, rows, self._sides, self.places, self._merging, self.room, images)

    # ------------------------------------------------------------------ keeping

    def shelve(
        self,
        label: str,
        names: Mapping[ObjectId, ObjectId],
        ways: Mapping[ObjectId, Mapping[str, str]],
        given: Sequence[KeptRows] | None,
        uncounted: Collection[ObjectId],
        first: int = 1,
    ) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
        """See Session.shelve. `first` is the number of the first place."""
        large = self._rows.large_written()
        unkept = (Unkept(LARGE_OBJECTS, large),) if large else ()
        taken = set(names.values())
        kept: list[KeptRows] = []
        for table, copy in sorted(self._rows.copies.items()):
            now = name_today(table, table, names, taken)
            end, stood = None, None
            key = copy.key
            returned = [k for k in given or () if k.table == now]
            if now is not None and self._rows.is_table(now):
                described = self._rows.described([now])[now]
                places = {}
                for column in copy.columns:
                    at_start = ObjectId("column", (*table.name, column.name))
                    place = name_today(at_start, ObjectId("column", (*now.name, column.name)), names, taken)
                    if place is not None:
                        places[column.name] = place.name[-1]
                end = self._sides.of(copy.columns, described, now, places)
                key = self._key(copy, described, places)
                if key and self._stands(copy, now, places, watched=given is None):
                    end = replace(end, where=copy.written(end.own))
                elif copy.images:
                    raise RuntimeError(f"images of {table} that aren't complete")
                if given is not None:
                    there = {c.name for c in described.columns}
                    columns = {c: place for c, place in places.items() if place in there}
                    stood = Stood(now, columns, self.digests([now])[now], sum(k.new for k in returned))
            for name, expression in ways.get(table, {}).items():
                if end is not None:
                    column = next(c for c in copy.columns if c.name == name)
                    self._text(f"SELECT CAST(({expression}) AS {column.type}) FROM {end.source} LIMIT 0")
            if end is not None and (given is not None or table in ways):
                end = nothing_given(end)
            place_name = f"{label}_{first + len(kept)}"
            room = Room() if table in uncounted else self.room
            found = self._keep(place_name, table, copy, end, stood, returned, room, key)
            if found.rows or given is not None or table in ways:
                room.take(table, found.bytes)
                kept.append(found)
            else:
                self.places.drop([found.place])
        return tuple(kept), unkept

    def _stands(self, copy: Copy, now: ObjectId, places: Mapping[str, str], *, watched: bool) -> bool:
        """Whether every row that this transaction didn't write is, to the letter, one of the copy.

        So it is in the same file with the same columns: an UPDATE makes another row there. Rows that were locked, and
        those that others wrote before they had to wait, only make it more that is compared. Users' types are compared with
        those that `watch` saw; in a rollback, which isn't `watched`, these may be from before its copies.
        """
        shape = self._rows.shape(now)
        columns = {c.name: shape.columns.get(places.get(c.name, "")) for c in copy.columns}
        return (
            0 != shape.file == copy.shape.file
            and all(identity == copy.shape.columns[name] for name, identity in columns.items())
            and (all(c.core for c in copy.columns) or (watched and self._rows.types_stand()))
        )

    def fill(self, place: str, table: ObjectId, copy: Copy) -> None:
        """Keeps all rows of a table that is gone in this place."""
        self._keep(place, table, copy, None, None, (), Room(), copy.key)

    def _key(self, copy: Copy, today: Described, places: Mapping[str, str]) -> tuple[str, ...]:
        """The start's key that still tells rows apart, perhaps without a constraint that makes sure of it."""
        left = [key for key in copy.keys if places.keys() >= set(key)]
        sure = [key for key in left if {places[c] for c in key} in map(set, today.keys)]
        return next(iter(sure), ()) or next((key for key in left if self._told_apart(key, today, places)), ())

    def _told_apart(self, key: Sequence[str], today: Described, places: Mapping[str, str]) -> bool:
        columns = [places[c] for c in key]
        names = ", ".join(map(ident, columns))
        missing = " OR ".join(f"{ident(c)} IS NULL" for c in columns)
        twice = self._attempt(
            f"SELECT FROM {today.source} GROUP BY {names} HAVING count(*) > 1 OR bool_or({missing}) LIMIT 1"
        )
        return not isinstance(twice, StatementError) and not twice

    def digests(self, tables: Collection[ObjectId]) -> dict[ObjectId, str]:
        """See Session.digests."""
        found = {}
        for table, described in self._rows.described(sorted(tables)).items():
            names = sorted(c.name for c in described.columns if not c.generated)
            ((sums,),) = self._text(total([ident(n) for n in names], f"ONLY {qualified(*table.name)}"))
            found[table] = f"{hashlib.sha256(repr(names).encode()).hexdigest()[:16]} {sums}"
        return found

    def _keep(
        self,
        place: str,
        table: ObjectId,
        copy: Copy,
        end: Side | None,
        stood: Stood | None,
        given: Sequence[KeptRows],
        room: Room,
        key: tuple[str, ...],
    ) -> KeptRows:
        alike = [c.name for c in copy.columns if end is not None and end.kept[c.name] == end.own.get(c.name)]
        usable = end is None or all(end.kept[name] for name in key)
        kept = KeptRows(
            table=table,
            place=place,
            columns=copy.kept_columns,
            key=key if usable else (),
            matched=tuple(alike if end is not None else (c.name for c in copy.columns)),
            added=tuple(end.added) if end is not None else (),
            whole=end is None,
            stood=stood,
            positions=copy.positions,
        )
        if copy.taken:
            self.places.rename(copy.name, place)
            return self.places.counted_changed(kept)
        start = Side(f"pg_temp.{copy.name}", copy.values, copy.values)
        made = self.places.make(kept, copy.columns)
        returned = {address(k.place): k for k in given}
        first, *gone = self._merging.keep(kept, start, end, made)
        for sql in [first, *gone, *self._merging.remain(kept, made, returned, start, end)]:
            if sql in gone and not self._any_gone(table, copy, start, end, made):
                continue
            refused = self._fill(sql, table, copy, end, made, room)
            if isinstance(refused, StatementError):
                if not is_about_data(refused) or end is None or all(c in alike or not v for c, v in end.kept.items()):
                    raise refused
                # Values that don't go into the start's types: the columns that were retyped are other ones altogether.
                end = replace(end, kept={c: v if c in alike else "" for c, v in end.kept.items()})
                self.places.drop([place])
                return self._keep(place, table, copy, end, stood, given, room, key)
        return self.places.counted(kept)

    def _fill(
        self, sql: str, table: ObjectId, copy: Copy, end: Side | None, made: str, room: Room
    ) -> list[tuple[object, ...]] | StatementError:
        """Puts rows into a place, measured before where they could be too many: the disk must not be full first."""
        if room.left is not None:
            sources = [f"pg_temp.{copy.name}", *([end.source.removeprefix("ONLY ")] if end is not None else [])]
            sizes = " + ".join(f"pg_total_relation_size({literal(s)}::regclass)" for s in sources)
            if not room.holds(MOST_TIMES * _int(self._text(f"SELECT {sizes}")[0][0])):
                there = f"pg_total_relation_size({literal(made)}::regclass)"
                measured = self._attempt(f"SELECT {there} + ({size_of(sql, 'pg_column_size(q.*)')})")
                if isinstance(measured, StatementError):
                    return measured
                room.check(table, _int(measured[0][0]))
        return self._attempt(sql)

    def _any_gone(self, table: ObjectId, copy: Copy, start: Side, end: Side | None, made: str) -> bool:
        """Told by counting: looking for each row of the start takes far longer where all are there."""
        assert end is not None
        if copy.images:
            written = self._rows.written(table)
            return written is None or written[2] > 0
        ((there,),) = self._text(
            f"SELECT (SELECT count(*) FROM {start.source}) + (SELECT count(*) FROM {made} WHERE change = 'new')"
            f" - (SELECT count(*) FROM {end.source})"
        )
        return _int(there) != 0

    # ------------------------------------------------------------------ giving back

    def merge(
        self,
        kept: Sequence[KeptRows],
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        """See Session.merge."""
        rows: dict[ObjectId, Restoration] = {}
        restored: dict[ObjectId, int] = {}
        conflicts: list[Disagreement] = []
        finish: list[Step] = []
        total = 0
        self._rows.leaving.clear()
        for k in kept:
            if self._text(f"SELECT to_regclass({literal(address(k.place))})") == [(None,)]:
                raise shelf_missing(k, f"{SCHEMA}.{k.place}")
            self._merges += 1
            decision = f"tagback_merge_{self._merges}"
            today = self._today(k, target, names)
            finish += positions(k, today.own if today is not None else ())
            rule = in_form(k, rules.get(k.place, Rules()))
            if rule.redo is not None and today is not None:
                query = self._merging.again(k, address(k.place), today, self._began(k, rule.redo), rule.redo)
            else:
                query = self._merging.decide(k, address(k.place), today, rule)
            made = self._attempt(f"CREATE TEMP TABLE {decision} ON COMMIT DROP AS {query}")
            if isinstance(made, StatementError):
                if not is_about_data(made) or today is None or rule.redo:
                    raise _unfit(k.table, made) if is_about_data(made) else made
                # Values that don't go into the start's types may be those that are replaced.
                turning = self._one_by_one(k, today)
                query = self._merging.decide(k, address(k.place), turning, rule)
                made = self._attempt(f"CREATE TEMP TABLE {decision} ON COMMIT DROP AS {query}")
                if isinstance(made, StatementError):
                    raise _unfit(k.table, made, turning.raw) if is_about_data(made) else made
            ((moving, staying, in_conflict),) = self._text(counts(f"pg_temp.{decision}"))
            if _int(moving):
                self._rows.leaving[k.table] = decision
                along = tuple(today.staying) if today is not None else ()
                compared = self._merging.differing(k, f"pg_temp.{decision}", today)
                corrected = which_differ(k, self._text(compared)) if compared else ()
                back = self._come_back(k, target) if today is not None else set()
                rows[k.table] = restoration(k, decision, along, corrected, back, there=today is not None)
            if _int(staying):
                restored[k.table] = _int(staying)
            total += _int(in_conflict)
            if _int(in_conflict) and len(conflicts) < MOST_CONFLICTS:
                conflicts += self._conflicts(k, decision)
        return Merge(rows, restored, tuple(conflicts[:MOST_CONFLICTS]), total, tuple(finish))

    def _come_back(self, k: KeptRows, target: Catalog) -> set[str]:
        """Columns that aren't there now, and can't be NULL when they are."""
        there = {c.name for c in self._rows.described([k.table])[k.table].columns}
        return target.objects[k.table].required(target).keys() - there

    def _one_by_one(self, k: KeptRows, today: Side) -> Side:
        """The same, where columns of another type are turned into the start's only for rows that stay as they are."""
        there = {c.name: c for c in self._rows.described([k.table])[k.table].columns}
        kept, raw, turned = dict(today.kept), {}, {}
        for n, c in enumerate(k.columns):
            now = there.get(c.name)
            if now is not None and now.type != c.type:
                start = as_kept(c)
                kept[c.name], raw[c.name] = "", ident(c.name)
                turned[c.name] = kept_form(start, cast(f"n.w{n}", now.type, c.type))
        return replace(today, kept=kept, raw=raw, turned=turned)

    def misfits(self, wanted: SchemaObject, message: str) -> tuple[int, tuple[str, ...]] | None:
        """See Session.misfits."""
        from tagback.engines.postgres.kinds.types import Domain, Enum
        from tagback.engines.postgres.misfits import USERS, misfits, of_type

        queries: tuple[str, str] | None
        if isinstance(wanted, Enum | Domain):
            users = self._text(USERS.format(type=literal(qualified(*wanted.id.name))))
            queries = of_type(wanted, users) if users else None
        else:
            table = wanted.part_of or ObjectId("table", wanted.id.name[:2])
            described = self._rows.described([table])[table]
            columns = frozenset(c.name for c in described.columns)
            queries = misfits(wanted, message, described.source, next(iter(described.keys), ()), columns)
        if queries is None:
            return None
        count, first = (self._attempt(query) for query in queries)
        stopped = next((e for e in (count, first) if isinstance(e, StatementError) and e.code == "cancelled"), None)
        if stopped is not None:
            raise stopped
        if isinstance(count, StatementError) or isinstance(first, StatementError) or count[0][0] is None:
            return None
        return _int(count[0][0]), tuple(str(row[0]) for row in first)

    def spared(
        self, steps: Sequence[Step], error: StatementError, live: Catalog, target: Catalog, kept: Sequence[KeptRows]
    ) -> tuple[Step, ...] | None:
        """See Session.spared."""
        from tagback.engines.postgres.orphans import spared

        return spared(self._text, steps, error, live, target, kept)

    def _today(self, k: KeptRows, target: Catalog, names: Mapping[ObjectId, ObjectId]) -> Side | None:
        if not self._rows.is_table(k.table):
            return None
        described = self._rows.described([k.table])[k.table]
        there = {c.name for c in described.columns}
        start = [as_kept(c) for c in k.columns]
        side = self._sides.of(start, described, k.table, {c: c for c in k.names if c in there})
        added = {}
        for name in k.added:
            at_end = ObjectId("column", (*k.table.name, name))
            now = names.get(at_end, at_end).name[-1]
            if now in side.added:
                added[name] = side.added[now]
        columns = {p.name[-1] for p in target.objects[k.table].parts}
        stored = (c.name for c in described.columns if not c.generated)
        staying = {c: ident(c) for c in stored if c in columns and c not in k.names}
        return replace(side, added=added, staying=staying)

    def _began(self, k: KeptRows, redo: Redo) -> Side | None:
        """The table as it was before the changesets ran again, seen as the kept columns."""
        copy = self._rows.held.get(redo.stood.table) if redo.stood is not None else None
        if copy is None or redo.stood is None:
            return None
        values = copy.values
        there = {c.name: (values[c.name], c) for c in copy.columns}
        kept, own = {}, {}
        for c in k.columns:
            name, column = there.get(redo.stood.columns.get(c.name, ""), ("", None))
            if column is None:
                kept[c.name] = self._sides.returning(as_kept(c))
                continue
            own[c.name] = name
            kept[c.name] = name if column.type == c.type else self._turned(c, name, column, copy)
        added = {name: there[name][0] for name in k.added if name in there}
        return Side(f"pg_temp.{copy.name}", kept, own, added)

    def _turned(self, c: KeptColumn, name: str, column: Column, copy: Copy) -> str:
        """A copied value in another type, in the form of that one."""
        start = as_kept(c)
        value = cast(name if column.core else f"CAST({name} AS {column.type})", column.type, c.type)
        known = self._attempt(f"SELECT {value} FROM pg_temp.{copy.name} LIMIT 0")
        if isinstance(known, StatementError):
            return exact(name)
        return kept_form(start, value)

    def _conflicts(self, k: KeptRows, decision: str) -> list[Disagreement]:
        width = len(k.key) or 2
        keys = ", ".join(exact(f"k{n}") for n in range(width))
        rows = self._text(
            f"SELECT c, {keys} FROM pg_temp.{decision} WHERE replace(c, '0', '') <> '' LIMIT {MOST_CONFLICTS}"
        )
        return disagreements(k, rows)


def _int(value: object) -> int:
    return int(str(value))


def _unfit(table: ObjectId, error: StatementError, columns: Collection[str] = ()) -> RefusedError:
    where = f"{', '.join(columns)} of {table}" if columns else str(table)
    return RefusedError(
        f"Values of {where} that were written since don't fit the schema to return to: {error.message}",
        code="constraint",
        hint="Correct these rows and try again. Nothing was touched.",
    )
