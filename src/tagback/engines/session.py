"""What every engine offers the use-cases: one connection, its lock, its catalog, and its rows.

An engine is a package with a class that satisfies `Session`; `tagback.engines` finds it by URL scheme. Differences
between engines are data (`Capabilities`), not questions about the engine's name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tagback.catalog import Alteration, Catalog, Loss, ObjectId, Rename, Restoration, SchemaObject, Step
from tagback.changelog import Dialect, Statement
from tagback.engines.kept import BROKEN, KeptColumn, KeptRows, Stood, Unkept
from tagback.engines.staging import Staged
from tagback.errors import Exit, TagbackError

Answered = TypeVar("Answered")
Value = object
"""A database value as the driver gives it."""


class StatementError(TagbackError):
    """The server refused one statement. The message is the server's own.

    `position` is the character in the statement that the server points at, from 0, if it does. `sqlstate` is the
    server's own code. `retryable`: a lock timeout, deadlock or serialisation failure: the same again may work.
    `lost`: the connection is gone. `statement`: the SQL, where it is tagback's own. `in_the_way`: tables on the shelf that
    may be the reason; if `keep_start` copies them beforehand, they aren't there.
    """

    code = "statement"
    exit_code = Exit.FAILED

    def __init__(
        self,
        message: str,
        *,
        code: str = "statement",
        sqlstate: str = "",
        position: int | None = None,
        retryable: bool = False,
        lost: bool = False,
        hint: str = "",
        statement: str = "",
    ) -> None:
        super().__init__(message, code=code, hint=hint, exit_code=Exit.UNREACHABLE if lost else Exit.FAILED)
        self.sqlstate = sqlstate
        self.position = position
        self.retryable = retryable
        self.lost = lost
        self.statement = statement
        self.in_the_way: frozenset[ObjectId] = frozenset()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, for the use-cases to ask instead of its name."""

    statements_outside_transactions: bool  # some statements refuse to run in a transaction but can run in a deployment
    cased_names: bool  # names that differ only in the case of letters are two
    schema_changes_commit: bool = False  # each by itself, so that a deployment is in parts
    lock_on_writing: str = ""  # the one lock there is, in words
    locks_held: str = ""  # else a query for lineage and strongest lock of each table that the transaction has locked


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A value (or, without a column, a whole row) that the change and somebody after it both wrote.

    `superseded`: its column was gone and what was written since stands in new columns: the old value comes back.
    """

    table: ObjectId
    key: str
    column: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """What was decided about rows that come back: the steps for each table, how many rows, and what is in conflict.

    `conflicts` is a start of the list, `conflicts_total` its length. `finish` are steps for when all else is there.
    """

    rows: Mapping[ObjectId, Restoration]
    restored: Mapping[ObjectId, int]
    conflicts: tuple[Disagreement, ...]
    conflicts_total: int
    finish: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Redo:
    """What a rollback took away is put over what the same changesets have just made again.

    `stood`: the table as it was before they ran again, which `hold` copied; None: there was none. `unwritten`: nobody
    wrote to it since the rollback.
    """

    stood: Stood | None
    unwritten: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """How to merge. `restore`: what the change took away stands against what was written since.

    `back` are expressions over today's columns, by the start's column that they give again. `passing` are columns that
    won't be there at the end of the way: they keep what they have till then.
    """

    restore: bool = False
    redo: Redo | None = None
    back: Mapping[str, str] = field(default_factory=dict)
    passing: frozenset[str] = frozenset()


class Session(Staged, Protocol):
    """One connection to a target. It is never reconnected: when it is lost, so are its lock and its transaction."""

    @property
    def engine(self) -> str:
        """`sqlite`, `postgresql`: as in fingerprints."""

    @property
    def server(self) -> str:
        """For people: `PostgreSQL 15.20`."""

    @property
    def major(self) -> str:
        """The server's major version as in catalogs."""

    @property
    def place(self) -> str:
        """For people: where the database is, without the password."""

    @property
    def epoch(self) -> str:
        """Identifies the physical database: changes with dump and restore."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def notices(self) -> list[str]:
        """What the server told since `begin` that isn't an error; `commit` may add to it."""

    # ------------------------------------------------------------------ the connection

    def close(self) -> None: ...

    def cancel(self) -> None:
        """Asks the server to stop the running statement; safe to call from a signal handler."""

    def lock(self, seconds: float) -> None:
        """Takes the deployment lock of this database, waiting at most so long; UnreachableError `lock_timeout` if not free.

        Where the engine's lock is the write transaction itself, `begin` takes it and this only notes the time limit.
        """

    def unlock(self) -> None:
        """Gives the lock back. Never fails: what was done stands, and the lock goes with the connection at the latest."""

    def begin(self) -> None:
        """Begins a write transaction and makes sure, once it has begun, that this connection still holds the lock."""

    def begin_reading(self) -> None:
        """Begins a transaction that sees one state throughout and takes no deployment lock; `rollback` ends it."""

    def commit(self) -> None:
        """Commits; what the engine defers (foreign keys) is checked first. StatementError leaves the transaction open."""

    def rollback(self) -> None:
        """Ends the transaction without effect; does nothing outside of one."""

    def savepoint(self) -> None: ...

    def rollback_to_savepoint(self) -> None:
        """The savepoint stays, to be released or gone back to again."""

    def release_savepoint(self) -> None: ...

    # ------------------------------------------------------------------ statements

    def prepare(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        """What is left to run inside the transaction, after taking out what has to be done before it begins.

        Called outside a transaction with all statements of a deployment, in order (SQLite: PRAGMA foreign_keys).
        """

    def run(self, sql: str) -> None:
        """Runs one statement of the user's as it stands, results thrown away. StatementError if the server refuses it."""

    def run_each(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        """Runs statements in order as `run` does, and calls `done` after each; several may be on their way at once.

        So when StatementError is raised, `done` was called for those before the one that was refused, and none after
        it has run.
        """

    def settle(self) -> None:
        """Does now what the user's statements left to be done at commit, so that it is observed; StatementError as there."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Runs one statement of tagback's own; `?` stands for a value. Ledger tables are written `{deployment}`."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """The same for many rows, in as few round trips as the engine allows."""

    def run_steps(self, steps: Sequence[Step], done: Callable[[Step, float], None]) -> None:
        """Runs a plan's statements in order, with whatever settings the engine's own plans need.

        Calls `done` after each with the seconds it took. StatementError with `statement` set when one is refused.
        """

    # ------------------------------------------------------------------ the ledger's place

    def ledger_exists(self) -> bool: ...

    def ledger_obstacle(self) -> TagbackError | None:
        """Why the ledger can't be put here (a FOR ALL TABLES publication, say), as the error to show."""

    # ------------------------------------------------------------------ the catalog

    def read_catalog(self) -> Catalog:
        """The schema as this connection sees it now, tagback's own things left out."""

    def read_anew(self, recorded: Catalog) -> Catalog:
        """The schema that another major version recorded, as it reads here; RefusedError `other_major` if that can't be told."""

    def decode(self, definition: bytes) -> SchemaObject:
        """The object whose `canonical()` this is. ValueError when it isn't one of this engine's."""

    def rename(self, rename: Rename) -> tuple[Step, ...] | None:
        """The steps that give the object the name `rename.after`; None where this kind is dropped and created instead."""

    # ------------------------------------------------------------------ rows

    def hold(self, tables: Collection[ObjectId], altered: Collection[ObjectId]) -> None:
        """Keeps other writers out of these tables until the transaction ends, and readers too where they will be `altered`.

        It comes before anything is decided by their rows: what somebody writes between a look and a change would be lost.
        And it asks for the last lock first: one that is raised later may have to wait for somebody who waits for it.
        """

    def keep_start(self, tables: Collection[ObjectId], ahead: Sequence[Statement] = ()) -> None:
        """Copies these tables as they are now, for `shelve`. Copies end with the transaction or with `forget_start`.

        `ahead` are the statements that run next: an engine may keep only what they seem to take of a table.
        """

    def short(self) -> frozenset[ObjectId]:
        """The tables of which more was taken than was kept: after another run they need to have been kept whole.

        The next `keep_start` does that.
        """

    def keeps_late(self) -> bool:
        """Whether `keep_late` will do for what is run next, as far as that can be told: then copies are a waste."""

    def keep_late(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Keeps the start of tables that were touched already; gives those of which it can't, so that another run is needed.

        The start is what the last savepoint found. Only an engine that can still read what was there before the transaction
        has it, and only if that is the same. None of the user's statements may run afterwards.
        """

    def forget_start(self) -> None: ...

    def set_aside(self, tables: Collection[ObjectId], catalog: Catalog) -> None:
        """Copies these tables as they are now, for a merge with `Rules.redo`; held until the next time or the end."""

    def digests(self, tables: Collection[ObjectId], catalog: Catalog) -> dict[ObjectId, str]:
        """What stands for the names of each table's columns and for all its rows, whatever their order.

        Where statements commit, of those set aside: as they were then, but with what others wrote to them since.
        """

    def movable(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Those of these tables that need no copy if a changeset drops them: they can be moved to the shelf.

        It may turn out then that one can't: `touched` has it.
        """

    def watch(self, before: Catalog) -> None:
        """Starts to observe which tables' rows are touched, from here on in this transaction."""

    def touched(self, before: Catalog, after: Catalog) -> frozenset[ObjectId]:
        """Tables of `before` whose rows may have changed since `watch`: too many is allowed, too few is not.

        Tables that are gone or were rewritten and tables with columns that are gone or have another type are among
        them, unless they were empty or were moved to the shelf.
        """

    def shelve(
        self,
        label: str,
        before: Catalog,
        after: Catalog,
        names: Mapping[ObjectId, ObjectId],
        ways: Mapping[ObjectId, Mapping[str, str]] | None = None,
        *,
        given: Sequence[KeptRows] | None = None,
        uncounted: Collection[ObjectId] = (),
    ) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
        """Keeps what was done to the rows of the tables that `keep_start` copied, and what was moved; no change, no entry.

        `label` begins the places' names. `names` maps tables and columns of `before` to their names in `after`, where
        those differ. `ways` are expressions over a table's columns of today that give columns of `before` again: they are
        tried, StatementError if one is refused, and there is an entry for these tables even if their rows are the same.
        `given`: a rollback asks, and this is what it gave back. Then there is an entry for every table, which says how the
        table stood; of columns that are gone every value is kept, even one that the column would get by itself if it
        came again (so it is where there are `ways`, which are for rows that came or were changed since); and of rows
        in `given` that are as they were, or still away, that is noted.
        `uncounted` tables don't count for the limit of `limit_shelf`. Entries without a place only say what was `broken`.
        """

    def limit_shelf(self, room: int | None) -> None:
        """From here on `shelve` may keep so many bytes more, None for any; FailedError `shelf_limit` if it would be more."""

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        """Decides about every kept row against today's; changes nothing but temporary tables.

        Tables and columns of `live` bear the names of the start, `target`, already. `rules` are those for each place.
        `names` maps columns that the start doesn't have to the names they have now, where those differ.
        """

    def ways_home(self, kept: Sequence[KeptRows]) -> Mapping[str, tuple[Step, ...]]:
        """The steps that put tables which were moved to the shelf back to where they were, by place.

        Those whose names are taken now are left out: `merge` has their rows put in.
        """

    def misfits(self, wanted: SchemaObject, message: str) -> tuple[int, tuple[str, ...]] | None:
        """How many rows keep this object from being made, and the first of them in words; None where that can't be told.

        `message` is what the server said when it was tried. Everything is as it was just before.
        """

    def spared(
        self, steps: Sequence[Step], error: StatementError, live: Catalog, target: Catalog, kept: Sequence[KeptRows]
    ) -> tuple[Step, ...] | None:
        """The same steps as they work although `error` stopped one; None where today's rows are rightly in the way.

        Everything is as it was before the first. For rows that `live` has, or `kept` gives back, against a rule which is to
        be made again.
        """

    def ask_within(self, seconds: float, question: Callable[[], Answered]) -> Answered | None:
        """What `misfits` or `count_each` answer, asked inside a reading transaction; None where that takes longer."""

    def rough_rows(self, table: ObjectId) -> int | None:
        """About how many rows a table has, from what the engine knows without counting; None where it knows nothing."""

    def drop_shelf(self, places: Collection[str]) -> None:
        """Drops these places."""

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        """How many rows or values each loss would destroy now (0: the step is harmless).

        For a column without a default: values that aren't NULL. With a constant one: those that aren't equal to it, NULL
        included. With any other: all.
        For VALUES: those that don't survive the way to the other type and back.
        """


__all__ = [
    "BROKEN",
    "Alteration",
    "Capabilities",
    "Disagreement",
    "KeptColumn",
    "KeptRows",
    "Merge",
    "Redo",
    "Rules",
    "Session",
    "StatementError",
    "Stood",
    "Unkept",
    "Value",
]
