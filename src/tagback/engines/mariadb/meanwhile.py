"""What others write to a table between the statements of a deployment, put into the copy of how it was before these.

Between what one statement left and what the next one finds, every difference is others'. It counts as written before the
statements ran: a redo leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tagback.catalog import Catalog, ObjectId
from tagback.engines.mariadb.copies import LEFT_OVER, Copy, key_text, stored
from tagback.engines.mariadb.kinds.base import column_id
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, idents, literal
from tagback.engines.mariadb.words import Words, as_bytes, exactly
from tagback.engines.session import KeptRows

Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(slots=True)
class Aside:
    """A table that was set aside.

    `copy` is its copy, and `table` what it was then. `now` is the table today, None when it is gone, and `columns` today's
    name of each of the copy's that is there. `left` is a copy, with the same names for its columns, of what the last
    statement that touched it left, and `known` are its columns; empty when none has touched it yet.
    """

    copy: str
    table: Table
    now: Table | None
    columns: dict[str, str]
    left: str = ""
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decided:
    """What a merge does to a table's rows: the temporary table with the decisions, and the names of f0 …

    `seen` are the names of columns of which it tells in q0 … what was there.
    """

    name: str
    columns: tuple[str, ...]
    seen: frozenset[str]


_DECIDED = "tagback: decided "
_LONGEST_COMMENT = 2048  # characters


class Meanwhile:
    """Everything that is set aside, by what its table was called then. `name` gives names for temporary tables."""

    def __init__(self, ask: Ask, name: Callable[[str], str]) -> None:
        self._ask = ask
        self._name = name
        self._asides: dict[ObjectId, Aside] = {}
        self._fresh: set[ObjectId] = set()
        self.caught_up = False

    def begin_stage(self) -> None:
        """Another stage begins."""
        self._fresh.clear()
        self.caught_up = False

    def get(self, table: ObjectId) -> Aside | None:
        """What was set aside of it."""
        return self._asides.get(table)

    def set_aside(self, table: Table) -> None:
        """Copies it, and locks its rows until the transaction is over."""
        self._drop(self._asides.get(table.id))
        copy = self._copied("held", table, table.address, {c: c for c in stored(table)}, lock=True)
        self._asides[table.id] = Aside(copy, table, table, {c: c for c in stored(table)})
        self._fresh.add(table.id)

    def seen(self, table: ObjectId, stood: ObjectId, starts: Mapping[ObjectId, Copy]) -> str:
        """A copy with the rows of today's table at the moment up to which the one that was set aside has caught up.

        `stood`: what it was called when it was set aside. Empty where there is none.
        """
        aside = self._asides.get(stood)
        if aside is not None and stood in self._fresh:
            return aside.copy
        start = starts.get(table)
        return start.name if start is not None and start.whole else ""

    def forget(self) -> None:
        """Drops the copies."""
        for aside in self._asides.values():
            self._drop(aside)
        self._asides.clear()

    def catch_up(self, starts: Mapping[ObjectId, Copy]) -> None:
        """Puts into the copies what others wrote until these were made. They are of today's tables."""
        for aside in self._asides.values():
            start = starts.get(aside.now.id) if aside.now is not None else None
            if start is not None and start.whole:
                self._follow(aside, start.name)
                self._leave(aside, ident(start.name), aside.columns)

    def found(self, start: Copy, now: Table, decided: Sequence[Decided], names: Mapping[ObjectId, ObjectId]) -> str:
        """A copy of the table as it is, whose rows are locked from here on; and what others did is put into `start`.

        Empty, with nothing done, where no key tells rows apart. All that was done to rows since is what was decided.
        """
        types = {c.name: c.stored_type for c in now.columns if not c.generated}
        columns = {c: _today(start.table.id, c, names) for c in stored(start.table)}
        columns = {c: there for c, there in columns.items() if there in types}
        key = start.table.key
        if not key or not {*key} <= columns.keys():
            return ""
        found = self._copied("found", now, now.address, {c: c for c in stored(now)}, lock=True)
        others = {c.name: c.stored_type for c in start.table.columns if c.name in columns}
        turned = {c: types[columns[c]] for c, type_ in others.items() if types[columns[c]] != type_}
        led = self._copied("led", start.table, ident(start.name), {c: c for c in columns}, turned)
        for one in decided:
            self._lead(led, one, key, {c: there for c, there in columns.items() if there in one.columns})
        aside = Aside(start.name, start.table, now, columns, led, frozenset(columns))
        self._follow(aside, found)
        self._ask(f"DROP TEMPORARY TABLE {ident(led)}")
        return found

    def keep_decision(self, name: str, kept: KeptRows, seen: frozenset[str], form: str, query: str) -> bool:
        """Has a decision in a table that says what it is about: whoever takes up the stage needs it.

        False, with nothing done, where a table's comment has no room for so many columns.
        """
        told = _DECIDED + msgspec.json.encode((kept.table.name[0], kept.names, sorted(seen))).decode()
        if len(told) > _LONGEST_COMMENT:
            return False
        self._ask(f"DROP TABLE IF EXISTS {ident(name)}")
        self._ask(f"CREATE TABLE {ident(name)} {form} COMMENT={literal(told)} AS {query}")
        return True

    def decisions(self, label: str) -> dict[ObjectId, list[Decided]]:
        """Those that an earlier run of the stage left, by table."""
        found: dict[ObjectId, list[Decided]] = {}
        for name, comment in self._ask(LEFT_OVER, (f"{OWN_PREFIX}{label}\\_merge\\_%",)):
            if comment.startswith(_DECIDED):
                form = tuple[str, tuple[str, ...], frozenset[str]]
                table, columns, seen = msgspec.json.decode(comment[len(_DECIDED) :], type=form)
                found.setdefault(ObjectId("table", (table,)), []).append(Decided(name, columns, seen))
        return found

    def _lead(self, rows: str, decided: Decided, key: Sequence[str], columns: Mapping[str, str]) -> None:
        """Does to a copy what was decided. The key's columns find a row by where it is today."""
        new = {c: f"d.f{decided.columns.index(there)}" for c, there in columns.items()}
        place = " AND ".join(f"r.{ident(c)} = d.a{n}" for n, c in enumerate(key))
        table, source = ident(rows), ident(decided.name)
        self._ask(f"DELETE r FROM {table} r JOIN {source} d ON {place} WHERE d.moves = 1 AND d.stays = 0")
        if not new:
            return
        given = ", ".join(
            f"r.{ident(c)} = "
            + (
                f"IF({as_bytes(v)} <=> {as_bytes(v.replace('d.f', 'd.q'))}, r.{ident(c)}, {v})"
                if columns[c] in decided.seen
                else v
            )
            for c, v in new.items()
        )
        self._ask(f"UPDATE IGNORE {table} r JOIN {source} d ON {place} SET {given} WHERE d.moves = 1 AND d.stays = 1")
        self._ask(
            f"INSERT IGNORE INTO {table} ({idents(new)}) SELECT {', '.join(new.values())} FROM {source} d"
            " WHERE d.moves = 1 AND d.stays = 1 AND d.a0 IS NULL"
        )

    def stage_over(self, starts: Mapping[ObjectId, Copy], after: Catalog, names: Mapping[ObjectId, ObjectId]) -> None:
        """A stage has touched the tables of which these are the copies; `names` are today's of what it renamed."""
        self.catch_up(starts)
        for aside in self._asides.values():
            if aside.now is None:
                continue
            before = aside.now
            found = after.objects.get(names.get(before.id, before.id))
            taken = before.id not in names and before.id in names.values()
            aside.now = found if isinstance(found, Table) and not taken else None
            there = {*stored(aside.now)} if aside.now is not None else set()
            today = {c: _today(before.id, name, names) for c, name in aside.columns.items()}
            aside.columns = {c: name for c, name in today.items() if name in there}
            start = starts.get(before.id)
            if start is None or not start.whole or aside.now is None:
                continue
            if start.end:
                self._leave(aside, ident(start.end), aside.columns)
            elif before.id == aside.now.id or stored(before) != stored(aside.now):
                self._leave(aside, aside.now.address, aside.columns)
            # One that was only renamed has the rows that it had.

    def _leave(self, aside: Aside, source: str, columns: Mapping[str, str]) -> None:
        if aside.left:
            self._ask(f"DROP TEMPORARY TABLE IF EXISTS {ident(aside.left)}")
        aside.left = self._copied("left", aside.table, source, columns)
        aside.known = frozenset(columns)

    def _follow(self, aside: Aside, found: str) -> None:
        """`found`: a copy of today's table."""
        if not aside.left:
            names = [c for c in stored(aside.table) if c in aside.columns]
            self._ask(f"DELETE FROM {ident(aside.copy)}")
            self._ask(
                f"INSERT INTO {ident(aside.copy)} ({idents(names)})"
                f" SELECT {idents(aside.columns[c] for c in names)} FROM {ident(found)}"
            )
            return
        both = [c for c in stored(aside.table) if c in aside.columns and c in aside.known]
        key = aside.table.key
        if not key or not {*key} <= {*both}:
            return  # what others wrote to rows that nothing tells apart can't be told from what the statements did
        copy, left, new = ident(aside.copy), ident(aside.left), ident(found)
        today = {c: f"f.{ident(aside.columns[c])}" for c in both}
        z_l = " AND ".join(f"z.{ident(c)} = l.{ident(c)}" for c in key)
        z_f = " AND ".join(f"z.{ident(c)} = {today[c]}" for c in key)
        l_f = " AND ".join(f"l.{ident(c)} = {today[c]}" for c in key)
        none_left, none_found = f"l.{ident(key[0])} IS NULL", f"{today[key[0]]} IS NULL"
        self._ask(f"DELETE z FROM {copy} z JOIN {left} l ON {z_l} LEFT JOIN {new} f ON {l_f} WHERE {none_found}")
        self._ask(f"DELETE z FROM {copy} z JOIN {new} f ON {z_f} LEFT JOIN {left} l ON {l_f} WHERE {none_left}")
        self._ask(
            f"INSERT IGNORE INTO {copy} ({idents(both)}) SELECT {', '.join(today.values())}"
            f" FROM {new} f LEFT JOIN {left} l ON {l_f} WHERE {none_left}"
        )
        types = {c.name: c.type for c in aside.table.columns}
        same = {
            c: f"({_digest(types[c], f'l.{ident(c)}')} = {_digest(types[c], today[c])})" for c in both if c not in key
        }
        if same:
            given = [f"z.{ident(c)} = IF({same[c]}, z.{ident(c)}, {today[c]})" for c in same]
            self._ask(
                f"UPDATE IGNORE {copy} z JOIN {left} l ON {z_l} JOIN {new} f ON {l_f} SET {', '.join(given)}"
                f" WHERE NOT ({' AND '.join(same.values())})"
            )

    def _copied(
        self,
        what: str,
        table: Table,
        source: str,
        columns: Mapping[str, str],
        turned: Mapping[str, str] | None = None,
        *,
        lock: bool = False,
    ) -> str:
        """A temporary copy with the set-aside table's names for columns, in which its key finds rows.

        `turned`: other types that columns are to have.
        """
        name = self._name(what)
        key = key_text(table, columns)
        chosen = ", ".join(f"{ident(there)} AS {ident(c)}" for c, there in columns.items())
        told = [f"{ident(c)} {type_} NULL" for c, type_ in (turned or {}).items()] + ([key] if key else [])
        form = f"({', '.join(told)}) " if told else ""
        self._ask(
            f"CREATE TEMPORARY TABLE {ident(name)} {form}ENGINE=InnoDB IGNORE"
            f" AS SELECT {chosen} FROM {source}{' FOR UPDATE' if lock else ''}"
        )
        return name

    def _drop(self, aside: Aside | None) -> None:
        for name in (aside.copy, aside.left) if aside is not None else ():
            if name:
                self._ask(f"DROP TEMPORARY TABLE IF EXISTS {ident(name)}")


def _digest(type_: str, value: str) -> str:
    return Words().digest([exactly(type_, value)])


def _today(table: ObjectId, column: str, names: Mapping[ObjectId, ObjectId]) -> str:
    i = column_id(table.name[0], column)
    return names.get(i, i).name[1]
