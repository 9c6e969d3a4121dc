"""Indexes. Plain ones are kept as fields; for the rest the server's own text is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.engines.postgres.kinds.base import SHARE, SHARE_UPDATE_EXCLUSIVE, PgObject
from tagback.engines.postgres.kinds.column import names_of
from tagback.engines.postgres.reading import PG_CLASS, Reading
from tagback.engines.postgres.sqltext import ident, qualified, stable

_INDEXES = """
SELECT i.indexrelid, i.indrelid, n.nspname, c.relname, am.amname, i.indnatts, i.indnkeyatts, i.indisunique,
       i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
       i.indexprs IS NOT NULL OR i.indpred IS NOT NULL, {nulls_not_distinct}, i.indisvalid, i.indisclustered,
       i.indisreplident, c.reloptions,
       CASE WHEN c.reltablespace <> 0 THEN (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace) ELSE '' END,
       c.relkind = 'I'
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am am ON am.oid = c.relam
 WHERE c.relnamespace IN ({ns})
"""
_CLASSES = "SELECT o.oid, opcdefault, opcintype, t.typtype = 'p' FROM pg_opclass o JOIN pg_type t ON t.oid = opcintype"
_ODD_COLUMNS = """
SELECT a.attrelid, a.attnum, coalesce(a.attstattarget, -1), a.attoptions IS NOT NULL
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relkind IN ('i', 'I') AND c.relnamespace IN ({ns}) AND (coalesce(a.attstattarget, -1) <> -1 OR a.attoptions IS NOT NULL)
"""
_TEXT, _VARCHAR, _NONE_OR_DEFAULT = 25, 1043, ("0", "100")
_DESC, _NULLS_FIRST = 1, 2


class Index(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="index"):
    """`definition` is the server's text where expressions, a predicate, operator classes or collations are involved.

    Otherwise it is empty, and `keys` are columns with their order as SQL. `statistics` are column number and target.
    `partitioned`: it stands for those of a table's partitions.
    """

    table: tuple[str, str]
    on: str = "table"
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    keys: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    definition: str = ""
    options: tuple[str, ...] = ()
    tablespace: str = ""
    valid: bool = True
    clustered: bool = False
    replica_identity: bool = False
    statistics: tuple[tuple[int, int], ...] = ()
    partitioned: bool = False

    keyword: ClassVar[str] = "INDEX"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId(self.on, self.table)

    @property
    def limits_rows(self) -> bool:
        return self.unique

    @property
    def tells_rows_apart(self) -> bool:
        return self.unique

    @property
    def can_be_made(self) -> bool:
        """CREATE INDEX CONCURRENTLY leaves an invalid index when it fails: that goes, and REINDEX makes it another.

        That of a partitioned table is one while a partition has none for it.
        """
        return self.valid or self.partitioned

    def create(self) -> tuple[Step, ...]:
        return (self.step(self._creation(), Action.CREATE, SHARE), *self.settle(), *self.steps(self._marks()))

    def _creation(self) -> str:
        if self.definition:
            sql = stable(self.definition)
        else:
            unique = "UNIQUE " if self.unique else ""
            only = "ONLY " if self.partitioned else ""
            sql = f"CREATE {unique}INDEX {ident(self.id.name[1])} ON {only}{qualified(*self.table)} USING {self.method}"
            sql += f" ({', '.join(self.keys)})"
            if self.include:
                sql += f" INCLUDE ({', '.join(self.include)})"
            if self.nulls_not_distinct:
                sql += " NULLS NOT DISTINCT"
            if self.options:
                sql += f" WITH ({', '.join(self.options)})"
        if not self.tablespace:
            return sql
        before, where, predicate = sql.partition(" WHERE ")
        return f"{before} TABLESPACE {ident(self.tablespace)}{where}{predicate}"

    def _marks(self) -> list[str]:
        """What CREATE INDEX has no words for."""
        table = f"ALTER {self.on.upper()} {qualified(*self.table)}"
        out = [f"ALTER INDEX {self.address} ALTER COLUMN {n} SET STATISTICS {t}" for n, t in self.statistics]
        if self.clustered:
            out.append(f"{table} CLUSTER ON {ident(self.id.name[1])}")
        if self.replica_identity:
            out.append(f"{table} REPLICA IDENTITY USING INDEX {ident(self.id.name[1])}")
        return out

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP INDEX {self.address}", Action.DROP, "ACCESS EXCLUSIVE"),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Index)
        if not self.only_settings_differ(after, "options", "clustered", "replica_identity", "tablespace"):
            return None
        if (self.definition or self.partitioned) and after.options != self.options:
            return None
        sqls = []
        if after.options != self.options:
            if self.options:
                sqls.append(f"ALTER INDEX {self.address} RESET ({names_of(self.options)})")
            if after.options:
                sqls.append(f"ALTER INDEX {self.address} SET ({', '.join(after.options)})")
        if after.tablespace != self.tablespace:
            sqls.append(f"ALTER INDEX {self.address} SET TABLESPACE {ident(after.tablespace or 'pg_default')}")
        if self.clustered and not after.clustered:
            sqls.append(f"ALTER {self.on.upper()} {qualified(*self.table)} SET WITHOUT CLUSTER")
        if (after.clustered and not self.clustered) or (after.replica_identity and not self.replica_identity):
            sqls += after._marks()
        return Alteration(self.resettle(after) + self.steps(sqls, lock=SHARE_UPDATE_EXCLUSIVE))


def is_identified(table: ObjectId, catalog: Catalog) -> bool:
    """Whether there is an index that is the table's replica identity, its own or behind a constraint."""
    return any(o.part_of == table and getattr(o, "replica_identity", False) is True for o in catalog.objects.values())


