"""Rows that no key tells apart: found by all that is in them, taken out with those alike, and put in again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tagback.catalog import Action, ObjectId, Step
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, idents
from tagback.engines.mariadb.words import Words, exactly

Ask = Callable[..., list[tuple[Any, ...]]]

LOCK = "rows, exclusive"
NUMBER = ident(f"{OWN_PREFIX}number")
_TOLD = ident(f"{OWN_PREFIX}told")


@dataclass(frozen=True, slots=True)
class Bag:
    """A table's rows in a temporary one: `NUMBER` finds a row there, and what it is told by says which are alike.

    `told` is the expression for that over the rows `t` of the table, before its form changes and after. `alike` is the
    name for the temporary table of those of which some move; `columns` those that stay.
    """

    table: ObjectId
    rows: str
    alike: str
    told: str
    columns: tuple[str, ...]

    def moved(self, decision: str) -> str:
        """The statement that finds the rows alike to some that move."""
        return (
            f"CREATE TEMPORARY TABLE {self.alike} (KEY ({_TOLD})) ENGINE=InnoDB AS SELECT DISTINCT x.{_TOLD}"
            f" FROM {self.rows} x JOIN {decision} d ON d.a0 = x.{NUMBER} WHERE d.moves = 1"
        )

    def out(self, decision: str) -> tuple[Step, ...]:
        """The steps after which none that moves is there: those alike go, and the others of these come again."""
        table = ident(self.table.name[0])
        delete = f"DELETE t FROM {table} t JOIN {self.alike} g ON g.{_TOLD} = {self.told}"
        values = ", ".join(f"x.{ident(c)}" for c in self.columns)
        insert = (
            f"INSERT INTO {table} ({idents(self.columns)}) SELECT {values} FROM {self.rows} x"
            f" JOIN {self.alike} g ON g.{_TOLD} = x.{_TOLD}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {decision} d WHERE d.a0 = x.{NUMBER} AND d.moves = 1)"
        )
        steps = (Step(delete, self.table, Action.INSERT, LOCK), Step(insert, self.table, Action.INSERT, LOCK))
        return steps if self.columns else steps[:1]  # of what has no column in common no row has a place


def gather(ask: Ask, now: Table, then: Table, rows: str, alike: str) -> Bag:
    """Makes the temporary table `rows` of what is in the table, and keeps others from writing to it meanwhile."""
    types = {c.name: c.stored_type for c in then.columns if not c.generated}
    stored = [c for c in now.columns if not c.generated]
    same = [c for c in stored if types.get(c.name) == c.stored_type]

    def told(prefix: str) -> str:
        return Words().digest([exactly(c.type, f"{prefix}{ident(c.name)}") for c in same])

    columns = idents(c.name for c in stored)
    ask(
        f"CREATE TEMPORARY TABLE {ident(rows)} ({NUMBER} BIGINT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB"
        f" AS SELECT {columns}, {told('')} AS {_TOLD} FROM {now.address} FOR UPDATE"
    )
    return Bag(now.id, ident(rows), ident(alike), told("t."), tuple(c.name for c in stored if c.name in types))


def found_by(now: Table, then: Table, start: Collection[str]) -> tuple[str, ...]:
    """The columns that find a row again while the table's form changes; none where no key outlasts that."""
    stay = {c.name for c in then.columns} & set(start)
    return now.key if set(now.key) <= stay else ()
