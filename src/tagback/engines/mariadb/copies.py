"""Tables copied as they are before something happens to them, and the places for what it will turn out to be.

Where a statement may commit, copies are tables that outlive the connection: the text of each says which table it is
of, and that it is whole. They are made under LOCK TABLES together with the statement, so that nobody's write is lost
between the two; what the statement left is copied before the lock is given back. Elsewhere they are temporary tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tagback.catalog import Catalog, ObjectId
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, idents, literal
from tagback.errors import FailedError

Ask = Callable[..., list[tuple[Any, ...]]]

LEFT_OVER = """
SELECT table_name, table_comment FROM information_schema.tables
 WHERE table_schema = database() AND table_name LIKE %s ORDER BY table_name
"""
_COLUMNS = """
SELECT column_name FROM information_schema.columns
 WHERE table_schema = database() AND table_name = %s AND coalesce(generation_expression, '') = '' ORDER BY ordinal_position
"""
_INDEXED = """
SELECT group_concat(column_name ORDER BY seq_in_index SEPARATOR '/') FROM information_schema.statistics
 WHERE table_schema = database() AND table_name = %s GROUP BY index_name HAVING count(sub_part) = 0
"""
_START, _END = "tagback: the start of ", "tagback: the end"


@dataclass(frozen=True, slots=True)
class Copy:
    """A table as it was: `name` is the copy's. `whole`: it has the rows. `end`: a copy of what the statement left."""

    table: Table
    name: str
    whole: bool
    end: str = ""


