"""Rows: which tables a deployment touched, what they held at its start, and whether the way back gives it again.

The start is copied into temporary tables. Nothing in a copy may hang on the living schema, or the user's DROP TYPE
would fail or take the column along: values of core types are kept as they are, all others as text, in the exact form
that their output function gives. Rows are compared by 128-bit digests of their text, as multisets, on the server: two
values are the same when they look the same, not when `=` says so (1.0 = 1.00, -0 = 0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tagback.catalog import Catalog, Loss, LossKind, ObjectId
from tagback.engines.postgres.kinds.column import cast
from tagback.engines.postgres.observation import LARGE_OBJECTS, Observation
from tagback.engines.postgres.sqltext import ident, literal, qualified
from tagback.engines.session import Content, StatementError, TableChange
from tagback.errors import RefusedError

MOST_TOGETHER = 100  # queries in one statement
FIRST_USER_OID = 16384  # FirstNormalObjectId: types below are part of every server


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the server has it.

    `type` is its name as SQL, with modifiers; `core`: every server has it. `default` is what rows get that are there
    when the column is added, as SQL: the column's, else its domain's; `identity` columns get numbers.
    """

    name: str
    type: str
    core: bool
    collated: bool
    generated: bool
    identity: bool
    default: str


@dataclass(frozen=True, slots=True)
class Described:
    """A table in FROM, and its columns. A partitioned one's rows are its partitions'; a parent's by inheritance its own."""

    source: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def with_key(self, columns: Sequence[str]) -> str:
        """These columns and what tells the row from others, for ROW()."""
        rest = [name for name in self.key or [c.name for c in self.columns] if name not in columns]
        return ", ".join(map(ident, (*columns, *rest)))


@dataclass(frozen=True, slots=True)
class Copy:
    """A table's rows at the start."""

    name: str
    columns: tuple[Column, ...]


