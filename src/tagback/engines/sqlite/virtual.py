"""Virtual tables that keep rows in the file, and full-text indexes over ordinary tables.

The modules FTS3, FTS4, FTS5 and R-Tree keep what they hold in tables of their own beside them (*shadow* tables), so their
rows come and go as those of any table, by their number. An FTS table that has its content elsewhere
(`content='t'`) holds nothing that isn't in the other table: it is built anew from there. Of any other module, and of FTS
tables that can't give back what was put into them, nothing is known.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tagback.catalog import Action, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.changelog import Dialect, tokens
from tagback.engines.sqlite.naming import folded, quoted
from tagback.engines.sqlite.objects import LOCK, ROWID_NAMES, Column, Table, Text, literal, table_id

KIND = "virtual table"
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "rowid", "parent"),
    "rtree_i32": ("node", "rowid", "parent"),
}
_WITHOUT_ROWS = {"languageid", "compress", "uncompress"}  # options of FTS4 tables whose columns don't say all
_OPTION = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*\Z", re.S)
_NUMBER = Column("rowid", "INTEGER", True, None, 1, 0)


class VirtualTable(Table, frozen=True, kw_only=True, tag="virtual table"):
    """One with rows of its own. Its first column is the rows' number. `settings` are those of an FTS5 table."""

    module: str
    settings: tuple[tuple[str, str | int | float], ...] = ()

    def create(self) -> tuple[Step, ...]:
        return (Step(self.sql, self.id, Action.CREATE, LOCK), *_set(self.id, self.settings))

    @property
    def shadows(self) -> Iterable[str]:
        """The names of the tables that keep its rows; some may not be there."""
        return (f"{self.name}_{suffix}" for suffix in _SHADOWS[self.module])


class SearchIndex(Text, frozen=True, kw_only=True, tag="search index"):
    """An FTS table over tables, which are named by `over`: of the content, or of the view that shows it."""

    module: str
    over: tuple[str, ...]
    settings: tuple[tuple[str, str | int | float], ...] = ()

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        """It doesn't act, but has to be built anew where rows come back."""
        return tuple(table_id(name) for name in self.over)

    def create(self) -> tuple[Step, ...]:
        return (Step(self.sql, self.id, Action.CREATE, LOCK), *_set(self.id, self.settings), *self.put_back())

    def drop(self) -> tuple[Step, ...]:
        return (Step(f"DROP TABLE {quoted(self.id.name[0])}", self.id, Action.DROP, LOCK),)

    def take_down(self) -> tuple[Step, ...]:
        return ()

    def put_back(self) -> tuple[Step, ...]:
        name = quoted(self.id.name[0])
        return (Step(f"INSERT INTO {name} ({name}) VALUES ('rebuild')", self.id, Action.COPY, LOCK),)


def _set(i: ObjectId, settings: Iterable[tuple[str, str | int | float]]) -> Iterable[Step]:
    name = quoted(i.name[0])
    for key, value in settings:
        said = literal(value) if isinstance(value, str) else repr(value)
        yield Step(f"INSERT INTO {name} ({name}, rank) VALUES ({literal(key)}, {said})", i, Action.ALTER, LOCK)


class Definition(NamedTuple):
    """What a CREATE VIRTUAL TABLE says: the module, folded, and its arguments as they stand."""

    module: str
    arguments: tuple[str, ...]

    @property
    def options(self) -> dict[str, str]:
        """Arguments of the form `name = value`, names folded and values without quotes."""
        pairs = (m.groups() for m in map(_OPTION.match, self.arguments) if m)
        return {folded(name): _unquoted(value) for name, value in pairs}

    @property
    def has_rows(self) -> bool:
        """Whether what was put into it can be read and put into it again."""
        options = self.options
        return (
            self.module in _SHADOWS
            and (self.module.startswith("rtree") or "content" not in options)
            and not (self.module in ("fts3", "fts4") and _WITHOUT_ROWS & options.keys())
        )

    @property
    def content(self) -> str:
        """The table or view that has an FTS table's content, empty if there is none."""
        odd = self.module not in ("fts4", "fts5") or _WITHOUT_ROWS & self.options.keys()
        return "" if odd else self.options.get("content", "")


