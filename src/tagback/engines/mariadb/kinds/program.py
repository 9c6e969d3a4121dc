"""What holds SQL of the user's: views, triggers, routines, packages and events. Each remembers the session it was made in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.mariadb.kinds.base import PLAIN, MariadbObject, table_id
from tagback.engines.mariadb.sqltext import end_of_words, ident, literal

_UNICODE = ("utf8mb3", "utf8mb4", "utf8")


class Program(MariadbObject, frozen=True, kw_only=True, omit_defaults=True):
    """`mode`, `client` and `connection` are the session's sql_mode, character_set_client and collation_connection.

    `schema_collation` is the schema's default when it was made: what is declared without a character set has that one.
    """

    mode: str = ""
    client: str = ""
    connection: str = ""
    schema_collation: str = ""

    keyword: ClassVar[str] = ""

    @property
    def made_by(self) -> str:
        """The statement that makes it."""
        raise NotImplementedError

    @property
    def can_be_made(self) -> bool:
        """A text in a session of another character set would need that one on the wire."""
        return self.made_by.isascii() or self.client in _UNICODE

    @property
    def settings(self) -> list[str]:
        """Of the session that makes it."""
        return [
            f"sql_mode = {literal(self.mode)}",
            f"character_set_client = {self.client}",
            f"collation_connection = {self.connection}",
        ]

    def create(self) -> tuple[Step, ...]:
        sqls = (f"SET SESSION {', '.join(self.settings)}", self.made_by, PLAIN)
        return tuple(self.step(sql, Action.CREATE) for sql in sqls)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)


class View(Program, frozen=True, kw_only=True, omit_defaults=True, tag="view"):
    """`head` is what stands before VIEW, `query` what follows AS: the server's own text, with all names written out."""

    head: str
    query: str
    columns: tuple[str, ...] = ()
    broken: bool = False

    keyword: ClassVar[str] = "VIEW"

    @property
    def parts(self) -> Iterable[ObjectId]:
        return tuple(ObjectId("column", (*self.id.name, c)) for c in self.columns)

    @property
    def made_by(self) -> str:
        return f"{self.head} VIEW {self.address} AS {self.query}"

    @property
    def can_be_made(self) -> bool:
        """One that names what isn't there can't be made."""
        return not self.broken and super().can_be_made

    @property
    def settings(self) -> list[str]:
        return super().settings[1:]  # its text means the same in every mode


class Trigger(Program, frozen=True, kw_only=True, omit_defaults=True, tag="trigger"):
    """`text` is the statement as its author wrote it, and `follows` the one before it of the same table, time and event."""

    table: str
    when: str
    text: str
    follows: str = ""

    keyword: ClassVar[str] = "TRIGGER"

    @property
    def part_of(self) -> ObjectId | None:
        return table_id(self.table)

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        return (table_id(self.table),)

    @property
    def made_by(self) -> str:
        """The server takes FOLLOWS out of the text before it keeps it."""
        head = end_of_words(self.text, "FOR", "EACH", "ROW")
        return f"{self.text[:head]} FOLLOWS {ident(self.follows)}{self.text[head:]}" if self.follows else self.text


class Routine(Program, frozen=True, kw_only=True, omit_defaults=True, tag="routine"):
    """A procedure, a function, or a package and its body: `text` is the statement that makes it."""

    text: str

    @property
    def made_by(self) -> str:
        return self.text

    def drop(self) -> tuple[Step, ...]:
        """MariaDB 10.11 knows the word PACKAGE in Oracle's mode only."""
        drop = self.step(f"DROP {self.id.kind.upper()} {self.address}", Action.DROP)
        if not self.id.kind.startswith("package"):
            return (drop,)
        return (self.step("SET SESSION sql_mode = 'ORACLE'", Action.DROP), drop, self.step(PLAIN, Action.DROP))


class Event(Program, frozen=True, kw_only=True, omit_defaults=True, tag="event"):
    """`zone` is the session's time zone, in which its times are meant."""

    text: str
    zone: str = ""

    keyword: ClassVar[str] = "EVENT"

    @property
    def made_by(self) -> str:
        return self.text

    @property
    def settings(self) -> list[str]:
        return [*super().settings, f"time_zone = {literal(self.zone)}"]


class Sequence(MariadbObject, frozen=True, kw_only=True, omit_defaults=True, tag="sequence"):
    """`text` are its options. How far it has come is no part of its definition."""

    text: str
    engine: str = ""

    def create(self) -> tuple[Step, ...]:
        engine = f" ENGINE={self.engine}" if self.engine else ""
        return (self.step(f"CREATE SEQUENCE {self.address} {self.text}{engine}", Action.CREATE),)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP SEQUENCE {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, Sequence) or after.engine != self.engine:
            return None
        return Alteration((self.step(f"ALTER SEQUENCE {self.address} {after.text}", Action.ALTER),))


class Defaults(MariadbObject, frozen=True, kw_only=True, omit_defaults=True, tag="defaults"):
    """What the schema itself is: the character set and collation of tables that name none, and a comment."""

    charset: str
    collation: str
    comment: str = ""

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, Defaults):
            return None
        sql = f"ALTER DATABASE CHARACTER SET {after.charset} COLLATE {after.collation}"
        if after.comment != self.comment:
            sql += f" COMMENT {literal(after.comment)}"
        return Alteration((self.step(sql, Action.ALTER),))
