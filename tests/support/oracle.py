"""What a database holds, seen without tagback: the schema as its own tools tell it, and every row.

SQLite: `sqlite_schema` and the pragmas. PostgreSQL: `pg_dump --schema-only`, cut into its entries. MariaDB:
`mariadb-dump --no-data`. tagback's own tables
are left out; so are positions of sequences, which aren't schema. The order of rows means nothing.
"""

from __future__ import annotations

import difflib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagback.engines.postgres.sqltext import OWN_SCHEMAS, SCHEMA
from tagback.ledger.schema import TABLES

if TYPE_CHECKING:
    import psycopg

    from tests.support.mariadb import MariadbServer
    from tests.support.postgres import PostgresServer

_ENTRY = re.compile(r"^--\n-- (Name: .*?; Type: .*?; Schema: .*?); Owner: .*\n--\n", re.M)
_SETTING = re.compile(r"^(SET |SELECT pg_catalog\.set_config|\\(un)?restrict |-- (PostgreSQL|Dumped|Completed)|--$)")


_CONTENT_ELSEWHERE = re.compile(r"create virtual table .*\bfts\d\s*\(.*\bcontent\s*=", re.I | re.S)


LEDGER = {f"tagback_{name}" for text in TABLES for name in re.findall(r"CREATE TABLE \{(\w+)\}", text)}
"""The ledger's tables on SQLite. Of others that may be called tagback only those are left out that the ledger names as
places of the shelf: a table left behind by a way back must be seen."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's stored columns, in their order, and its rows with how often each is there."""

    columns: tuple[str, ...]
    values: Counter[tuple[str, ...]]

    def only(self, columns: tuple[str, ...]) -> Counter[tuple[str, ...]]:
        """The rows cut down to these columns."""
        places = [self.columns.index(c) for c in columns]
        found: Counter[tuple[str, ...]] = Counter()
        for row, times in self.values.items():
            found[tuple(row[p] for p in places)] += times
        return found


@dataclass(frozen=True, slots=True)
class State:
    """Definitions by object, and rows by table (its quoted name)."""

    schema: Mapping[str, str]
    rows: Mapping[str, Rows]


def differences(wanted: State, found: State) -> list[str]:
    """Everything that is different, a line each."""
    return [*schema_differences(wanted.schema, found.schema), *row_differences(wanted.rows, found.rows)]


def schema_differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Objects that are missing, too many, or defined otherwise."""
    lines = []
    for name in sorted(wanted.keys() | found.keys()):
        a, b = wanted.get(name), found.get(name)
        if a == b:
            continue
        if a is None or b is None:
            lines.append(f"{name}: {'left behind' if a is None else 'missing'}: {a or b}")
        else:
            changed = difflib.unified_diff(a.splitlines(), b.splitlines(), "wanted", "found", lineterm="", n=0)
            lines.append(f"{name}:\n    " + "\n    ".join(changed))
    return lines


def row_differences(wanted: Mapping[str, Rows], found: Mapping[str, Rows]) -> list[str]:
    """Rows that are missing or too many, in tables that are on both sides with the same columns."""
    lines = []
    for name in sorted(wanted.keys() & found.keys()):
        a, b = wanted[name], found[name]
        if a.columns == b.columns and a.values != b.values:
            lines.append(f"rows of {name}: missing {dict(a.values - b.values)}, too many {dict(b.values - a.values)}")
    return lines


def quoted(name: str) -> str:
    """The name as an identifier in SQL; tables are known by it, on PostgreSQL after their schema's."""
    return '"' + name.replace('"', '""') + '"'


# ---------------------------------------------------------------------- SQLite


def sqlite_state(path: Path) -> State:
    """The state of an SQLite file."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("BEGIN")
        return sqlite_state_within(connection)
    finally:
        connection.close()


def sqlite_state_within(connection: sqlite3.Connection) -> State:
    """The state as this connection's open transaction sees it."""
    connection.text_factory = lambda text: text.decode(errors="surrogateescape")  # SQLite doesn't insist on UTF-8
    schema: dict[str, str] = {}
    rows: dict[str, Rows] = {}
    for pragma in ("user_version", "application_id"):
        schema[f"pragma {pragma}"] = str(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
    found = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name <> 'sqlite_sequence'"
    ).fetchall()
    shadows = {r[0] for r in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    # SQLite goes by the name alone: where the content is elsewhere, one that is called so is the application's.
    elsewhere = [name for kind, name, _, sql in found if kind == "table" and _CONTENT_ELSEWHERE.match(sql or "")]
    shadows -= {f"{name}_content" for name in elsewhere}
    own = LEDGER | _sqlite_places(connection, {name for _, name, _, _ in found})
    for kind, name, table, sql in found:
        if table in own:
            continue
        told = [f"on {table}", str(sql)]
        if kind == "table":
            for pragma in ("table_xinfo", "foreign_key_list"):
                told += [f"{pragma}: {row}" for row in connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,))]
            if name not in shadows:  # how a virtual table keeps its rows is no content
                rows[quoted(name)] = _sqlite_rows(connection, name)
        if kind == "index":
            told += [
                f"index_xinfo: {row}" for row in connection.execute("SELECT * FROM pragma_index_xinfo(?)", (name,))
            ]
        schema[f"{kind} {name}"] = "\n".join(told)
    return State(schema, rows)


