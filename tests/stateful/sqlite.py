"""Random schemas, changesets and writes for SQLite."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.stateful.model import ANY, NULL, Engine, Expected
from tests.stateful.rows import BY_APPLICATION, BY_CHANGESETS, row_changes
from tests.stateful.sketch import Change, Column, Sketch
from tests.support.oracle import Rows, State, quoted, sqlite_state, sqlite_state_within

TABLES = tuple(map(quoted, ("t", "people", "Order", 'we"ird', "sp ace", "été", "x;y", "select", "a.b", "--c", "it's")))
COLUMNS = ("a", "b", "c", "Name", "two words", "größe", 'q"q', "order", "it's", "x;y")
OTHERS = tuple(map(quoted, ("i1", "I 2", "o'3", "ö4", "t", "people", "it's", "si;x")))
TYPES = ("integer", "text", "real", "blob", "numeric", "varchar(10)", "", "INT", "boolean")
DEFAULTS = ("0", "-1.5", "'x'", "'it''s'", "(1 + 1)", "null", "current_date", "x'00ff'", '"quoted"', "(abs(-3))")
VALUES = ("null", "0", "1", "2", "-7", "2.5", "1e100", "''", "'x'", "'007'", "'it''s'", "x'00ff'", "'größe;'", "'a,b'")


@st.composite
def _column(draw: DrawFn, name: str, table: str, others: tuple[str, ...], parents: tuple[str, ...]) -> str:
    text = f"{quoted(name)} {draw(st.sampled_from(TYPES))}"
    options = draw(st.lists(st.sampled_from(range(9)), max_size=2, unique=True))
    if 0 in options:
        text += " not null"
    if {0, 1} & set(options):
        text += f" default {draw(st.sampled_from(DEFAULTS))}"
    if 2 in options:
        text += " unique"
    if 3 in options:
        text += f" check ({quoted(name)} is not 'bad')"
    if 4 in options:
        text += " collate nocase"
    if 5 in options and parents:
        action = draw(
            st.sampled_from(("", " on delete cascade", " on update set null", " deferrable initially deferred"))
        )
        text += f" references {draw(st.sampled_from(parents))}{action}"
    if 6 in options and others:
        kind = draw(st.sampled_from(("stored", "virtual", "")))
        text += f" generated always as (coalesce({quoted(draw(st.sampled_from(others)))}, 1) || 'g') {kind}"
    if 7 in options:
        text += f" constraint {draw(st.sampled_from(OTHERS))} check (length({quoted(name)}) < 1000)"
    if 8 in options:
        text += " /* why, not; what */"
    return text


@st.composite
def _table_body(draw: DrawFn, table: str, names: list[str], parents: tuple[str, ...]) -> str:
    parts = []
    key = draw(st.sampled_from(("integer primary key", "integer primary key autoincrement", "text primary key", "")))
    if key:
        parts.append(f"id {key}{draw(st.sampled_from(('', ' not null')))}")
    for n, name in enumerate(names):
        parts.append(draw(_column(name, table, tuple(names[:n]), parents)))
    extra = draw(st.integers(0, 7))
    if extra == 1:
        parts.append(f"unique ({quoted(names[0])}, {quoted(names[-1])} desc)" if len(names) > 1 else "check (1)")
    elif extra == 2 and parents:
        parts.append(f"constraint fk foreign key ({quoted(names[0])}) references {draw(st.sampled_from(parents))} (id)")
    elif extra == 3:
        parts.append(f"-- a comment; with ' in it\n check ({quoted(names[0])} is null or 1)")
    elif extra == 4 and not key:
        parts.append(f"primary key ({', '.join(map(quoted, names[:2]))})")
    text = "(" + draw(st.sampled_from((", ", ",\n  "))).join(parts) + ")"
    if key == "text primary key" or (extra == 4 and not key):
        text += draw(st.sampled_from(("", " without rowid")))
    return text


@st.composite
def _create_table(draw: DrawFn, sketch: Sketch) -> Change:
    name = draw(st.sampled_from(TABLES))
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    head = draw(st.sampled_from(("create table", "CREATE  TABLE", "create table if not exists")))
    if draw(st.integers(0, 9)) == 0:
        body = f"(id int primary key, {quoted(names[0])} text not null, v any) strict"
    else:
        body = draw(_table_body(name, names, tuple(sketch.tables)))
    return Change((f"{head} {name} {body}",))


@st.composite
def _change_columns(draw: DrawFn, table: str, columns: tuple[Column, ...], parents: tuple[str, ...]) -> Change:
    what = draw(st.sampled_from(("add", "add", "rename", "drop", "swap")))
    stored = [c.name for c in columns]
    name = draw(st.sampled_from(COLUMNS))
    if what == "add":
        return Change((f"alter table {table} add column {draw(_column(name, table, tuple(stored), parents))}",))
    old = draw(st.sampled_from(stored))
    if what == "drop":
        return Change((f"alter table {table} drop column {quoted(old)}",))
    if what == "rename" or len(stored) < 2:
        to = name if draw(st.booleans()) else old.swapcase()
        return Change((f"alter table {table} rename {quoted(old)} to {quoted(to)}",), (("column", table, old, to),))
    other = draw(st.sampled_from([c for c in stored if c != old]))
    steps = ((old, "in_between"), (other, old), ("in_between", other))
    return Change(
        tuple(f"alter table {table} rename column {quoted(a)} to {quoted(b)}" for a, b in steps),
        tuple(("column", table, a, b) for a, b in steps),
    )


@st.composite
def _rename_table(draw: DrawFn, sketch: Sketch) -> Change:
    tables = tuple(sketch.tables)
    old = draw(st.sampled_from(tables))
    others = tuple(t for t in tables if t != old)
    steps: tuple[tuple[str, str], ...]
    if len(others) > 0 and draw(st.booleans()):
        other = draw(st.sampled_from(others))
        steps = ((old, "in_between"), (other, old), ("in_between", other))
    else:
        steps = ((old, draw(st.sampled_from((*TABLES, '"T"')))),)
    return Change(tuple(f"alter table {a} rename to {b}" for a, b in steps), tuple(("table", a, b) for a, b in steps))


@st.composite
def _rebuild(draw: DrawFn, table: str, columns: tuple[Column, ...], parents: tuple[str, ...]) -> Change:
    """The twelve steps of SQLite's documentation for what ALTER TABLE can't do."""
    stored = [c.name for c in columns if not c.generated and not c.key and c.name != "id"]
    kept = draw(st.lists(st.sampled_from(stored), min_size=1, unique=True)) if stored else []
    new = [c for c in draw(st.lists(st.sampled_from(COLUMNS), max_size=1)) if c not in stored]
    key = [c.name for c in columns if c.key]
    parts = [f"{quoted(k)} integer primary key" if len(key) == 1 else quoted(k) for k in key]
    parts += [draw(_column(name, table, (), parents)) for name in [*kept, *new]]
    moved = ", ".join(map(quoted, [*key, *kept]))
    if not moved:
        return Change((f"drop table {table}",))
    return Change(
        (
            f"create table new_one ({', '.join(parts)})",
            f"insert into new_one ({moved}) select {moved} from {table}",
            f"drop table {table}",
            f"alter table new_one rename to {table}",
        ),
        (("replaced", table),),
    )


@st.composite
def _index(draw: DrawFn, sketch: Sketch) -> Change:
    table = draw(st.sampled_from(tuple(sketch.tables)))
    names = [c.name for c in sketch.tables[table]]
    first = quoted(draw(st.sampled_from(names)))
    second = quoted(draw(st.sampled_from(names)))
    columns = draw(
        st.sampled_from(
            (first, f"{first} desc, {second}", f"lower({first})", f"{first} collate nocase", f"{first} + 1")
        )
    )
    where = draw(st.sampled_from(("", f" where {second} is not null", f" WHERE {first} > 'a;b'")))
    kind = draw(st.sampled_from(("", "unique ", "")))
    return Change((f"create {kind}index {draw(st.sampled_from(OTHERS))} on {table} ({columns}){where}",))


@st.composite
def _view(draw: DrawFn, sketch: Sketch) -> Change:
    sources = (*sketch.tables, *sketch.of("view"))
    source = draw(st.sampled_from(sources))
    columns = sketch.tables.get(source, ())
    what = draw(st.sampled_from(("*", *(quoted(c.name) for c in columns))))
    text = f"select {what} from {source} as x"
    if draw(st.booleans()):
        text += f" where exists (select 1 from {draw(st.sampled_from(sources))})"
    if len(sketch.of("view")) > 0 and draw(st.booleans()):
        name = draw(st.sampled_from(sketch.of("view")))
        return Change((f"drop view {name}", f"create view {name} as {text}"))
    return Change((f"create view {draw(st.sampled_from(OTHERS))} as {text}",))


@st.composite
def _trigger(draw: DrawFn, sketch: Sketch) -> Change:
    name = draw(st.sampled_from(OTHERS))
    if sketch.of("view") and draw(st.integers(0, 3)) == 0:
        view = draw(st.sampled_from(sketch.of("view")))
        return Change((f"create trigger {name} instead of insert on {view} begin select 1; select ';'; end",))
    table = draw(st.sampled_from(tuple(sketch.tables)))
    column = quoted(draw(st.sampled_from([c.name for c in sketch.tables[table]])))
    other = draw(st.sampled_from(tuple(sketch.tables)))
    event = draw(st.sampled_from(("after insert", "before delete", f"after update of {column}")))
    row = "old" if "delete" in event else "new"
    return Change(
        (
            f"create trigger {name} {event} on {table} when {row}.{column} = 'fire'"
            f" begin delete from {other} where rowid < 0; update {table} set {column} = null where rowid < 0; end",
        )
    )


def _drop(kind: str, names: tuple[str, ...]) -> SearchStrategy[Change]:
    return st.sampled_from(names).map(lambda name: Change((f"drop {kind} {name}",)))


def _values(column: Column) -> SearchStrategy[str]:
    if column.name == "id":
        text = "TEXT" in column.type.upper()
        return st.sampled_from(("'x'", "'y'", "'z'") if text else ("null", "1", "2", "3", "4"))
    return st.sampled_from(VALUES[1:] if column.not_null else VALUES)


def _rows(sketch: Sketch, kinds: tuple[str, ...]) -> SearchStrategy[Change]:
    return row_changes(sketch, _values, kinds, inserts={"replace": "", "insert or ignore": ""})


_LITERAL = re.compile(r"-?\d+(\.\d+)?|'([^']|'')*'|x'[0-9a-f]*'|null", re.I)


@functools.cache
def _stored(kind: str, value: str, *, as_default: bool = False) -> str:
    """What becomes of a value (SQL) in a column of this type, as the oracle shows it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        if as_default:
            connection.execute(f"create table t (v {kind} default {value})")
            connection.execute("insert into t default values")
        else:
            connection.execute(f"create table t (v {kind})")
            connection.execute("insert into t values (?)", (ast.literal_eval(value),))
        return repr(connection.execute("select v from t").fetchone()[0])


