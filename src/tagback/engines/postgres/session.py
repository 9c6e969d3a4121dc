"""One connection to PostgreSQL: its transaction, its lock, the user's statements and tagback's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from tagback.catalog import Catalog, Loss, ObjectId, Rename, SchemaObject, Step
from tagback.changelog import Dialect, Statement
from tagback.engines.postgres import bounded, failures, place
from tagback.engines.postgres.ahead import ask_each
from tagback.engines.postgres.anew import Anew
from tagback.engines.postgres.batch import run_in_batches, write_many
from tagback.engines.postgres.connecting import connect
from tagback.engines.postgres.deferral import settle
from tagback.engines.postgres.failures import refusals, statement_error
from tagback.engines.postgres.isolation import Isolation
from tagback.engines.postgres.lock import TABLE_LOCKS, Lock, lock_lost
from tagback.engines.postgres.moving import Moving
from tagback.engines.postgres.pipeline import encoded, in_groups, leave_copy, run_pipeline
from tagback.engines.postgres.pooler import refuse_shared
from tagback.engines.postgres.rows import Rows
from tagback.engines.postgres.settings import NOTED, OWN, Settings, milliseconds, own_instead, theirs_again
from tagback.engines.postgres.shelf import Shelf
from tagback.engines.postgres.sqltext import literal, translated
from tagback.engines.session import Answered, Capabilities, KeptRows, Merge, Rules, StatementError, Unkept, Value
from tagback.engines.staging import InOneTransaction
from tagback.engines.url import Url
from tagback.errors import TagbackError

NOTICES_KEPT = 1000
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SAVEPOINT = "tagback_savepoint"
_Row = tuple[Any, ...]


class PostgresSession(InOneTransaction):
    """See `tagback.engines.session.Session`.

    `lock_timeout` is the longest wait of one statement in a lock's queue, in seconds, 0 for no limit: set it before
    `begin`. `notices` collects what the user's statements make the server say, from `begin` on.
    """

    engine = "postgresql"
    dialect = Dialect.POSTGRES
    capabilities = Capabilities(statements_outside_transactions=True, cased_names=True, locks_held=TABLE_LOCKS)

    def __init__(self, connection: psycopg.Connection[_Row], url: Url, lock_timeout: float) -> None:
        self.lock_timeout = lock_timeout
        self.notices: list[str] = []
        self._connection = connection
        self._url = url
        self._rows = Rows(self._text, self._attempt, self._each, self.notices)
        self._shelf = Shelf(self._text, self._attempt, self._user, self._undo, self._rows)
        self._moving = Moving(self._text, self._attempt, self._user, self._undo, self.notices, self._rows, self._shelf)
        self._theirs: Settings | None = None  # the user's settings, while tagback's own are in force
        self._lock = Lock(self._simple)
        self._isolation = Isolation(self._text)
        self._users_turn = False
        self._anew = Anew(url, self.read_catalog)
        connection.add_notice_handler(self._notice)
        try:
            self._at_login = Settings.of(connection.execute(NOTED.encode()).fetchall()[0])
            connection.execute(self._at_login.unhurried().encode())
        except psycopg.Error as error:
            raise statement_error(error, connection) from error

    @classmethod
    def open(cls, url: Url, lock_timeout: float = 5.0) -> PostgresSession:
        """Connects. UnreachableError says what is in the way; UsageError for URLs and servers that can't be used."""
        connection = connect(url)
        try:
            failures.refuse_version(connection.info.server_version)
            refuse_shared(connection, lambda: connect(url))
            return cls(connection, url, lock_timeout)
        except BaseException:
            connection.close()
            raise

    @property
    def server(self) -> str:
        return f"PostgreSQL {(self._connection.info.parameter_status('server_version') or '').partition(' ')[0]}"

    @property
    def major(self) -> str:
        return str(self._connection.info.server_version // 10000)

    @property
    def place(self) -> str:
        return str(self._url)

    @functools.cached_property
    def epoch(self) -> str:
        return place.epoch(self._text)

    def close(self) -> None:
        self._connection.close()

    def cancel(self) -> None:
        if not self._connection.closed:
            self._connection.cancel()

    def lock(self, seconds: float) -> None:
        if not self._lock.taken:
            if self._text("SELECT pg_is_in_recovery()")[0][0]:
                raise failures.standby()
            self._lock.take(seconds)

    def unlock(self) -> None:
        if self._lock.taken and not self._connection.closed:
            try:
                self._take_settings()
                self._lock.release()
            except StatementError:
                # What was done stands; saying now that it failed would be false. The lock goes with the connection.
                self._connection.close()

    def begin(self) -> None:
        self._reset_settings()
        self.notices.clear()
        try:
            self._simple("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            self._make_sure_of_the_lock()
        except StatementError as error:
            if not error.lost and self._text("SELECT pg_is_in_recovery()")[0][0]:
                raise failures.standby() from error
            raise

    def begin_reading(self) -> None:
        self._reset_settings()
        self._simple(READING)

    def commit(self) -> None:
        # Deferred triggers are the user's code and expect the user's settings.
        self._user("SET CONSTRAINTS ALL IMMEDIATE")
        self._make_sure_of_the_lock()
        self._simple("COMMIT")
        self._ended()

    def rollback(self) -> None:
        if self._connection.closed or self._status is not TransactionStatus.IDLE:
            if not self._connection.closed:
                self._simple("ROLLBACK")
            self._ended()

    def savepoint(self) -> None:
        # Rolling back takes settings along: it then goes back to the user's.
        self._user(f"SAVEPOINT {_SAVEPOINT}")
        self._moving.mark()

    def rollback_to_savepoint(self) -> None:
        self._undo(_SAVEPOINT)
        self._moving.back_to_mark()

    def release_savepoint(self) -> None:
        self._simple(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        self._moving.forget_mark()

    # ------------------------------------------------------------------ statements

    def prepare(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        return self._isolation.without_levels(statements)

    def begin_stage(self, label: str, before: Catalog, *, commits: bool) -> bool:
        self._isolation.keep_writers_away(before)
        return False

    def run(self, sql: str) -> None:
        self._give_back_settings()
        before = self._status
        self._rows.statement_runs(sql)
        self._users_turn = True
        try:
            self._simple(sql)
        finally:
            self._users_turn = False
            if self._status is TransactionStatus.ACTIVE:
                leave_copy(self._connection)
        if self._status is not before:
            raise failures.other_transaction()

    def run_each(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        together = self._status is TransactionStatus.INTRANS and psycopg.Pipeline.is_supported()
        try:
            for group in in_groups(sqls) if together else [[sql] for sql in sqls]:
                if not self._moving.moves(group, lambda sql: self._run_group([sql], done)):
                    self._run_group(group, done)
        except StatementError as error:
            raise self._moving.explained(error) from None

    def _run_group(self, sqls: Sequence[str], done: Callable[[], None]) -> None:
        """Statements that `in_groups` put together; all of them are noted before the first is sent."""
        if len(sqls) == 1:
            self.run(sqls[0])
            done()
            return
        for sql in sqls:
            self._rows.statement_runs(sql)
        self._give_back_settings()
        self._users_turn = True
        try:
            with refusals(self._connection):
                run_pipeline(self._connection, [encoded(self._connection, sql) for sql in sqls], done)
        finally:
            self._users_turn = False
        if self._status is not TransactionStatus.INTRANS:
            raise failures.other_transaction()

    def settle(self) -> None:
        self._give_back_settings()
        settle(self._simple, self._text)

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[_Row]:
        if sql.startswith("CREATE TABLE {"):
            place.make_schema(self._text)
        text = translated(sql, len(values))
        self._take_settings()
        with refusals(self._connection):
            cursor = self._connection.execute(text, values or None, prepare=False)
            return cursor.fetchall() if cursor.description is not None else []

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        if rows := list(rows):
            self._take_settings()
            with refusals(self._connection):
                write_many(self._connection, sql, rows)

    def run_steps(self, steps: Sequence[Step], done: Callable[[Step, float], None]) -> None:
        """See Session.run_steps. Steps sent together share the time of their round trip evenly."""
        if not steps:
            return
        self._give_back_settings()
        if self._status is TransactionStatus.INTRANS:
            # Or ALTER TABLE is refused because of "pending trigger events". The triggers expect the user's settings.
            self._simple("SET CONSTRAINTS ALL IMMEDIATE")
        self._take_settings()
        # Definitions name everything in full, but functions that steps call may count on the path of every day.
        self._set_path(f"pg_catalog, {self._at_login.values['search_path'] or 'pg_catalog'}, pg_temp")
        run_in_batches(self._connection, steps, done)
        self._set_path(OWN["search_path"])

    def _set_path(self, path: str) -> None:
        """Changes the search path among tagback's own settings."""
        local = "true" if self._status is TransactionStatus.INTRANS else "false"
        self._text(f"SELECT pg_catalog.set_config('search_path', {literal(path)}, {local})")

    # ------------------------------------------------------------------ the ledger's place

    def ledger_exists(self) -> bool:
        return place.exists(self._text)

    def ledger_obstacle(self) -> TagbackError | None:
        return place.obstacle(self._text)

    # ------------------------------------------------------------------ the catalog

    def read_catalog(self) -> Catalog:
        from tagback.engines.postgres.catalog import read_catalog

        if self._status is TransactionStatus.IDLE:
            self._give_back_settings()
            self._simple(READING)
            try:
                return self.read_catalog()
            finally:
                self.rollback()
        self._take_settings()
        with refusals(self._connection):
            return read_catalog(self._connection, int(self.major))

    def read_anew(self, recorded: Catalog) -> Catalog:
        return self._anew.read(recorded)

    def decode(self, definition: bytes) -> SchemaObject:
        from tagback.engines.postgres.catalog import decode

        return decode(definition)

    def rename(self, rename: Rename) -> tuple[Step, ...] | None:
        from tagback.engines.postgres.catalog import rename_steps

        return rename_steps(rename)

    # ------------------------------------------------------------------ rows

    def hold(self, tables: Collection[ObjectId], altered: Collection[ObjectId]) -> None:
        self._rows.hold(tables, altered)

    def keep_start(self, tables: Collection[ObjectId], ahead: Sequence[Statement] = ()) -> None:
        self._shelf.start.keep(tables, ahead)

    def short(self) -> frozenset[ObjectId]:
        return self._shelf.start.short()

    def forget_start(self) -> None:
        self._moving.forget_start()

    def movable(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        return self._moving.movable(tables)

    def set_aside(self, tables: Collection[ObjectId], catalog: Catalog) -> None:
        self._rows.set_aside(tables & catalog.objects.keys())

    def digests(self, tables: Collection[ObjectId], catalog: Catalog) -> dict[ObjectId, str]:
        return self._shelf.digests(tables & catalog.objects.keys())

    def watch(self, before: Catalog) -> None:
        self._rows.watch(before)

    def touched(self, before: Catalog, after: Catalog) -> frozenset[ObjectId]:
        return self._rows.touched()

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
        return self._moving.shelve(label, before, after, names, ways or {}, given, uncounted)

    def merge(
        self,
        kept: Sequence[KeptRows],
        live: Catalog,
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        return self._moving.merge(kept, target, rules, names)

    def ways_home(self, kept: Sequence[KeptRows]) -> Mapping[str, tuple[Step, ...]]:
        return self._moving.ways_home(kept)

    def misfits(self, wanted: SchemaObject, message: str) -> tuple[int, tuple[str, ...]] | None:
        return self._shelf.misfits(wanted, message)

    def spared(
        self, steps: Sequence[Step], error: StatementError, live: Catalog, target: Catalog, kept: Sequence[KeptRows]
    ) -> tuple[Step, ...] | None:
        return self._shelf.spared(steps, error, live, target, kept)

    def limit_shelf(self, room: int | None) -> None:
        self._shelf.room.left = room

    def ask_within(self, seconds: float, question: Callable[[], Answered]) -> Answered | None:
        return bounded.ask_within(self._text, seconds, question)

    def rough_rows(self, table: ObjectId) -> int | None:
        return bounded.rough_rows(self._text, table)

    def drop_shelf(self, places: Collection[str]) -> None:
        self._moving.drop(places)

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        return self._rows.count_each(losses)

    # ------------------------------------------------------------------ whose settings are in force

    def _take_settings(self) -> None:
        """Puts tagback's own settings in force, unless they are."""
        if self._theirs is None:
            own = own_instead(self._at_login, self.lock_timeout, local=self._status is not TransactionStatus.IDLE)
            self._theirs = Settings.of(self._simple(f"{NOTED}; {own}")[0])

    def _give_back_settings(self) -> None:
        """Puts the user's settings in force, unless they are."""
        if self._theirs is not None:
            self._simple(theirs_again(self._theirs, local=self._status is not TransactionStatus.IDLE))
            self._theirs = None

    def _reset_settings(self) -> None:
        """Back to the login's settings, but for lock_timeout: a deployment doesn't inherit those of another one."""
        self._theirs = None
        self._simple("RESET SESSION AUTHORIZATION")
        lock_timeout = f"SET lock_timeout = {milliseconds(self.lock_timeout)}"
        self._simple(f"RESET ROLE; RESET ALL; {lock_timeout}; {self._at_login.unhurried()}")

    def _ended(self) -> None:
        """The transaction is over, and took SET LOCAL and temporary tables with it."""
        self._theirs = None
        self._moving.ended()

    # ------------------------------------------------------------------ asking the server

    @property
    def _status(self) -> TransactionStatus:
        return TransactionStatus(self._connection.pgconn.transaction_status)

    def _text(self, sql: str) -> list[_Row]:
        """Runs a statement of tagback's own just as it is written."""
        self._take_settings()
        return self._simple(sql)

    def _user(self, sql: str) -> list[_Row]:
        """The same under the user's settings."""
        self._give_back_settings()
        return self._simple(sql)

    def _undo(self, savepoint: str) -> None:
        """Goes back to a savepoint that was set with the user's settings."""
        self._simple(f"ROLLBACK TO SAVEPOINT {savepoint}")
        self._theirs = None

    def _each(self, queries: Sequence[str]) -> list[list[_Row]]:
        """Runs queries of tagback's own, all on their way at once."""
        self._take_settings()
        with refusals(self._connection):
            return ask_each(self._connection, queries)

    def _attempt(self, sql: str) -> list[_Row] | StatementError:
        """The same for one that may be refused because of the data; the transaction goes on."""
        self._take_settings()
        inside = self._status is not TransactionStatus.IDLE
        if inside:
            self._simple("SAVEPOINT tagback_attempt")
        try:
            rows = self._simple(sql)
        except StatementError as error:
            if inside and not error.lost:
                self._simple("ROLLBACK TO SAVEPOINT tagback_attempt; RELEASE SAVEPOINT tagback_attempt")
            return error
        if inside:
            self._simple("RELEASE SAVEPOINT tagback_attempt")
        return rows

    def _simple(self, sql: str) -> list[_Row]:
        """Runs text over the simple protocol: nothing in it is interpreted on the way. Rows of its first statement."""
        if "\0" in sql:
            raise StatementError("The statement contains a NUL character.", code="syntax", position=sql.index("\0"))
        with refusals(self._connection):
            cursor = self._connection.execute(encoded(self._connection, sql), prepare=False)
            return cursor.fetchall() if cursor.description is not None else []

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._users_turn and len(self.notices) < NOTICES_KEPT:
            self.notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")

    def _make_sure_of_the_lock(self) -> None:
        if reason := self._lock.lost():
            self.rollback()
            raise lock_lost(reason)
