"""Random schemas, changesets and writes for PostgreSQL."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.stateful.model import ANY, NULL, Engine, Expected
from tests.stateful.rows import BY_APPLICATION, BY_CHANGESETS, row_changes
from tests.stateful.sketch import Change, Column, Sketch
from tests.support.oracle import Rows, State, postgres_rows, postgres_state, quoted
from tests.support.postgres import PostgresServer

NAMES = ("t", "people", "Order", 'we"ird', "sp ace", "été", "x;y", "select", "a.b", "--c", "it's", "$a$")
COLUMNS = ("a", "b", "c", "Name", "two words", "größe", 'q"q', "order", "it's", "x;y")
TYPES = {  # with what can be a default and a value
    "integer": ("0", "1", "-7", "(1 + 1)"),
    "bigint": ("0", "9000000000"),
    "numeric(12,3)": ("0", "1.50", "abs(-2)"),
    "text": ("''", "'x'", "'007'", "'it''s'", "'größe;'", "upper('y')"),
    "varchar(20)": ("'x'", "'007'", "''"),
    "boolean": ("true", "false"),
    "jsonb": ("""'{"a": 1}'""", "'[]'"),
    "text[]": ("'{}'", "array['a;b']"),
    "bytea": (r"'\x00ff'",),
    "timestamptz": ("'2020-01-01 00:00+00'", "now()"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'",),
}
SCHEMAS = ('"public"', '"public"', '"App"')

_TABLES = """
    SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.attgenerated <> '' OR a.attidentity <> '', a.attidentity <> '', coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
           a.attnum = ANY ((SELECT i.indkey FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)::int2[]) IS TRUE
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema|tagback)'
    ORDER BY 1, 2, a.attnum
"""
_OTHERS = """
    SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'materialized view' END,
           n.nspname, c.relname, ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('i', 'S', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema|tagback)'
    UNION ALL
    SELECT 'type', n.nspname, t.typname, '' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e' AND n.nspname !~ '^(pg_|information_schema|tagback)'
    UNION ALL
    SELECT 'constraint', n.nspname, c.relname, x.conname FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE x.contype IN ('c', 'f', 'p', 'u') AND n.nspname !~ '^(pg_|information_schema|tagback)'
    UNION ALL
    SELECT 'trigger', n.nspname, c.relname, x.tgname FROM pg_trigger x JOIN pg_class c ON c.oid = x.tgrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT x.tgisinternal AND n.nspname !~ '^(pg_|information_schema|tagback)'
    UNION ALL
    SELECT 'schema', n.nspname, '', '' FROM pg_namespace n WHERE n.nspname = 'App'
    ORDER BY 1, 2, 3, 4