def is_virtual(sql: str) -> bool:
    """Whether a text of the schema's makes one; SQLite writes its beginning itself."""
    return sql[:14].lower() == "create virtual"


def definition(sql: str) -> Definition:
    """What such a text says."""
    words = [t for t in tokens(sql, Dialect.SQLITE) if t.significant]
    using = next(n for n, t in enumerate(words) if t.text.lower() == "using")
    module = folded(_unquoted(words[using + 1].text))
    arguments, depth = [""], 0
    for t in tokens(sql, Dialect.SQLITE):
        if t.offset <= words[using + 1].offset:
            continue
        depth += {"(": 1, ")": -1}.get(t.text, 0)
        if depth > 1 or (depth == 1 and t.text not in ("(", ",")) or (depth == 1 and t.text == "(" and arguments[-1]):
            arguments[-1] += t.text
        elif t.text == ",":
            arguments.append("")
    return Definition(module, tuple(arguments))


def columns_of(connection: sqlite3.Connection, name: str, schema: str = "main") -> list[Column]:
    """The columns of a virtual table with rows of its own, their number first; none for any other table."""
    found = connection.execute(
        f"SELECT sql FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (name,)
    ).fetchone()
    if found is None or not is_virtual(found[0]) or not definition(found[0]).has_rows:
        return []
    rows = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?, ?)", (name, schema)).fetchall()
    columns = [Column(column, kind, False, None, 0, 0) for column, kind, hidden in rows if not hidden]
    if definition(found[0]).module.startswith("rtree"):
        return [Column(columns[0].name, "INTEGER", True, None, 1, 0), *columns[1:]]
    return [_NUMBER, *columns] if not {folded(c.name) for c in columns} & {*ROWID_NAMES} else []


def read_virtual(
    connection: sqlite3.Connection, name: str, sql: str, texts: Mapping[str, str], tables: Collection[str]
) -> SchemaObject:
    """The object. `texts` are those of the views, `tables` the names of ordinary tables."""
    said = definition(sql)
    if said.content and (over := _over(said.content, texts, tables)):
        settings = _settings(connection, name, said)
        return SearchIndex(id=ObjectId(KIND, (name,)), sql=sql, module=said.module, over=over, settings=settings)
    columns = columns_of(connection, name) if said.has_rows else []
    if columns:
        return VirtualTable(
            id=table_id(name),
            sql=sql,
            columns=tuple(columns),
            module=said.module,
            settings=_settings(connection, name, said),
        )
    digest = hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest()
    return UnmanagedObject(id=ObjectId(KIND, (name,)), digest=digest)


def _settings(connection: sqlite3.Connection, name: str, said: Definition) -> tuple[tuple[str, str | int | float], ...]:
    if said.module != "fts5":
        return ()
    shadow = quoted(f"{name}_config")
    return tuple(connection.execute(f"SELECT k, v FROM main.{shadow} WHERE k <> 'version' ORDER BY k"))


def _over(content: str, texts: Mapping[str, str], tables: Collection[str]) -> tuple[str, ...]:
    """The tables whose rows the content shows, by their names; a view may show another one's."""
    known = {folded(t): t for t in tables}
    views = {folded(v): sql for v, sql in texts.items()}
    found: dict[str, None] = {}
    queue, seen = [folded(content)], set()
    while queue:
        name = queue.pop()
        if name in known:
            found[known[name]] = None
        elif name in views and name not in seen:
            seen.add(name)
            queue += [folded(_unquoted(t.text)) for t in tokens(views[name], Dialect.SQLITE) if t.significant]
    return tuple(sorted(found))


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"`'" and text[-1] == text[0]:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
