"""Virtual tables that keep rows in the file, and full-text indexes over ordinary tables.

The modules FTS3, FTS4, FTS5 and R-Tree keep what they hold in tables of their own beside them (*shadow* tables), so their
rows come and go as those of any table, by their number. An FTS table that has its content elsewhere
(`content='t'`) holds nothing that isn't in the other table: it is built anew from there. One that can't give back what was
put into it is made and dropped, but its rows are kept nowhere. Of any other module nothing is known.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tagback.catalog import (
    Action,
    Alteration,
    Catalog,
    Loss,
    LossKind,
    ObjectId,
    SchemaObject,
    Step,
    UnmanagedObject,
)
from tagback.changelog import Dialect, tokens
from tagback.engines.sqlite.naming import OWN_PREFIX, folded, quoted
from tagback.engines.sqlite.objects import LOCK, Column, Table, Text, literal, table_id

KIND = "virtual table"
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "rowid", "parent"),
    "rtree_i32": ("node", "rowid", "parent"),
}
_HIDES = {"fts4": {"languageid", "compress", "uncompress"}, "fts5": {"locale"}}
"""Options of FTS tables whose columns don't say all that was put in."""
_FTS5_OPTIONS = ("prefix", "tokenize", "content", "content_rowid", "columnsize", "locale", "detail", "tokendata")
"""Each may be written shorter; the first that begins so counts (fts5_config.c, fts5ConfigParseSpecial)."""
_NUMBER = Column("rowid", "INTEGER", True, None, 1, 0)
_OPTION = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*\Z", re.S)

Settings = tuple[tuple[str, str | int | float], ...]
"""What was put into an FTS5 table as `INSERT INTO t (t, rank) VALUES (name, value)`."""


class VirtualTable(Table, frozen=True, kw_only=True, tag="virtual table"):
    """One with rows of its own. Its first column is the rows' number.

    `renamed`: what ALTER TABLE writes into the texts of the tables that keep its rows isn't what its module does.
    """

    module: str
    settings: Settings = ()
    renamed: bool = False

    def create(self) -> tuple[Step, ...]:
        return (*_made(self.id, self.sql, renamed=self.renamed), *_set(self.id, self.settings))

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        return _set_otherwise(self, after) or Table.alter(self, after, live, target)

    @property
    def shadows(self) -> Iterable[str]:
        """The names of the tables that keep its rows; some may not be there."""
        return shadows_of(self.name, definition(self.sql))


