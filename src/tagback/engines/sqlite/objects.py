"""SQLite's kinds of objects: tables, indexes, views, triggers and the two settings that live in the file.

SQLite keeps the text of each CREATE statement and gives it back verbatim, so that text is the definition. Tables also
carry their columns, for comparing and for people. A table changes by being made anew beside the old one: the recorded
text is executed as it stands, so that the schema is the same to the byte.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import msgspec

from tagback.catalog import (
    Action,
    Alteration,
    Catalog,
    Loss,
    LossKind,
    ObjectId,
    SchemaObject,
    Step,
)
from tagback.engines.sqlite.naming import OWN_PREFIX, folded, quoted

LOCK = "database, for writing"
ROWID_NAMES = ("rowid", "_rowid_", "oid")


_UNIQUE = re.compile(r"\s*create\s+unique\b", re.I)
_LIMITS = re.compile(r"\bunique\b|\bcheck\b|\bprimary\s+key\b|\breferences\b", re.I)
_DESCENDING_KEY = re.compile(r"\bprimary\s+key\s+desc\b", re.I)


class Column(msgspec.Struct, frozen=True):
    """One column as `PRAGMA table_xinfo` tells it. `hidden`: 0 ordinary, 1 hidden, 2 virtual or 3 stored generated."""

    name: str
    type: str
    not_null: bool
    default: str | None
    key: int
    hidden: int

    @property
    def generated(self) -> bool:
        """Whether its values follow from others."""
        return self.hidden in (2, 3)


class ForeignKey(msgspec.Struct, frozen=True):
    """One foreign key as `PRAGMA foreign_key_list` tells it; `target_columns` is empty for the parent's primary key."""

    columns: tuple[str, ...]
    parent: str
    target_columns: tuple[str, ...]
    on_update: str
    on_delete: str


class Table(SchemaObject, frozen=True, kw_only=True, tag="table"):
    """A table; its columns' comments, checks, collations and conflict clauses are in `sql`."""

    sql: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    strict: bool = False
    without_rowid: bool = False
    autoincrement: bool = False

    @property
    def name(self) -> str:
        """The table's own name."""
        return self.id.name[0]

    @property
    def parts(self) -> Iterable[ObjectId]:
        return tuple(column_id(self.name, c.name) for c in self.columns)

    @property
    def carries_data(self) -> bool:
        return True

    def required(self, catalog: Catalog) -> Mapping[str, bool]:
        return {
            c.name: c.default is not None or c.generated or (bool(c.key) and self.has_integer_key)
            for c in self.columns
            if c.not_null
        }

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        """Constraints stand in the text, where they are counted by their first words."""
        return isinstance(after, Table) and bool(_limits(self) - _limits(after))

    def create(self) -> tuple[Step, ...]:
        return (Step(self.sql, self.id, Action.CREATE, LOCK),)

    def drop(self) -> tuple[Step, ...]:
        destroys = (Loss(LossKind.TABLE, self.id),)
        return (Step(f"DROP TABLE {quoted(self.name)}", self.id, Action.DROP, LOCK, destroys),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, Table):
            return None
        old, new = quoted(f"{OWN_PREFIX}old_{self.name}"), quoted(after.name)
        pairs = self._copied(after)
        into = ", ".join(p[0] for p in pairs)
        taken = ", ".join(p[1] for p in pairs)
        steps = [
            Step(f"ALTER TABLE {quoted(self.name)} RENAME TO {old}", self.id, Action.ALTER, LOCK),
            *(replace(step, object=self.id, action=Action.ALTER) for step in after.create()),
        ]
        losses = self._losses(after)
        if pairs:
            # OR ABORT: the table's own conflict clauses (REPLACE, IGNORE) would drop or change rows in silence.
            copy = f"INSERT OR ABORT INTO {new} ({into}) SELECT {taken} FROM {old}"
            steps.append(Step(copy, self.id, Action.COPY, LOCK, losses))
        else:
            steps[0] = replace(steps[0], destroys=losses or (Loss(LossKind.TABLE, self.id),))
        if self.autoincrement and after.autoincrement:
            steps += [
                Step(f"DELETE FROM sqlite_sequence WHERE name = {literal(after.name)}", self.id, Action.ALTER),
                Step(
                    f"INSERT INTO sqlite_sequence (name, seq) SELECT {literal(after.name)}, seq FROM sqlite_sequence"
                    f" WHERE name = {literal(OWN_PREFIX + 'old_' + self.name)}",
                    self.id,
                    Action.ALTER,
                ),
            ]
        steps.append(Step(f"DROP TABLE {old}", self.id, Action.ALTER, LOCK))
        return Alteration(tuple(steps), frozenset({self.id}))

    def _copied(self, after: Table) -> list[tuple[str, str]]:
        """Columns of the new table with the expression over the old one that fills them."""
        mine = {folded(c.name): c for c in self.columns}
        pairs = []
        for c in after.columns:
            if c.generated:
                continue
            if folded(c.name) not in mine:
                if c.default is not None and not c.not_null and not is_constant(c.default):
                    pairs.append((quoted(c.name), "NULL"))  # no value that only today's default would give
                continue
            source = mine[folded(c.name)]
            taken = quoted(source.name)
            if c.key and after.has_integer_key and not (source.key and self.has_integer_key):
                # NULL would become a number of SQLite's choice; a text is refused.
                taken = f"coalesce({taken}, 'NULL')"
            pairs.append((quoted(c.name), taken))
        if after.takes_rows_of(self):
            pairs.insert(0, (after.rowid_name, self.rowid_name))
        return pairs

    def takes_rows_of(self, other: Table) -> bool:
        """Whether rows come over with their number, even if no column does."""
        return bool(self.rowid_name and other.rowid_name) and not self.has_integer_key

    def _losses(self, after: Table) -> tuple[Loss, ...]:
        theirs = {folded(c.name): c for c in after.columns}
        found = []
        for c in self.columns:
            other = theirs.get(folded(c.name))
            if c.generated:
                continue
            if other is None or other.generated:
                found.append(Loss(LossKind.COLUMN, self.id, c.name, default=c.default or ""))
            elif folded(c.type) != folded(other.type) or self.strict != after.strict:
                before, later = stored_type(c, strict=self.strict), stored_type(other, strict=after.strict)
                found.append(Loss(LossKind.VALUES, self.id, c.name, type_before=before, type_after=later))
        return tuple(found)

    @property
    def has_integer_key(self) -> bool:
        """Whether one column is another name for the rowid."""
        keys = [c for c in self.columns if c.key]
        return (
            not self.without_rowid
            and len(keys) == 1
            and folded(keys[0].type) == "integer"
            and not _DESCENDING_KEY.search(self.sql)  # by SQLite's own quirk a column like any other
        )

    @property
    def rowid_name(self) -> str:
        """A name under which the rowid can be read and written; empty if there is none."""
        taken = {folded(c.name) for c in self.columns}
        return "" if self.without_rowid else next((n for n in ROWID_NAMES if n not in taken), "")


