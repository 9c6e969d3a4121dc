"""Rows: which tables a deployment touched, what they held at its start, and what steps would take away.

The start is copied into temporary tables. Nothing in a copy may hang on the living schema, or the user's DROP TYPE
would fail or take the column along: values of core types are kept as they are, all others as text, in the exact form
that their output function gives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tagback.catalog import Catalog, Loss, LossKind, ObjectId
from tagback.engines.postgres.columns import Column, as_it_lies, exact, is_about_data, is_constant, is_there
from tagback.engines.postgres.copies import Copy, Described, Shape
from tagback.engines.postgres.kinds.turning import cast
from tagback.engines.postgres.observation import LARGE_OBJECTS, Observation
from tagback.engines.postgres.restoring import sequence_of
from tagback.engines.postgres.sqltext import OWN_SCHEMAS, SCHEMA, ident, literal, qualified
from tagback.engines.session import StatementError
from tagback.errors import FailedError, RefusedError, counted

_KEYS = """(SELECT coalesce(json_agg(names ORDER BY NOT indisprimary, size, names::text), '[]')::text
                    FROM pg_index, LATERAL (SELECT json_agg(attname ORDER BY n) AS names, count(*) AS size
                        FROM unnest(indkey, indclass) WITH ORDINALITY AS k (attribute, class, n)
                            JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = attribute AND a.attnotnull
                                AND a.attgenerated = ''
                            JOIN pg_opclass c ON c.oid = class AND c.opcdefault
                        WHERE n <= indnkeyatts) k
                    WHERE indrelid = pg_class.oid AND indisunique AND indisvalid AND (indisprimary OR indimmediate)
                        AND indpred IS NULL AND size = indnkeyatts)"""
"""For a table in `pg_class`, as JSON: the columns of its keys that never hold NULL."""

FIRST_USER_OID = 16384  # FirstNormalObjectId: types below are part of every server


_OWN_TABLES = f"""
SELECT c.oid::bigint, c.relname, c.relfilenode::bigint,
       (SELECT string_agg(attname || ' ' || atttypid || ' ' || attisdropped, ',' ORDER BY attnum)
          FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
       pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
       + pg_stat_get_xact_tuples_deleted(c.oid)
  FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname ~ '{OWN_SCHEMAS}')
