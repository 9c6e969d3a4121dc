"""What is kept of a table's rows, as the ledger notes it and as every engine finds it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tagback.catalog import ObjectId

BROKEN = "broken"
"""See `KeptRows.broken`: how an entry is noted that has nothing else."""


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """A column as it was at the start. `type` and `default` are SQL; `plain`: its values are kept as they are, not as text.

    `numbered`: an identity column.
    """

    name: str
    type: str
    default: str = ""
    plain: bool = True
    collated: bool = False
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Stood:
    """A table as a rollback left it.

    `columns` has the name there of each kept column that is there. `digest` stands for all its rows, in no order.
    `made`: how many rows the changesets had put into it, which the rollback took back; -1: it isn't known.
    """

    table: ObjectId
    columns: Mapping[str, str]
    digest: str = ""
    made: int = -1


@dataclass(frozen=True, slots=True)
class KeptRows:
    """What a change did to one table's rows, kept in a table of the ledger's named `place`.

    `columns` are the start's stored columns. `key` are those that tell rows apart; where there is none, `matched` are
    the columns that the change left alone. `added` are columns that the start doesn't have. `whole`: the table is gone.
    `gone`, `new` and `changed` count rows, `bytes` is what they take up. `broken`: how many foreign keys of the table's
    rows led nowhere at the start, by what the engine calls them: the table that they refer to, or the key's name.
    `stood`: the table as a rollback left it; by then it may be `whole`: gone. `how`: `compared`, or `moved` for a
    whole table that is itself on the shelf; `rows` of a very large one are the server's estimate. `positions`: of numbered
    columns, the last number that was given out, so that none is given twice.
    """

    table: ObjectId
    place: str
    columns: tuple[KeptColumn, ...]
    key: tuple[str, ...]
    matched: tuple[str, ...]
    added: tuple[str, ...]
    whole: bool
    gone: int = 0
    new: int = 0
    changed: int = 0
    bytes: int = 0
    how: str = "compared"
    broken: Mapping[str, int] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    stood: Stood | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(c.name for c in self.columns)

    @property
    def rows(self) -> int:
        """All of them."""
        return self.gone + self.new + self.changed


@dataclass(frozen=True, slots=True)
class Unkept:
    """Rows of something whose rows can't be kept: a virtual table, large objects."""

    object: ObjectId
    rows: int


def told(table: ObjectId, key: Sequence[str], names: Sequence[str]) -> str:
    """What a place holds, for a person who finds it in the database: at most 1,000 characters."""
    columns = [f"k{n} {name}" for n, name in enumerate(key)] + [f"v{n} {name}" for n, name in enumerate(names)]
    return f"rows of {table.path} that tagback keeps (tagback shelf ls): {', '.join(columns)}"[:1000]
