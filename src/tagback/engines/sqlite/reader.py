"""Reads the whole schema of an SQLite database in a handful of queries."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from tagback.catalog import Catalog, ObjectId, SchemaObject, UnmanagedObject
from tagback.engines.sqlite.lineage import Lineage
from tagback.engines.sqlite.naming import is_own
from tagback.engines.sqlite.objects import (
    Column,
    ForeignKey,
    Index,
    Setting,
    Table,
    Trigger,
    View,
    column_id,
    table_id,
)
from tagback.engines.sqlite.virtual import (
    BareIndex,
    SearchIndex,
    Surroundings,
    VirtualTable,
    definition,
    is_virtual,
    mistaken,
    read_virtual,
    shadows_of,
)

ENGINE = "sqlite"
MAJOR = "3"  # whose catalogs read the same in each
_SETTINGS = ("user_version", "application_id")

# No LIKE below: a changeset's PRAGMA case_sensitive_like would change what it finds.
_SCHEMA = """
    SELECT type, name, tbl_name, sql
    FROM main.sqlite_schema
    WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND sql IS NOT NULL
    ORDER BY rowid
"""
_COLUMNS = """
    SELECT s.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
    FROM main.sqlite_schema s JOIN pragma_table_xinfo(s.name, 'main') c
    WHERE s.type = 'table' AND lower(substr(s.sql, 1, 14)) <> 'create virtual'
    ORDER BY s.rowid, c.cid
"""
_FOREIGN_KEYS = """
    SELECT s.name, f.id, f."table", f."from", f."to", f.on_update, f.on_delete
    FROM main.sqlite_schema s JOIN pragma_foreign_key_list(s.name, 'main') f
    WHERE s.type = 'table' AND lower(substr(s.sql, 1, 14)) <> 'create virtual' AND instr(lower(s.sql), 'references')
    ORDER BY s.rowid, f.id, f.seq
"""
_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"

_STRICT_OR_ROWID = re.compile(r"\)[^)]*\Z")
_AUTOINCREMENT = re.compile(r"\bautoincrement\b", re.I)


_ANY = msgspec.json.Decoder(
    Table | VirtualTable | SearchIndex | BareIndex | Index | View | Trigger | Setting | UnmanagedObject
)


def decode(definition: bytes) -> SchemaObject:
    """The object whose canonical form this is; ValueError otherwise."""
    found: SchemaObject = _ANY.decode(definition)
    return found


def read_catalog(connection: sqlite3.Connection, lineage: Lineage) -> Catalog:
    """Everything in `main` but tagback's own tables and SQLite's internal ones."""
    rows = connection.execute(_SCHEMA).fetchall()
    objects: dict[ObjectId, SchemaObject] = {}
    dependencies: dict[ObjectId, frozenset[ObjectId]] = {}
    known: dict[ObjectId, str] = {}
    tables = {name: sql for kind, name, _, sql in rows if kind == "table"}
    shadows = _shadows(connection, {name: sql for name, sql in tables.items() if is_virtual(sql)})
    columns = _columns(connection)
    foreign_keys = _foreign_keys(connection)
    views = {name: sql for kind, name, _, sql in rows if kind == "view"}  # a trigger may have the name of one
    around = Surroundings(views, tables)
    for kind, name, table, sql in rows:
        if is_own(name) or is_own(table) or name in shadows:
            continue
        found: SchemaObject
        if kind == "table" and is_virtual(sql):
            found, needs = read_virtual(connection, name, sql, around)
            if needs:
                dependencies[found.id] = needs
        elif kind == "table":
            found = _table(name, sql, columns[name], foreign_keys.get(name, ()))
        elif kind == "index":
            found = Index(id=ObjectId("index", (name,)), sql=sql, table=table)
            dependencies[found.id] = frozenset({table_id(table)})
        elif kind == "view":
            found = View(id=ObjectId("view", (name,)), sql=sql)
        else:
            on_kind = "view" if table in views else "table"
            found = Trigger(id=ObjectId("trigger", (name,)), sql=sql, on_kind=on_kind, on=table)
            dependencies[found.id] = frozenset({ObjectId(on_kind, (table,))})
        objects[found.id] = found
        if isinstance(found, Table):
            known[found.id] = lineage.table(name)
            for c in found.columns:
                known[column_id(name, c.name)] = lineage.column(name, c.name)
    for name in _SETTINGS:
        value = connection.execute(f"PRAGMA main.{name}").fetchone()[0]
        setting = Setting(id=ObjectId("setting", (name,)), value=value)
        objects[setting.id] = setting
    return Catalog(engine=ENGINE, major=MAJOR, objects=objects, dependencies=dependencies, lineage=known)


def _shadows(connection: sqlite3.Connection, virtual: Mapping[str, str]) -> set[str]:
    """Tables in which virtual ones keep what they hold: of modules known here by their texts, else as SQLite says."""
    said = {name: definition(sql) for name, sql in virtual.items()}
    found = {r[0] for r in connection.execute(_SHADOWS)} if said and sqlite3.sqlite_version_info >= (3, 37) else set()
    for name, text in said.items():
        found = found - mistaken(name, text) | {*shadows_of(name, text)}
    return found


def _table(name: str, sql: str, columns: list[Column], foreign_keys: tuple[ForeignKey, ...]) -> Table:
    tail = _STRICT_OR_ROWID.search(_without_comments(sql))
    options = tail[0].lower() if tail else ""
    return Table(
        id=table_id(name),
        sql=sql,
        columns=tuple(columns),
        foreign_keys=foreign_keys,
        strict="strict" in options,
        without_rowid="without" in options,
        autoincrement=bool(_AUTOINCREMENT.search(_without_comments(sql))),
    )


def _columns(connection: sqlite3.Connection) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = defaultdict(list)
    for table, name, kind, not_null, default, key, hidden in connection.execute(_COLUMNS):
        found[table].append(Column(name, kind, bool(not_null), default, key, hidden))
    return found


def _foreign_keys(connection: sqlite3.Connection) -> dict[str, tuple[ForeignKey, ...]]:
    found: dict[str, dict[int, list[tuple[str, str | None, str, str, str]]]] = defaultdict(lambda: defaultdict(list))
    for table, number, parent, source, target, on_update, on_delete in connection.execute(_FOREIGN_KEYS):
        found[table][number].append((source, target, parent, on_update, on_delete))
    return {
        table: tuple(
            ForeignKey(
                columns=tuple(p[0] for p in pairs),
                parent=pairs[0][2],
                target_columns=tuple(p[1] for p in pairs if p[1] is not None),
                on_update=pairs[0][3],
                on_delete=pairs[0][4],
            )
            for _, pairs in sorted(keys.items())
        )
        for table, keys in found.items()
    }


_QUOTED_OR_COMMENT = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]""", re.S
)


def _without_comments(sql: str) -> str:
    """The text with everything blanked that could hide a keyword: comments, strings, quoted names."""
    return _QUOTED_OR_COMMENT.sub(" ", sql)