class Copies:
    """The copies of one stage."""

    def __init__(self, ask: Ask, *, replaces: bool) -> None:
        """`replaces`: the server has CREATE OR REPLACE TABLE, the one way to make a table under LOCK TABLES."""
        self._ask = ask
        self._replaces = replaces
        self._label = ""
        self._lasting = False
        self._made = 0
        self.starts: dict[ObjectId, Copy] = {}
        self.garbage: list[str] = []  # tables to drop once the transaction is over: dropping one commits

    def begin(self, label: str, *, lasting: bool, before: Catalog) -> None:
        """A stage begins. Copies that an earlier run of it left are taken up."""
        self._let_go()
        self._label, self._lasting = label, lasting
        left: dict[str, str] = dict(self._ask(LEFT_OVER, (f"{OWN_PREFIX}{label}\\_start\\_%",)) if lasting else ())
        for name, comment in left.items():
            table = self._of(name, comment, before)
            if table is None:
                continue
            end = f"{name}_end" if left.get(f"{name}_end", "").startswith(_END) else ""
            self.starts[table.id] = Copy(table, name, whole=True, end=end)
            self._made = max(self._made, int(name.rpartition("_")[2]))

    def _of(self, name: str, comment: str, before: Catalog) -> Table | None:
        """The table that it is a whole copy of; None where it isn't, or the table has other columns by now."""
        if not comment.startswith(_START):
            return None
        found = before.objects.get(ObjectId("table", (msgspec.json.decode(comment[len(_START) :], type=str),)))
        columns = [str(column) for (column,) in self._ask(_COLUMNS, (name,))]
        return found if isinstance(found, Table) and stored(found) == columns else None

    def add(self, tables: Collection[ObjectId], before: Catalog) -> None:
        """Has these kept from here on: copied now, or where statements commit just before the first that may touch them."""
        for i in sorted(tables - self.starts.keys()):
            table = before.objects[i]
            if not isinstance(table, Table):
                continue
            self._check(table)
            self._made += 1
            name = f"{OWN_PREFIX}{self._label}_start_{self._made}"
            if self._lasting:
                self._ask(f"DROP TABLE IF EXISTS {ident(name)}")
                self._ask(f"CREATE TABLE {ident(name)} {self._form(table)} LIMIT 0")
            else:
                self._ask(f"DROP TEMPORARY TABLE IF EXISTS {ident(name)}")
                self._ask(f"CREATE TEMPORARY TABLE {ident(name)} {self._form(table)} FOR UPDATE")
            self.starts[i] = Copy(table, name, whole=not self._lasting)

    def _check(self, table: Table) -> None:
        if table.versioned:
            raise FailedError(
                f"{table.id} has versions of its rows, and these can't be kept yet.",
                code="unkeepable",
                hint="Deploy this change by hand, or take SYSTEM VERSIONING off before.",
            )
        if not self._lasting and table.engine.upper() != "INNODB":
            raise FailedError(
                f"{table.id} is of the engine {table.engine}, which has no transactions: what is done to its rows can't be"
                " undone together.",
                code="unkeepable",
                hint="Convert it to InnoDB first (ALTER TABLE … ENGINE=InnoDB).",
            )

    def _form(self, table: Table) -> str:
        key = key_text(table, stored(table))
        return f"{f'({key}) ' if key else ''}ENGINE=InnoDB AS SELECT {idents(stored(table))} FROM {table.address}"

    def waits_for(self, table: ObjectId) -> bool:
        """Whether this one is still to be copied."""
        return table in self.starts and not self.starts[table].whole

    def complete(self) -> None:
        """Copies what isn't copied yet."""
        with self.guarded(self.starts, last=False):
            pass

    @contextlib.contextmanager
    def guarded(self, tables: Collection[ObjectId], *, last: bool) -> Iterator[None]:
        """Around a statement that commits: copies what isn't copied yet, under a lock that others' writes wait for.

        `last`: it is all that the stage does to them, and what it leaves is copied under the same lock.
        """
        waiting = {i: self.starts[i] for i in tables if i in self.starts and not self.starts[i].whole}
        if not waiting:
            yield
            return
        names = [name for c in waiting.values() for name in (c.table.address, ident(c.name))]
        ends = {i: f"{c.name}_end" for i, c in waiting.items()} if last and self._replaces else {}
        for end in ends.values():
            self._ask(f"CREATE OR REPLACE TABLE {ident(end)} (nothing INT)")
        names += map(ident, ends.values())
        self._ask("LOCK TABLES " + ", ".join(f"{name} WRITE" for name in names))
        try:
            for i, c in waiting.items():
                columns = idents(stored(c.table))
                self._ask(f"INSERT INTO {ident(c.name)} ({columns}) SELECT {columns} FROM {c.table.address}")
                told = _START + msgspec.json.encode(i.name[0]).decode()
                self._ask(f"ALTER TABLE {ident(c.name)} COMMENT = {literal(told)}")
                self.starts[i] = replace(c, whole=True)
            try:
                yield
            finally:
                self._copy_ends(ends)
        finally:
            self._ask("UNLOCK TABLES")

    def _copy_ends(self, ends: Mapping[ObjectId, str]) -> None:
        """Copies what a statement left. A table that it renamed can't be read under this lock."""
        for i, end in ends.items():
            columns = [str(name) for (name,) in self._ask(_COLUMNS, (i.name[0],))]
            if columns:
                key = self.starts[i].table.key
                # Both copies are joined by it: without an index it would be each row with each.
                whole = bool(key) and ("/".join(key),) in self._ask(_INDEXED, (i.name[0],)) and {*key} <= {*columns}
                keyed = f"(KEY ({idents(key)})) " if whole else ""
                form = f"{keyed}ENGINE=InnoDB COMMENT='{_END}' AS SELECT {idents(columns)} FROM {ident(i.name[0])}"
                self._ask(f"CREATE OR REPLACE TABLE {ident(end)} {form}")
                self.starts[i] = replace(self.starts[i], end=end)

    def leave(self) -> None:
        """Ends the stage without an effect: lasting copies stay for whoever takes the stage up again."""
        self.garbage.clear()
        self._let_go()

    def _let_go(self) -> None:
        if not self._lasting:
            self.forget()
        self.starts.clear()
        self._lasting = False

    def forget(self) -> None:
        """Drops the copies, lasting ones when the transaction is over."""
        for c in self.starts.values():
            if self._lasting:
                self.garbage += [c.name, f"{c.name}_end"]
            else:
                self._ask(f"DROP TEMPORARY TABLE IF EXISTS {ident(c.name)}")
        self.starts.clear()
        self._made = 0

    def sweep(self) -> None:
        """Drops what nobody needs any more. No transaction may be open."""
        for name in self.garbage:
            self._ask(f"DROP TABLE IF EXISTS {ident(name)}")
        self.garbage.clear()

    def sweep_all(self, known: Set[str]) -> None:
        """Drops the places and lasting copies of all stages but for these."""
        for name, _ in self._ask(LEFT_OVER, (rf"{OWN_PREFIX}shelf\_%",)):
            if name not in known:
                self._ask(f"DROP TABLE {ident(name)}")


def stored(table: Table) -> list[str]:
    """The columns that have values of their own."""
    return [c.name for c in table.columns if not c.generated]


def key_text(table: Table, columns: Collection[str]) -> str:
    """The definition of the key that tells rows apart, for a copy with these columns; empty where it can't have it."""
    text = (k.text for k in table.keys if k.unique and k.columns == table.key and "`(" not in k.text)
    return next(text, "") if {*table.key} <= {*columns} else ""