"""


class Rows:
    """The rows' side of a session.

    `text` runs one statement of tagback's own and gives its rows; `attempt` gives the error where it fails; `each` has
    many queries on their way at once and gives the rows of each; `notices` are for people.
    """

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
        each: Callable[[Sequence[str]], Iterable[list[tuple[object, ...]]]],
        notices: list[str],
    ) -> None:
        self._notices = notices
        self._text = text
        self._attempt = attempt
        self._each = each
        self._observation: Observation | None = None
        self._own: set[tuple[object, ...]] = set()
        self._moved: dict[int, ObjectId] = {}
        self._copies: dict[ObjectId, Copy] = {}
        self._held: dict[ObjectId, Copy] = {}
        self._marks: list[dict[ObjectId, Copy]] = []
        self._short: set[ObjectId] = set()
        self.kept_before: set[ObjectId] = set()  # in this transaction: rows that it wrote tell nothing of what comes
        self._made = 0
        self.leaving: dict[ObjectId, str] = {}  # temporary tables with the addresses (a0) of rows that go (moves = 1)

    # ------------------------------------------------------------------ with the transaction

    def ended(self) -> None:
        """The transaction is over: temporary tables and counters are gone with it."""
        self._observation = None
        self._copies.clear()
        self._short.clear()
        self.kept_before.clear()
        self._held.clear()
        self._marks.clear()
        self.leaving.clear()

    def mark(self) -> None:
        """A savepoint was set."""
        self._marks.append(dict(self._copies))

    def back_to_mark(self) -> None:
        """The transaction went back to the last savepoint, which stays."""
        self._copies = dict(self._marks[-1])
        self.leaving.clear()

    def forget_mark(self) -> None:
        """The last savepoint was released."""
        self._marks.pop()

    # ------------------------------------------------------------------ observing

    def watch(self, before: Catalog) -> None:
        """See Session.watch."""
        self._observation = Observation(self._text, [i for i in before.objects if i.kind == "table"])
        self._own = set(self._text(_OWN_TABLES))
        self._moved.clear()

    @property
    def watching(self) -> bool:
        """Whether `watch` was called in this transaction."""
        return self._observation is not None

    def statement_runs(self, sql: str) -> None:
        """Before each of the user's statements."""
        if self._observation is not None:
            self._observation.statement_runs(sql)

    def touched(self) -> frozenset[ObjectId]:
        """See Session.touched."""
        if self._observation is None:
            raise RuntimeError("touched() without watch() in this transaction")
        found = self._observation.touched() - set(self._moved.values())
        return (found - self._logs(found, self._observation)) | self._changed_own()

    def _logs(self, tables: frozenset[ObjectId], observation: Observation) -> frozenset[ObjectId]:
        """Those of these tables that this role may not read and to which somebody's trigger only added rows: they stay.

        Nothing that was there is lost. An administrator's event trigger keeps such a log of every change, say.
        """
        added = observation.logged(tables - self._copies.keys())
        for table, rows in sorted(added.items()):
            what = f"{counted(rows, 'row')} {'was' if rows == 1 else 'were'} added to {table}, which this role may not read"
            self._notices.append(f"{what}: by a trigger of others; a rollback doesn't take that back")
        return frozenset(added)

    def observed(self, oids: Iterable[int]) -> dict[int, ObjectId]:
        """Those of these tables that are observed and not kept already, with their names at the start."""
        found = self._observation.observed(oids) if self._observation is not None else {}
        return {oid: table for oid, table in found.items() if table not in self._copies}

    def untouched(self, oids: Collection[int]) -> dict[int, ObjectId]:
        """Those of these tables that are what they were when `watch` began."""
        return self._observation.untouched(oids) if self._observation is not None else {}

    def moved_away(self, tables: Mapping[int, ObjectId]) -> None:
        """These tables, by oid, were moved to the shelf just now: they count as kept while they stay there as they are."""
        self._own |= {row for row in self._text(_OWN_TABLES) if int(str(row[0])) in tables}
        self._moved |= tables

    def _changed_own(self) -> frozenset[ObjectId]:
        """Tables moved since `watch` that aren't as they were moved. FailedError for anything else of tagback's own."""
        now = set(self._text(_OWN_TABLES))
        changed = {int(str(row[0])) for row in now ^ self._own}
        if now and changed - self._moved.keys():  # with nothing left, whoever looks for the ledger says so
            raise FailedError(
                "A changeset changed tagback's own tables, in which the way back is kept.",
                code="reserved",
                hint="The database is as it was before. Leave the schema tagback alone; `tagback shelf purge` drops kept rows.",
            )
        return frozenset(self._moved[oid] for oid in changed & self._moved.keys())

    # ------------------------------------------------------------------ the start

    def hold(self, tables: Collection[ObjectId], altered: Collection[ObjectId]) -> None:
        """See Session.hold."""
        for mode, some in (("ACCESS EXCLUSIVE", set(altered)), ("SHARE ROW EXCLUSIVE", set(tables) - set(altered))):
            names = ", ".join(f"ONLY {qualified(*t.name)}" for t in sorted(some) if t != LARGE_OBJECTS)
            if names:
                self._text(f"LOCK TABLE {names} IN {mode} MODE")

    def keep_start(self, tables: Collection[ObjectId]) -> None:
        """See Session.keep_start. Writers have to wait from here on, or they would write between copy and change."""
        for table in sorted(tables):
            if table in self._short:
                self._drop(self._copies.pop(table))
                self._short.discard(table)
            if table not in self._copies and table != LARGE_OBJECTS:
                self._copies[table] = self._copied(table)

    def keep_in_part(self, table: ObjectId, copy: Copy) -> None:
        """Notes that of a table only some columns or rows were kept."""
        self._copies[table] = copy

    def short(self, complete: Callable[[ObjectId, Copy], bool]) -> frozenset[ObjectId]:
        """See Session.short. What was kept of tables to which nothing happened is dropped. `complete` judges images."""
        self._short.clear()
        for table, copy in list(self._copies.items()):
            gone = self._only_gone(table, copy) if copy.taken else frozenset()
            generated = copy.shape.columns.keys() - {c.name for c in copy.columns}
            if copy.taken and gone == frozenset():
                self._drop(self._copies.pop(table))
            elif (copy.taken and (gone is None or not copy.taken <= gone <= copy.taken | generated)) or (
                copy.images and not complete(table, copy)
            ):
                self._short.add(table)
        return frozenset(self._short)

    def _only_gone(self, table: ObjectId, copy: Copy) -> frozenset[str] | None:
        """The columns that are gone; None if anything else happened to the table and its rows."""
        now = self.shape(table)
        if (
            self.written(table) != (0, 0, 0)
            or not now.file
            or now.file != copy.shape.file
            or not now.identities <= copy.shape.identities
            or not (all(c.core for c in copy.columns) or self.types_stand())
        ):
            return None
        return frozenset(name for name, identity in copy.shape.columns.items() if identity not in now.identities)

    def written(self, table: ObjectId) -> tuple[int, int, int] | None:
        """How many of its rows were inserted, updated and deleted since `watch`; None if that isn't known."""
        return self._observation.written(table) if self._observation is not None else None

    def set_aside(self, tables: Collection[ObjectId]) -> None:
        """See Session.set_aside."""
        for table in sorted(tables):
            self._held[table] = self._copied(table)

    @property
    def held(self) -> Mapping[ObjectId, Copy]:
        """The tables that were set aside."""
        return self._held

    def _copied(self, table: ObjectId) -> Copy:
        copy = self.uncopied(table)
        names = ", ".join(f"c{n}" for n in range(len(copy.columns)))
        values = ", ".join(map(as_it_lies, copy.columns))
        head = f"CREATE TEMP TABLE {copy.name}{f' ({names})' if names else ''} ON COMMIT DROP"
        self.read_whole(table, f"{head} AS SELECT {values} FROM ONLY {qualified(*table.name)}")
        return copy

    def uncopied(self, table: ObjectId) -> Copy:
        """A copy to be made: what the table is, now that writers have to wait, and a name."""
        mode = self._observation.lock_of(table) if self._observation is not None else "SHARE ROW EXCLUSIVE"
        self._text(f"LOCK TABLE ONLY {qualified(*table.name)} IN {mode} MODE")
        described = self.described([table])[table]
        columns = tuple(c for c in described.columns if not c.generated)
        ((since,),) = self._text("SELECT pg_current_xact_id()::xid::text")
        self._made += 1
        name, positions = f"tagback_start_{self._made}", self.positions(table, columns)
        return Copy(name, columns, described.keys, self.shape(table), str(since), positions=positions)

    def positions(self, table: ObjectId, columns: Sequence[Column]) -> dict[str, int]:
        """The last numbers that sequences gave out, as far as they may be read."""
        sequences = {c.name: found for c in columns if (found := sequence_of(table, c.name, c.default, c.identity))}
        if not sequences:
            return {}
        last = self._attempt(f"SELECT {', '.join(f'pg_sequence_last_value({s})' for s in sequences.values())}")
        if isinstance(last, StatementError):
            return {}
        return {name: int(str(value)) for name, value in zip(sequences, last[0], strict=True) if value is not None}

    def read_whole(self, table: ObjectId, sql: str) -> None:
        """Runs what reads all rows of a table; RefusedError if some are hidden."""
        try:
            self._text(sql)
        except StatementError as error:
            if error.sqlstate != "42501":
                raise
            raise RefusedError(
                f"Not all rows of {table} can be read and kept: {error.message}.",
                code="rows_hidden",
                hint="Deploy as a role that may: the owner without FORCE ROW LEVEL SECURITY, or with BYPASSRLS.",
            ) from error

    def adopt(
        self, table: ObjectId, source: str, columns: tuple[Column, ...], keys: tuple[tuple[str, ...], ...]
    ) -> Copy:
        """Takes a table, which stays where it is, for the copy of another one until `disown`."""
        self._made += 1
        copy = Copy(f"tagback_start_{self._made}", columns, keys, Shape(0, {}), "")
        values = ", ".join(f"{as_it_lies(c)} AS c{n}" for n, c in enumerate(columns))
        self._text(f"CREATE TEMP VIEW {copy.name} AS SELECT {values} FROM ONLY {source}")
        self._copies[table] = copy
        return copy

    def disown(self, table: ObjectId) -> None:
        """The adopted table is gone, or was only lent."""
        self._text(f"DROP VIEW IF EXISTS pg_temp.{self._copies.pop(table).name}")

    def forget_start(self) -> None:
        """See Session.forget_start."""
        self.kept_before |= self._copies.keys()
        while self._copies:
            self._drop(self._copies.popitem()[1])

    def _drop(self, copy: Copy) -> None:
        """What is in part is a place, which has got another name if it was put on the shelf."""
        self._text(f"DROP TABLE {f'IF EXISTS {SCHEMA}' if copy.taken else 'pg_temp'}.{copy.name}")

    def shape(self, table: ObjectId) -> Shape:
        """What the table is physically: rows in the same file, of the same columns, are the same while nobody writes them."""
        rows = self._text(
            "SELECT CASE WHEN relkind = 'r' AND relam = 2 THEN pg_relation_filenode(pg_class.oid)::bigint END,"
            " attname, concat_ws(' ', attrelid, attnum, atttypid, atttypmod, attgenerated)"
            " FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped"
            f" WHERE pg_class.oid = to_regclass({literal(qualified(*table.name))})"
        )
        file = int(str(rows[0][0] or 0)) if rows else 0
        return Shape(file, {str(name): str(identity) for _, name, identity in rows})

    def types_stand(self) -> bool:
        """Whether values of users' types have the same text as they had when `watch` began, unless they were written."""
        return self._observation is not None and self._observation.types_stand()

    @property
    def copies(self) -> Mapping[ObjectId, Copy]:
        """The tables that are kept as they were."""
        return self._copies

    def large_written(self) -> int:
        """How many pages of large objects were added, changed or removed since `watch`."""
        return sum(self._observation.large_written()) if self._observation is not None else 0

    # ------------------------------------------------------------------ losses

    def count_each(self, losses: Sequence[Loss]) -> dict[Loss, int]:
        """See Session.count_each. Where one value can't be turned into the other type, all values count."""
        empty = self._empty(loss.table for loss in losses)
        found: dict[Loss, int] = {loss: 0 for loss in losses if loss.table in empty}
        left = [loss for loss in losses if loss.table not in empty]
        tables = self.described(loss.table for loss in left)
        queries: dict[Loss, str] = {}
        for loss in left:
            table = tables[loss.table]
            column = next((c for c in table.columns if c.name == loss.column), None)
            if loss.kind is LossKind.TABLE:
                queries[loss] = f"SELECT count(*) FROM {table.source}"
            elif column is None or column.generated:
                found[loss] = 0
            elif loss.kind is LossKind.COLUMN:
                there = "true" if loss.default else is_there(loss.column)
                if is_constant(loss.default):
                    default = exact(f"CAST({loss.default} AS {column.type})")
                    there = f"{exact(ident(loss.column))} IS DISTINCT FROM {default}"
                queries[loss] = f"SELECT count(*) FROM {table.source} WHERE {there}"
            else:
                found[loss] = self._changed_values(loss, table.source)
        answers = self._together(list(queries.values()))
        found.update({loss: int(str(count)) for loss, (count,) in zip(queries, answers, strict=True)})
        return found

    def _empty(self, tables: Iterable[ObjectId]) -> frozenset[ObjectId]:
        """Heaps (2) whose file is empty: a deployment can make hundreds, and nothing in them needs to be counted."""
        asked = list(dict.fromkeys(tables))
        if not asked:
            return frozenset()
        names = ", ".join(literal(qualified(*table.name)) for table in asked)
        places = self._text(
            f"SELECT place FROM unnest(ARRAY[{names}]::text[]) WITH ORDINALITY AS asked (name, place)"
            " JOIN pg_class ON pg_class.oid = to_regclass(asked.name)"
            " WHERE relkind = 'r' AND relam = 2 AND pg_relation_size(pg_class.oid) = 0"
        )
        return frozenset(asked[int(str(place)) - 1] for (place,) in places)

    def _changed_values(self, loss: Loss, source: str) -> int:
        name, there = ident(loss.column), is_there(loss.column)
        if loss.table in self.leaving:
            there += f" AND ctid NOT IN (SELECT a0 FROM pg_temp.{self.leaving[loss.table]} WHERE moves = 1 AND a0 IS NOT NULL)"
        other = cast(name, loss.type_before, loss.type_after)
        # In parentheses: the second cast is of the first one's result.
        back = cast(f"({other})", loss.type_after, loss.type_before)
        answer = self._attempt(
            f"SELECT count(*) FROM {source} WHERE {there} AND {exact(back)} IS DISTINCT FROM {exact(name)}"
        )
        if not isinstance(answer, StatementError):
            return int(str(answer[0][0]))
        if not is_about_data(answer):
            raise answer
        return self._count(f"{source} WHERE {there}")

    def _together(self, queries: Sequence[str]) -> list[tuple[object, ...]]:
        """The one row of each query. As one UNION of them all, planning would take most of the time."""
        return [row for (row,) in self._each(queries)]

    def _count(self, source: str) -> int:
        return int(str(self._text(f"SELECT count(*) FROM {source}")[0][0]))

    def is_table(self, table: ObjectId) -> bool:
        return bool(
            self._text(
                "SELECT 1 FROM pg_class"
                f" WHERE oid = to_regclass({literal(qualified(*table.name))}) AND relkind IN ('r', 'p')"
            )
        )

    def described(self, tables: Iterable[ObjectId]) -> dict[ObjectId, Described]:
        """Tables as the server has them; one that isn't there has no columns."""
        asked = list(dict.fromkeys(tables))
        if not asked:
            return {}
        names = ", ".join(literal(qualified(*table.name)) for table in asked)
        rows = self._text(f"""
            SELECT place, relkind::text, attname, format_type(atttypid, atttypmod), atttypid < {FIRST_USER_OID},
                attcollation <> 0, attgenerated <> '', attidentity <> '',
                coalesce(pg_get_expr(adbin, adrelid), typdefault, ''), attcollation >= {FIRST_USER_OID},
                {_KEYS}
            FROM unnest(ARRAY[{names}]::text[]) WITH ORDINALITY AS asked (name, place)
                JOIN pg_class ON pg_class.oid = to_regclass(asked.name)
                LEFT JOIN (pg_attribute JOIN pg_type ON pg_type.oid = atttypid)
                    ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
                LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            ORDER BY place, attnum""")
        partitioned: set[int] = set()
        columns: dict[int, list[Column]] = {}
        keys: dict[int, tuple[tuple[str, ...], ...]] = {}
        for place, kind, name, type_, core, collated, generated, identity, default, made, told in rows:
            number = int(str(place)) - 1
            if kind == "p":
                partitioned.add(number)
            keys[number] = tuple(tuple(map(str, key)) for key in json.loads(str(told)))
            if name is not None:
                columns.setdefault(number, []).append(
                    Column(
                        str(name),
                        str(type_),
                        bool(core),
                        bool(collated),
                        bool(generated),
                        bool(identity),
                        str(default),
                        bool(made),
                    )
                )
        return {
            table: Described(
                f"{'' if n in partitioned else 'ONLY '}{qualified(*table.name)}",
                tuple(columns.get(n, ())),
                keys.get(n, ()),
            )
            for n, table in enumerate(asked)
        }