"""


_CATALOGS = (
    "class attribute attrdef constraint index proc trigger type enum namespace rewrite description sequence depend"
)
_STAMP = "SELECT " + " || ".join(
    f"(SELECT coalesce(md5(string_agg(concat(xmin, ctid), ',' ORDER BY ctid)), '') FROM pg_{name})"
    for name in _CATALOGS.split()
)


@st.composite
def _name(draw: DrawFn, sketch: Sketch) -> str:
    schema = draw(st.sampled_from(SCHEMAS)) if sketch.of("schema") else '"public"'
    return f"{schema}.{quoted(draw(st.sampled_from(NAMES)))}"


@st.composite
def _column(draw: DrawFn, name: str, sketch: Sketch, others: tuple[str, ...]) -> str:
    types = (*TYPES, *sketch.of("type"))
    kind = draw(st.sampled_from(types))
    text = f"{quoted(name)} {kind}"
    option = draw(st.integers(0, 10))
    if option <= 2 and kind in TYPES:
        text += f" default {draw(st.sampled_from(TYPES[kind]))}{' not null' if option else ''}"
    elif option == 3:
        text += " unique"
    elif option == 4:
        text += f" check ({quoted(name)} is distinct from null)"
    elif option == 5 and others:
        text = f"{quoted(name)} text generated always as (coalesce({quoted(others[0])}::text, '') || 'g') stored"
    elif option == 6:
        text = (
            f"{quoted(name)} {draw(st.sampled_from(('serial', 'bigserial', 'integer generated always as identity')))}"
        )
    elif option == 7 and sketch.tables:
        text = f"{quoted(name)} integer references {draw(st.sampled_from(tuple(sketch.tables)))} on delete cascade"
    elif option == 8:
        text += f" not null constraint {quoted(draw(st.sampled_from(NAMES)))} check ({quoted(name)} is not null)"
    elif option == 9:
        text = f"{quoted(name)} varchar(9) check ({quoted(name)} in ('x', 'y', '007'))"
    return text


@st.composite
def _create_table(draw: DrawFn, sketch: Sketch) -> Change:
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    key = draw(st.sampled_from(("id integer primary key", "id serial primary key", "id bigint unique", "")))
    parts = [key] if key else []
    parts += [draw(_column(name, sketch, tuple(names[:n]))) for n, name in enumerate(names)]
    if draw(st.integers(0, 4)) == 0:
        parts.append(f"constraint {quoted(draw(st.sampled_from(NAMES)))} unique ({', '.join(map(quoted, names[:2]))})")
    return Change((f"create table {draw(_name(sketch))} ({', '.join(parts)})",))


@st.composite
def _change_columns(draw: DrawFn, sketch: Sketch) -> Change:
    table = draw(st.sampled_from([t for t, columns in sketch.tables.items() if columns] or list(sketch.tables)))
    columns = sketch.tables[table]
    head = f"alter table {table}"
    name = draw(st.sampled_from(COLUMNS))
    what = draw(
        st.sampled_from(("add", "add", "rename", "drop", "swap", "null", "default", "type", "comment", "cascade"))
    )
    if what == "add" or not columns:
        return Change((f"{head} add column {draw(_column(name, sketch, tuple(c.name for c in columns)))}",))
    column = draw(st.sampled_from(columns))
    old = quoted(column.name)
    if what in ("drop", "cascade"):
        return Change((f"{head} drop column {old}{' cascade' if what == 'cascade' else ''}",))
    if what == "null":
        return Change((f"{head} alter {old} {'drop' if column.not_null else 'set'} not null",))
    if what == "default":
        values = TYPES.get(column.type.replace("character varying", "varchar"), ("null",))
        to = "drop default" if column.default else f"set default {draw(st.sampled_from(values))}"
        return Change((f"{head} alter {old} {to}",))
    if what == "type":
        kind = draw(st.sampled_from(tuple(TYPES)))
        return Change((f"{head} alter {old} type {kind} using {old}::text::{kind}",))
    if what == "comment":
        return Change((f"comment on column {table}.{old} is {draw(st.sampled_from(('null', quoted_text('why;'))))}",))
    others = [c.name for c in columns if c.name != column.name]
    if what == "rename" or not others:
        return Change((f"{head} rename {old} to {quoted(name)}",), (("column", table, column.name, name),))
    other = draw(st.sampled_from(others))
    steps = ((column.name, "between"), (other, column.name), ("between", other))
    return Change(
        tuple(f"{head} rename {quoted(a)} to {quoted(b)}" for a, b in steps),
        tuple(("column", table, a, b) for a, b in steps),
    )


def quoted_text(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


@st.composite
def _rename_table(draw: DrawFn, sketch: Sketch) -> Change:
    old = draw(st.sampled_from(tuple(sketch.tables)))
    schema = _schema(old)
    others = tuple(t for t in sketch.tables if t != old and _schema(t) == schema)
    steps: tuple[tuple[str, str], ...]
    if len(others) > 0 and draw(st.booleans()):
        other = draw(st.sampled_from(others))
        steps = ((old, f'{schema}."between"'), (other, old), (f'{schema}."between"', other))
    else:
        steps = ((old, f"{schema}.{quoted(draw(st.sampled_from(NAMES)))}"),)
    return Change(
        tuple(f"alter table {a} rename to {b[len(schema) + 1 :]}" for a, b in steps),
        tuple(("table", a, b) for a, b in steps),
    )


def _schema(name: str) -> str:
    return next(s for s in set(SCHEMAS) if name.startswith(f"{s}."))


@st.composite
def _on_table(draw: DrawFn, sketch: Sketch) -> Change:
    """Indexes, constraints, triggers and comments on a table."""
    table = draw(st.sampled_from([t for t, columns in sketch.tables.items() if columns] or list(sketch.tables)))
    if not sketch.tables[table]:
        return Change((f"drop table {table}",))
    column = draw(st.sampled_from(sketch.tables[table]))
    name, first = quoted(draw(st.sampled_from(NAMES))), quoted(column.name)
    second = quoted(draw(st.sampled_from(sketch.tables[table])).name)
    choices = [
        f"create index {name} on {table} ({first}, {second} desc nulls last)",
        f"create unique index {name} on {table} (lower({first}::text)) where {second} is not null",
        f"create index on {table} ({first})",
        f"alter table {table} add check ({first}::text <> 'bad')",
        f"alter table {table} add constraint {name} unique ({first}, {second}) deferrable",
        f"alter table {table} add constraint {name} check ({first} is null or {second} is null) not valid",
        f"alter table {table} add primary key ({first})",
        f"alter table {table} add foreign key ({first}) references {draw(st.sampled_from(tuple(sketch.tables)))}",
        f"comment on table {table} is 'it''s; {column.name.replace(chr(39), '')}'",
        f"create view {draw(_name(sketch))} as select {first}, count(*) as n from {table} group by {first}",
        f"create materialized view {draw(_name(sketch))} as select {first} from {table}",
        f"create trigger {name} before update of {first} on {table} for each row execute function"
        " suppress_redundant_updates_trigger()",
    ]
    return Change((draw(st.sampled_from(choices)),))


@st.composite
def _alone(draw: DrawFn, sketch: Sketch) -> Change:
    """What stands by itself: schemas, enums, functions, sequences."""
    name = draw(_name(sketch))
    # PostgreSQL lets a sequence be renamed to the name of a type, but not be created under it.
    own = f"{name.partition('.')[0]}.{quoted(draw(st.sampled_from(('mood', 'Mood 2', 'größe'))))}"
    choices = [
        'create schema if not exists "App"',
        f"create type {own} as enum ('a', 'it''s', 'c;')",
        f"create or replace function {name}(a integer) returns integer language sql immutable as $$ select a + 1; $$",
        f"create or replace function {name}(a integer) returns integer language sql as $f$ select a +  2; $f$",
        f"create function {name}() returns trigger language plpgsql as $$ begin return new; end $$",
        f"drop function {name}(integer)",
        f"create sequence {name} start 5 increment 2",
        f"create domain {own} as text check (value <> '')",
    ]
    for kind in ("type", "sequence", "view", "materialized view", "index"):
        choices += [f"drop {kind} {n}" for n in sketch.of(kind)[:2]]
        new = draw(st.sampled_from(("mood", "größe") if kind == "type" else NAMES))
        choices += [f"alter {kind} {n} rename to {quoted(new)}" for n in sketch.of(kind)[:1]]
    choices += [f"alter type {n} add value if not exists {quoted_text('d')} before 'c;'" for n in sketch.of("type")]
    choices += [f"alter sequence {n} increment 3" for n in sketch.of("sequence")[:1]]
    for kind in ("constraint", "trigger"):
        for pair in sketch.of(kind)[:3]:
            table, _, own = pair.partition("\0")
            choices.append(
                f"alter table {table} drop constraint {own}"
                if kind == "constraint"
                else f"drop trigger {own} on {table}"
            )
    return Change((draw(st.sampled_from(choices)),))


def _values(column: Column) -> SearchStrategy[str]:
    if column.name == "id":
        return st.sampled_from(("1", "2", "3", "4"))
    kind = column.type.replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz")
    values = TYPES.get(kind, ("'a'",))
    return st.sampled_from(values if column.not_null else (*values, "null"))


def _rows(sketch: Sketch, kinds: tuple[str, ...]) -> SearchStrategy[Change]:
    return row_changes(sketch, _values, kinds, inserts={"insert ": " on conflict do nothing"})


_LITERAL = re.compile(r"-?[\d.]+|'([^']|'')*'(::[\w. \"()\[\]]+)?|true|false|NULL::.*")
_AS_TEXT = ("integer", "bigint", "numeric", "uuid", "text", "character varying")


def _convert(value: str, kind: Column, to: Column) -> str:
    if kind.type == to.type or value == NULL:
        return value
    if (to.type == "text" and kind.type.startswith(_AS_TEXT)) or (kind.type, to.type) == ("integer", "bigint"):
        return value
    return ANY


def _told(value: str) -> str:
    return str(ast.literal_eval(value))


class PostgresDatabase:
    """See `tests.stateful.database.Database`."""

    engine = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._name = server.create_database()
        self._connection = server.connect(self._name)
        self.url = server.url(self._name)
        self._stamp = ""
        self._schema: Mapping[str, str] = {}
        self.values = Engine(str, self._default, _convert, _told)

    def _default(self, column: Column) -> str:
        if not column.default:
            return NULL
        if not _LITERAL.fullmatch(column.default):
            return ANY
        try:
            found = self._connection.execute(f"SELECT ({column.default})::{column.type}::text".encode()).fetchone()
        except psycopg.Error:
            return ANY
        return repr(found[0]) if found else ANY

    def fits(self, schema: Mapping[str, str], tables: Mapping[str, Expected]) -> bool | None:
        return None

    def close(self) -> None:
        self._connection.close()
        self._server.drop_database(self._name)

    def state(self) -> State:
        """pg_dump is run only where the catalogs have other rows than the last time."""
        ((stamp,),) = self._connection.execute(_STAMP)
        if stamp != self._stamp:
            self._stamp, self._schema = stamp, postgres_state(self._server, self._name, self._connection).schema
        return State(self._schema, self.rows())

    def rows(self) -> Mapping[str, Rows]:
        return postgres_rows(self._connection)

    def sketch(self) -> Sketch:
        return _sketch(self._connection)

    @contextlib.contextmanager
    def trial(self) -> Iterator[PostgresTrial]:
        self._connection.execute("BEGIN")
        try:
            yield PostgresTrial(self._connection)
        finally:
            self._connection.execute("ROLLBACK")

    def changes(self, sketch: Sketch) -> SearchStrategy[Change]:
        if not sketch.tables:
            return _create_table(sketch)
        choices: list[SearchStrategy[Change]] = [
            _create_table(sketch),
            _change_columns(sketch),
            _change_columns(sketch),
            _change_columns(sketch),
            _rename_table(sketch),
            _on_table(sketch),
            _on_table(sketch),
            _alone(sketch),
            _alone(sketch),
            st.sampled_from(tuple(sketch.tables)).map(lambda t: Change((f"drop table {t}",))),
        ]
        return st.integers(0, 9).flatmap(lambda n: _rows(sketch, BY_CHANGESETS) if n < 4 else st.one_of(choices))

    def tables(self, sketch: Sketch) -> SearchStrategy[Change]:
        return _create_table(sketch)

    def writes(self, sketch: Sketch, kinds: tuple[str, ...] = BY_APPLICATION) -> SearchStrategy[Change]:
        return _rows(sketch, kinds)

    def mistakes(self, sketch: Sketch) -> SearchStrategy[str]:
        return st.sampled_from(
            (
                "create table",
                "alter table no_such_table add column c int",
                "insert into no_such_table values (1)",
                "select 1/0",
                "create table twice (a int); create table twice (a int)",
                "do $$ begin raise exception 'no; never'; end $$",
            )
        )

    def write(self, change: Change) -> bool:
        try:
            with self._connection.transaction():
                for sql in change.sql:
                    self._connection.execute(sql.encode())
        except psycopg.Error:
            return False
        return True


class PostgresTrial:
    """See `tests.stateful.database.Trial`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def sketch(self) -> Sketch:
        return _sketch(self._connection)

    def works(self, change: Change) -> bool:
        try:
            with self._connection.transaction():
                for sql in change.sql:
                    self._connection.execute(sql.encode())
        except psycopg.Error:
            return False
        return True

    def holds(self) -> bool:
        """Refused statements are refused at once: nothing here is deferred."""
        return True

    def rows(self) -> Mapping[str, Rows]:
        return postgres_rows(self._connection)

    def state(self) -> State | None:
        """pg_dump doesn't see what isn't committed."""
        return None


def _sketch(connection: psycopg.Connection[Any]) -> Sketch:
    tables: dict[str, tuple[Column, ...]] = {}
    for schema, table, column, kind, not_null, generated, identity, default, key in connection.execute(_TABLES):
        name = f"{quoted(schema)}.{quoted(table)}"
        tables.setdefault(name, ())
        if column is not None:
            tables[name] = (
                *tables[name],
                Column(column, kind, not_null, key, generated, "identity" if identity else default, key),
            )
    others: dict[str, tuple[str, ...]] = {}
    for kind, schema, name, part in connection.execute(_OTHERS).fetchall():
        text = f"{quoted(schema)}.{quoted(name)}" if name else quoted(schema)
        others[kind] = (*others.get(kind, ()), f"{text}\0{quoted(part)}" if part else text)
    return Sketch(tables, others)