class Rows:
    """The rows' side of a session.

    `text` runs one statement of tagback's own and gives its rows; `attempt` gives the error where it fails.
    """

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
    ) -> None:
        self._text = text
        self._attempt = attempt
        self._observation: Observation | None = None
        self._copies: dict[ObjectId, Copy] = {}
        self._marks: list[dict[ObjectId, Copy]] = []
        self._made = 0

    # ------------------------------------------------------------------ with the transaction

    def ended(self) -> None:
        """The transaction is over: temporary tables and counters are gone with it."""
        self._observation = None
        self._copies.clear()
        self._marks.clear()

    def mark(self) -> None:
        """A savepoint was set."""
        self._marks.append(dict(self._copies))

    def back_to_mark(self) -> None:
        """The transaction went back to the last savepoint, which stays."""
        self._copies = dict(self._marks[-1])

    def forget_mark(self) -> None:
        """The last savepoint was released."""
        self._marks.pop()

    # ------------------------------------------------------------------ observing

    def watch(self, before: Catalog) -> None:
        """See Session.watch."""
        self._observation = Observation(self._text, [i for i in before.objects if i.kind == "table"])

    def statement_runs(self, sql: str) -> None:
        """Before each of the user's statements."""
        if self._observation is not None:
            self._observation.statement_runs(sql)

    def touched(self) -> frozenset[ObjectId]:
        """See Session.touched."""
        if self._observation is None:
            raise RuntimeError("touched() without watch() in this transaction")
        return self._observation.touched()

    # ------------------------------------------------------------------ the start

    def keep_start(self, tables: Collection[ObjectId]) -> None:
        """See Session.keep_start. Writers have to wait from here on, or they would write between copy and change."""
        for table in sorted(tables):
            if table in self._copies or table == LARGE_OBJECTS:
                continue
            name = qualified(*table.name)
            mode = self._observation.lock_of(table) if self._observation is not None else "SHARE ROW EXCLUSIVE"
            self._text(f"LOCK TABLE ONLY {name} IN {mode} MODE")
            columns = tuple(c for c in self._columns(table) if not c.generated)
            self._made += 1
            copy = Copy(f"tagback_start_{self._made}", columns)
            values = ", ".join(f"{_kept(c)} AS c{n}" for n, c in enumerate(columns))
            try:
                self._text(f"CREATE TEMP TABLE {copy.name} ON COMMIT DROP AS SELECT {values} FROM ONLY {name}")
            except StatementError as error:
                if error.sqlstate != "42501":
                    raise
                raise RefusedError(
                    f"Not all rows of {table} can be read and kept: {error.message}.",
                    code="rows_hidden",
                    hint="Deploy as a role that may: the owner without FORCE ROW LEVEL SECURITY, or with BYPASSRLS.",
                ) from error
            self._copies[table] = copy

    def forget_start(self) -> None:
        """See Session.forget_start."""
        for copy in self._copies.values():
            self._text(f"DROP TABLE pg_temp.{copy.name}")
        self._copies.clear()

    # ------------------------------------------------------------------ comparing

    def compare(self, names: Mapping[ObjectId, ObjectId]) -> tuple[TableChange, ...]:
        """See Session.compare."""
        changes = []
        if self._observation is not None and any(self._observation.large_written()):
            added, gone = self._observation.large_written()
            changes.append(TableChange(LARGE_OBJECTS, gone, added))
        taken = set(names.values())
        for table, copy in sorted(self._copies.items()):
            now = _today(table, table, names, taken)
            columns = {c.name: c for c in self._columns(now)} if now else {}
            if now is None or not self._is_table(now):
                change = TableChange(table, self._rows_of(copy), 0)
            else:
                sources = []
                for column in copy.columns:
                    at_start = ObjectId("column", (*table.name, column.name))
                    place = _today(at_start, ObjectId("column", (*now.name, column.name)), names, taken)
                    sources.append(columns.get(place.name[-1]) if place else None)
                change = self._difference(table, copy, now, sources)
            if change.lost or change.extra:
                changes.append(change)
        return tuple(changes)

    def _difference(self, table: ObjectId, copy: Copy, now: ObjectId, sources: Sequence[Column | None]) -> TableChange:
        """Multiset difference of the kept rows and today's as the way back would make them."""
        today = ", ".join(self._projected(c, s, now) for c, s in zip(copy.columns, sources, strict=True))
        start = ", ".join(f"c{n}" for n in range(len(copy.columns)))
        answer = self._attempt(
            "SELECT coalesce(-sum(weight) FILTER (WHERE weight < 0), 0),"
            " coalesce(sum(weight) FILTER (WHERE weight > 0), 0)"
            " FROM (SELECT sum(weight) AS weight FROM ("
            f"{_digested(start, f'pg_temp.{copy.name}', -1)} UNION ALL"
            f" {_digested(today, f'ONLY {qualified(*now.name)}', 1)}"
            ") both_sides GROUP BY first, second HAVING sum(weight) <> 0) difference"
        )
        if isinstance(answer, StatementError):
            if not _is_about_data(answer):
                raise answer
            # Today's rows don't go into the start's types: none of either is the same.
            return TableChange(table, self._rows_of(copy), self._count(f"ONLY {qualified(*now.name)}"))
        ((lost, extra),) = answer
        return TableChange(table, int(str(lost)), int(str(extra)))

    def _projected(self, start: Column, today: Column | None, now: ObjectId) -> str:
        """A column of today as the way back would give it in place of the start's, in the form of the copy."""
        if today is None:
            return self._added(start)
        if today.type == start.type:
            return _kept(today)
        value = cast(ident(today.name), today.type, start.type)
        known = self._attempt(f"SELECT {value} FROM ONLY {qualified(*now.name)} LIMIT 0")
        if not isinstance(known, StatementError):
            return _kept(start, value)
        if not _is_about_data(known):
            raise known
        return _output(ident(today.name))  # the start's type is gone: it comes back with the same names for its values

    def _added(self, start: Column) -> str:
        """What the rows get in a column that is added again."""
        if start.identity or (start.default and not is_constant(start.default)):
            return "gen_random_uuid()"  # nothing that the start had
        if not start.default:
            return "NULL"
        value = f"CAST({start.default} AS {start.type})"
        known = self._attempt(f"SELECT {value}")
        return _output(start.default) if isinstance(known, StatementError) else _kept(start, value)

    def _rows_of(self, copy: Copy) -> int:
        return self._count(f"pg_temp.{copy.name}")

    # ------------------------------------------------------------------ content and losses

    def content(self, table: ObjectId, columns: Sequence[str]) -> Content:
        """See Session.content."""
        return self.contents([(table, columns)])[0]

    def contents(self, places: Sequence[tuple[ObjectId, Sequence[str]]]) -> list[Content]:
        """See Session.contents: two sums of 64-bit halves of each row's MD5, which don't depend on the rows' order.

        Values belong to their rows: the key is digested with them, or without a key the whole row.
        """
        halves = ", ".join(
            f"coalesce(sum(('x' || substr(digest, {start}, 16))::bit(64)::bigint), 0)" for start in (1, 17)
        )
        tables = self._described(table for table, _ in places)
        queries = [
            f"SELECT count(*), {halves} FROM (SELECT md5(ROW({tables[table].with_key(columns)})::text) AS digest"
            f" FROM {tables[table].source}) rows"
            for table, columns in places
        ]
        return [
            Content(int(str(rows)), "".join(f"{int(str(part)) % (1 << 64):016x}" for part in (first, second)))
            for rows, first, second in self._together(queries)
        ]

    def count_lost(self, loss: Loss) -> int:
        """See Session.count_lost."""
        return self.count_each([loss])[loss]

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        """See Session.count_each. Where one value can't be turned into the other type, all values count."""
        tables = self._described(loss.table for loss in losses)
        found: dict[Loss, int] = {}
        queries: dict[Loss, str] = {}
        for loss in losses:
            table = tables[loss.table]
            column = next((c for c in table.columns if c.name == loss.column), None)
            if loss.kind is LossKind.TABLE:
                queries[loss] = f"SELECT count(*) FROM {table.source}"
            elif column is None or column.generated:
                found[loss] = 0
            elif loss.kind is LossKind.COLUMN:
                there = "true" if loss.default else _is_there(loss.column)
                if is_constant(loss.default):
                    default = _output(f"CAST({loss.default} AS {column.type})")
                    there = f"{_output(ident(loss.column))} IS DISTINCT FROM {default}"
                queries[loss] = f"SELECT count(*) FROM {table.source} WHERE {there}"
            else:
                found[loss] = self._changed_values(loss, table.source)
        answers = self._together(list(queries.values()))
        found.update({loss: int(str(count)) for loss, (count,) in zip(queries, answers, strict=True)})
        return found

    def _changed_values(self, loss: Loss, source: str) -> int:
        name, there = ident(loss.column), _is_there(loss.column)
        other = cast(name, loss.type_before, loss.type_after)
        # In parentheses: the second cast is of the first one's result.
        back = cast(f"({other})", loss.type_after, loss.type_before)
        answer = self._attempt(
            f"SELECT count(*) FROM {source} WHERE {there} AND {_output(back)} IS DISTINCT FROM {_output(name)}"
        )
        if not isinstance(answer, StatementError):
            return int(str(answer[0][0]))
        if not _is_about_data(answer):
            raise answer
        return self._count(f"{source} WHERE {there}")

    def _together(self, queries: Sequence[str]) -> list[tuple[object, ...]]:
        """The one row of each query, many in one round trip."""
        rows: list[tuple[object, ...]] = []
        for start in range(0, len(queries), MOST_TOGETHER):
            some = queries[start : start + MOST_TOGETHER]
            numbered = [f"SELECT {n} AS number, one.* FROM ({query}) one" for n, query in enumerate(some)]
            rows += [row[1:] for row in self._text(f"{' UNION ALL '.join(numbered)} ORDER BY number")]
        return rows

    def _count(self, source: str) -> int:
        return int(str(self._text(f"SELECT count(*) FROM {source}")[0][0]))

    def _is_table(self, table: ObjectId) -> bool:
        return bool(
            self._text(
                "SELECT 1 FROM pg_class"
                f" WHERE oid = to_regclass({literal(qualified(*table.name))}) AND relkind IN ('r', 'p')"
            )
        )

    def _columns(self, table: ObjectId) -> tuple[Column, ...]:
        return self._described([table])[table].columns

    def _described(self, tables: Iterable[ObjectId]) -> dict[ObjectId, Described]:
        """Tables as the server has them; one that isn't there has no columns."""
        asked = list(dict.fromkeys(tables))
        if not asked:
            return {}
        names = ", ".join(literal(qualified(*table.name)) for table in asked)
        rows = self._text(f"""
            SELECT place, relkind::text, attname, format_type(atttypid, atttypmod), atttypid < {FIRST_USER_OID},
                attcollation <> 0, attgenerated <> '', attidentity <> '',
                coalesce(pg_get_expr(adbin, adrelid), typdefault, ''),
                attnum = ANY ((SELECT indkey FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)::int2[])
            FROM unnest(ARRAY[{names}]::text[]) WITH ORDINALITY AS asked (name, place)
                JOIN pg_class ON pg_class.oid = to_regclass(asked.name)
                LEFT JOIN (pg_attribute JOIN pg_type ON pg_type.oid = atttypid)
                    ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
                LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            ORDER BY place, attnum""")
        partitioned: set[int] = set()
        columns: dict[int, list[Column]] = {}
        keys: dict[int, list[str]] = {}
        for place, kind, name, type_, core, collated, generated, identity, default, in_key in rows:
            number = int(str(place)) - 1
            if kind == "p":
                partitioned.add(number)
            if in_key:
                keys.setdefault(number, []).append(str(name))
            if name is not None:
                columns.setdefault(number, []).append(
                    Column(
                        str(name), str(type_), bool(core), bool(collated), bool(generated), bool(identity), str(default)
                    )
                )
        return {
            table: Described(
                f"{'' if n in partitioned else 'ONLY '}{qualified(*table.name)}",
                tuple(columns.get(n, ())),
                tuple(keys.get(n, ())),
            )
            for n, table in enumerate(asked)
        }