def _default(column: Column) -> str:
    if column.key and column.type.upper() == "INTEGER":
        return ANY  # a number of SQLite's choice
    if not column.default:
        return NULL
    return _stored(column.type, column.default, as_default=True) if _LITERAL.fullmatch(column.default) else ANY


def _convert(value: str, kind: Column, to: Column) -> str:
    if kind.type.upper() == to.type.upper():
        return value
    return ANY if "ANY" in (kind.type.upper(), to.type.upper()) else _stored(to.type, value)


def _told(value: str) -> str:
    """A value as SQLite says it in words; bytes as they stand in SQL."""
    plain = ast.literal_eval(value)
    if isinstance(plain, bytes):
        return f"x'{plain.hex().upper()}'"
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return str(connection.execute("select cast(? as text)", (plain,)).fetchone()[0])


def _lower(name: str) -> str:
    return name.translate({n: n + 32 for n in range(ord("A"), ord("Z") + 1)})  # SQLite knows no other letters


class SqliteDatabase:
    """See `tests.stateful.database.Database`."""

    engine = "sqlite"
    values = Engine(_lower, _default, _convert, _told, first_names=True)

    def __init__(self, folder: Path) -> None:
        self._path = folder / "target.db"
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self.url = f"sqlite:///{self._path}"

    def close(self) -> None:
        self._connection.close()

    def state(self) -> State:
        return sqlite_state(self._path)

    def rows(self) -> Mapping[str, Rows]:
        return self.state().rows

    def fits(self, schema: Mapping[str, str], tables: Mapping[str, Expected]) -> bool | None:
        if any(t.guessed or t.loose or any(ANY in row for row in t.values) for t in tables.values()):
            return None
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
            try:
                for kind, mark in (("table", "\ntable_xinfo: "), ("index", "\nindex_xinfo: ")):
                    for name, told in schema.items():
                        sql = told.partition("\n")[2].partition(mark)[0]
                        if name.startswith(f"{kind} ") and sql != "None":
                            scratch.execute(sql)
                for name, table in tables.items():
                    keys = [(c[1], c[2].upper()) for c in scratch.execute(f"pragma table_info({name})") if c[5]]
                    numbered = [table.columns.index(c) for c, kind in keys if kind == "INTEGER" and len(keys) == 1]
                    if any(row[n] == NULL for row in table.values for n in numbered):
                        return False  # NULL would become a number of SQLite's choice
                    into = f"insert into {name} ({', '.join(map(quoted, table.columns))})"
                    for row in table.values.elements():
                        values = [ast.literal_eval(value) for value in row]
                        scratch.execute(f"{into} values ({', '.join('?' * len(row))})", values)
                return None if scratch.execute("pragma foreign_key_check").fetchall() else True
            except sqlite3.IntegrityError:
                return False
            except sqlite3.Error:
                return None

    def sketch(self) -> Sketch:
        return _sketch(self._connection)

    @contextlib.contextmanager
    def trial(self) -> Iterator[SqliteTrial]:
        self._connection.execute("BEGIN")
        try:
            yield SqliteTrial(self._connection)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def changes(self, sketch: Sketch) -> SearchStrategy[Change]:
        if not sketch.tables:
            return _create_table(sketch)
        parents = tuple(sketch.tables)
        a_table = st.sampled_from(parents)
        choices: list[SearchStrategy[Change]] = [
            _create_table(sketch),
            a_table.flatmap(lambda t: _change_columns(t, sketch.tables[t], parents)),
            a_table.flatmap(lambda t: _change_columns(t, sketch.tables[t], parents)),
            _index(sketch),
            _view(sketch),
            _trigger(sketch),
            _rename_table(sketch),
            a_table.flatmap(lambda t: _rebuild(t, sketch.tables[t], parents)),
            _drop("table", parents),
            *(_drop(kind, sketch.of(kind)) for kind in ("index", "view", "trigger") if sketch.of(kind)),
            st.integers(0, 99).map(lambda n: Change((f"pragma user_version = {n}",))),
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
                "alter table no_such_table add column c",
                "insert into no_such_table values (1)",
                "create table broken (a) stray",
                "create table twice (a); create table twice (a)",
                "select no_such_function()",
            )
        )

    def write(self, change: Change) -> bool:
        try:
            self._connection.execute("BEGIN")
            for sql in change.sql:
                self._connection.execute(sql)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return False
        return True


