"""One connection to an SQLite file: its write transaction is the deployment's lock."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tagback.catalog import Catalog, Loss, ObjectId, Rename, SchemaObject, Step
from tagback.catalog.step import Action
from tagback.changelog import Dialect, Statement
from tagback.engines.session import Answered, Capabilities, KeptRows, Merge, Rules, StatementError, Unkept, Value
from tagback.engines.sqlite import objects
from tagback.engines.sqlite.bounded import within
from tagback.engines.sqlite.committed import SCHEMA, Committed
from tagback.engines.sqlite.failures import BUSY, refusals, unreachable
from tagback.engines.sqlite.file import PATIENCE, DatabaseFile, open_file
from tagback.engines.sqlite.foreign_keys import Violations, foreign_keys_setting, read_violations
from tagback.engines.sqlite.lineage import Lineage
from tagback.engines.sqlite.naming import folded, forbidden, ledger_names, quoted
from tagback.engines.sqlite.objects import LOCK, tables_named
from tagback.engines.sqlite.reader import ENGINE, MAJOR, decode, read_catalog
from tagback.engines.sqlite.renaming import rename_past_broken
from tagback.engines.sqlite.rows import Rows
from tagback.engines.sqlite.shelf import Shelf
from tagback.engines.staging import InOneTransaction
from tagback.engines.url import Url
from tagback.engines.versions import ReadAlike
from tagback.errors import RefusedError, TagbackError, UnreachableError, UsageError

_OLDEST = (3, 35, 0)


def connect(url: Url, *, create: bool = False, lock_timeout: float | None = None) -> SqliteSession:
    """Opens the file. UnreachableError when it isn't there (unless `create`) or isn't a database."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise UsageError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is the first that works.")
    session = SqliteSession(lambda: open_file(url, create=create))
    if lock_timeout is not None:
        session.lock(lock_timeout)
    return session