def _today(
    at_start: ObjectId, unless_renamed: ObjectId, names: Mapping[ObjectId, ObjectId], taken: set[ObjectId]
) -> ObjectId | None:
    """The name today; None where something else was renamed into the old name."""
    if at_start in names:
        return names[at_start]
    return None if unless_renamed in taken else unless_renamed


def _kept(column: Column, value: str = "") -> str:
    """A value in the form of the copy: as it is, without a collation of the user's, or as text."""
    value = value or ident(column.name)
    if not column.core:
        return _output(value)
    return f'{value} COLLATE "C"' if column.collated else value


def _output(value: str) -> str:
    """The exact text of a value: a cast to text can be a function of its own and say something else (bool, char(n))."""
    # IS NOT NULL would be false for a row value with a NULL in it.
    return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN format('%s', {value}) END"


def _digested(columns: str, source: str, weight: int) -> str:
    """Each row as two 64-bit digests of its text. Not kept for later: the server's hash may differ in another major."""
    # OFFSET 0 keeps the text from being made twice.
    return (
        f'SELECT hashtextextended(text COLLATE "C", 1) AS first, hashtextextended(text COLLATE "C", 2) AS second,'
        f" {weight} AS weight FROM (SELECT ROW({columns})::text AS text FROM {source} OFFSET 0) rows"
    )