class SqliteTrial:
    """See `tests.stateful.database.Trial`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._violations = self._broken()

    def sketch(self) -> Sketch:
        return _sketch(self._connection)

    def works(self, change: Change) -> bool:
        self._connection.execute("SAVEPOINT trial")
        try:
            for sql in change.sql:
                self._connection.execute(sql)
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO trial")
            return False
        self._connection.execute("RELEASE trial")
        return True

    def holds(self) -> bool:
        return self._broken() <= self._violations

    def rows(self) -> Mapping[str, Rows]:
        return sqlite_state_within(self._connection).rows

    def state(self) -> State | None:
        return sqlite_state_within(self._connection)

    def _broken(self) -> set[str]:
        found = set()
        tables = [r[0] for r in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            try:
                rows = self._connection.execute(f"PRAGMA foreign_key_check({quoted(table)})")
                found |= {repr(row) for row in rows}
            except sqlite3.Error as e:
                found.add(f"{table}: {e}")
        return found


def _sketch(connection: sqlite3.Connection) -> Sketch:
    tables: dict[str, tuple[Column, ...]] = {}
    others: dict[str, tuple[str, ...]] = {}
    found = connection.execute(
        r"SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'tagback\_%' ESCAPE '\'"
        r" AND tbl_name NOT LIKE 'tagback\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"
    ).fetchall()
    for kind, name in found:
        if kind != "table":
            others[kind] = (*others.get(kind, ()), quoted(name))
            continue
        columns = connection.execute(
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)', (name,)
        ).fetchall()
        ((strict, without_rowid),) = connection.execute(
            "SELECT strict, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (name,)
        )
        key = [c for c in columns if c[4]]
        alias = len(key) == 1 and key[0][1].upper() == "INTEGER" and not without_rowid
        sure = bool(strict or without_rowid or alias or all(c[2] for c in key))
        tables[quoted(name)] = tuple(
            Column(c[0], c[1], bool(c[2]), bool(c[4]), c[5] > 1, c[3] or "", bool(c[4]) and sure) for c in columns
        )
    return Sketch(tables, others)
