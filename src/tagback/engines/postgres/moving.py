"""Dropped tables are moved to the shelf instead of being copied: what that costs doesn't grow with them.

DROP TABLE runs first as it stands and is undone: its error is the user's, and what it leaves is the reference. Then the
tables are moved, each into a schema of its own, so that no name of an index or a sequence meets another. What ties
them to the rest goes, as it does with the DROP. If the rest isn't the reference then, or anything is still tied to
what was moved, the bare statement stands, and the tables are copied in another run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tagback.catalog import Action, Catalog, ObjectId, Step, name_today
from tagback.changelog import Dialect, TokenKind, tokens
from tagback.engines.merging import shelf_missing
from tagback.engines.postgres.columns import Column, as_kept
from tagback.engines.postgres.pipeline import drops_table
from tagback.engines.postgres.places import MOVED, address_of_moved, schema_of
from tagback.engines.postgres.rows import FIRST_USER_OID, Rows
from tagback.engines.postgres.shelf import Shelf
from tagback.engines.postgres.sqltext import SCHEMA, ident, literal, qualified
from tagback.engines.postgres.start import LARGE
from tagback.engines.postgres.ties import rest, rights, ties
from tagback.engines.session import KeptColumn, KeptRows, Merge, Rules, StatementError, Unkept

_SAVEPOINT = "tagback_moving"
_MOST_COUNTED = 32768  # pages, 256 MB: of larger tables the number of rows is the server's estimate
_DEPENDED_ON = "2BP01"

# Heaps of core types that hang together with no other table; as large as to be worth it. 2 is heap. One in a tablespace of its
# own, or with an index there, would keep that from being dropped.
_MOVABLE = f"""
    SELECT c.oid::bigint, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relam = 2 AND c.relpersistence = 'p' AND c.reloftype = 0 AND pg_relation_size(c.oid) > 0
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
        AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped
            AND (atttypid >= {FIRST_USER_OID} OR attcollation >= {FIRST_USER_OID}))
        AND NOT EXISTS (SELECT FROM pg_class s WHERE s.reltablespace <> 0 AND (s.oid = c.oid
            OR s.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid)))
        AND NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = c.oid)
        AND NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D')
        AND pg_has_role(c.relowner, 'USAGE')"""


@dataclass(frozen=True, slots=True)
class Moved:
    """A table that was moved: what it was at the start, and the schema where it is now."""

    table: ObjectId
    oid: int
    schema: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    positions: Mapping[str, int]


class Moving:
    """The moved tables' side of a session.

    `text` and `attempt` run a statement, as in `Rows`; `theirs` runs one with the user's settings; `undo` goes back to a
    savepoint; `notices` are for a person.
    """

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
        theirs: Callable[[str], list[tuple[object, ...]]],
        undo: Callable[[str], None],
        notices: list[str],
        rows: Rows,
        shelf: Shelf,
    ) -> None:
        self._text = text
        self._attempt = attempt
        self._theirs = theirs
        self._undo = undo
        self._notices = notices
        self._rows = rows
        self._shelf = shelf
        self._moved: dict[ObjectId, Moved] = {}
        self._marks: list[dict[ObjectId, Moved]] = []
        self._compared: list[Moved] = []
        self._made = 0

    # ------------------------------------------------------------------ with the transaction

    def ended(self) -> None:
        """The transaction is over. Here and below the same goes for the rows that were copied."""
        self._rows.ended()
        self._moved.clear()
        self._marks.clear()
        self._compared.clear()

    def mark(self) -> None:
        """A savepoint was set."""
        self._rows.mark()
        self._marks.append(dict(self._moved))

    def back_to_mark(self) -> None:
        """The transaction went back to the last savepoint, which stays."""
        self._rows.back_to_mark()
        self._moved = dict(self._marks[-1])

    def forget_mark(self) -> None:
        """The last savepoint was released."""
        self._rows.forget_mark()
        self._marks.pop()

    # ------------------------------------------------------------------ dropping

    def movable(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        """See Session.movable."""
        if not tables:
            return frozenset()
        names = ", ".join(literal(qualified(*table.name)) for table in sorted(tables))
        rows = self._text(f"{_MOVABLE} AND c.oid IN (SELECT to_regclass(name) FROM unnest(ARRAY[{names}]) name)")
        if rows and not self._may_make_schemas():
            self._notices.append(
                "Dropped tables are copied to the shelf and not moved there: that takes the right to make schemas"
                " (GRANT CREATE ON DATABASE)."
            )
            return frozenset()
        return frozenset(ObjectId("table", (str(schema), str(name))) for _, schema, name in rows)

    def moves(self, sqls: Sequence[str], run: Callable[[str], None]) -> bool:
        """Runs DROP TABLE statements and has the tables moved where that comes to the same.

        `run` runs one of them as it stands. False if nothing has run because no table of theirs can be moved.
        """
        if not self._rows.watching or not drops_table(sqls[0]):
            return False
        drops = [Drop.read(sql) for sql in sqls]
        oids = self._found(drops)
        observed = self._rows.observed(oid for oid in oids.values() if oid)
        if not observed:
            return False
        # What DROP TABLE takes in the end. Between its undoing and the move nobody else can get in then.
        names = ", ".join(f"ONLY {qualified(*table.name)}" for table in observed.values())
        locked = self._attempt(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        if isinstance(locked, StatementError):
            if locked.retryable or locked.lost:
                raise locked
            return False
        chosen = self._chosen(observed)
        if not chosen:
            return False
        self._theirs(f"SAVEPOINT {_SAVEPOINT}")
        for sql in sqls:
            run(sql)
        reference = self._text(rest([]))
        self._undo(_SAVEPOINT)
        others = [drop.of([n for n in drop.names if oids.get(n) not in {m.oid for m in chosen}]) for drop in drops]
        schemas = [m.schema for m in chosen]
        if self._move(chosen, [sql for sql in others if sql]) and self._text(rest(schemas)) == reference:
            self._moved.update({m.table: m for m in chosen})
            self._rows.moved_away({m.oid: m.table for m in chosen})
        else:
            self._undo(_SAVEPOINT)
            for sql in sqls:
                self._theirs(sql)
        self._text(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return True

    def explained(self, error: StatementError) -> StatementError:
        """With the moved tables, where what is said to depend on something may be one of them."""
        if error.sqlstate == _DEPENDED_ON:
            error.in_the_way = frozenset(self._moved)
        return error

    def _found(self, drops: Sequence[Drop]) -> dict[str, int]:
        """What the names stand for, 0 for nothing, as the user's settings have it."""
        names = sorted({name for drop in drops for name in drop.names})
        if not names:
            return {}
        self._theirs(f"SAVEPOINT {_SAVEPOINT}")
        try:
            listed = ", ".join(map(literal, names))
            rows = self._theirs(
                "SELECT name, coalesce(pg_catalog.to_regclass(name)::pg_catalog.oid::pg_catalog.int8, 0)"
                f" FROM pg_catalog.unnest(ARRAY[{listed}]) name"
            )
        except StatementError as error:
            if error.lost:
                raise
            self._undo(_SAVEPOINT)
            rows = []
        self._theirs(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return {str(name): int(str(oid)) for name, oid in rows}

    def _chosen(self, observed: Mapping[int, ObjectId]) -> list[Moved]:
        """Those that are what they were at the start and can be moved."""
        untouched = self._rows.untouched(observed)
        if not untouched or not self._may_make_schemas():
            return []
        found = [int(str(row[0])) for row in self._text(f"{_MOVABLE} AND c.oid IN ({', '.join(map(str, untouched))})")]
        described = self._rows.described(untouched[oid] for oid in found)
        chosen = []
        for oid in found:
            self._made += 1
            table = untouched[oid]
            columns = tuple(c for c in described[table].columns if not c.generated)
            schema, positions = f"{SCHEMA}_shelf_0_0_{self._made}", self._rows.positions(table, columns)
            chosen.append(Moved(table, oid, schema, columns, described[table].keys, positions))
        return chosen

    def _may_make_schemas(self) -> bool:
        return bool(self._text("SELECT has_database_privilege(current_database(), 'CREATE')")[0][0])

    def _move(self, chosen: Sequence[Moved], others: Sequence[str]) -> bool:
        """Whether all of them are away and nothing ties them to the rest; `others` drop what isn't moved."""
        schemas = [m.schema for m in chosen]
        try:
            for m in chosen:
                self._text(f"CREATE SCHEMA {ident(m.schema)}")
                self._text(f"ALTER TABLE {qualified(*m.table.name)} SET SCHEMA {ident(m.schema)}")
                there = qualified(m.schema, m.table.name[-1])
                self._text(f"ALTER TABLE {there} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
            for (taken,) in self._text(rights(schemas)):
                self._text(str(taken))
            for _, cut in self._text(ties(schemas)):
                if cut is None:
                    return False
                self._text(str(cut))
            if self._text(ties(schemas)) or self._text(rights(schemas)):
                return False
            for sql in others:
                self._theirs(sql)
        except StatementError as error:
            if error.retryable or error.lost:
                raise
            return False
        return True

    # ------------------------------------------------------------------ keeping

    def shelve(
        self,
        label: str,
        before: Catalog,
        after: Catalog,
        names: Mapping[ObjectId, ObjectId],
        ways: Mapping[ObjectId, Mapping[str, str]],
        given: Sequence[KeptRows] | None,
        uncounted: Collection[ObjectId],
    ) -> tuple[tuple[KeptRows, ...], tuple[Unkept, ...]]:
        """See Session.shelve: what was moved, then what is compared."""
        moved = self._keep(label, names, uncounted)
        compared, unkept = self._shelf.shelve(label, names, ways, given, uncounted, first=len(moved) + 1)
        kept = (*moved, *compared)
        if given is None:
            from tagback.engines.postgres.orphans import counted  # with all kinds; a catalog was read by now

            kept = counted(self._attempt, kept, before, after, names, LARGE)
        return kept, unkept

    def _keep(
        self, label: str, names: Mapping[ObjectId, ObjectId], uncounted: Collection[ObjectId]
    ) -> tuple[KeptRows, ...]:
        """Keeps the moved tables. Where the name is taken again, the table becomes the copy that today's is compared with."""
        kept: list[KeptRows] = []
        taken = set(names.values())
        for table, m in sorted(self._moved.items()):
            now = name_today(table, table, names, taken)
            if now is not None and self._rows.is_table(now):
                self._rows.adopt(table, qualified(m.schema, table.name[-1]), m.columns, m.keys)
                self._compared.append(m)
            else:
                kept.append(self._kept(m, f"{label}_{len(kept) + 1}"))
                if table not in uncounted:
                    self._shelf.room.take(table, kept[-1].bytes)
        self._moved.clear()
        return tuple(kept)

    def forget_start(self) -> None:
        """See Session.forget_start: drops tables, too, that were only to be compared with."""
        for m in self._compared:
            self._text(f"DROP SCHEMA {ident(m.schema)} CASCADE")
            self._rows.disown(m.table)
        self._compared.clear()
        self._rows.forget_start()

    def _kept(self, m: Moved, place: str) -> KeptRows:
        self._text(f"ALTER SCHEMA {ident(m.schema)} RENAME TO {ident(schema_of(place))}")
        there = qualified(schema_of(place), m.table.name[-1])
        ((pages, size, estimate),) = self._text(
            f"SELECT pg_relation_size(oid) / current_setting('block_size')::bigint, pg_total_relation_size(oid),"
            " CASE WHEN relpages > 0 AND reltuples >= 0 THEN"
            " (reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::bigint))::bigint END"
            f" FROM pg_class WHERE oid = {m.oid}"
        )
        count = estimate
        if count is None or int(str(pages)) <= _MOST_COUNTED:
            ((count,),) = self._text(f"SELECT count(*) FROM ONLY {there}")
        return KeptRows(
            table=m.table,
            place=place,
            columns=tuple(KeptColumn(c.name, c.type, c.default, c.core, c.collated, c.identity) for c in m.columns),
            key=next(iter(m.keys), ()),
            matched=tuple(c.name for c in m.columns),
            added=(),
            whole=True,
            gone=int(str(count)),
            bytes=int(str(size)),
            how=MOVED,
            positions=m.positions,
        )

    # ------------------------------------------------------------------ coming back

    def ways_home(self, kept: Iterable[KeptRows]) -> dict[str, tuple[Step, ...]]:
        """See Session.ways_home."""
        found: dict[str, tuple[Step, ...]] = {}
        for k in self._still_moved(kept):
            here, there = schema_of(k.place), k.table.name[0]
            if self._meets(here, there):
                continue
            found[k.place] = (
                Step(
                    f"ALTER TABLE {address_of_moved(k)} SET SCHEMA {ident(there)}",
                    k.table,
                    Action.RENAME,
                    "ACCESS EXCLUSIVE",
                ),
                Step(f"DROP SCHEMA {ident(here)}", k.table, Action.DROP),
            )
        return found

    def merge(
        self,
        kept: Sequence[KeptRows],
        target: Catalog,
        rules: Mapping[str, Rules],
        names: Mapping[ObjectId, ObjectId],
    ) -> Merge:
        """See Session.merge. What is still moved becomes ordinary places before."""
        moved = self._still_moved(kept)
        for k in kept:
            if k.how == MOVED and k not in moved:
                raise shelf_missing(k, f"{schema_of(k.place)}.{k.table.name[-1]}")
        for k in moved:
            columns = tuple(map(as_kept, k.columns))
            copy = self._rows.adopt(k.table, address_of_moved(k), columns, (k.key,) if k.key else ())
            self._shelf.fill(k.place, k.table, copy)
            self._rows.disown(k.table)
            self._drop_moved([k.place])
        return self._shelf.merge(kept, target, rules, names)

    def drop(self, places: Collection[str]) -> None:
        """See Session.drop_shelf."""
        self._shelf.places.drop(places)
        self._drop_moved(places)

    def _drop_moved(self, places: Iterable[str]) -> None:
        for schema in self._there(schema_of(place) for place in places):
            self._text(f"DROP SCHEMA {ident(schema)} CASCADE")

    def _meets(self, here: str, there: str) -> bool:
        """Whether a name of the one schema is taken in the other."""
        return bool(
            self._text(f"""
                SELECT FROM pg_class a JOIN pg_class b ON b.relname = a.relname
                WHERE a.relnamespace = to_regnamespace({literal(ident(here))})
                    AND b.relnamespace = to_regnamespace({literal(ident(there))})
                UNION ALL
                SELECT FROM pg_type a JOIN pg_type b ON b.typname = a.typname
                WHERE a.typnamespace = to_regnamespace({literal(ident(here))})
                    AND b.typnamespace = to_regnamespace({literal(ident(there))})
                LIMIT 1""")
        )

    def _still_moved(self, kept: Iterable[KeptRows]) -> list[KeptRows]:
        moved = [k for k in kept if k.how == MOVED]
        names = ", ".join(literal(address_of_moved(k)) for k in moved)
        if not names:
            return []
        there = self._text(f"SELECT name FROM unnest(ARRAY[{names}]) name WHERE to_regclass(name) IS NOT NULL")
        return [k for k in moved if (address_of_moved(k),) in there]

    def _there(self, schemas: Iterable[str]) -> list[str]:
        names = ", ".join(literal(name) for name in sorted(set(schemas)))
        if not names:
            return []
        return [
            str(name)
            for (name,) in self._text(f"SELECT nspname FROM pg_namespace WHERE nspname IN ({names}) ORDER BY 1")
        ]


@dataclass(frozen=True, slots=True)
class Drop:
    """A DROP TABLE as it is written: the names, and CASCADE or RESTRICT."""

    names: tuple[str, ...]
    behaviour: str

    @classmethod
    def read(cls, sql: str) -> Drop:
        """From the statement's text."""
        words = [t for t in tokens(sql, Dialect.POSTGRES) if t.significant][2:]
        if [t.text.upper() for t in words[:2]] == ["IF", "EXISTS"]:
            words = words[2:]
        names, behaviour = [""], ""
        for token in words:
            if token.kind is TokenKind.WORD and token.text.upper() in ("CASCADE", "RESTRICT"):
                behaviour = token.text
            elif token.text == ",":
                names.append("")
            else:
                names[-1] += token.text
        return cls(tuple(name for name in names if name), behaviour)

    def of(self, names: Sequence[str]) -> str:
        """The statement for some of them; empty for none."""
        return f"DROP TABLE IF EXISTS {', '.join(names)} {self.behaviour}" if names else ""