class SqliteSession(InOneTransaction, ReadAlike):
    """See `tagback.engines.session.Session`."""

    engine = epoch = ENGINE
    dialect = Dialect.SQLITE
    capabilities = Capabilities(statements_outside_transactions=False, cased_names=False, lock_on_writing=LOCK)
    major = MAJOR

    def __init__(self, open_it: Callable[[], DatabaseFile]) -> None:
        self._open_it = open_it
        self._use(open_it())
        self._lineage = Lineage()
        self._lineage_at_savepoint = self._lineage
        self._foreign_keys = False
        self._patience = PATIENCE
        self._violations: Violations | None = None
        self._users_ran = False
        self._written = False  # by statements or steps in this transaction: it isn't what is committed any more
        self._written_at_savepoint = False
        self._returning = False
        self._allowed: Counter[tuple[str, str]] = Counter()  # broken keys (table, parent) that come back as they were
        self.notices: list[str] = []

    @property
    def server(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @property
    def place(self) -> str:
        return str(self._file.path)

    # ------------------------------------------------------------------ the connection

    def _use(self, file: DatabaseFile) -> None:
        self._file = file
        self._connection = file.connection
        self._rows = Rows(file.connection)
        self._committed = Committed(file)
        self._shelf = Shelf(file.connection, self._rows)

    def close(self) -> None:
        self._file.close()

    def cancel(self) -> None:
        self._connection.interrupt()

    def lock(self, seconds: float) -> None:
        self._patience = seconds
        self._read_once()

    def _read_once(self) -> None:
        """Waits while a large transaction of another process keeps even readers out."""
        try:
            self._patiently("SELECT count(*) FROM sqlite_schema")
        except sqlite3.Error as e:
            self.rollback()
            raise unreachable(self._file.path, e) from None

    def unlock(self) -> None:
        """Nothing to do: the lock ended with the transaction."""

    def begin(self) -> None:
        if self._file.read_only:
            raise UsageError(
                f"{self._file.path} can't be changed: the URL says mode=ro.", hint="Leave ?mode=ro out of the URL."
            )
        self._begin_in_the_file_that_is_there(self._begin_writing)
        self._violations = None
        self._users_ran = False
        self._written = self._written_at_savepoint = False
        self._returning = False
        self._allowed.clear()
        self.notices.clear()

    def _begin_in_the_file_that_is_there(self, begin: Callable[[], None]) -> None:
        """Another first run may have removed the file since it was opened; nothing was done in it so far."""
        while True:
            try:
                begin()
                if self._file.is_there():
                    break
            except UnreachableError:
                if self._file.is_there():
                    raise
            self.rollback()
            other = self._open_it()
            self._file.close()
            self._use(other)
        self._lineage = Lineage()

    def _begin_writing(self) -> None:
        with refusals("detaching the start"):
            self._committed.detach()
        self._execute(f"PRAGMA foreign_keys = {'ON' if self._foreign_keys else 'OFF'}")
        try:
            self._patiently("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode & 0xFF in BUSY:
                raise UnreachableError(
                    f"{self._file.path} is being written to by another process.",
                    code="lock_timeout",
                    hint="A deployment or an application holds the write lock; try again, or raise --lock-wait.",
                ) from None
            raise UnreachableError(f"{self._file.path} can't be written to: {e}.") from None

    def _patiently(self, sql: str) -> None:
        """Waits for the lock in short turns: SQLite's own waiting can't be interrupted."""
        deadline = time.monotonic() + self._patience
        self._connection.execute(f"PRAGMA busy_timeout = {min(100, int(self._patience * 1000))}")
        try:
            while True:
                try:
                    self._connection.execute(sql).fetchall()
                    return
                except sqlite3.OperationalError as e:
                    if e.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() >= deadline:
                        raise
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def begin_reading(self) -> None:
        self._begin_in_the_file_that_is_there(self._begin_looking)

    def _begin_looking(self) -> None:
        self._execute("BEGIN")
        self._read_once()

    def commit(self) -> None:
        if self._violations is not None:
            found = read_violations(self._connection, self._lineage)
            self._check_foreign_keys([broken for key, broken in found.items() if key not in self._violations])
        self._forget()
        self._execute("COMMIT")
        self._committed.leave()

    def _check_foreign_keys(self, broken: Collection[tuple[str, str]]) -> None:
        """What a changeset leaves broken is its own business, as it is for SQLite, but is told; a way back breaks nothing.

        A schema to return to may itself refer to tables it doesn't have: that comes back as it was.
        """
        if self._returning and broken:
            tables = {str(r[0]) for r in self._execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")}
            known = {folded(t) for t in tables}
            allowed = self._allowed.copy()
            left = []
            for table, parent in sorted(broken):
                if folded(parent) in known and allowed[table, parent] <= 0:
                    left.append((table, parent))
                allowed[table, parent] -= 1
            broken = left
        if not broken:
            return
        table, parent = min(broken)
        message = f"FOREIGN KEY constraint failed: {len(broken)} new violations, the first in table {table} referring to {parent}"
        if self._returning:
            raise StatementError(message, code="constraint")
        self.notices.append(f"{message}. SQLite accepts that while foreign_keys is off.")

    def rollback(self) -> None:
        self._rows.end_watch()
        if self._connection.in_transaction:
            with refusals("ROLLBACK"):
                self._connection.rollback()
        self._forget()
        self._committed.leave()

    def _forget(self) -> None:
        self._foreign_keys = False  # as a file wished for its own transaction: the next one may be a way back
        self._rows.end_watch()
        self.forget_start()
        with refusals("dropping temporary tables"):
            self._shelf.forget()

    def savepoint(self) -> None:
        self._execute("SAVEPOINT tagback_start")
        self._lineage_at_savepoint = self._lineage.copy()
        self._written_at_savepoint = self._written

    def rollback_to_savepoint(self) -> None:
        self._rows.end_watch()
        self._execute("ROLLBACK TO tagback_start")
        self._lineage = self._lineage_at_savepoint.copy()
        self._written = self._written_at_savepoint

    def release_savepoint(self) -> None:
        self._rows.end_watch()
        self._execute("RELEASE tagback_start")

    # ------------------------------------------------------------------ statements

    def prepare(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        wanted: set[bool] = set()
        left = []
        for statement in statements:
            setting = foreign_keys_setting(statement)
            if setting is None:
                left.append(statement)
            else:
                wanted.add(setting)
        self._foreign_keys = wanted == {True}
        return tuple(left)

    def run(self, sql: str) -> None:
        self._note_violations()
        self._users_ran = self._written = True
        if not self._connection.in_transaction:
            raise StatementError("the deployment's transaction is gone", code="transaction")
        if why := forbidden(sql):
            raise StatementError(f"a changeset may not do this: {why}", code="reserved")
        self._execute(sql)
        if not self._connection.in_transaction:
            raise StatementError("the statement ended the deployment's transaction", code="transaction")
        self._lineage.follow(sql)

    def run_each(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        for sql in sqls:
            self.run(sql)
            done()

    def settle(self) -> None:
        """Nothing waits for the commit but checks of foreign keys, which write nothing."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        return self._execute(ledger_names(sql), values)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with refusals(sql):
            self._connection.executemany(ledger_names(sql), rows)

    def run_steps(self, steps: Sequence[Step], done: Callable[[Step, float], None]) -> None:
        self._note_violations()
        self._written = True
        self._rows.updated = {}
        self._returning = not self._users_ran
        for step in steps:
            started = time.perf_counter()
            if step.action is Action.RENAME:
                with refusals(step.sql):
                    rename_past_broken(self._connection, step.sql)
            else:
                # Renaming for good takes along what refers to the name; rebuilding a table must not.
                self._execute("PRAGMA legacy_alter_table = ON")
                try:
                    self._execute(step.sql)
                finally:
                    self._execute("PRAGMA legacy_alter_table = OFF")
            if step.action in (Action.RENAME, Action.DROP, Action.CREATE):
                self._lineage.follow(step.sql)
            done(step, time.perf_counter() - started)

    def _execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        with refusals(sql):
            return self._connection.execute(sql, values).fetchall()

    # ------------------------------------------------------------------ the ledger's place

    def ledger_exists(self) -> bool:
        return bool(self._execute("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'tagback_meta'"))

    def ledger_obstacle(self) -> TagbackError | None:
        named = self._execute("SELECT 1 FROM main.sqlite_schema WHERE name IN ('tagback_tag', 'tagback_deployment')")
        if named and not self.ledger_exists():
            return RefusedError("This database has tables named tagback_* of another make.")
        return None

    # ------------------------------------------------------------------ the catalog

    def read_catalog(self) -> Catalog:
        with refusals("reading the schema"):
            return read_catalog(self._connection, self._lineage)

    def decode(self, definition: bytes) -> SchemaObject:
        return decode(definition)

    def rename(self, rename: Rename) -> tuple[Step, ...] | None:
        old, new = rename.before.name, rename.after.name
        if rename.before.kind == "table":
            start, form = f"ALTER TABLE {quoted(old[0])}", "RENAME TO"
        elif rename.before.kind == "column":
            start, form = f"ALTER TABLE {quoted(old[0])}", f"RENAME COLUMN {quoted(old[1])} TO"
        else:
            return None
        if rename.before.kind == "table" and folded(old[0]) == folded(new[0]):
            # A change of case alone counts as taken.
            between = quoted("tagback_between")
            return (
                Step(f"{start} {form} {between}", rename.before, Action.RENAME, objects.LOCK),
                Step(f"ALTER TABLE {between} {form} {quoted(new[-1])}", rename.before, Action.RENAME, objects.LOCK),
            )
        return (Step(f"{start} {form} {quoted(new[-1])}", rename.before, Action.RENAME, objects.LOCK),)

    # ------------------------------------------------------------------ rows

    def hold(self, tables: Collection[ObjectId], altered: Collection[ObjectId]) -> None:
        """Nothing to do: the write transaction keeps all others out."""

    def keep_start(self, tables: Collection[ObjectId], ahead: Sequence[Statement] = ()) -> None:
        with refusals("copying tables"):
            self._rows.keep_start(tables)

    def short(self) -> frozenset[ObjectId]:
        return frozenset()

    def keeps_late(self) -> bool:
        with refusals("asking for the journal mode"):
            return not self._written and self._committed.can_be_read()

    def keep_late(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        with refusals("reading the start"):
            if not tables or self._written_at_savepoint or not self._committed.attach():
                return frozenset(tables)
            self._rows.read_start(tables, SCHEMA)
        return frozenset()

    def forget_start(self) -> None:
        with refusals("dropping the copies of tables"):
            self._rows.forget_start()

    def set_aside(self, tables: Collection[ObjectId], catalog: Catalog) -> None:
        with refusals("copying tables"):
            for table in tables_named(tables, catalog):
                self._shelf.set_aside(table)

    def digests(self, tables: Collection[ObjectId], catalog: Catalog) -> dict[ObjectId, str]:
        with refusals("reading rows"):
            return {table.id: self._shelf.digest(table) for table in tables_named(tables, catalog)}

    def watch(self, before: Catalog) -> None:
        self._rows.watch(self._lineage)

    def touched(self, before: Catalog, after: Catalog) -> frozenset[ObjectId]:
        with refusals("asking which tables were touched"):
            return self._rows.touched(before, after, self._lineage, cascading=self._foreign_keys)

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
        with refusals("keeping rows"):
            kept, unkept = self._shelf.shelve(label, before, after, names, ways or {}, given, uncounted)
        broken: dict[str, Counter[str]] = {}
        for (token, _, _), (_, parent) in (self._violations or {}).items():
            broken.setdefault(token, Counter())[parent] += 1
        return tuple(replace(k, broken=broken.get(before.lineage[k.table], {})) for k in kept), unkept

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        for k in kept:
            self._allowed.update({(k.table.name[0], parent): count for parent, count in k.broken.items()})
        with refusals("merging rows"):
            return self._shelf.merge(kept, live, target, rules, names)

    def misfits(self, wanted: SchemaObject, message: str) -> tuple[int, tuple[str, ...]] | None:
        from tagback.engines.sqlite.misfits import misfits

        # What is told may have blobs in it, and SQLite doesn't insist on UTF-8.
        self._connection.text_factory = lambda text: text.decode(errors="replace")
        try:
            with refusals("counting rows"):
                found = misfits(self._connection, wanted, message)
        finally:
            self._connection.text_factory = str
        return (found[0], tuple(found[1])) if found is not None else None

    def limit_shelf(self, room: int | None) -> None:
        self._shelf.room.left = room

    def ask_within(self, seconds: float, question: Callable[[], Answered]) -> Answered | None:
        return within(self._connection, seconds, question)

    def rough_rows(self, table: ObjectId) -> int | None:
        return self._rows.rough(table)

    def movable(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        return frozenset()

    def ways_home(self, kept: Sequence[KeptRows]) -> Mapping[str, tuple[Step, ...]]:
        return {}

    def drop_shelf(self, places: Collection[str]) -> None:
        with refusals("dropping kept rows"):
            self._shelf.drop(places)

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        with refusals("counting rows"):
            return {loss: self._rows.count_lost(loss) for loss in losses}

    # ------------------------------------------------------------------ foreign keys

    def _note_violations(self) -> None:
        if self._violations is None:
            self._violations = read_violations(self._connection, self._lineage)
