"""Rows of SQLite tables: kept as they were, watched, and counted where steps would take them away.

The start state is copied into the connection's temporary database, where it outlives the savepoint in which the user's
statements run; or it is read where it still is, see `committed`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, replace

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, SchemaObject
from tagback.engines.sqlite.lineage import Lineage
from tagback.engines.sqlite.naming import folded, is_own, quoted
from tagback.engines.sqlite.objects import ROWID_NAMES, Table, column_id, is_constant
from tagback.engines.sqlite.virtual import KIND, BareIndex, SearchIndex, VirtualTable, columns_of

_WRITES = {
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_DROP_TABLE,
}
_MAKES_OR_WRITES = _WRITES | {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_ALTER_TABLE,
}
_STANDS_ON = {sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_TRIGGER}
_CASCADES = {"CASCADE", "SET NULL", "SET DEFAULT"}


@dataclass(frozen=True, slots=True)
class Start:
    """Where a table can be read as it was: a table of an attached database. `position`: its AUTOINCREMENT's, 0 for none."""

    schema: str
    name: str
    position: int = 0

    @property
    def source(self) -> str:
        """For use in FROM."""
        return f"{self.schema}.{quoted(self.name)}"


class Rows:
    """The rows' side of one session."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._starts: dict[ObjectId, Start] = {}
        self._virtual: dict[ObjectId, int] = {}  # virtual tables that were written to, with their rows at the start
        self.leaving: dict[ObjectId, str] = {}  # conditions for the rows that a merge leaves where they are
        self._written: set[str] = set()  # what identifies the tables, see Lineage
        self._updated: dict[str, set[str]] = {}  # and their columns, where only these were updated
        self.updated: Mapping[ObjectId, Set[str]] = {}  # the same for tables of the start; empty: nothing was written

    # ------------------------------------------------------------------ the start state

    def keep_start(self, tables: Collection[ObjectId]) -> None:
        """Copies tables into the temporary database."""
        for table in sorted(tables):
            if table.kind != "table":
                self._virtual.setdefault(table, self.count_virtual(table))
                continue
            if table in self._starts:
                continue
            self._copy(table, Start("main", table.name[0]))

    def _copy(self, table: ObjectId, there: Start) -> None:
        copy = Start("temp", f"tagback_start_{len(self._starts) + 1}", self._position(there))
        if virtual := columns_of(self._connection, there.name, there.schema):
            names = ", ".join(quoted(c.name) for c in virtual)
            number, *rest = (quoted(c.name) for c in virtual)
            self._connection.execute(
                f"CREATE TABLE {copy.source} ({', '.join([f'{number} INTEGER PRIMARY KEY', *rest])})"
            )
            self._connection.execute(f"INSERT INTO {copy.source} SELECT {names} FROM {there.source}")
            self._starts[table] = copy
            return
        key = self._integer_key(there)
        self._connection.execute(
            f"CREATE TABLE {copy.source} AS SELECT * FROM {there.source}{' LIMIT 0' if key else ''}"
        )
        if key:
            # The same columns with a key, so that rows are found in it without an index.
            known = self._connection.execute(
                "SELECT name, type FROM pragma_table_info(?, 'temp')", (copy.name,)
            ).fetchall()
            self._connection.execute(f"DROP TABLE {copy.source}")
            columns = [f"{quoted(name)} {'INTEGER PRIMARY KEY' if name == key else kind}" for name, kind in known]
            self._connection.execute(f"CREATE TABLE {copy.source} ({', '.join(columns)})")
            self._connection.execute(f"INSERT INTO {copy.source} SELECT * FROM {there.source}")
        self._starts[table] = copy

    def _integer_key(self, there: Start) -> str:
        """The column that is the row's number: a key that needs no index. Empty where there is none."""
        query = (
            "SELECT name FROM pragma_table_info(?1, ?2) WHERE pk = 1"
            " AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) WHERE origin = 'pk')"
        )
        found = self._connection.execute(query, (there.name, there.schema)).fetchone()
        return str(found[0]) if found else ""

    def read_start(self, tables: Collection[ObjectId], schema: str) -> None:
        """Has tables read in an attached database that has them as they were."""
        for table in sorted(tables):
            there = Start(schema, table.name[0])
            if table.kind != "table":
                self._virtual.setdefault(table, self.count_virtual(table, schema))
            elif self._is_collated(there) or columns_of(self._connection, there.name, schema):
                # Rows are told apart byte by byte; the key's own index can't find them so, that of a copy can. What a
                # virtual table holds only its module can read.
                self._copy(table, there)
            else:
                self._starts[table] = replace(there, position=self._position(there))

    def _position(self, there: Start) -> int:
        """The last number that AUTOINCREMENT gave out."""
        numbers = f"SELECT 1 FROM {there.schema}.sqlite_schema WHERE name = 'sqlite_sequence'"
        if self._connection.execute(numbers).fetchone() is None:
            return 0
        query = f"SELECT seq FROM {there.schema}.sqlite_sequence WHERE name = ? COLLATE NOCASE"
        (last,) = self._connection.execute(query, (there.name,)).fetchone() or (0,)
        return last if isinstance(last, int) else 0

    def _is_collated(self, there: Start) -> bool:
        """Whether the primary key takes for equal what isn't."""
        query = (
            "SELECT 1 FROM pragma_index_list(?1, ?2) i JOIN pragma_index_xinfo(i.name, ?2) c"
            " WHERE i.origin = 'pk' AND c.key AND c.coll <> 'BINARY' COLLATE NOCASE"
        )
        return self._connection.execute(query, (there.name, there.schema)).fetchone() is not None

    def forget_start(self) -> None:
        """Drops the copies."""
        for start in self._starts.values():
            if start.schema == "temp":
                self._connection.execute(f"DROP TABLE IF EXISTS {start.source}")
        self._starts.clear()
        self._virtual.clear()
        self.updated = {}

    # ------------------------------------------------------------------ what is touched

    def watch(self, lineage: Lineage) -> None:
        """Has SQLite report which tables statements write to, triggers and REPLACE included."""
        self._written = set()
        self._updated = {}
        self.updated = {}

        def authorize(action: int, name: str | None, other: str | None, database: str | None, _: str | None) -> int:
            if action in _WRITES and database != "temp" and name:
                self._note_write(lineage, name, other if action == sqlite3.SQLITE_UPDATE else None)
            if action in _MAKES_OR_WRITES and database != "temp":
                altered = [other if action == sqlite3.SQLITE_ALTER_TABLE else name]
                if action in _STANDS_ON:
                    altered.append(other)
                if any(one and is_own(one) for one in altered):
                    return sqlite3.SQLITE_DENY
            return sqlite3.SQLITE_OK

        self._connection.set_authorizer(authorize)

    def _note_write(self, lineage: Lineage, name: str, column: str | None) -> None:
        """`column`: of an UPDATE, which is reported for each; REPLACE by one may remove rows besides."""
        table = lineage.table(name)
        if column is None or column.lower() in ROWID_NAMES:
            self._updated.pop(table, None)
        elif table not in self._written or table in self._updated:
            self._updated.setdefault(table, set()).add(lineage.column(name, column))
        self._written.add(table)

    def end_watch(self) -> None:
        """Stops reporting."""
        self._connection.set_authorizer(None)

    def touched(self, before: Catalog, after: Catalog, lineage: Lineage, *, cascading: bool) -> frozenset[ObjectId]:
        """Tables of the start that were written to, are gone, or lost or retyped a column; unless they were empty then."""
        tables = {folded(o.name): o for o in before.objects.values() if isinstance(o, Table)}
        # By what identified them when `before` was read: earlier changesets may have made them in this transaction.
        now = {after.lineage[i]: i for i in after.lineage}
        inner = {
            name
            for name, t in tables.items()
            if any(self._inner_written(o) for o in (t, after.objects.get(now.get(before.lineage[t.id], t.id))))
        }
        written = {name for name, t in tables.items() if before.lineage[t.id] in self._written} | inner
        names = set(written)
        for name, table in tables.items():
            found = now.get(before.lineage[table.id])
            other = after.objects.get(found) if found else None
            if not isinstance(other, Table) or not _holds(table, other, before, after):
                names.add(name)
        if cascading:
            names = _with_children(names, tables)
            written = _with_children(written, tables)
        tokens = {name: before.lineage[t.id] for name, t in tables.items()}
        self.updated = {
            tables[name].id: self._updated.get(token, set())
            for name, token in tokens.items()
            if name not in written or (token in self._updated and name not in inner)
        }
        return frozenset(tables[n].id for n in names) | self._touched_virtual(before, after)

    def _inner_written(self, table: SchemaObject | None) -> bool:
        """Whether somebody may have written to it by way of the tables in which it keeps its rows."""
        return isinstance(table, VirtualTable) and any(f"={folded(s)}" in self._written for s in table.shadows)

    def _touched_virtual(self, before: Catalog, after: Catalog) -> set[ObjectId]:
        """Those of which rows aren't kept: written to, themselves or by way of the tables in which they keep what they hold."""
        tables = {o.id.name[0] for c in (before, after) for o in c.objects.values() if isinstance(o, Table)}
        written = self._written - {f"={folded(name)}" for name in tables}
        found = set()
        for o in before.objects.values():
            if o.id.kind == KIND:
                token = f"={folded(o.id.name[0])}"
                if any(w == token or w.startswith(f"{token}_") for w in written) or (
                    isinstance(o, BareIndex) and after.objects.get(o.id) != o
                ):
                    found.add(o.id)
        return found

    def lost_virtual(self, before: Catalog, after: Catalog) -> dict[ObjectId, int]:
        """Rows that the way back can't give again, or would take away for good, by virtual table."""
        found = {}
        for i, rows in self._virtual.items():
            was = before.objects[i]
            gone = isinstance(was, BareIndex) and was != after.objects.get(
                i
            )  # else nothing tells what was done to rows
            if not isinstance(was, SearchIndex):
                found[i] = rows if gone else max(rows, 1)
        for i, o in after.objects.items():
            if isinstance(o, BareIndex) and before.objects.get(i) != o:
                found[i] = found.get(i, 0) + self.count_virtual(i)
        return {i: rows for i, rows in found.items() if rows}

    def count_virtual(self, table: ObjectId, schema: str = "main") -> int:
        """How many rows it has, at least one where that can't be told."""
        for suffix in ("_docsize", "_content", "", "_idx", "_segdir"):
            try:
                return self._count(f"{schema}.{quoted(table.name[0] + suffix)}")
            except sqlite3.OperationalError as e:
                if e.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
        return 1

    @property
    def starts(self) -> Mapping[ObjectId, Start]:
        """The tables that are kept as they were, and where."""
        return self._starts

    # ------------------------------------------------------------------ losses

    def count_lost(self, loss: Loss) -> int:
        """See Session.count_each."""
        table = f"main.{quoted(loss.table.name[0])}"
        if loss.kind is LossKind.TABLE:
            return self.count_virtual(loss.table) if loss.table.kind == KIND else self._count(table)
        if self._is_generated(loss):
            return 0
        column = quoted(loss.column)
        if loss.kind is LossKind.COLUMN:
            if is_constant(loss.default):
                harmless = f"{column} COLLATE BINARY IS {loss.default} AND typeof({column}) = typeof({loss.default})"
            else:
                harmless = "0" if loss.default else f"{column} IS NULL"
            return self._count(f"{table} WHERE NOT ({harmless})")
        # The value goes to the other type and back, beside itself: affinity converts as it is stored.
        there, back = "temp.tagback_there", "temp.tagback_back"
        for name, kind in ((there, loss.type_after), (back, loss.type_before)):
            self._connection.execute(f"DROP TABLE IF EXISTS {name}")
            self._connection.execute(f"CREATE TABLE {name} (original, v {affinity(kind)})")
        staying = f" WHERE {self.leaving[loss.table]}" if loss.table in self.leaving else ""
        self._connection.execute(f"INSERT INTO {there} SELECT {column}, {column} FROM {table}{staying}")
        self._connection.execute(f"INSERT INTO {back} SELECT original, v FROM {there}")
        # A number that becomes its text says the same, as if it had been written to the other column.
        says_it = "typeof(original) IN ('integer', 'real') AND CAST(v AS NUMERIC) = original"
        differs = "original IS NOT v COLLATE BINARY OR typeof(original) <> typeof(v)"
        lost = self._count(f"{back} WHERE ({differs}) AND NOT ({says_it})")
        for name in (there, back):
            self._connection.execute(f"DROP TABLE {name}")
        return lost

    def rough(self, table: ObjectId) -> int | None:
        """About how many rows, by the largest number of one; None where they have no numbers."""
        try:
            (largest,) = self._connection.execute(f"SELECT max(rowid) FROM main.{quoted(table.name[0])}").fetchone()
        except sqlite3.OperationalError:
            return None
        return int(largest) if isinstance(largest, int) else 0

    def _is_generated(self, loss: Loss) -> bool:
        """Whether the column's values follow from others; reading them may need functions that only the application has."""
        found = self._connection.execute(
            "SELECT hidden FROM pragma_table_xinfo(?, 'main') WHERE name = ? COLLATE NOCASE",
            (loss.table.name[0], loss.column),
        ).fetchone()
        return found is not None and found[0] in (2, 3)

    def _count(self, source: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0])


def _holds(was: Table, now: Table, before: Catalog, after: Catalog) -> bool:
    """Whether every stored column of the start is still there, with its declared type."""
    types = {after.lineage[column_id(now.name, c.name)]: c for c in now.columns}
    for c in was.columns:
        other = types.get(before.lineage[column_id(was.name, c.name)])
        if not c.generated and (other is None or folded(other.type) != folded(c.type)):
            return False
    return True


def _with_children(names: set[str], tables: Mapping[str, Table]) -> set[str]:
    """The tables and those that foreign-key actions reach from them."""
    reached = set(names)
    while True:
        more = {
            name
            for name, t in tables.items()
            if name not in reached
            and any(folded(f.parent) in reached and {f.on_delete, f.on_update} & _CASCADES for f in t.foreign_keys)
        }
        if not more:
            return reached
        reached |= more


def affinity(declared: str) -> str:
    """A type name with the same affinity as the declared one, by the five rules of SQLite's documentation (3.1).

    ANY stands for the type of STRICT tables, see `stored_type`.
    """
    t = declared.upper()
    if "INT" in t:
        return "INTEGER"
    if any(word in t for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in t or not t or t == "ANY":
        return "BLOB"
    if any(word in t for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"