class _FullText(Text, frozen=True, kw_only=True):
    """An FTS table whose content is elsewhere, or nowhere."""

    settings: Settings = ()
    renamed: bool = False

    def create(self) -> tuple[Step, ...]:
        return (*_made(self.id, self.sql, renamed=self.renamed), *_set(self.id, self.settings))

    def drop(self) -> tuple[Step, ...]:
        return (Step(f"DROP TABLE {quoted(self.id.name[0])}", self.id, Action.DROP, LOCK),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        return _set_otherwise(self, after)


class SearchIndex(_FullText, frozen=True, kw_only=True, tag="search index"):
    """An FTS table over the rows of tables, `over`. `content` is that table or the view that shows them.

    It is None where nothing can be read: it isn't there, or lacks a column.
    """

    content: ObjectId | None
    over: tuple[str, ...]

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        """It doesn't act, but has to be built anew where rows come back."""
        return tuple(table_id(name) for name in self.over)

    def create(self) -> tuple[Step, ...]:
        return (*_FullText.create(self), *self.put_back())

    def take_down(self) -> tuple[Step, ...]:
        return ()

    def put_back(self) -> tuple[Step, ...]:
        name = quoted(self.id.name[0])
        rebuild = Step(f"INSERT INTO {name} ({name}) VALUES ('rebuild')", self.id, Action.COPY, LOCK)
        return (rebuild,) if self.content is not None else ()

    @property
    def refill(self) -> tuple[Step, ...]:
        return self.put_back()


class BareIndex(_FullText, frozen=True, kw_only=True, tag="bare index"):
    """An FTS table that gives numbers of rows and not what was put in, or not all of it."""

    @property
    def rows_go_with_it(self) -> bool:
        return True

    def drop(self) -> tuple[Step, ...]:
        (step,) = _FullText.drop(self)
        return (Step(step.sql, self.id, Action.DROP, LOCK, (Loss(LossKind.TABLE, self.id),)),)


def _made(i: ObjectId, sql: str, *, renamed: bool) -> Iterable[Step]:
    """A renamed one is made as it came about: ALTER TABLE wrote the name at the beginning of its text."""
    name = i.name[0]
    start = f"CREATE VIRTUAL TABLE {quoted(name)}"
    if not renamed or not sql.startswith(start):
        yield Step(sql, i, Action.CREATE, LOCK)
        return
    other = quoted(f"{OWN_PREFIX}new_{name}")
    yield Step(f"CREATE VIRTUAL TABLE {other}{sql.removeprefix(start)}", i, Action.CREATE, LOCK)
    yield Step(f"ALTER TABLE {other} RENAME TO {quoted(name)}", i, Action.ALTER, LOCK)


def _set(i: ObjectId, settings: Iterable[tuple[str, str | int | float]]) -> Iterable[Step]:
    name = quoted(i.name[0])
    for key, value in settings:
        said = literal(value) if isinstance(value, str) else repr(value)
        yield Step(f"INSERT INTO {name} ({name}, rank) VALUES ({literal(key)}, {said})", i, Action.ALTER, LOCK)


def _set_otherwise(before: VirtualTable | _FullText, after: SchemaObject) -> Alteration | None:
    """How only settings change; one that was never set can't be made so again."""
    if not isinstance(after, VirtualTable | _FullText) or replace(before, settings=after.settings) != after:
        return None
    if not dict(before.settings).keys() <= dict(after.settings).keys():
        return None
    return Alteration(tuple(_set(before.id, (pair for pair in after.settings if pair not in before.settings))))


class Definition(NamedTuple):
    """What a CREATE VIRTUAL TABLE says: the module, folded, and its arguments as they stand."""

    module: str
    arguments: tuple[str, ...]

    @property
    def options(self) -> dict[str, str]:
        """Arguments of the form `name = value`, names folded and values without quotes. FTS3 knows none of these."""
        found = {}
        for said in map(_OPTION.match, self.arguments if self.module in ("fts4", "fts5") else ()):
            if said:
                name = folded(said[1])
                if self.module == "fts5":
                    name = next((known for known in _FTS5_OPTIONS if known.startswith(name)), name)
                found[name] = _unquoted(said[2])
        return found

    @property
    def hides(self) -> bool:
        """Whether what was put into it can't be read, or not all of it."""
        return bool(_HIDES.get(self.module, set()) & self.options.keys()) or self.options.get("content") == ""

    @property
    def has_rows(self) -> bool:
        """Whether what was put into it can be read and put into it again."""
        return self.module in _SHADOWS and "content" not in self.options and not self.hides

    @property
    def content(self) -> str:
        """The table or view that has an FTS table's content, empty if there is none."""
        return "" if self.hides else self.options.get("content", "")


def is_virtual(sql: str) -> bool:
    """Whether a text of the schema's makes one; SQLite writes its beginning itself."""
    return sql[:14].lower() == "create virtual"


def definition(sql: str) -> Definition:
    """What such a text says."""
    words = [t for t in tokens(sql, Dialect.SQLITE) if t.significant]
    module = 1 + next(n for n, t in enumerate(words) if t.text.lower() == "using")
    spans: list[tuple[int, int]] = []  # of arguments, from the first word to the end of the last: no comments around
    depth, begins = 0, True
    for t in words[module + 1 :]:
        depth -= t.text == ")"
        if depth == 1 and t.text == ",":
            begins = True
        elif depth >= 1:
            start = t.offset if begins else spans.pop()[0]
            spans.append((start, t.offset + len(t.text)))
            begins = False
        depth += t.text == "("
    return Definition(folded(_unquoted(words[module].text)), tuple(sql[start:end] for start, end in spans))


def shadows_of(name: str, said: Definition) -> list[str]:
    """The tables in which such a table keeps what it holds; some may not be there.

    SQLite itself goes by the names, and takes a table of the user's for one where the module has made none.
    """
    without = {"content"} & said.options.keys()
    if "matchinfo" in said.options or said.options.get("columnsize") == "0":
        without.add("docsize")
    return [f"{name}_{suffix}" for suffix in _SHADOWS.get(said.module, ()) if suffix not in without]


def mistaken(name: str, said: Definition) -> set[str]:
    """Names that SQLite takes for such tables though the module makes none."""
    suffixes = {suffix for every in _SHADOWS.values() for suffix in every} if said.module in _SHADOWS else set()
    return {f"{name}_{suffix}" for suffix in suffixes}.difference(shadows_of(name, said))


def columns_of(connection: sqlite3.Connection, name: str, schema: str = "main") -> list[Column]:
    """The columns of a virtual table with rows of its own, their number first; none for any other table."""
    found = connection.execute(
        f"SELECT sql FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (name,)
    ).fetchone()
    if found is None or not is_virtual(found[0]) or not (said := definition(found[0])).has_rows:
        return []
    columns = _visible(connection, name, schema)
    if said.module.startswith("rtree"):
        return [Column(columns[0].name, "INTEGER", True, None, 1, 0), *columns[1:]]
    # Under its other names the number can't be written where a column has this one (SQLite 3.40.1).
    return [_NUMBER, *columns] if "rowid" not in {folded(c.name) for c in columns} else []


class Surroundings(NamedTuple):
    """What else is in the schema: the texts of views and of tables, by name."""

    views: Mapping[str, str]
    tables: Mapping[str, str]


def read_virtual(
    connection: sqlite3.Connection, name: str, sql: str, around: Surroundings
) -> tuple[SchemaObject, frozenset[ObjectId]]:
    """The object, and what it needs. Not managed is one that can't be used here: its tokenizer is the application's."""
    try:
        return _managed(connection, name, sql, around)
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # not the table is at fault, but the disk, say
            raise
        return _unmanaged(name, sql), frozenset()


def _managed(
    connection: sqlite3.Connection, name: str, sql: str, around: Surroundings
) -> tuple[SchemaObject, frozenset[ObjectId]]:
    said = definition(sql)
    i, settings, renamed = ObjectId(KIND, (name,)), _settings(connection, name, said), _renamed(name, said, around)
    if said.content:
        content = _content(connection, name, said, around)
        over, by_way_of = _over(said.content, around) if content is not None else ((), ())
        needs = frozenset((*map(table_id, over), *(ObjectId("view", (view,)) for view in by_way_of)))
        return SearchIndex(id=i, sql=sql, content=content, over=over, settings=settings, renamed=renamed), needs
    if said.hides:
        return BareIndex(id=i, sql=sql, settings=settings, renamed=renamed), frozenset()
    if columns := columns_of(connection, name):
        table = VirtualTable(
            id=table_id(name),
            sql=sql,
            columns=tuple(columns),
            module=said.module,
            settings=settings,
            renamed=renamed,
        )
        return table, frozenset()
    return _unmanaged(name, sql), frozenset()  # also where a column has the name of the rows' number


def _unmanaged(name: str, sql: str) -> UnmanagedObject:
    return UnmanagedObject(
        id=ObjectId(KIND, (name,)), digest=hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest()
    )


def _visible(connection: sqlite3.Connection, name: str, schema: str) -> list[Column]:
    rows = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?, ?)", (name, schema)).fetchall()
    return [Column(column, kind, False, None, 0, 0) for column, kind, hidden in rows if not hidden]