class Backing:
    """What an index tells about the constraint that it backs."""

    __slots__ = (
        "clustered",
        "include",
        "nulls_not_distinct",
        "odd",
        "oid",
        "options",
        "replica_identity",
        "tablespace",
    )

    def __init__(self, oid: int, include: tuple[str, ...], row: tuple[Any, ...], odd: bool) -> None:
        self.oid = oid
        self.include = include
        self.nulls_not_distinct: bool = row[13]
        self.clustered: bool = row[15]
        self.replica_identity: bool = row[16]
        self.options: tuple[str, ...] = tuple(row[17] or ())
        self.tablespace: str = row[18]
        self.odd = odd


def asked(major: int) -> tuple[str, ...]:
    """What `read` always asks."""
    return (_CLASSES, _ODD_COLUMNS, _indexes(major))


def _indexes(major: int) -> str:
    return _INDEXES.replace("{nulls_not_distinct}", "i.indnullsnotdistinct" if major >= 15 else "false")


def read(r: Reading, constrained: frozenset[int]) -> dict[int, Backing]:
    """Reads the indexes; those in `constrained` back constraints and are handed back for them."""
    classes: dict[str, tuple[bool, int, bool]] = {
        str(oid): (default, into, pseudo) for oid, default, into, pseudo in r.rows(_CLASSES)
    }
    odd: dict[int, list[tuple[int, int]]] = {}
    for relation, number, statistics, _ in r.rows(_ODD_COLUMNS):
        odd.setdefault(relation, []).append((number, statistics))
    rows = [row for row in r.rows(_indexes(r.major)) if row[1] in r.relations]
    known: dict[tuple[Any, ...], bool] = {}
    plain = {row[0]: _keys(r, row, classes, known) for row in rows if row[0] not in odd and not row[12]}
    wanted = [row[0] for row in rows if plain.get(row[0]) is None and row[0] not in constrained]
    texts: dict[int, str] = (
        dict(r.rows("SELECT o, pg_get_indexdef(o) FROM unnest(%s::oid[]) AS x (o)", (wanted,))) if wanted else {}
    )
    backing = {}
    for row in rows:
        oid, relation, schema, name, method, count, key_count = row[:7]
        names = r.attributes[relation]
        include: tuple[str, ...] = ()
        if count > key_count:
            include = tuple(ident(names[int(k)]) for k in row[8].split()[key_count:])
        if oid in constrained:
            backing[oid] = Backing(oid, include, row, odd=plain.get(oid) is None)
            continue
        table = r.relations[relation]
        object_id = ObjectId("index", (schema, name))
        keys = plain.get(oid)
        found: SchemaObject = Index(
            id=object_id,
            comment=r.comments.get((PG_CLASS, oid, 0), ""),
            table=(table.name[0], table.name[1]),
            on=table.kind,
            method=method,
            unique=row[7],
            nulls_not_distinct=row[13],
            keys=keys or (),
            include=include if keys else (),
            definition="" if keys else texts[oid],
            options=tuple(row[17] or ()),
            tablespace=row[18],
            valid=row[14],
            clustered=row[15],
            replica_identity=row[16],
            statistics=tuple(sorted(s for s in odd.get(oid, ()) if s[1] != -1)),
            partitioned=row[19],
        )
        if relation in r.watched_only:
            found = UnmanagedObject(id=object_id, digest=found.fingerprint())
        r.add(PG_CLASS, oid, found)
    return backing


def _keys(
    r: Reading, row: tuple[Any, ...], classes: dict[str, tuple[bool, int, bool]], known: dict[tuple[Any, ...], bool]
) -> tuple[str, ...] | None:
    """The key columns with their order, as SQL; None where more has to be said about one of them.

    `known`: what was found out about columns with the same operators, collation and type.
    """
    relation, key_count = row[1], row[6]
    names, types = r.attributes[relation], r.types_of[relation]
    out = []
    for number_text, operators, collation, option in zip(
        row[8].split()[:key_count], row[9].split(), row[10].split(), row[11].split(), strict=True
    ):
        number = int(number_text)
        column = (operators, collation, types[number], r.collated.get((relation, number)))
        usual = known.get(column)
        if usual is None:
            usual = known[column] = _is_usual(r, classes, *column)
        if not usual:
            return None
        out.append(ident(names[number]) + _ORDER[int(option)])
    return tuple(out)


def _is_usual(
    r: Reading,
    classes: dict[str, tuple[bool, int, bool]],
    operators: str,
    collation: str,
    column_type: int,
    collated: str | None,
) -> bool:
    """Whether operators and collation of an index's column are those that it has when nothing is said."""
    default, into, pseudo = classes[operators]
    natural = into == column_type or pseudo or (into == _TEXT and column_type == _VARCHAR)
    direct = natural
    if not natural:
        base = r.base_type(column_type)
        natural = into == base or (into == _TEXT and base == _VARCHAR)
    if collated is None and not (direct and collation in _NONE_OR_DEFAULT):
        collated = r.type_collation(column_type)
    usual = collation == collated if collated else collation in _NONE_OR_DEFAULT
    return default and natural and usual


_ORDER = {
    0: "",
    _DESC | _NULLS_FIRST: " DESC",
    _NULLS_FIRST: " NULLS FIRST",
    _DESC: " DESC NULLS LAST",
}
