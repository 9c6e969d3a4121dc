"""The user's statements in one session: what each comes to, what it reaches, and how it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagback.catalog import Catalog, ObjectId
from tagback.changelog import Dialect, Statement
from tagback.changelog.dialect import mysql_in
from tagback.engines.mariadb.connecting import Connection
from tagback.engines.mariadb.copies import Copies
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.lineage import Lineage
from tagback.engines.mariadb.meaning import Meanings, is_opaque
from tagback.engines.mariadb.settings import Settings
from tagback.engines.mariadb.statements import forbidden, is_left_out, reached, refusal, refused, renamed_by, words_of

_OTHERS = "SELECT schema_name FROM information_schema.schemata WHERE schema_name <> database()"
_TOLD = 60  # characters of a statement


class Running:
    """`lineage` follows what they rename; `doubts` is what `Session.doubts` tells of the stage."""

    def __init__(self, connection: Connection, settings: Settings, copies: Copies) -> None:
        self._connection = connection
        self._ask = connection.ask
        self._settings = settings
        self._copies = copies
        self._meanings = Meanings(connection.ask)
        self._others: list[str] = []
        self._commits = False
        self._meant: Statement | None = None  # what a stage of one statement will run
        self.lineage = Lineage()
        self.doubts: list[str] = []

    @property
    def dialect(self) -> Dialect:
        """As the user has set the mode."""
        return mysql_in(self._settings.mode())

    def begin(self, statements: Sequence[Statement]) -> None:
        """A deployment of these begins. RefusedError where one isn't run."""
        self._settings.forget()
        self._meanings.forget()
        self.lineage = Lineage()
        self._others = [str(name) for (name,) in self._ask(_OTHERS)]
        for statement in statements:
            self._refuse(statement)

    def _refuse(self, statement: Statement) -> None:
        why = refusal(statement, self._connection.database, self._others)
        if why is not None:
            raise why

    def begin_stage(self, *, commits: bool) -> None:
        """Nothing was said of it yet. `commits`: what runs next may."""
        self._commits, self._meant = commits, None
        self.doubts.clear()

    def meant(self, statement: Statement) -> Statement:
        """See Session.meant."""
        self._settings.theirs()
        found = self._meanings.of(statement)
        self._settings.own()
        if found is not statement:
            self._refuse(found)
        doing = self._meanings.doing(found)
        if doing is None:
            return found
        why = forbidden(doing.statements, self._connection.database, self._others)
        if why:
            raise refused(found, why)
        return replace(found, transactional=not doing.commits)

    def reached(self, before: Catalog, ahead: Sequence[Statement]) -> frozenset[ObjectId]:
        """See Session.reached."""
        meant = [self.meant(statement) for statement in ahead]
        self._meant = meant[0] if len(meant) == 1 else None
        for statement in meant:
            doing = self._meanings.doing(statement)
            if doing is not None and doing.anything:
                return frozenset(o.id for o in before.objects.values() if isinstance(o, Table))
        return frozenset(reached(meant, before))

    def run(self, sql: str) -> None:
        """See Session.run."""
        if is_left_out(words_of(sql, self.dialect)):
            return
        told = self._meant if self._commits else None
        if told is not None and is_opaque(told.sql, told.dialect):
            self._run_freely(sql, told.sql)
        else:
            with self._copies.guarded(self._copies.starts, last=True):
                self._run(sql)
        self.lineage.follow(renamed_by(told.sql if told is not None else sql, self.dialect))

    def _run(self, sql: str) -> None:
        self._settings.theirs()
        try:
            for part in self._meanings.sent(sql, self.dialect):
                self._ask(part)
            self._meanings.ran(sql, self.dialect)
        finally:
            if self._connection.driver.open:
                self._settings.own()

    def _run_freely(self, sql: str, told: str) -> None:
        """Without the lock, under which much can't be done, and with the server's own commits."""
        self._copies.complete()
        short = " ".join(told.split())
        short = f"{short[:_TOLD]}…" if len(short) > _TOLD else short
        self.doubts.append(f"while nobody else wrote to the same rows as `{short}` ran")
        self._ask("SET SESSION autocommit = 1")
        try:
            self._run(sql)
        finally:
            if self._connection.driver.open:
                self._ask("SET SESSION autocommit = 0")
