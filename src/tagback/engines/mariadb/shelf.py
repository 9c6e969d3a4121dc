"""The shelf on MariaDB: what was done to rows, kept beside the ledger, and merged with what was written since."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tagback.catalog import Catalog, ObjectId, Restoration
from tagback.engines.conflicts import MOST_CONFLICTS, counts, disagreements
from tagback.engines.kept import told
from tagback.engines.mariadb.bags import NUMBER, Bag, found_by, gather
from tagback.engines.mariadb.columns import kept_columns, key_columns, places_of, shelf_type, stored_columns, type_of
from tagback.engines.mariadb.copies import Copies, Copy
from tagback.engines.mariadb.kinds.base import column_id
from tagback.engines.mariadb.kinds.column import Column
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.meanwhile import Decided, Meanwhile
from tagback.engines.mariadb.restoring import restoration
from tagback.engines.mariadb.rows import digest
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, key_index, literal
from tagback.engines.mariadb.words import Words, exactly, is_rounded
from tagback.engines.merging import (
    CHANGED,
    GONE,
    NEW,
    Side,
    nothing_given,
    shelf_missing,
)
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

Ask = Callable[..., list[tuple[Any, ...]]]
_THERE = "SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = %s"
_SIZE = "SELECT coalesce(sum(data_length), 0) FROM information_schema.tables WHERE table_schema = database() AND table_name = %s"
_ASCII = "CHARACTER SET ascii COLLATE ascii_bin"


class Shelf:
    """The shelf's side of one session. All of it runs in tagback's own settings."""

    def __init__(self, ask: Ask, copies: Copies) -> None:
        self._ask = ask
        self._copies = copies
        self._merging = Redoing(Words(), seen=True)
        self._temporary: list[str] = []
        self._filled: set[str] = set()
        self._made = 0
        self.meanwhile = Meanwhile(ask, self._name)
        self._places: dict[ObjectId, str] = {}
        self._decided: dict[ObjectId, list[Decided]] = {}
        self.outlasting: list[str] = []  # decisions in tables that outlive the session
        self.leaving: dict[ObjectId, str] = {}  # what holds for rows `t` that a merge gives other values
        self.room = Room()

    def forget(self) -> None:
        """The stage is over: drops the temporary tables of merges."""
        for name in self._temporary:
            self._ask(f"DROP TEMPORARY TABLE IF EXISTS {ident(name)}")
        self._temporary.clear()
        self._places.clear()
        self._decided.clear()
        self.outlasting.clear()
        self.leaving.clear()

    def catch_up(self) -> None:
        """What is set aside follows, once in a stage, what others have written until its copies are made."""
        if not self.meanwhile.caught_up and self._copies.starts:
            self.meanwhile.caught_up = True
            self._copies.complete()
            self.meanwhile.catch_up(self._copies.starts)

    def take_up(self, label: str) -> None:
        """A stage goes on whose copies an earlier run left: what that had decided holds."""
        self._decided = self.meanwhile.decisions(label)
        self.outlasting = [one.name for some in self._decided.values() for one in some]

    def settle(self) -> None:
        """What was put into places stands; those that nothing was put into go."""
        self._copies.garbage += [OWN_PREFIX + place for place in self._places.values() if place not in self._filled]
        self._places.clear()
        self._filled.clear()

    def abandon(self) -> None:
        """The stage is over and came to nothing: its places go."""
        for place in self._places.values():
            self._ask(f"DROP TABLE IF EXISTS {_address(place)}")
        self.forget()

    def _name(self, what: str) -> str:
        self._made += 1
        return f"{OWN_PREFIX}{what}_{self._made}"

    def _temporary_name(self, what: str) -> str:
        self._temporary.append(self._name(what))
        return self._temporary[-1]

    # ------------------------------------------------------------------ keeping

    def make_places(self, label: str, tables: Collection[ObjectId], before: Catalog) -> None:
        """Makes the tables for what will have been done to these: to make one ends a transaction."""
        for i in sorted(tables - self._places.keys()):
            table = before.objects[i]
            if not isinstance(table, Table):
                continue
            place = f"{label}_{len(self._places) + 1}"
            columns = kept_columns(table)
            types = [shelf_type(c) for c in key_columns(table)] or [f"CHAR(32) {_ASCII}", f"CHAR(20) {_ASCII}"]
            keys = [f"k{n} {type_}" for n, type_ in enumerate(types)]
            values = [f"v{n} {shelf_type(c)}" for n, c in enumerate(stored_columns(table))]
            bases = [
                f"b{n} VARCHAR(64) {_ASCII}" if len(columns) < 100 else f"b{n} TEXT {_ASCII}"
                for n in range(len(columns))
            ]
            made = [f'"change" CHAR(8) {_ASCII} NOT NULL', *keys, *values, f"d TEXT {_ASCII}", *bases]
            made += [f"a CHAR(32) {_ASCII}", f"r CHAR(32) {_ASCII}", *key_index(types)]
            self._ask(f"DROP TABLE IF EXISTS {_address(place)}")
            comment = literal(told(i, [c.name for c in key_columns(table)], [c.name for c in columns]))
            self._ask(f"CREATE TABLE {_address(place)} ({', '.join(made)}) ENGINE=InnoDB COMMENT={comment}")
            self._places[i] = place

    def shelve(
        self,
        before: Catalog,
        after: Catalog,
        names: Mapping[ObjectId, ObjectId],
        ways: Mapping[ObjectId, Mapping[str, str]],
        given: Sequence[KeptRows] | None,
        uncounted: Collection[ObjectId],
        *,
        lasting: bool,
    ) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
        """See Session.shelve. Places that stay empty are dropped when the transaction is over.

        `lasting`: nothing but the decisions of merges has changed rows, and others could write meanwhile.
        """
        kept: list[KeptRows] = []
        for table, start in sorted(self._copies.starts.items()):
            place = self._places[table]
            if not start.whole:
                continue  # what was to be done to it was never begun
            another = table not in names and table in names.values()
            found = None if another else after.objects.get(names.get(table, table))
            now = found if isinstance(found, Table) else None
            by_itself = now is not None and lasting and not start.end
            copy = self._without_others(start, now, names) if by_itself and now is not None else start
            self._copies.starts[table] = copy
            for expression in ways.get(table, {}).values():
                if now is not None:
                    self._ask(f"SELECT ({expression}) FROM {now.address} LIMIT 0")
            room = Room() if table in uncounted else self.room
            returned = None if given is None else [k for k in given if now is not None and k.table == now.id]
            entry = self._keep(place, copy, now, names, returned, every=given is not None or table in ways)
            if entry.rows or given is not None or table in ways:
                room.take(table, entry.bytes)
                kept.append(entry)
                self._filled.add(place)
        return tuple(kept), ()

    def _without_others(self, copy: Copy, now: Table, names: Mapping[ObjectId, ObjectId]) -> Copy:
        """Counts what others wrote since the copy was made as written before it."""
        made = self.meanwhile.found(copy, now, self._decided.get(now.id, ()), names)
        self._temporary += [made] if made else []
        return replace(copy, end=made)

    def _keep(
        self,
        place: str,
        copy: Copy,
        now: Table | None,
        names: Mapping[ObjectId, ObjectId],
        given: Sequence[KeptRows] | None,
        *,
        every: bool,
    ) -> KeptRows:
        was = copy.table
        columns = kept_columns(was)
        places = places_of(was.id, columns, now, names)
        lost = {c.name: self._given(c) for c in stored_columns(was) if now is not None and c.name not in places}
        end = self._side(columns, now, places, lost, copy.end) if now is not None else None
        if end is not None and every:
            end = nothing_given(end)
        retyped = {
            c.name for c in columns if now is not None and c.name in places and type_of(now, places[c.name]) != c.type
        }
        alike = [c.name for c in columns if end is None or (c.name in places and c.name not in retyped)]
        key = tuple(c.name for c in key_columns(was))
        usable = key if end is None or set(key) <= set(places) else ()
        kept = KeptRows(
            table=was.id,
            place=place,
            columns=columns,
            key=usable,
            matched=tuple(alike),
            added=tuple(end.added) if end is not None else (),
            whole=end is None,
            stood=self._stood(now, places, given, copy.end) if now is not None and given is not None else None,
        )
        values = {c.name: exactly(c.type, ident(c.name)) for c in columns}
        start = Side(ident(copy.name), values, values)
        self._fit_keys(place, usable, key)
        for sql in self._merging.keep(kept, start, end, _address(place)):
            self._ask(sql)
        returned = {_address(k.place): k for k in given or ()}
        for sql in self._merging.remain(kept, _address(place), returned, start, end):
            self._ask(sql)
        self._note_given(place, kept, lost)
        found = {
            str(which): int(n) for which, n in self._ask(f'SELECT "change", count(*) FROM {_address(place)} GROUP BY 1')
        }
        size = int(self._ask(_SIZE, (OWN_PREFIX + place,))[0][0]) if found else 0
        return replace(kept, gone=found.get(GONE, 0), new=found.get(NEW, 0), changed=found.get(CHANGED, 0), bytes=size)

    def _fit_keys(self, place: str, usable: tuple[str, ...], key: tuple[str, ...]) -> None:
        """The place was made for rows with a key; where that went they are told apart by what is in them."""
        if key and not usable:
            drops = [f"DROP COLUMN k{n}" for n in range(len(key))]
            adds = [f"ADD COLUMN k0 CHAR(32) {_ASCII}", f"ADD COLUMN k1 CHAR(20) {_ASCII}"]
            self._ask(f"ALTER TABLE {_address(place)} {', '.join([*drops, *adds])}")

    def _note_given(self, place: str, kept: KeptRows, lost: Mapping[str, str]) -> None:
        """For columns that are gone: what they have once they are there again, so that a value written then is told apart."""
        bases = [f"b{n} = {Words().base(lost[c])}" for n, c in enumerate(kept.names) if lost.get(c)]
        if bases:
            self._ask(f"UPDATE {_address(place)} SET {', '.join(bases)} WHERE \"change\" = '{CHANGED}'")

    def _given(self, column: Column) -> str:
        """What rows get that are there when the column is added, tried out; empty where each gets another value."""
        if column.numbered or (column.default is not None and "(" in column.default):
            return ""
        name = self._temporary_name("given")
        try:
            self._ask(
                f"CREATE TEMPORARY TABLE {ident(name)} ({ident(OWN_PREFIX)} INT, {column.definition}) ENGINE=InnoDB"
            )
            self._ask(f"INSERT IGNORE INTO {ident(name)} ({ident(OWN_PREFIX)}) VALUES (1)")
        except StatementError as e:
            if e.lost or e.retryable:
                raise
            return ""
        return f"(SELECT {exactly(column.stored_type, ident(column.name))} FROM {ident(name)})"

    def _stood(self, now: Table, places: Mapping[str, str], given: Sequence[KeptRows], end: str) -> Stood:
        return Stood(
            now.id, places, digest(self._ask, now, ident(end) if end else now.address), sum(k.new for k in given)
        )

    def digest(self, table: Table) -> str:
        """See Session.digests."""
        aside = self.meanwhile.get(table.id)
        return digest(self._ask, aside.table if aside else table, ident(aside.copy) if aside else table.address)

    def drop(self, places: Collection[str]) -> None:
        """See Session.drop_shelf: when the transaction is over."""
        self._copies.garbage += [OWN_PREFIX + place for place in sorted(places)]

    # ------------------------------------------------------------------ a table seen as the start's columns

    def _side(
        self,
        start: Sequence[KeptColumn],
        now: Table,
        places: Mapping[str, str],
        lost: Mapping[str, str] | None = None,
        copy: str = "",
        *,
        deciding: bool = False,
    ) -> Side:
        """`places`: today's column for each of the start's that is there. `copy` has the rows, if the table hasn't.

        `deciding`: today's value is wanted even where it can't be told whether the way back gives the start's.
        """
        today = {c.name: c for c in now.columns}
        own = {
            c.name: exactly(today[places[c.name]].type, ident(places[c.name]))
            for c in start
            if c.name in places and not today[places[c.name]].generated
        }
        kept = {}
        for c in start:
            if c.name not in places:
                kept[c.name] = (lost or {}).get(c.name, "NULL" if deciding else "")
                continue
            other = today[places[c.name]]
            unsure = other.stored_type != c.type and (is_rounded(other.type) != is_rounded(c.type))
            kept[c.name] = "" if unsure and not deciding else exactly(other.type, ident(other.name))
        used = set(places.values())
        added = {c.name: exactly(c.type, ident(c.name)) for c in now.columns if c.name not in used and not c.generated}
        return Side(ident(copy) if copy else now.address, kept, own, added)

    # ------------------------------------------------------------------ giving back

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
        lasting: str = "",
    ) -> Merge:
        """See Session.merge. `lasting`: the label of a stage whose decisions are to outlive the session."""
        given_back: dict[ObjectId, Restoration] = {}
        restored: dict[ObjectId, int] = {}
        conflicts: list[Disagreement] = []
        total = 0
        for k in kept:
            if not self._ask(_THERE, (OWN_PREFIX + k.place,)):
                raise shelf_missing(k, OWN_PREFIX + k.place)
            now, then = live.objects.get(k.table), target.objects[k.table]
            assert isinstance(then, Table)
            bag = self._bag(k, now, then) if isinstance(now, Table) else None
            today = self._today(k, now, then, names, bag) if isinstance(now, Table) else None
            decision = f"{OWN_PREFIX}{lasting}_merge_{len(self.outlasting) + 1}"
            given = rules.get(k.place, Rules())
            rule = replace(given, back={c: f"({expression})" for c, expression in given.back.items()})
            if rule.redo is not None and today is not None:
                if bag is None and rule.redo.stood is not None:
                    rows = self.meanwhile.seen(k.table, rule.redo.stood.table, self._copies.starts)
                    today = replace(today, source=ident(rows) if rows else today.source)
                query = self._merging.again(k, _address(k.place), today, self._began(k, then, rule.redo), rule.redo)
            else:
                query = self._merging.decide(k, _address(k.place), today, rule)
            keyed = " (KEY (a0))" if bag is not None else ""
            seen, form = self._merging.seen(k, today), f"{keyed} ENGINE=InnoDB"
            if lasting and self.meanwhile.keep_decision(decision, k, seen, form, query):
                self.outlasting.append(decision)
            else:
                decision = self._temporary_name("merge")
                self._ask(f"CREATE TEMPORARY TABLE {ident(decision)}{form} AS {query}")
            ((moving, staying, in_conflict),) = self._ask(counts(ident(decision)))
            if moving and bag is not None:
                self._ask(bag.moved(ident(decision)))
            elif moving and today is not None:
                found = " AND ".join(f"d.a{n} = t.{a}" for n, a in enumerate(today.address))
                self.leaving[k.table] = f"EXISTS (SELECT 1 FROM {ident(decision)} d WHERE d.moves = 1 AND {found})"
            if moving:
                found_now = now if isinstance(now, Table) else None
                changed, come_or_go = self._changed(k, rule), self._come_or_go(decision, today)
                standing = not rule.restore
                given_back[k.table] = restoration(
                    k, found_now, then, today, decision, changed, bag, come_or_go=come_or_go, standing=standing
                )
                self._decided.setdefault(k.table, []).append(Decided(decision, k.names, seen))
            if staying:
                restored[k.table] = int(staying)
            total += int(in_conflict)
            if in_conflict and len(conflicts) < MOST_CONFLICTS:
                conflicts += self._conflicts(k, decision)
        return Merge(given_back, restored, tuple(conflicts[:MOST_CONFLICTS]), total)

    def _come_or_go(self, decision: str, today: Side | None) -> bool:
        if today is None:
            return True
        query = f"SELECT 1 FROM {ident(decision)} WHERE moves = 1 AND (stays = 0 OR a0 IS NULL) LIMIT 1"
        return bool(self._ask(query))

    def _changed(self, k: KeptRows, rule: Rules) -> list[bool]:
        """For each column whether any row may get another value in it."""
        if rule.redo is not None or k.whole or (rule.restore and k.gone):
            return [True] * len(k.columns)
        digits = [f"coalesce(max(substr(d, {n + 1}, 1)), '0')" for n in range(len(k.columns))]
        (row,) = self._ask(f"SELECT {', '.join(digits)} FROM {_address(k.place)} WHERE \"change\" = '{CHANGED}'")
        given = {name for digit, name in zip(row, k.names, strict=True) if digit == "1"} | rule.back.keys()
        return [name in given - rule.passing for name in k.names]

    def _bag(self, k: KeptRows, now: Table, then: Table) -> Bag | None:
        """The table's rows by number, where no key finds them again."""
        if found_by(now, then, k.names):
            return None
        return gather(self._ask, now, then, self._temporary_name("rows"), self._temporary_name("alike"))

    def _today(self, k: KeptRows, now: Table, then: Table, names: Mapping[ObjectId, ObjectId], bag: Bag | None) -> Side:
        there = {c.name.lower(): c.name for c in now.columns}
        places = {c: there[c.lower()] for c in k.names if c.lower() in there}
        side = self._side(k.columns, now, places, deciding=True)
        lost = {c.name: self._given(c) for c in stored_columns(then) if c.name not in places and c.name in k.names}
        side = replace(side, kept={c: v if c in places else lost.get(c) or "NULL" for c, v in side.kept.items()})
        added = {}
        for name in k.added:
            at_end = column_id(now.id.name[0], name)
            today = names.get(at_end, at_end).name[-1]
            if today in side.added:
                added[name] = side.added[today]
        if bag is not None:
            own = {c.name: exactly(c.type, ident(c.name)) for c in now.columns}
            staying = {c: own[c] for c in bag.columns if c not in k.names}
            return replace(side, source=bag.rows, address=(NUMBER,), added=added, staying=staying)
        return replace(side, added=added, address=tuple(map(ident, now.key)))

    def _began(self, k: KeptRows, then: Table, redo: Redo) -> Side | None:
        """The table as it was before the changesets ran again, seen as the kept columns."""
        aside = self.meanwhile.get(redo.stood.table) if redo.stood is not None else None
        if redo.stood is None or aside is None:
            return None
        made = (c for c in stored_columns(then) if c.name in k.names and c.name not in redo.stood.columns)
        lost = {c.name: self._given(c) or "NULL" for c in made}
        return self._side(k.columns, aside.table, redo.stood.columns, lost, aside.copy, deciding=True)

    def _conflicts(self, k: KeptRows, decision: str) -> list[Disagreement]:
        keys = ", ".join(f"CAST(k{n} AS CHAR)" for n in range(len(k.key) or 2))
        rows = self._ask(
            f"SELECT c, {keys} FROM {ident(decision)} WHERE replace(c, '0', '') <> '' LIMIT {MOST_CONFLICTS}"
        )
        return disagreements(k, rows)


def _address(place: str) -> str:
    return ident(OWN_PREFIX + place)