def _settings(connection: sqlite3.Connection, name: str, said: Definition) -> Settings:
    if said.module != "fts5":
        return ()
    query = (
        f"SELECT k, v FROM main.{quoted(f'{name}_config')} WHERE k <> 'version' AND typeof(v) NOT IN ('null', 'blob')"
    )
    return tuple(connection.execute(f"{query} ORDER BY k"))


def _renamed(name: str, said: Definition, around: Surroundings) -> bool:
    """FTS writes names in single quotes, ALTER TABLE in double ones. R-Tree has these from the start."""
    if not said.module.startswith("fts"):
        return False
    return any(around.tables.get(shadow, "")[:14] == 'CREATE TABLE "' for shadow in shadows_of(name, said))


def _content(connection: sqlite3.Connection, name: str, said: Definition, around: Surroundings) -> ObjectId | None:
    """The table or view that has the content, if it can be read as it is when the index is built."""
    kinds = (("table", around.tables), ("view", around.views))
    found = [ObjectId(kind, (n,)) for kind, names in kinds for n in names if folded(n) == folded(said.content)]
    number = said.options.get("content_rowid", "rowid")
    wanted = ", ".join(f"T.{quoted(c)}" for c in (number, *(c.name for c in _visible(connection, name, "main"))))
    try:
        for i in found:
            connection.execute(f"SELECT {wanted} FROM main.{quoted(i.name[0])} T LIMIT 0")
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return None
    return found[0] if found else None


def _over(content: str, around: Surroundings) -> tuple[tuple[str, ...], Collection[str]]:
    """The tables whose rows the content shows, and the views by way of which it does."""
    known = {folded(t): t for t in around.tables}
    views = {folded(v): v for v in around.views}
    tables: dict[str, None] = {}
    by_way_of: dict[str, None] = {}
    queue = [folded(content)]
    while queue:
        name = queue.pop()
        if name in known:
            tables[known[name]] = None
        elif name in views and views[name] not in by_way_of:
            by_way_of[views[name]] = None
            words = tokens(around.views[views[name]], Dialect.SQLITE)
            queue += [folded(_unquoted(t.text)) for t in words if t.significant]
    return tuple(sorted(tables)), by_way_of


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"`'" and text[-1] == text[0]:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
