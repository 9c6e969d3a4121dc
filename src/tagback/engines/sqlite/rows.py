"""Rows of SQLite tables: kept as they were, compared, recognised again.

The start state is copied into the connection's temporary database; it outlives the savepoint in which the user's
statements run. Comparing means doing what the way back would do, and counting what would differ.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from tagback.catalog import Catalog, Loss, LossKind, ObjectId
from tagback.engines.session import Content, TableChange
from tagback.engines.sqlite.lineage import Lineage
from tagback.engines.sqlite.naming import folded, is_own, quoted
from tagback.engines.sqlite.objects import ROWID_NAMES, Column, Table, column_id, is_constant, stored_type

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
_CASCADES = {"CASCADE", "SET NULL", "SET DEFAULT"}


class Rows:
    """The rows' side of one session."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._copies: dict[ObjectId, str] = {}
        self._virtual: dict[ObjectId, int] = {}  # virtual tables that were written to, with their rows at the start
        self._written: set[str] = set()  # what identifies the tables, see Lineage

    # ------------------------------------------------------------------ the start state

    def keep_start(self, tables: Collection[ObjectId]) -> None:
        """Copies tables into the temporary database."""
        for table in sorted(tables):
            if table.kind != "table":
                self._virtual.setdefault(table, self._count(f"main.{quoted(table.name[0])}"))
                continue
            if table in self._copies:
                continue
            copy = f"tagback_start_{len(self._copies) + 1}"
            self._connection.execute(f"CREATE TEMP TABLE {copy} AS SELECT * FROM main.{quoted(table.name[0])}")
            self._copies[table] = copy

    def forget_start(self) -> None:
        """Drops the copies."""
        for copy in self._copies.values():
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{copy}")
        self._copies.clear()
        self._virtual.clear()

    # ------------------------------------------------------------------ what is touched

    def watch(self, lineage: Lineage) -> None:
        """Has SQLite report which tables statements write to, triggers and REPLACE included."""
        self._written = set()

        def authorize(action: int, name: str | None, other: str | None, database: str | None, _: str | None) -> int:
            if action in _WRITES and database != "temp" and name:
                self._written.add(lineage.table(name))
            if action in _MAKES_OR_WRITES and database != "temp":
                altered = other if action == sqlite3.SQLITE_ALTER_TABLE else name
                if altered and is_own(altered):
                    return sqlite3.SQLITE_DENY
            return sqlite3.SQLITE_OK

        self._connection.set_authorizer(authorize)

    def end_watch(self) -> None:
        """Stops reporting."""
        self._connection.set_authorizer(None)

    def touched(self, before: Catalog, after: Catalog, lineage: Lineage, *, cascading: bool) -> frozenset[ObjectId]:
        """Tables of the start that were written to, are gone, or lost or retyped a column; unless they were empty then."""
        tables = {folded(o.name): o for o in before.objects.values() if isinstance(o, Table)}
        # By what identified them when `before` was read: earlier changesets may have made them in this transaction.
        names = {name for name, t in tables.items() if before.lineage[t.id] in self._written}
        now = {after.lineage[i]: i for i in after.lineage}
        for name, table in tables.items():
            found = now.get(before.lineage[table.id])
            other = after.objects.get(found) if found else None
            if not isinstance(other, Table) or not _holds(table, other, before, after):
                names.add(name)
        if cascading:
            names = _with_children(names, tables)
        return frozenset(tables[n].id for n in names) | self._touched_virtual(before, after)

    def _touched_virtual(self, before: Catalog, after: Catalog) -> set[ObjectId]:
        """Virtual tables that were written to, themselves or by way of the tables in which they keep their content."""
        tables = {o.id.name[0] for c in (before, after) for o in c.objects.values() if isinstance(o, Table)}
        written = self._written - {f"={folded(name)}" for name in tables}
        found = set()
        for o in before.objects.values():
            if o.id.kind == "virtual table":
                token = f"={folded(o.id.name[0])}"
                if any(w == token or w.startswith(f"{token}_") for w in written):
                    found.add(o.id)
        return found

    # ------------------------------------------------------------------ comparing

    def compare(self, before: Catalog, after: Catalog, names: Mapping[ObjectId, ObjectId]) -> tuple[TableChange, ...]:
        """Compares every copy with what the way back would make of the table as it is now."""
        # What virtual tables hold can be counted, but not compared: a write to one is a change of all it held.
        changes = [TableChange(table, rows, max(rows, 1)) for table, rows in sorted(self._virtual.items())]
        for table_was, copy in sorted(self._copies.items()):
            was = before.objects[table_was]
            here = names.get(table_was, table_was)
            another = table_was not in names and table_was in names.values()  # it goes back to another name
            now = None if another else after.objects.get(here)
            assert isinstance(was, Table)
            if isinstance(now, Table):
                lost, extra = self._multiset_difference(was, copy, now, names)
            else:
                lost, extra = self._count(f"temp.{copy}"), 0
            if lost or extra:
                changes.append(TableChange(table_was, lost, extra))
        return tuple(changes)

    def _multiset_difference(
        self, was: Table, copy: str, now: Table, names: Mapping[ObjectId, ObjectId]
    ) -> tuple[int, int]:
        stored = [c for c in was.columns if not c.generated]
        mapped = {}
        current = {folded(c.name) for c in now.columns}  # generated ones too: the way back takes what they say
        given = {folded(i.name[1]) for i in names.values() if i.kind == "column" and i.name[0] == now.name}
        for c in stored:
            i = column_id(was.name, c.name)
            if i not in names and folded(c.name) in given:
                continue  # what has this name now goes back to another one
            name = names.get(i, i).name[1]
            if folded(name) in current:
                mapped[c.name] = name
        self._connection.execute("DROP TABLE IF EXISTS temp.tagback_shape")
        declared = ", ".join(_shape(c, strict=was.strict) for c in stored)
        self._connection.execute(f"CREATE TEMP TABLE tagback_shape ({declared})")
        if mapped:
            into = ", ".join(quoted(c) for c in mapped)
            taken = ", ".join(quoted(c) for c in mapped.values())
            self._connection.execute(
                f"INSERT INTO temp.tagback_shape ({into}) SELECT {taken} FROM main.{quoted(now.name)}"
            )
        elif was.takes_rows_of(now):
            first = stored[0]
            value = first.default if first.default is not None and is_constant(first.default) else "NULL"
            self._connection.execute(
                f"INSERT INTO temp.tagback_shape ({quoted(first.name)}) SELECT {value} FROM main.{quoted(now.name)}"
            )
        # Names of tagback's own throughout: a user's column may be called anything.
        columns = ", ".join(f"{quoted(c.name)} AS v{n}" for n, c in enumerate(stored))
        values = ", ".join(f"v{n}, typeof(v{n})" for n in range(len(stored)))
        row = self._connection.execute(
            "SELECT coalesce(sum(max(weight, 0)), 0), coalesce(sum(max(-weight, 0)), 0)"
            f" FROM (SELECT sum(side) AS weight FROM (SELECT {columns}, 1 AS side FROM temp.{copy}"
            f" UNION ALL SELECT {columns}, -1 FROM temp.tagback_shape) GROUP BY {values})"
        ).fetchone()
        self._connection.execute("DROP TABLE temp.tagback_shape")
        return int(row[0]), int(row[1])

    # ------------------------------------------------------------------ content and losses

    def content(self, table: str, columns: Sequence[str]) -> Content:
        """Row count and an order-free digest over these columns, each row's values with its key: they belong together."""
        chosen = ", ".join((*self._key(table), *(quoted(c) for c in columns))) or "NULL"
        count, total = 0, 0
        usual = self._connection.text_factory
        self._connection.text_factory = _Text  # a TEXT value needn't be valid UTF-8, and isn't the BLOB of its bytes
        try:
            for row in self._connection.execute(f"SELECT {chosen} FROM main.{quoted(table)}"):
                count += 1
                total += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=16).digest())
        finally:
            self._connection.text_factory = usual
        return Content(count, f"{total % (1 << 128):032x}")

    def _key(self, table: str) -> list[str]:
        """What identifies a row: the primary key's columns, else the rowid, where it can be named."""
        found = self._connection.execute("SELECT name, pk FROM pragma_table_info(?, 'main')", (table,)).fetchall()
        keys = [quoted(name) for name, _ in sorted((r for r in found if r[1]), key=lambda r: r[1])]
        taken = {folded(name) for name, _ in found}
        return keys or [name for name in ROWID_NAMES if name not in taken][:1]

    def count_lost(self, loss: Loss) -> int:
        """See Session.count_lost."""
        table = f"main.{quoted(loss.table.name[0])}"
        if loss.kind is LossKind.TABLE:
            return self._count(table)
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
            self._connection.execute(f"CREATE TABLE {name} (original, v {_affinity(kind)})")
        self._connection.execute(f"INSERT INTO {there} SELECT {column}, {column} FROM {table}")
        self._connection.execute(f"INSERT INTO {back} SELECT original, v FROM {there}")
        lost = self._count(f"{back} WHERE original IS NOT v COLLATE BINARY OR typeof(original) <> typeof(v)")
        for name in (there, back):
            self._connection.execute(f"DROP TABLE {name}")
        return lost

    def _is_generated(self, loss: Loss) -> bool:
        """Whether the column's values follow from others; reading them may need functions that only the application has."""
        found = self._connection.execute(
            "SELECT hidden FROM pragma_table_xinfo(?, 'main') WHERE name = ? COLLATE NOCASE",
            (loss.table.name[0], loss.column),
        ).fetchone()
        return found is not None and found[0] in (2, 3)

    def _count(self, source: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0])


class _Text(bytes):
    """The bytes of a TEXT value, told from a BLOB by their representation."""

    def __repr__(self) -> str:
        return f"text {super().__repr__()}"


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


def _shape(column: Column, *, strict: bool) -> str:
    default = f" DEFAULT {column.default}" if column.default is not None and is_constant(column.default) else ""
    return f"{quoted(column.name)} {_affinity(stored_type(column, strict=strict))}{default}"


def _affinity(declared: str) -> str:
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
