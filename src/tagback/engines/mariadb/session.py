"""One connection to MariaDB or MySQL: its lock, the user's statements and tagback's own, and rows that are kept."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import pymysql

from tagback.catalog import Action, Catalog, Loss, ObjectId, Rename, SchemaObject, Step, renames
from tagback.changelog import Dialect, Statement
from tagback.engines.mariadb.connecting import Connection, open_connection
from tagback.engines.mariadb.copies import Copies
from tagback.engines.mariadb.failures import refusals
from tagback.engines.mariadb.kinds.base import EXCLUSIVE
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.lock import Lock
from tagback.engines.mariadb.reader import decode, major, read_catalog
from tagback.engines.mariadb.rows import changed_tables, check_foreign_keys, count_lost, rough_rows
from tagback.engines.mariadb.running import Running
from tagback.engines.mariadb.settings import Settings
from tagback.engines.mariadb.shelf import Shelf
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, ledger_table, translated
from tagback.engines.mariadb.statements import happened, renamed_by
from tagback.engines.session import Answered, Capabilities, KeptRows, Merge, Rules, StatementError, Unkept, Value
from tagback.engines.url import Url
from tagback.engines.versions import ReadAlike
from tagback.errors import FailedError, RefusedError, TagbackError

_SAVEPOINT = "tagback_savepoint"
_LEDGER = f"SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = '{OWN_PREFIX}meta'"
_OF_ROWS = (Action.DELETE, Action.INSERT)
_ROW_TOO_LARGE = "1118"
_TIMED_OUT = ("1969", "3024")


class MariadbSession(ReadAlike):
    """See `tagback.engines.session.Session`. There is no autocommit: what doesn't commit by itself begins a transaction."""

    def __init__(self, connection: Connection, url: Url, lock_timeout: float) -> None:
        self._connection = connection
        self._url = url
        self._ask = connection.ask
        self._ask("SET SESSION autocommit = 0")
        seconds = max(1, round(lock_timeout))
        self._ask(f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
        ((case, self._thread),) = self._ask("SELECT @@lower_case_table_names, connection_id()")
        self.capabilities = Capabilities(
            statements_outside_transactions=True, cased_names=case == 0, schema_changes_commit=True
        )
        self.notices: list[str] = []
        self._settings = Settings(self._ask, connection.flavour)
        self._lock = Lock(self._ask, connection.database)
        self._copies = Copies(self._ask, replaces=connection.flavour == "mariadb")
        self._shelf = Shelf(self._ask, self._copies)
        self._running = Running(connection, self._settings, self._copies)
        self._commits = False
        self._run_since = self._committed_since = False  # since the last savepoint
        self.major = major(self._connection)
        self._redoing = False
        self._ends: tuple[Catalog, Mapping[ObjectId, ObjectId]] | None = None
        self._before: Catalog | None = None
        self._label = ""
        self._reached: frozenset[ObjectId] = frozenset()

    @classmethod
    def open(cls, url: Url, lock_timeout: float = 5.0) -> MariadbSession:
        """Connects. UnreachableError says what is in the way; UsageError for URLs and servers that can't be used."""
        connection = open_connection(url)
        try:
            return cls(connection, url, lock_timeout)
        except BaseException:
            connection.close()
            raise

    @property
    def engine(self) -> str:
        return self._connection.flavour

    @property
    def server(self) -> str:
        return self._connection.server

    @property
    def place(self) -> str:
        return str(self._url)

    @property
    def epoch(self) -> str:
        return f"{self.engine}/{self._connection.database}"

    @property
    def dialect(self) -> Dialect:
        return self._running.dialect

    # ------------------------------------------------------------------ the connection

    def close(self) -> None:
        self._connection.close()

    def cancel(self) -> None:
        """The connection is busy with the statement: another one asks for its end."""
        if self._connection.driver.open:
            other = open_connection(self._url)
            try:
                other.ask(f"KILL QUERY {self._thread}")
            finally:
                other.close()

    def lock(self, seconds: float) -> None:
        if not self._lock.taken:
            self._lock.take(seconds)

    def unlock(self) -> None:
        if not self._lock.taken or not self._connection.driver.open:
            return
        try:
            self._lock.release()
        except (StatementError, pymysql.Error):
            # What was done stands; saying now that it failed would be false. The lock goes with the connection.
            self.close()

    def begin(self) -> None:
        self._settings.own()
        self.notices.clear()
        if self._lock.taken:
            self._lock.check()
        self._ask("START TRANSACTION")

    def begin_reading(self) -> None:
        self._settings.own()
        self._ask("ROLLBACK")  # what was read until now began a transaction, and the next one's kind is told before it
        self._ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._ask("START TRANSACTION WITH CONSISTENT SNAPSHOT")

    def commit(self) -> None:
        if self._lock.taken:
            self._lock.check()
        self._ask("COMMIT")
        self._ended()

    def rollback(self) -> None:
        if self._connection.driver.open:
            self._ask("ROLLBACK")
            self._copies.leave()
            self._shelf.abandon()
            self._ends = None

    def _ended(self) -> None:
        self._settings.own()
        self._shelf.settle()
        self._copies.sweep()

    def savepoint(self) -> None:
        self._run_since = self._committed_since = False
        if not self._commits:
            self._ask(f"SAVEPOINT {_SAVEPOINT}")

    def rollback_to_savepoint(self) -> None:
        if self._commits and not self._run_since:
            return
        if self._commits and self._committed_since:
            raise FailedError(
                "A statement did something that its text doesn't tell, and it committed.",
                code="unobservable",
                hint="The schema goes back to what it was; compare the rows of the tables that it touched with a backup.",
            )
        self._ask(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")

    def release_savepoint(self) -> None:
        if not self._commits:
            self._ask(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    # ------------------------------------------------------------------ statements

    def prepare(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        self._settings.own()
        self._shelf.meanwhile.forget()
        self._running.begin(statements)
        return tuple(statements)

    def meant(self, statement: Statement) -> Statement:
        return self._running.meant(statement)

    def run(self, sql: str) -> None:
        self._run_since = self._committed_since = True
        self._running.run(sql)

    def run_each(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        for sql in sqls:
            self.run(sql)
            done()

    def settle(self) -> None:
        """Nothing waits for the commit."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        self._settings.own()
        if sql.startswith("CREATE TABLE {"):
            sql = ledger_table(sql)
        return self._ask(translated(sql, len(values)), tuple(values) or None)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        rows = [tuple(row) for row in rows]
        if not rows:
            return
        self._settings.own()
        with refusals(self._connection.driver), self._connection.driver.cursor() as cursor:
            cursor.executemany(translated(sql, 1), rows)

    def run_steps(self, steps: Sequence[Step], done: Callable[[Step, float], None]) -> None:
        """See Session.run_steps. A step that changes a table commits what was done to rows before it."""
        self._settings.steps()
        try:
            if self._redoing:
                # What several legs took comes again one after the other, and fits only at the end: `shelve` looks.
                self._ask("SET SESSION foreign_key_checks = 0")
            for step in steps:
                self._run_since = True
                self._committed_since |= step.action not in _OF_ROWS or self._copies.waits_for(step.object)
                started = time.perf_counter()
                self._take(step)
                done(step, time.perf_counter() - started)
        finally:
            if self._connection.driver.open:
                self._settings.own()

    def _take(self, step: Step) -> None:
        with contextlib.ExitStack() as guard:
            if step.action is not Action.CREATE:
                guard.enter_context(self._copies.guarded({step.object}, last=False))
            if step.action in _OF_ROWS:
                guard.close()  # the lock is for the copy alone: rows are found by other names than those that are locked
            try:
                self._ask_rebuilding(step)
            except StatementError as error:
                error.statement = step.sql
                raise

    def _ask_rebuilding(self, step: Step) -> None:
        """InnoDB keeps columns that went in the rows' form, and after some dozens there is no room: it is made anew then."""
        try:
            self._ask(step.sql)
        except StatementError as error:
            if error.sqlstate != _ROW_TOO_LARGE or step.action is not Action.ALTER:
                raise
            self._ask(f"ALTER TABLE {ident(step.object.name[0])} FORCE, ALGORITHM=COPY")
            self._ask(step.sql)

    # ------------------------------------------------------------------ the ledger's place

    def ledger_exists(self) -> bool:
        """It is there once its version is: its tables are made one by one."""
        return bool(self._ask(_LEDGER)) and bool(self._ask(f"SELECT 1 FROM {OWN_PREFIX}meta WHERE name = 'version'"))

    def ledger_obstacle(self) -> TagbackError | None:
        if self._ask("SELECT @@read_only")[0][0] not in (0, "OFF"):
            return RefusedError(
                "The server is read-only: a replica, or set so by its administrator.",
                code="read_only",
                hint="Give the URL of the primary server. Nothing was touched.",
            )
        return None

    # ------------------------------------------------------------------ the catalog

    def read_catalog(self) -> Catalog:
        self._settings.own()
        found = read_catalog(self._connection)
        return replace(
            found, lineage=self._running.lineage.of(o for o in found.objects.values() if isinstance(o, Table))
        )

    def decode(self, definition: bytes) -> SchemaObject:
        return decode(definition)

    def rename(self, rename: Rename) -> tuple[Step, ...] | None:
        old, new = rename.before.name, rename.after.name
        if rename.before.kind == "table":
            sql = f"RENAME TABLE {ident(old[0])} TO {ident(new[0])}"
        elif rename.before.kind == "column":
            sql = f"ALTER TABLE {ident(old[0])} RENAME COLUMN {ident(old[1])} TO {ident(new[1])}"
        else:
            return None
        return (Step(sql, rename.before, Action.RENAME, EXCLUSIVE),)

    # ------------------------------------------------------------------ rows

    def begin_stage(self, label: str, before: Catalog, *, commits: bool) -> bool:
        self._settings.own()
        self._shelf.forget()
        self._shelf.meanwhile.begin_stage()
        self._commits, self._before, self._label = commits, before, label
        self._reached = frozenset()
        self._running.begin_stage(commits=commits)
        self._redoing = False
        self._ends = None
        self._copies.begin(label, lasting=commits, before=before)
        if commits and self._copies.starts:
            self._shelf.take_up(label)
            self._shelf.make_places(label, self._copies.starts.keys(), before)
        return bool(self._copies.starts)

    def sweep(self, places: Collection[str]) -> None:
        self._settings.own()
        self._copies.sweep_all({OWN_PREFIX + place for place in places})

    def renamed_by(self, sql: str, before: Catalog, after: Catalog) -> tuple[Rename, ...]:
        return tuple(happened(renamed_by(sql, self.dialect), before, after))

    def reached(self, tables: Collection[ObjectId], before: Catalog, ahead: Sequence[Statement]) -> frozenset[ObjectId]:
        self._reached = self._running.reached(before, ahead)
        return self._reached

    def doubts(self) -> tuple[str, ...]:
        return tuple(self._running.doubts)

    def hold(self, tables: Collection[ObjectId], altered: Collection[ObjectId]) -> None:
        """Places for what will have been done come first, for they can't be made inside a transaction.

        Rows are locked as they are copied, and tables around the statements that change them.
        """
        if not self._commits:
            self._make_places(tables)

    def _make_places(self, tables: Collection[ObjectId]) -> None:
        if self._before is not None:
            self._settings.own()
            self._shelf.make_places(self._label, {t for t in tables if t in self._before.objects}, self._before)

    def keep_start(self, tables: Collection[ObjectId], ahead: Sequence[Statement] = ()) -> None:
        if self._before is not None and tables:
            self._make_places(tables)
            self._copies.add({t for t in tables if t in self._before.objects}, self._before)

    def short(self) -> frozenset[ObjectId]:
        return frozenset()

    def keeps_late(self) -> bool:
        return False

    def keep_late(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        return frozenset(tables)

    def forget_start(self) -> None:
        if self._ends is not None:
            self._shelf.meanwhile.stage_over(self._copies.starts, *self._ends)
        self._copies.forget()
        self._copies.garbage += self._shelf.outlasting

    def set_aside(self, tables: Collection[ObjectId], catalog: Catalog) -> None:
        for table in self._tables(tables, catalog):
            self._shelf.meanwhile.set_aside(table)

    def digests(self, tables: Collection[ObjectId], catalog: Catalog) -> dict[ObjectId, str]:
        """See Session.digests. What others wrote between the statements counts as written before them."""
        self._shelf.catch_up()
        return {table.id: self._shelf.digest(table) for table in self._tables(tables, catalog)}

    def _tables(self, tables: Collection[ObjectId], catalog: Catalog) -> list[Table]:
        self._settings.own()
        return [o for i in sorted(tables) if isinstance(o := catalog.objects.get(i), Table)]

    def movable(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        return frozenset()

    def watch(self, before: Catalog) -> None:
        """Nothing reports what is written: `reached` has told what may be."""

    def touched(self, before: Catalog, after: Catalog) -> frozenset[ObjectId]:
        names = {r.before: r.after for r in renames(before, after)}
        return self._reached | changed_tables(before, after, names)

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
        self._settings.own()
        if self._redoing:
            check_foreign_keys(self._ask, after, self._copies.starts.keys())
        self._ends = after, names
        lasting = self._commits and (given is not None or self._redoing)
        return self._shelf.shelve(before, after, names, ways or {}, given, uncounted, lasting=lasting)

    def limit_shelf(self, room: int | None) -> None:
        self._shelf.room.left = room

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        self._settings.own()
        if any(rule.redo is not None for rule in rules.values()):
            self._redoing = True
            if self._commits:
                self._copies.complete()  # most of it is rows: that can be undone if no copy has to be made meanwhile
                self._ask(f"SAVEPOINT {_SAVEPOINT}")
        return self._shelf.merge(
            kept, live, target, rules, names, self._label if self._commits and not self._redoing else ""
        )

    def ways_home(self, kept: Sequence[KeptRows]) -> Mapping[str, tuple[Step, ...]]:
        return {}

    def misfits(self, wanted: SchemaObject, message: str) -> tuple[int, tuple[str, ...]] | None:
        """Can't be told yet."""
        return None

    def spared(
        self, steps: Sequence[Step], error: StatementError, live: Catalog, target: Catalog, kept: Sequence[KeptRows]
    ) -> tuple[Step, ...] | None:
        return None

    def ask_within(self, seconds: float, question: Callable[[], Answered]) -> Answered | None:
        if self._connection.flavour != "mariadb":
            return question()
        self._settings.own()
        self._ask(f"SET SESSION max_statement_time = {max(seconds, 0.001):.3f}")
        try:
            return question()
        except StatementError as error:
            if error.lost or error.sqlstate not in _TIMED_OUT:
                raise
            return None
        finally:
            if self._connection.driver.open:
                self._ask("SET SESSION max_statement_time = 0")

    def rough_rows(self, table: ObjectId) -> int | None:
        return rough_rows(self._ask, table)

    def drop_shelf(self, places: Collection[str]) -> None:
        self._shelf.drop(places)

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        self._settings.own()
        return {loss: count_lost(self._ask, loss, self._shelf.leaving.get(loss.table, "")) for loss in losses}
