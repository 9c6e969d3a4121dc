"""Which tables' rows were touched since a moment in this transaction: too many is allowed, too few is not.

The server's own counters tell of rows (pg_stat_get_xact_…; they also count what a savepoint took back, which is only
too many). They say nothing of TRUNCATE and rewrites, which give the table another file, nor of columns that are gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from tagback.catalog import ObjectId
from tagback.engines.postgres.sqltext import OWN_SCHEMAS, literal

_LOCKS = ("ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE")

# Sizes are asked for tables only whose access method is known to keep an empty table in an empty file (2 is heap).
_TABLES = f"""
    SELECT c.oid::bigint, n.nspname, c.relname, pg_relation_filenode(c.oid)::bigint,
        c.relkind = 'p' OR (c.relam = 2 AND pg_relation_size(c.oid) = 0),
        ARRAY[pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid),
            pg_stat_get_xact_tuples_deleted(c.oid)],
        a.columns, coalesce(a.with_user_types, false),
        CASE WHEN c.relam = 2 AND pg_relation_size(c.oid) = 0 THEN pg_relation_filepath(c.oid) END, a.names
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT string_agg(concat_ws(' ', attnum, atttypid, atttypmod), ',' ORDER BY attnum) AS columns,
            md5(string_agg(attname, '/' ORDER BY attnum)) AS names,
            bool_or(atttypid >= 16384) AS with_user_types
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a ON true
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND n.nspname !~ '{OWN_SCHEMAS}'
        AND c.relpersistence <> 't'"""

# Attributes of composite types, and columns of tables whose rows are values elsewhere: dropping one takes values out of
# tables without touching their rows.
_COMPOSITES = """
    SELECT c.oid::bigint, string_agg(concat_ws(' ', attnum, atttypid, atttypmod), ',' ORDER BY attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    WHERE c.oid >= 16384 AND (c.relkind = 'c' OR c.oid IN (
        SELECT w.typrelid FROM pg_attribute u JOIN pg_type t ON t.oid = u.atttypid
            JOIN pg_type w ON w.oid = ANY (ARRAY[t.oid, t.typelem, t.typbasetype])
        WHERE u.atttypid >= 16384 AND u.attnum > 0))
    GROUP BY c.oid"""

_LABELS = "SELECT oid::bigint, enumtypid::bigint, enumlabel FROM pg_enum"

# What makes the text of a value, written by this transaction.
_OUTPUT = """
    SELECT 1 FROM pg_type t JOIN pg_proc p ON p.oid = t.typoutput
    WHERE p.oid >= 16384 AND age(p.xmin) <= age(pg_current_xact_id()::xid) LIMIT 1"""

# 2613 is pg_largeobject, 2995 pg_largeobject_metadata.
_LARGE = """
    SELECT sum(pg_stat_get_xact_tuples_inserted(o))::bigint,
        sum(pg_stat_get_xact_tuples_updated(o) + pg_stat_get_xact_tuples_deleted(o))::bigint
    FROM unnest(ARRAY[2613, 2995]::oid[]) o"""

LARGE_OBJECTS = ObjectId("large objects", ("pg_largeobject",))
"""Stands for all of them: writes to them can be noticed, but what they were isn't kept."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What is remembered of a table.

    `columns` has number and type of each, `names` stands for what they are called; `file` is the path of an empty heap.
    """

    id: ObjectId
    filenode: int | None
    empty: bool
    counters: tuple[int, ...]
    columns: frozenset[str]
    with_user_types: bool
    file: str
    names: str


class Observation:
    """Begun with its construction. `text` runs one statement of tagback's own."""

    def __init__(self, text: Callable[[str], list[tuple[object, ...]]], tables: Iterable[ObjectId]) -> None:
        self._text = text
        wanted = frozenset(tables)
        self._tables = {oid: state for oid, state in self._read().items() if state.id in wanted}
        self._composites = self._read_composites()
        self._labels = self._read_labels()
        self._large = self._written_large()
        self._statements = 0
        self._counting = self._counts()
        self._locks: Mapping[ObjectId, str] = {}

    def statement_runs(self, sql: str) -> None:
        """Notes that one of the user's statements is going to run."""
        self._statements += 1
        if "track_counts" in sql.casefold():
            self._counting = False

    def touched(self) -> frozenset[ObjectId]:
        """The tables whose rows may not be what they were, without those that were and stayed empty."""
        if not self._statements:
            return frozenset()
        now, composites = self._read(), self._read_composites()
        counting = self._counting and self._counts()
        reshaped = any(composites.get(oid) != columns for oid, columns in self._composites.items())
        reshaped = reshaped or self._labels_cross(self._read_labels())
        found = set()
        for oid, was in self._tables.items():
            present = now.get(oid)
            if present is not None and was.empty and present.empty and present.filenode == was.filenode:
                continue  # nobody else can have filled it meanwhile either
            changed = (
                not counting
                or present is None
                or present.counters != was.counters
                or present.filenode != was.filenode
                or not was.columns <= present.columns
                or (reshaped and was.with_user_types)
            )
            if changed and not (was.empty and self._stayed_empty(was, present)):
                found.add(was.id)
        self._locks = self._held_locks()
        if any(self.large_written()):
            found.add(LARGE_OBJECTS)
        return frozenset(found)

    def observed(self, oids: Iterable[int]) -> dict[int, ObjectId]:
        """Those of these tables that are observed, with their names at the start."""
        return {oid: self._tables[oid].id for oid in oids if oid in self._tables}

    def untouched(self, oids: Collection[int]) -> dict[int, ObjectId]:
        """Those of these tables that are what they were at the start: rows, columns and names."""
        if not oids or not (self._counting and self._counts()):
            return {}
        return {oid: state.id for oid, state in self._read(oids).items() if state == self._tables.get(oid)}

    def written(self, table: ObjectId) -> tuple[int, int, int] | None:
        """How many rows of a table were inserted, updated and deleted; None if that isn't known."""
        oid = next((oid for oid, state in self._tables.items() if state.id == table), 0)
        if not (oid and self._counting and self._counts()):
            return None
        (now,) = self._text(
            f"SELECT pg_stat_get_xact_tuples_inserted({oid}), pg_stat_get_xact_tuples_updated({oid}),"
            f" pg_stat_get_xact_tuples_deleted({oid})"
        )
        added, changed, gone = (int(str(n)) - was for n, was in zip(now, self._tables[oid].counters, strict=True))
        return added, changed, gone

    def logged(self, tables: Collection[ObjectId]) -> dict[ObjectId, int]:
        """How many rows were added to each of these tables that this role may not read and to which nothing else was done."""
        oids = [oid for oid, state in self._tables.items() if state.id in tables]
        if not (oids and self._counting and self._counts()):
            return {}
        unread = "SELECT oid::bigint FROM pg_class WHERE NOT has_table_privilege(oid, 'SELECT')"
        hidden = [int(str(oid)) for (oid,) in self._text(f"{unread} AND oid IN ({', '.join(map(str, oids))})")]
        found = {}
        for oid, now in self._read(hidden).items() if hidden else ():
            was = self._tables[oid]
            added = now.counters[0] - was.counters[0]
            if (
                added
                and replace(now, counters=(was.counters[0], *now.counters[1:]), empty=was.empty, file=was.file) == was
            ):
                found[was.id] = added
        return found

    def large_written(self) -> tuple[int, int]:
        """Pages of large objects added, and those changed or removed."""
        added, gone = self._written_large()
        return added - self._large[0], gone - self._large[1]

    def types_stand(self) -> bool:
        """Whether values of users' types that nobody wrote still have the same text."""
        same = self._read_composites() == self._composites and self._read_labels() == self._labels
        return same and not self._text(_OUTPUT)

    def lock_of(self, table: ObjectId) -> str:
        """The lock that the user's statements took on the table, or the weakest that keeps writers out."""
        return self._locks.get(table, _LOCKS[-1])

    def _stayed_empty(self, was: TableState, present: TableState | None) -> bool:
        """Whether a table, empty at the start, had no rows of others' either when its file was left behind.

        Others can have committed rows between the start and the lock that this deployment's statement took.
        """
        if present is not None and present.filenode == was.filenode:
            return False  # it has rows now, whosever
        if not was.file:
            return True  # a partitioned table has none of its own
        ((may_look,),) = self._text("SELECT has_function_privilege('pg_stat_file(text, boolean)', 'EXECUTE')")
        if not may_look:
            return False
        return self._text(f"SELECT size FROM pg_stat_file({literal(was.file)}, true)") in ([(0,)], [(None,)])

    def _counts(self) -> bool:
        return self._text("SELECT current_setting('track_counts')") == [("on",)]

    def _read(self, only: Collection[int] = ()) -> dict[int, TableState]:
        return {
            int(str(oid)): TableState(
                id=ObjectId("table", (str(schema), str(name))),
                filenode=None if filenode is None else int(str(filenode)),
                empty=bool(empty),
                counters=tuple(counters),  # type: ignore[arg-type]
                columns=frozenset(str(columns).split(",")) if columns else frozenset(),
                with_user_types=bool(with_user_types),
                file=str(file or ""),
                names=str(names or ""),
            )
            for oid, schema, name, filenode, empty, counters, columns, with_user_types, file, names in self._text(
                f"{_TABLES} AND c.oid IN ({', '.join(map(str, only))})" if only else _TABLES
            )
        }

    def _read_composites(self) -> dict[int, str]:
        return {int(str(oid)): str(columns) for oid, columns in self._text(_COMPOSITES)}

    def _read_labels(self) -> dict[int, tuple[int, str]]:
        return {int(str(oid)): (int(str(enum)), str(label)) for oid, enum, label in self._text(_LABELS)}

    def _labels_cross(self, now: Mapping[int, tuple[int, str]]) -> bool:
        """Whether an enum's value bears a name that another one had, or gave its name to another one.

        Rows then show other values without having been touched. Names that nobody else has tell what they were.
        """
        old, new = set(self._labels.values()), set(now.values())
        return any(
            oid in now and now[oid] != label and (now[oid] in old or label in new)
            for oid, label in self._labels.items()
        )

    def _written_large(self) -> tuple[int, int]:
        ((added, gone),) = self._text(_LARGE)
        return int(str(added)), int(str(gone))

    def _held_locks(self) -> dict[ObjectId, str]:
        found: dict[ObjectId, str] = {}
        rows = self._text(
            "SELECT relation::bigint, mode FROM pg_locks"
            " WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted"
        )
        for oid, mode in rows:
            state = self._tables.get(int(str(oid)))
            lock = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(mode).removesuffix("Lock")).upper()
            if state is not None and lock in _LOCKS:
                found[state.id] = min(found.get(state.id, lock), lock, key=_LOCKS.index)
        return found