def _limits(table: Table) -> Counter[str]:
    return Counter(" ".join(m[0].split()).lower() for m in _LIMITS.finditer(table.sql))


class Text(SchemaObject, frozen=True, kw_only=True):
    """What is fully said by its CREATE statement."""

    sql: str

    def create(self) -> tuple[Step, ...]:
        return (Step(self.sql, self.id, Action.CREATE, LOCK),)

    def drop(self) -> tuple[Step, ...]:
        sql = f"DROP {self.id.kind.upper()} {quoted(self.id.name[-1])}"
        return (Step(sql, self.id, Action.DROP, LOCK),)


class Index(Text, frozen=True, kw_only=True, tag="index"):
    """An index made by CREATE INDEX; those behind UNIQUE and PRIMARY KEY belong to their table's text."""

    table: str

    @property
    def part_of(self) -> ObjectId | None:
        return table_id(self.table)

    @property
    def limits_rows(self) -> bool:
        return bool(_UNIQUE.match(self.sql))


class View(Text, frozen=True, kw_only=True, tag="view"):
    """A view; SQLite looks up what it names only when it is used."""


class Trigger(Text, frozen=True, kw_only=True, tag="trigger"):
    """A trigger on a table, or INSTEAD OF on a view."""

    on_kind: str
    on: str

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId(self.on_kind, (self.on,))

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        return (table_id(self.on),)


class Setting(SchemaObject, frozen=True, kw_only=True, tag="setting"):
    """A number in the file's header that applications use for themselves: user_version, application_id."""

    value: int

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, Setting):
            return None
        return Alteration((Step(f"PRAGMA {self.id.name[0]} = {after.value}", self.id, Action.ALTER),))


def table_id(name: str) -> ObjectId:
    """The id of a table."""
    return ObjectId("table", (name,))


def column_id(table: str, column: str) -> ObjectId:
    """The id of a table's column."""
    return ObjectId("column", (table, column))


def stored_type(column: Column, *, strict: bool) -> str:
    """The declared type; ANY only where it keeps values as they are, which outside of STRICT tables it doesn't."""
    return "NUMERIC" if not strict and folded(column.type) == "any" else column.type


def is_constant(default: str) -> bool:
    """Whether the default is a plain literal, which gives the same value whenever it is used."""
    text = default.strip()
    if text.lower() in ("null", "true", "false"):
        return True
    if text[:1] == "'" and text[-1:] == "'":
        return "'" not in text[1:-1].replace("''", "")
    return bool(text) and text.lstrip("+-").replace(".", "", 1).isdigit()


def literal(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def tables_named(names: Collection[ObjectId], catalog: Catalog) -> list[Table]:
    """Those of these that are tables of a schema, in order."""
    return [table for name in sorted(names) if isinstance(table := catalog.objects.get(name), Table)]
