"""Reads the schema: the information schema says what there is, `SHOW CREATE` how the server itself writes it."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Set
from typing import Any

import msgspec

from tagback.catalog import Catalog, ObjectId, SchemaObject, UnmanagedObject
from tagback.engines.mariadb.connecting import Connection
from tagback.engines.mariadb.definition import Facts, Unreadable, take_apart
from tagback.engines.mariadb.dependencies import dependencies
from tagback.engines.mariadb.kinds.base import table_id
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.kinds.program import Defaults, Event, Routine, Sequence, Trigger, View
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import OWN_PREFIX, ident, without_schema

DEFAULTS = ObjectId("defaults", ("schema",))
_READING_MODE = ""
_WITH_ROWS = ("BASE TABLE", "SYSTEM VERSIONED")
_INVALID_VIEW = 1356

_SCHEMA = """
SELECT default_character_set_name, default_collation_name{comment}
  FROM information_schema.schemata WHERE schema_name = database()
"""
_TABLES = """
SELECT table_name, table_type, coalesce(table_collation, ''), coalesce(engine, '')
  FROM information_schema.tables WHERE table_schema = database() ORDER BY table_name
"""
_COLUMNS = """
SELECT table_name, column_name, column_type, coalesce(character_set_name, ''), coalesce(collation_name, ''),
       is_nullable = 'YES', column_default, extra, coalesce(generation_expression, '') <> ''
  FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position
"""
_SRIDS = """
SELECT g_table_name, g_geometry_column, srid FROM information_schema.geometry_columns
 WHERE g_table_schema = database() AND srid <> 0
"""
_TRIGGERS = """
SELECT trigger_name, event_object_table, action_timing, event_manipulation, sql_mode,
       character_set_client, collation_connection, database_collation
  FROM information_schema.triggers WHERE trigger_schema = database()
 ORDER BY event_object_table, action_timing, event_manipulation, action_order
"""
_ROUTINES = """
SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = database()
 ORDER BY routine_type, routine_name
"""
_EVENTS = "SELECT event_name FROM information_schema.events WHERE event_schema = database() ORDER BY event_name"
_SEQUENCE = re.compile(r"CREATE SEQUENCE `(?:[^`]|``)*` (.*?)(?: ENGINE=(\w+))?\Z", re.DOTALL)
_VIEW = re.compile(r"(CREATE .*?) VIEW `(?:[^`]|``)*`(?: \(.*?\))? AS (.*)\Z", re.DOTALL)

_ANY = msgspec.json.Decoder(
    Table | ForeignKey | View | Trigger | Routine | Event | Sequence | Defaults | UnmanagedObject
)


def decode(definition: bytes) -> SchemaObject:
    """The object whose canonical form this is; ValueError otherwise."""
    found: SchemaObject = _ANY.decode(definition)
    return found


def read_catalog(connection: Connection) -> Catalog:
    """The schema as this connection sees it now; tagback's own tables are left out."""
    with _plain_session(connection):
        objects = {o.id: o for o in _Reading(connection).objects()}
    return Catalog(connection.flavour, major(connection), objects, dependencies(objects))


def major(connection: Connection) -> str:
    """The server's version as catalogs have it: "10.11"."""
    return ".".join(map(str, connection.version[:2]))


@contextlib.contextmanager
def _plain_session(connection: Connection) -> Iterator[None]:
    """Texts are written in the session's mode; whoever uses the session has their own."""
    ((mode, quoted),) = connection.ask("SELECT @@sql_mode, @@sql_quote_show_create")
    connection.ask("SET SESSION sql_mode = %s, sql_quote_show_create = 1", (_READING_MODE,))
    try:
        yield
    finally:
        if connection.driver.open:
            connection.ask("SET SESSION sql_mode = %s, sql_quote_show_create = %s", (mode, quoted))


