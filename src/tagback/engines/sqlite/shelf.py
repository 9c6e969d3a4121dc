"""The shelf on SQLite: what was done to rows, kept beside the ledger, and merged with what was written since."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId, Restoration
from tagback.engines.conflicts import MOST_CONFLICTS, counts, disagreements
from tagback.engines.merging import (
    CHANGED,
    GONE,
    NEW,
    Side,
    columns_of,
    nothing_given,
    shelf_missing,
    size_of,
)
from tagback.engines.redoing import Redoing
from tagback.engines.room import Room
from tagback.engines.session import Disagreement, KeptColumn, KeptRows, Merge, Redo, Rules, Stood, Unkept
from tagback.engines.sqlite.naming import OWN_PREFIX, folded, quoted
from tagback.engines.sqlite.objects import Table, column_id, is_constant, stored_type
from tagback.engines.sqlite.restoring import among, correction, key_of, never_null, restoration, row_address
from tagback.engines.sqlite.rows import Rows, Start, affinity
from tagback.engines.sqlite.words import Words, digest, digest_of, register, told

_MOST_TIMES = 3  # what is kept of a table may take up so much of all that is there
_THERE = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?"


class Shelf:
    """The shelf's side of one session."""

    def __init__(self, connection: sqlite3.Connection, rows: Rows) -> None:
        self._connection = connection
        self._rows = rows
        register(connection)
        self._merging = Redoing(Words())
        self._temporary: list[str] = []
        self._held: dict[ObjectId, tuple[str, Table]] = {}
        self.room = Room()

    def forget(self) -> None:
        """Drops temporary tables."""
        for name in self._temporary:
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self._temporary.clear()
        self._held.clear()
        self._rows.leaving.clear()

    def _temporary_name(self, what: str) -> str:
        self._temporary.append(f"{OWN_PREFIX}{what}_{len(self._temporary) + 1}")
        return self._temporary[-1]

    # ------------------------------------------------------------------ keeping

    def shelve(
        self,
        label: str,
        before: Catalog,
        after: Catalog,
        names: Mapping[ObjectId, ObjectId],
        ways: Mapping[ObjectId, Mapping[str, str]],
        given: Sequence[KeptRows] | None,
        uncounted: Collection[ObjectId],
    ) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
        """See Session.shelve. What virtual tables hold can't be compared: a write to one is a change of all it held."""
        unkept = tuple(Unkept(table, rows) for table, rows in sorted(self._rows.lost_virtual(before, after).items()))
        kept: list[KeptRows] = []
        for table, begun in sorted(self._rows.starts.items()):
            was = before.objects[table]
            another = table not in names and table in names.values()  # it goes back to another name
            now = None if another else after.objects.get(names.get(table, table))
            assert isinstance(was, Table)
            place = f"{label}_{len(kept) + 1}"
            for expression in ways.get(table, {}).values():
                if isinstance(now, Table):
                    self._connection.execute(f"SELECT ({expression}) FROM main.{quoted(now.name)} LIMIT 0")
            today = now if isinstance(now, Table) else None
            returned = None if given is None else [k for k in given if today is not None and k.table == today.id]
            room = Room() if table in uncounted else self.room
            every = given is not None or table in ways
            found = self._keep(place, was, begun, today, (before, after), names, returned, room, every=every)
            if found.rows or given is not None or table in ways:
                room.take(table, found.bytes)
                kept.append(found)
            else:
                self.drop([place])
        return tuple(kept), unkept

    def _keep(
        self,
        place: str,
        was: Table,
        begun: Start,
        now: Table | None,
        catalogs: tuple[Catalog, Catalog],
        names: Mapping[ObjectId, ObjectId],
        given: Sequence[KeptRows] | None,
        room: Room,
        *,
        every: bool,
    ) -> KeptRows:
        columns = tuple(
            KeptColumn(c.name, stored_type(c, strict=was.strict), c.default or "")
            for c in was.columns
            if not c.generated
        )
        places = _places(was, columns, now, names)
        end = self._side(columns, now, places) if now is not None else None
        alike = [c.name for c in columns if end is None or end.kept[c.name] == end.own.get(c.name)]
        if end is not None and now is not None:
            end = replace(nothing_given(end) if every else end, same=self._same(was, now, places, catalogs))
        key = self._usable_key(was, begun, end, now)
        kept = KeptRows(
            table=was.id,
            place=place,
            columns=columns,
            key=key,
            matched=tuple(alike),
            added=tuple(end.added) if end is not None else (),
            whole=end is None,
            stood=self._stood(now, places, given) if now is not None and given is not None else None,
            positions={key[0]: begun.position} if begun.position and key else {},
        )
        values = {c.name: quoted(c.name) for c in columns}
        start = Side(begun.source, values, values)
        width, count = len(kept.key) or 2, len(columns)
        # SQLite finds rows by an index only where both sides of = convert alike.
        types = {c.name: affinity(c.type) for c in columns}
        keys = [f"k{n} {types[name]}" for n, name in enumerate(kept.key)] or [f"k{n}" for n in range(width)]
        names_there = ["change", *keys, *(f"v{n}" for n in range(count)), "d"]
        names_there += [*(f"b{n}" for n in range(count)), "a", "r"]
        pages = self._pages()
        self._connection.execute(f"CREATE TABLE {_address(place)} ({', '.join(names_there)})")
        found = self._fill(kept, start, end, room)
        returned = {_address(k.place): k for k in given or ()}
        for sql in self._merging.remain(kept, _address(place), returned, start, end):
            self._connection.execute(sql)
        size = (self._pages() - pages) * self._pragma("page_size")
        return replace(kept, gone=found[GONE], new=found[NEW], changed=found[CHANGED], bytes=size)

    def _same(
        self, was: Table, now: Table, places: Mapping[str, str], catalogs: tuple[Catalog, Catalog]
    ) -> frozenset[str]:
        """Columns of the start to which nothing was written, by what identifies them.

        None where rows may have been added, or may have another key, and so another row's values.
        """
        before, after = (c.lineage for c in catalogs)
        if was.id not in self._rows.updated or before[was.id] != after[now.id]:
            return frozenset()
        there = {c: before[column_id(was.name, c)] for c in places}
        unwritten = there.keys() - {c for c, token in there.items() if token in self._rows.updated[was.id]}
        same = frozenset(c for c in unwritten if there[c] == after[column_id(now.name, places[c])])
        return same if same.issuperset(key_of(was)) else frozenset()

    def _fill(self, kept: KeptRows, start: Side, end: Side | None, room: Room) -> Counter[str]:
        """Fills the place, and counts what it has of each."""
        address = _address(kept.place)
        found: Counter[str] = Counter()
        if end is None:
            (sql,) = self._merging.keep(kept, start, end, address)
            found[GONE] = self._put(sql, kept.table, room)
        elif self._only_lost(kept, end):
            found[CHANGED] = self._put(self._merging.keep_lost(kept, start, end, address), kept.table, room)
        elif not kept.key:
            (sql,) = self._merging.keep(kept, start, end, address)
            self._put(sql, kept.table, room)
            found.update(dict(self._connection.execute(f"SELECT change, count(*) FROM {address} GROUP BY change")))
        else:
            there, gone = self._merging.keep(kept, start, end, address)
            put = self._put(there, kept.table, room)
            if not end.same.issuperset(kept.key):
                found[NEW] = self._count(f"{address} WHERE change = '{NEW}'")
            found[CHANGED] = put - found[NEW]
            if self._any_gone(start, end, found[NEW]):
                found[GONE] = self._put(gone, kept.table, room)
        return found

    def _only_lost(self, kept: KeptRows, end: Side) -> bool:
        """Whether columns are gone, and nothing else happened to any row."""
        unwritten = kept.table in self._rows.updated and not self._rows.updated[kept.table]
        return unwritten and end.same == end.own.keys() and kept.stood is None and not kept.added

    def _any_gone(self, start: Side, end: Side, new: int) -> bool:
        """Told by counting: looking for each row of the start takes far longer where all are there."""
        return self._count(start.source) + new != self._count(end.source)

    def _put(self, sql: str, table: ObjectId, room: Room) -> int:
        """Puts rows into a place, measured before where they could be too many; how many it put."""
        if not room.holds(_MOST_TIMES * self._pages() * self._pragma("page_size")):
            sizes = " + ".join(f"coalesce(length({c}), 0)" for c in columns_of(sql) if c[0] in "vb")
            room.check(table, int(self._connection.execute(size_of(sql, sizes or "0")).fetchone()[0]))
        self._connection.execute(sql)
        return int(self._connection.execute("SELECT changes()").fetchone()[0])

    def _count(self, source: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0])

    def _pages(self) -> int:
        """How many of the file's pages are in use."""
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA main.{name}").fetchone()[0])

    def _usable_key(self, was: Table, begun: Start, end: Side | None, now: Table | None) -> tuple[str, ...]:
        """The primary key's columns, if they tell rows apart at both ends. A rowid table's key may hold NULL, many times.

        At the end they may do so without being a key any more.
        """
        key = key_of(was)
        sides = [(begun.source, [quoted(c) for c in key], was)]
        if end is not None and now is not None:
            if not all(c in end.own and end.kept[c] for c in key):
                return ()
            sides.append((end.source, [end.own[c] for c in key], now))
        for source, columns, table in sides:
            if end is not None and set(columns) != {quoted(c) for c in key_of(table)}:
                return key if self._told_apart(source, [end.kept[c] for c in key]) else ()
            unsure = " OR ".join(f"{c} IS NULL" for c in columns) if not never_null(table) else ""
            if unsure and self._connection.execute(f"SELECT 1 FROM {source} WHERE {unsure} LIMIT 1").fetchone():
                return ()
        return key

    def _told_apart(self, source: str, values: Sequence[str]) -> bool:
        missing = " OR ".join(f"{v} IS NULL" for v in values)
        together = ", ".join(f"{v} COLLATE BINARY" for v in values)
        twice = f"SELECT 1 FROM {source} GROUP BY {together} HAVING count(*) > 1 OR max({missing}) LIMIT 1"
        return bool(values) and self._connection.execute(twice).fetchone() is None

    def _stood(self, now: Table, places: Mapping[str, str], given: Sequence[KeptRows]) -> Stood:
        return Stood(now.id, places, self.digest(now), sum(k.new for k in given))

    def digest(self, table: Table) -> str:
        """See Session.digests. A sum is the same in whatever order the rows come."""
        names = [quoted(name) for name in sorted(c.name for c in table.columns if not c.generated)]
        count = total = 0
        for row in self._connection.execute(f"SELECT {', '.join(map(told, names))} FROM main.{quoted(table.name)}"):
            count, total = count + 1, total + int.from_bytes(digest_of(row), "big")
        return f"{digest(*names)} {count} {total % 2**128:032x}"

    def set_aside(self, table: Table) -> None:
        """See Session.hold."""
        copy = self._temporary_name("held")
        columns = ", ".join(quoted(c.name) for c in table.columns)
        self._connection.execute(f"CREATE TEMP TABLE {copy} AS SELECT {columns} FROM main.{quoted(table.name)}")
        self._held[table.id] = (copy, table)

    def drop(self, places: Collection[str]) -> None:
        """See Session.drop_shelf."""
        for place in sorted(places):
            self._connection.execute(f"DROP TABLE IF EXISTS {_address(place)}")

    # ------------------------------------------------------------------ a table seen as the start's columns

    def _side(self, start: Sequence[KeptColumn], now: Table, places: Mapping[str, str], copy: str = "") -> Side:
        """`places`: today's column for each of the start's that is there. Affinity converts as values are stored.

        `copy` has the rows, if the table hasn't; they have no address then.
        """
        today = {c.name: c for c in now.columns}
        kept = {c.name: quoted(places[c.name]) if c.name in places else "NULL" for c in start}
        own = {
            c.name: quoted(places[c.name]) for c in start if c.name in places and not today[places[c.name]].generated
        }
        used = set(places.values())
        added = {c.name: quoted(c.name) for c in now.columns if c.name not in used and not c.generated}
        address = row_address(now) if not copy else []
        made = {}
        for c in start:
            if c.name not in places:
                if c.default and not is_constant(c.default):
                    kept[c.name] = ""
                elif c.default:
                    kept[c.name] = self._given(c)
            elif affinity(c.type) != affinity(stored_type(today[places[c.name]], strict=now.strict)):
                made[c.name] = affinity(c.type)
        source = f"temp.{copy}" if copy else f"main.{quoted(now.name)}"
        if made:
            source = self._converted(source, now, made, places, address)
            kept = {c: _extra("value", list(made).index(c)) if c in made else v for c, v in kept.items()}
            address = [_extra("address", n) for n in range(len(address))]
        return Side(source, kept, own, added, tuple(address))

    def _given(self, column: KeptColumn) -> str:
        """What rows get that are there when the column is added, as it would be stored."""
        name = f"temp.{self._temporary_name('given')}"
        self._connection.execute(f"CREATE TABLE {name} (v {affinity(column.type)} DEFAULT {column.default})")
        self._connection.execute(f"INSERT INTO {name} DEFAULT VALUES")
        return f"(SELECT v FROM {name})"

    def _converted(
        self, source: str, now: Table, made: Mapping[str, str], places: Mapping[str, str], address: Sequence[str]
    ) -> str:
        """Copies the table with further columns of the start's affinities, and gives the copy's name."""
        name = f"temp.{self._temporary_name('shape')}"
        columns = [quoted(c.name) for c in now.columns]
        typed = [
            f"{quoted(c.name)} "
            + ("INTEGER PRIMARY KEY" if c.key and now.has_integer_key else affinity(stored_type(c, strict=now.strict)))
            for c in now.columns
        ]
        addresses = [_extra("address", n) for n in range(len(address))]
        values = [f"{_extra('value', n)} {kind}" for n, kind in enumerate(made.values())]
        self._connection.execute(f"CREATE TABLE {name} ({', '.join([*typed, *addresses, *values])})")
        there = {_extra("value", n): quoted(places[c]) for n, c in enumerate(made)}
        into, taken = [*columns, *addresses, *there], [*columns, *address, *there.values()]
        self._connection.execute(f"INSERT INTO {name} ({', '.join(into)}) SELECT {', '.join(taken)} FROM {source}")
        return name

    # ------------------------------------------------------------------ giving back

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        """See Session.merge."""
        self._rows.leaving.clear()
        rows: dict[ObjectId, Restoration] = {}
        restored: dict[ObjectId, int] = {}
        conflicts: list[Disagreement] = []
        total = 0
        for k in kept:
            if not self._connection.execute(_THERE, (OWN_PREFIX + k.place,)).fetchone():
                raise shelf_missing(k, OWN_PREFIX + k.place)
            now, then = live.objects.get(k.table), target.objects[k.table]
            assert isinstance(then, Table)
            today = self._today(k, now, then, names) if isinstance(now, Table) else None
            decision = self._temporary_name("merge")
            given = rules.get(k.place, Rules())
            rule = replace(given, back={c: f"({expression})" for c, expression in given.back.items()})
            if rule.redo is not None and today is not None:
                query = self._merging.again(k, _address(k.place), today, self._began(k, rule.redo), rule.redo)
            else:
                query = self._merging.decide(k, _address(k.place), today, rule)
            self._connection.execute(f"CREATE TEMP TABLE {decision} AS {query}")
            moving, staying, in_conflict = self._connection.execute(counts(f"temp.{decision}")).fetchone()
            if moving and isinstance(now, Table) and not rule.redo:
                self._rows.leaving[k.table] = f"NOT {among(now, f'temp.{decision} WHERE moves = 1')}"
            if moving:
                # Foreign keys are enforced while the user's statements run: a row that went would take its children along.
                enforced = self._connection.execute("PRAGMA foreign_keys").fetchone()[0]
                if rule.redo and enforced and isinstance(now, Table):
                    rows[k.table] = correction(k, now, decision)
                else:
                    rows[k.table] = restoration(k, then, now if isinstance(now, Table) else None, today, decision)
            if staying:
                restored[k.table] = staying
            total += in_conflict
            if in_conflict and len(conflicts) < MOST_CONFLICTS:
                conflicts += self._conflicts(k, decision)
        return Merge(rows, restored, tuple(conflicts[:MOST_CONFLICTS]), total)

    def _today(self, k: KeptRows, now: Table, then: Table, names: Mapping[ObjectId, ObjectId]) -> Side:
        there = {folded(c.name): c.name for c in now.columns}
        places = {c: there[folded(c)] for c in k.names if folded(c) in there}
        side = self._side(k.columns, now, places)
        added = {}
        for name in k.added:
            at_end = column_id(now.name, name)
            today = names.get(at_end, at_end).name[-1]
            if today in side.added:
                added[name] = side.added[today]
        known = {folded(c) for c in k.names}
        stored = {folded(c.name): c.name for c in now.columns if not c.generated}
        staying = {
            c.name: quoted(stored[folded(c.name)])
            for c in then.columns
            if not c.generated and folded(c.name) in stored.keys() - known
        }
        return replace(side, added=added, staying=staying)

    def _began(self, k: KeptRows, redo: Redo) -> Side | None:
        """The table as it was before the changesets ran again, seen as the kept columns."""
        if redo.stood is None or redo.stood.table not in self._held:
            return None
        copy, table = self._held[redo.stood.table]
        return self._side(k.columns, table, redo.stood.columns, copy)

    def _conflicts(self, k: KeptRows, decision: str) -> list[Disagreement]:
        keys = ", ".join(_readable(f"k{n}") for n in range(len(k.key) or 2))
        self._connection.text_factory = lambda text: text.decode(errors="replace")  # SQLite doesn't insist on UTF-8
        try:
            rows = self._connection.execute(
                f"SELECT c, {keys} FROM temp.{decision} WHERE replace(c, '0', '') <> '' LIMIT {MOST_CONFLICTS}"
            )
            return disagreements(k, rows)
        finally:
            self._connection.text_factory = str


def _places(
    was: Table, columns: Sequence[KeptColumn], now: Table | None, names: Mapping[ObjectId, ObjectId]
) -> dict[str, str]:
    """Today's name of each of the start's columns that is still there."""
    if now is None:
        return {}
    current = {folded(c.name): c.name for c in now.columns}
    given = {folded(i.name[1]) for i in names.values() if i.kind == "column" and i.name[0] == now.name}
    places = {}
    for c in columns:
        i = column_id(was.name, c.name)
        if i not in names and folded(c.name) in given:
            continue  # what has this name now goes back to another one
        name = folded(names.get(i, i).name[1])
        if name in current:
            places[c.name] = current[name]
    return places


def _readable(value: str) -> str:
    """A value as a person reads it: bytes that may be no text as SQL says them."""
    return f"CASE typeof({value}) WHEN 'blob' THEN 'x''' || hex({value}) || '''' ELSE CAST({value} AS TEXT) END"


def _extra(what: str, number: int) -> str:
    return f"{OWN_PREFIX}{what}_{number}"


def _address(place: str) -> str:
    return f"main.{quoted(OWN_PREFIX + place)}"