def _sqlite_places(connection: sqlite3.Connection, tables: set[str]) -> set[str]:
    """The shelf's tables that the ledger knows of."""
    if "tagback_shelf" not in tables:
        return set()
    kept = connection.execute("SELECT kept FROM tagback_shelf WHERE state <> 'purged'").fetchall()
    return {f"tagback_{json.loads(text)['place']}" for (text,) in kept}


def _sqlite_rows(connection: sqlite3.Connection, table: str) -> Rows:
    columns = tuple(
        r[0] for r in connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,))
    )
    virtual = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual' AND name = ?"
    if connection.execute(virtual, (table,)).fetchone():
        columns = ("rowid", *(c for c in columns if c != "rowid"))
    try:
        cursor = connection.execute(f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)}")
    except sqlite3.OperationalError:
        if columns[:1] != ("rowid",):
            raise
        return Rows(columns, Counter())  # an index that gives no rows, or none while its content isn't there
    return Rows(columns, Counter(tuple(repr(value) for value in row) for row in cursor))


# ---------------------------------------------------------------------- PostgreSQL


def postgres_state(server: PostgresServer, database: str, connection: psycopg.Connection[Any]) -> State:
    """The state of a database; `connection` is to it, with nothing open."""
    own = [f"--exclude-schema={SCHEMA}", f"--exclude-schema={SCHEMA}_shelf_[0-9]*_[0-9]*_[0-9]*"]
    dump = server.run("pg_dump", "--schema-only", *own, "--dbname", server.url(database))
    return State({**dump_entries(dump), **_said_of_database(connection)}, postgres_rows(connection))


def _said_of_database(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """What a dump shows only together with CREATE DATABASE."""
    rows = connection.execute(
        """
        SELECT 'database setting ' || coalesce(setrole::regrole::text, ''), setconfig::text
        FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
        UNION ALL SELECT 'database comment', shobj_description(oid, 'pg_database')
        FROM pg_database WHERE datname = current_database() AND shobj_description(oid, 'pg_database') IS NOT NULL
        """
    )
    return {str(what): str(text) for what, text in rows}


def dump_entries(dump: str) -> dict[str, str]:
    """A dump's text by entry: `Name: t; Type: TABLE; Schema: public`."""
    entries: dict[str, str] = {}
    pieces = _ENTRY.split(dump)
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        key, again = name, 1
        while key in entries:
            again += 1
            key = f"{name} ({again})"
        lines = text.splitlines()
        while lines and (not lines[-1] or _SETTING.match(lines[-1])):  # what follows belongs to the next entry
            lines.pop()
        entries[key] = "\n".join(lines)
    return entries


def postgres_rows(connection: psycopg.Connection[Any]) -> dict[str, Rows]:
    """Every row of every table."""
    from psycopg import sql

    found = {}
    tables = connection.execute(
        f"""
        SELECT n.nspname, c.relname, coalesce(array_agg(a.attname ORDER BY a.attnum)
               FILTER (WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{{}}')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)' AND n.nspname !~ '{OWN_SCHEMAS}'
        GROUP BY 1, 2
        """.encode()
    ).fetchall()
    for schema, table, columns in tables:
        chosen = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in columns)
        query = sql.SQL("SELECT {} FROM ONLY {}").format(chosen, sql.Identifier(schema, table))
        values = Counter(tuple(repr(v) for v in row) for row in connection.execute(query))
        found[f"{quoted(schema)}.{quoted(table)}"] = Rows(tuple(columns), values)
    return found


def mariadb_state(server: MariadbServer, database: str) -> State:
    """The state of a database; how far AUTO_INCREMENT has come is no schema."""
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES")
        kinds = {str(name): str(kind) for name, kind in cursor.fetchall()}
        own = [name for name in kinds if name.startswith("tagback_")]
        rows = {}
        for name in sorted(name for name, kind in kinds.items() if kind == "BASE TABLE" and name not in own):
            cursor.execute(f"SELECT * FROM `{name.replace('`', '``')}`")
            columns = tuple(c[0] for c in cursor.description)
            rows[name] = Rows(columns, Counter(tuple(repr(v) for v in row) for row in cursor.fetchall()))
    without = [f"--ignore-table={database}.{name}" for name in own]
    shown = ["--no-data", "--routines", "--triggers", "--events", "--skip-comments"]
    text = server.run("mariadb-dump", *shown, *without, database)
    return State({"dump": re.sub(r" AUTO_INCREMENT=\d+", "", text)}, rows)