class _Reading:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ask: Callable[[str], list[tuple[Any, ...]]] = connection.ask

    def objects(self) -> Iterator[SchemaObject]:
        """Everything, kind by kind."""
        yield self._defaults()
        columns = self._columns()
        tables = self._ask(_TABLES)
        parents = {name for name, kind, _, _ in tables if kind in _WITH_ROWS}
        for name, kind, collation, engine in tables:
            if name.startswith(OWN_PREFIX):
                continue
            match kind:
                case _ if kind in _WITH_ROWS:
                    yield from self._table(name, columns.get(name, {}), collation, parents)
                case "VIEW":
                    yield self._view(name, tuple(columns.get(name, {})))
                case "SEQUENCE":
                    yield self._sequence(name, engine)
                case _:
                    yield _watched(ObjectId(kind.lower(), (name,)), "")
        yield from self._triggers()
        for name, kind in self._ask(_ROUTINES):
            yield self._routine(name, kind)
        for (name,) in self._ask(_EVENTS):
            yield self._event(name)

    def _defaults(self) -> Defaults:
        told = self._connection.flavour == "mariadb"
        ((charset, collation, comment),) = self._ask(_SCHEMA.format(comment=", schema_comment" if told else ", ''"))
        return Defaults(id=DEFAULTS, charset=charset, collation=collation, comment=comment)

    def _columns(self) -> dict[str, dict[str, Facts]]:
        srids = {}
        if self._connection.flavour == "mariadb":
            srids = {(table, column): srid for table, column, srid in self._ask(_SRIDS)}
        found: dict[str, dict[str, Facts]] = {}
        for table, name, type_, charset, collation, nullable, default, extra, computed in self._ask(_COLUMNS):
            full = collation if not collation or collation.startswith(charset) else f"{charset}_{collation}"
            generated = bool(computed) or "GENERATED" in extra
            value = self._own(default) if default and "`" in default else default
            facts = Facts(type_, charset, full, bool(nullable), value, extra, generated, srids.get((table, name), 0))
            found.setdefault(table, {})[name] = facts
        return found

    def _table(self, name: str, columns: dict[str, Facts], collation: str, parents: Set[str]) -> Iterator[SchemaObject]:
        ((_, text),) = self._ask(f"SHOW CREATE TABLE {ident(name)}")
        text = self._own(text)
        try:
            table, foreign_keys = take_apart(name, text, columns, collation)
        except Unreadable:
            yield _watched(table_id(name), re.sub(r" AUTO_INCREMENT=\d+", "", text))
            return
        yield table
        for key in foreign_keys:
            dangling = not key.schema and key.parent not in parents
            yield msgspec.structs.replace(key, dangling=True) if dangling else key

    def _view(self, name: str, columns: tuple[str, ...]) -> SchemaObject:
        ((_, text, client, connection),) = self._ask(f"SHOW CREATE VIEW {ident(name)}")
        broken = any(row[1] == _INVALID_VIEW for row in self._ask("SHOW WARNINGS"))
        object_id = ObjectId("view", (name,))
        match = _VIEW.match(self._own(text))
        if match is None:
            return _watched(object_id, text)
        return View(
            id=object_id,
            head=match[1],
            query=match[2],
            columns=() if broken else columns,
            broken=broken,
            client=client,
            connection=connection,
        )

    def _sequence(self, name: str, engine: str) -> SchemaObject:
        ((_, text),) = self._ask(f"SHOW CREATE SEQUENCE {ident(name)}")
        match = _SEQUENCE.match(text)
        if match is None:
            return _watched(ObjectId("sequence", (name,)), text)
        return Sequence(id=ObjectId("sequence", (name,)), text=match[1], engine=engine)

    def _triggers(self) -> Iterator[SchemaObject]:
        before: tuple[str, str] = ("", "")
        for name, table, timing, event, mode, client, connection, collation in self._ask(_TRIGGERS):
            text = self._ask(f"SHOW CREATE TRIGGER {ident(name)}")[0][2]
            when = f"{timing} {event}"
            yield Trigger(
                id=ObjectId("trigger", (name,)),
                table=table,
                when=when,
                text=text,
                follows=before[1] if before[0] == f"{table}.{when}" else "",
                mode=mode,
                client=client,
                connection=connection,
                schema_collation=collation,
            )
            before = (f"{table}.{when}", name)

    def _routine(self, name: str, kind: str) -> SchemaObject:
        object_id = ObjectId(kind.lower(), (name,))
        ((_, mode, text, client, connection, collation),) = self._ask(f"SHOW CREATE {kind} {ident(name)}")
        if text is None:  # the account may not see the body
            return _watched(object_id, "")
        return Routine(
            id=object_id,
            text=text,
            mode=mode,
            client=client,
            connection=connection,
            schema_collation=collation,
        )

    def _event(self, name: str) -> SchemaObject:
        ((_, mode, zone, text, client, connection, collation),) = self._ask(f"SHOW CREATE EVENT {ident(name)}")
        return Event(
            id=ObjectId("event", (name,)),
            text=text,
            zone=zone,
            mode=mode,
            client=client,
            connection=connection,
            schema_collation=collation,
        )

    def _own(self, text: str) -> str:
        return without_schema(text, self._connection.database)


def _watched(object_id: ObjectId, text: str) -> UnmanagedObject:
    return UnmanagedObject(id=object_id, digest=hashlib.sha256(text.encode()).hexdigest())
