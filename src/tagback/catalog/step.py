"""What an object answers when it is asked to come, to go or to change: steps, with what each of them would destroy."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from tagback.catalog.model import ObjectId


class Action(enum.StrEnum):
    """What a step does to its object."""

    CREATE = "create"
    DROP = "drop"
    ALTER = "alter"
    RENAME = "rename"
    COPY = "copy"
    DELETE = "delete"
    INSERT = "insert"


class LossKind(enum.StrEnum):
    """What kind of data a step takes away."""

    TABLE = "table"  # all rows of a table
    COLUMN = "column"  # all values of a column
    VALUES = "values"  # values that the column's other type can't hold


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that a step would destroy if there is any; the engine counts it before the step may run.

    `type_before` and `type_after` are set for VALUES: the column's type now and the one it is turned into.
    `default` is the column's default as SQL text, for COLUMN: a value equal to it can be made again.
    """

    kind: LossKind
    table: ObjectId
    column: str = ""
    type_before: str = ""
    type_after: str = ""
    default: str = ""

    def __str__(self) -> str:
        match self.kind:
            case LossKind.TABLE:
                return f"the rows of {self.table}"
            case LossKind.COLUMN:
                return f"the values of column {self.column} of {self.table}"
            case LossKind.VALUES:
                return f"values of column {self.column} of {self.table} that {self.type_after} can't hold"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a plan. `lock` is the strongest lock it takes, in the engine's own words; empty: none worth naming."""

    sql: str
    object: ObjectId
    action: Action
    lock: str = ""
    destroys: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Alteration:
    """How an object changes in place.

    `disturbs` names the objects or parts (columns) that can't have anything hanging on them meanwhile: whatever
    depends on them is taken down before the steps and put back afterwards. `finish` are steps that ask something of
    the rows: they come last, once rows that come back are there. `impossible` says why there can be none after all.
    `away` are other objects that can't be there meanwhile. `tie` are steps for when all that the object needs in the end
    is as it will be. `holders` are what has rows and makes it impossible: it can be done while they aren't there.
    """

    steps: tuple[Step, ...]
    disturbs: frozenset[ObjectId] = field(default_factory=frozenset)
    finish: tuple[Step, ...] = ()
    impossible: str = ""
    away: frozenset[ObjectId] = field(default_factory=frozenset)
    tie: tuple[Step, ...] = ()
    holders: frozenset[ObjectId] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Carry:
    """How a table's rows outlast that it is dropped and made anew, by `out` before and `into` after; and what is lost.

    `emptied` takes them out of it where it isn't dropped.
    """

    out: tuple[Step, ...]
    into: tuple[Step, ...]
    emptied: tuple[Step, ...] = ()
    lost: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Correction:
    """Other values for some `columns` of rows that are all there and stay, found by `key`, which isn't among these."""

    columns: frozenset[str]
    key: frozenset[str]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Restoration:
    """How a table's rows go back to what they were.

    `out` takes the rows that change or go out of the table before the table itself changes; `into` puts back those that
    stay, and those that were gone, once the table is as it was. In between nothing may act on its rows. `instead` comes to
    the same in place, where the table and what tells its rows apart let it.
    """

    out: tuple[Step, ...]
    into: tuple[Step, ...]
    instead: Correction | None = None
