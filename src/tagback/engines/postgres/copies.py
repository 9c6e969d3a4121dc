"""Tables as they are read: what they are physically, and the copy of what they held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagback.engines.postgres.columns import Column, in_c
from tagback.engines.postgres.sqltext import literal
from tagback.engines.session import KeptColumn


@dataclass(frozen=True, slots=True)
class Described:
    """A table in FROM, and its columns. A partitioned one's rows are its partitions'; a parent's by inheritance its own.

    `keys` each tell rows apart and never hold NULL: the primary key first, then unique ones. One with a generated column
    is none: such columns aren't kept.
    """

    source: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's file, 0 if it isn't a heap, and what identifies each column with its type, by name."""

    file: int
    columns: Mapping[str, str]

    @property
    def identities(self) -> frozenset[str]:
        """Of all columns."""
        return frozenset(self.columns.values())


@dataclass(frozen=True, slots=True)
class Copy:
    """A table's rows at the start: its columns are c0, c1 … in the order of `columns`; `keys` as in `Described`.

    `shape` is what the table was physically. Rows that the transaction wrote bear its number, `since`, or a later one.
    Where there are columns in `taken`, only these were kept, and `name` is the place of the shelf that has them. `images`:
    it has only rows that were going to be written. `positions`: see `KeptRows`.
    """

    name: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    shape: Shape
    since: str
    taken: frozenset[str] = frozenset()
    images: bool = False
    positions: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """The key by which a part of the rows or of the columns is kept; empty where there is none."""
        return next(iter(self.keys), ())

    @property
    def kept_columns(self) -> tuple[KeptColumn, ...]:
        """The columns as the ledger has them."""
        return tuple(KeptColumn(c.name, c.type, c.default, c.core, c.collated, c.identity) for c in self.columns)

    @property
    def values(self) -> dict[str, str]:
        """The expression for each column, in the shelf's form."""
        return {c.name: in_c(f"c{n}", c) for n, c in enumerate(self.columns)}

    def written(self, today: Mapping[str, str]) -> str:
        """The condition for rows that this transaction wrote, and perhaps others. `today`: each column's expression."""
        if not self.images:
            return f"age(xmin) <= (SELECT age({literal(self.since)}::xid))"
        values = self.values
        key, images = (", ".join(names[c] for c in self.key) for names in (today, values))
        return f"({key}) IN (SELECT {images} FROM pg_temp.{self.name})"