def _is_there(column: str) -> str:
    return f"{ident(column)} IS DISTINCT FROM NULL"


def _is_about_data(error: StatementError) -> bool:
    """Whether values or types are the reason, and not a lock, the server or a privilege."""
    return not (error.lost or error.retryable or error.sqlstate[:2] in ("53", "54", "55", "57", "58", "XX")) and (
        error.sqlstate != "42501"
    )


_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_MODIFIERS = r"(?:\(\s*-?\d+(?:\s*,\s*-?\d+)*\s*\))?"
_TYPE = rf"{_NAME}(?:\.{_NAME}|\s+\w+)*{_MODIFIERS}(?:\s+\w+)*(?:\[\])*"
_CONSTANT = re.compile(
    rf"\s*(?:E?'(?:[^'\\]|''|\\.)*'|[-+]?[\d.]+(?:[eE][-+]?\d+)?|\([-+]?[\d.]+\)|true|false|NULL|ARRAY\[\])(?:\s*::\s*{_TYPE})*\s*\Z",
    re.IGNORECASE,
)
_MOVING = re.compile(r"\s*'\s*(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)


def is_constant(default: str) -> bool:
    """Whether a default's SQL text is a plain constant, perhaps cast: the same value whenever it is evaluated."""
    return bool(_CONSTANT.match(default)) and not _MOVING.match(default)
