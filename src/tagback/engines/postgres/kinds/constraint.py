"""Constraints of tables: keys, unique, foreign key, check and exclusion. The index behind one is part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.engines.postgres.kinds import index as index_kind
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, TableMember
from tagback.engines.postgres.reading import PG_CLASS, PG_CONSTRAINT, Reading
from tagback.engines.postgres.sqltext import columns, ident, literal, qualified, stable

_CONSTRAINTS = """
SELECT k.oid, k.conrelid, k.conname, k.contype, k.condeferrable, k.condeferred, k.convalidated, k.conindid,
       k.conkey, k.confrelid, k.confkey, k.confupdtype, k.confdeltype, k.confmatchtype, k.connoinherit,
       CASE WHEN k.contype IN ('c', 'x') THEN pg_get_constraintdef(k.oid) END, {set_columns}
  FROM pg_constraint k
 WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.connamespace IN ({ns}) AND k.conrelid <> 0
   AND NOT (k.contype = 'f' AND k.conparentid <> 0) AND NOT (k.contype = 'c' AND k.coninhcount > 0 AND NOT k.conislocal)
"""
# Left out: what came down from a parent. It comes and goes with the parent's, or with the attachment.
_OFF = """
SELECT tgconstraint, string_agg(tgtype::text || tgenabled::text, ',' ORDER BY tgtype, tgenabled)
  FROM pg_trigger WHERE tgisinternal AND tgconstraint <> 0 AND tgenabled <> 'O' GROUP BY tgconstraint
"""
_ACTIONS = {"a": "", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCH = {"s": "", "f": " MATCH FULL", "p": " MATCH PARTIAL"}


class Constraint(TableMember, frozen=True, kw_only=True, omit_defaults=True, tag="constraint"):
    """`definition` is the server's text for checks and exclusions; keys are kept as fields.

    `kind` is the server's letter: p, u, f, c, x.
    """

    kind: str
    columns: tuple[str, ...] = ()
    definition: str = ""
    references: tuple[str, str] | None = None
    referenced: tuple[str, ...] = ()
    match: str = "s"
    on_update: str = "a"
    on_delete: str = "a"
    set_columns: tuple[str, ...] = ()
    deferrable: bool = False
    deferred: bool = False
    validated: bool = True
    include: tuple[str, ...] = ()
    nulls_not_distinct: bool = False
    options: tuple[str, ...] = ()
    tablespace: str = ""
    clustered: bool = False
    replica_identity: bool = False
    index_comment: str = ""

    keyword: ClassVar[str] = "CONSTRAINT"

    @property
    def part_of(self) -> ObjectId | None:
        """Foreign keys are dropped before either table: two tables may refer to each other."""
        return None if self.kind == "f" else super().part_of

    @property
    def limits_rows(self) -> bool:
        return self.validated

    @property
    def tells_rows_apart(self) -> bool:
        return self.kind in "pux"

    @property
    def acts_by_columns(self) -> bool:
        return self.kind == "f"

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        """Of foreign keys both tables; rows that came before a constraint which isn't valid needn't keep it."""
        tables = [self.id.name[:2]] if self.kind == "f" or not self.validated else []
        if self.references is not None:
            tables.append(self.references)
        return [ObjectId("table", name) for name in tables]

    def create(self) -> tuple[Step, ...]:
        lock = SHARE_ROW_EXCLUSIVE if self.kind == "f" else ACCESS_EXCLUSIVE
        name = ident(self.id.name[2])
        sql = f"ALTER TABLE {self.table} ADD CONSTRAINT {name} {self._definition()}"
        return (self.step(sql, Action.CREATE, lock), *self.settle(), *self.steps(self._marks()))

    def _definition(self) -> str:
        if self.kind in "cx":
            return stable(self.definition)
        if self.kind == "f":
            assert self.references is not None
            sql = f"FOREIGN KEY {columns(self.columns)} REFERENCES {qualified(*self.references)}"
            sql += f" {columns(self.referenced)}{_MATCH[self.match]}"
            if _ACTIONS[self.on_update]:
                sql += f" ON UPDATE {_ACTIONS[self.on_update]}"
            if _ACTIONS[self.on_delete]:
                sql += f" ON DELETE {_ACTIONS[self.on_delete]}"
            if self.set_columns:
                sql += f" {columns(self.set_columns)}"
        else:
            sql = "PRIMARY KEY " if self.kind == "p" else "UNIQUE "
            sql += "NULLS NOT DISTINCT " if self.nulls_not_distinct else ""
            sql += columns(self.columns)
            if self.include:
                sql += f" INCLUDE ({', '.join(self.include)})"
            if self.options:
                sql += f" WITH ({', '.join(self.options)})"
            if self.tablespace:
                sql += f" USING INDEX TABLESPACE {ident(self.tablespace)}"
        if self.deferrable:
            sql += " DEFERRABLE"
        if self.deferred:
            sql += " INITIALLY DEFERRED"
        if not self.validated:
            sql += " NOT VALID"
        return sql

    def _marks(self) -> list[str]:
        """What concerns the index behind it."""
        out = []
        if self.clustered:
            out.append(f"ALTER TABLE {self.table} CLUSTER ON {ident(self.id.name[2])}")
        if self.replica_identity:
            out.append(f"ALTER TABLE {self.table} REPLICA IDENTITY USING INDEX {ident(self.id.name[2])}")
        if self.index_comment:
            out.append(self._comment_on_index(self.index_comment))
        return out

    def _comment_on_index(self, text: str) -> str:
        """Apart from the constraint's own."""
        return f"COMMENT ON INDEX {qualified(self.id.name[0], self.id.name[2])} IS {literal(text) if text else 'NULL'}"

    def drop(self) -> tuple[Step, ...]:
        sql = f"ALTER TABLE {self.table} DROP CONSTRAINT {ident(self.id.name[2])}"
        return (self.step(sql, Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Constraint)
        free = ["clustered", "replica_identity", "index_comment"]
        sqls = []
        name = ident(self.id.name[2])
        if self.kind == "f":
            free += ["deferrable", "deferred"]
            if (after.deferrable, after.deferred) != (self.deferrable, self.deferred):
                words = "DEFERRABLE" if after.deferrable else "NOT DEFERRABLE"
                words += " INITIALLY DEFERRED" if after.deferred else ""
                sqls.append(f"ALTER TABLE {self.table} ALTER CONSTRAINT {name} {words}")
        not_valid = self.definition.removesuffix(" NOT VALID")
        if after.validated and not self.validated and (self.kind == "f" or not_valid == after.definition):
            free += ["validated", "definition"]
            sqls.append(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {name}")
        if not self.only_settings_differ(after, *free):
            return None
        if self.clustered and not after.clustered:
            sqls.append(f"ALTER TABLE {self.table} SET WITHOUT CLUSTER")
        if (after.clustered and not self.clustered) or (after.replica_identity and not self.replica_identity):
            sqls += after._marks()
        elif after.index_comment != self.index_comment:
            sqls.append(self._comment_on_index(after.index_comment))
        return Alteration(self.resettle(after) + self.steps(sqls, lock=SHARE_ROW_EXCLUSIVE))


def set_logged(table: ObjectId, along: Set[ObjectId], live: Catalog, *, logged: bool) -> list[str]:
    """Statements that make a table logged or not, after those `along` with it that must be so first: again is no harm.

    A logged table can't refer to one that isn't.
    """
    ties: dict[ObjectId, set[ObjectId]] = {}
    for o in live.objects.values():
        if isinstance(o, Constraint) and o.references is not None:
            here, there = ObjectId("table", o.id.name[:2]), ObjectId("table", o.references)
            first, then = (there, here) if logged else (here, there)
            ties.setdefault(then, set()).add(first)

    def in_turn(i: ObjectId, waiting: Set[ObjectId]) -> Iterator[ObjectId]:
        for first in sorted((ties.get(i, set()) & along) - waiting):
            yield from in_turn(first, waiting | {first})
        yield i

    word = "LOGGED" if logged else "UNLOGGED"
    return [f"ALTER TABLE ONLY {qualified(*i.name)} SET {word}" for i in dict.fromkeys(in_turn(table, {table}))]


def asked(major: int) -> tuple[str, ...]:
    """What `read` always asks."""
    return (_constraints(major), *index_kind.asked(major), _OFF)


def _constraints(major: int) -> str:
    return _CONSTRAINTS.replace("{set_columns}", "k.confdelsetcols" if major >= 15 else "NULL")


def read(r: Reading) -> None:
    """Reads the constraints, and with them the indexes."""
    rows = r.rows(_constraints(r.major))
    backed = {row[0]: row[7] for row in rows if row[3] in "pux"}
    backing = index_kind.read(r, frozenset(backed.values()))
    off: dict[int, str] = dict(r.rows(_OFF))
    for (
        oid, relation, name, kind, deferrable, deferred, validated, _, key, referenced_oid, referenced_key,
        on_update, on_delete, match, _, definition, set_columns,
    ) in rows:  # fmt: skip
        table = r.relations.get(relation)
        if table is None:
            continue
        names = r.attributes[relation]
        object_id = ObjectId("constraint", (*table.name, name))
        index = backing.get(backed.get(oid, 0))
        odd = relation in r.watched_only or oid in off
        found: SchemaObject
        if kind in "pu" and index is not None:
            odd = odd or index.odd
            found = Constraint(
                id=object_id,
                comment=r.comments.get((PG_CONSTRAINT, oid, 0), ""),
                kind=kind,
                columns=tuple([names[k] for k in key]),
                deferrable=deferrable,
                deferred=deferred,
                include=index.include,
                nulls_not_distinct=index.nulls_not_distinct,
                options=index.options,
                tablespace=index.tablespace,
                clustered=index.clustered,
                replica_identity=index.replica_identity,
                index_comment=r.comments.get((PG_CLASS, index.oid, 0), ""),
            )
        elif kind == "f":
            into = r.relations.get(referenced_oid)
            odd = odd or into is None or referenced_oid in r.watched_only
            there = r.attributes.get(referenced_oid, {})
            found = Constraint(
                id=object_id,
                comment=r.comments.get((PG_CONSTRAINT, oid, 0), ""),
                kind=kind,
                columns=tuple(names[k] for k in key),
                references=(into.name[0], into.name[1]) if into else None,
                referenced=tuple(there.get(k, "?") for k in referenced_key),
                match=match,
                on_update=on_update,
                on_delete=on_delete,
                set_columns=tuple(names[k] for k in set_columns or ()),
                deferrable=deferrable,
                deferred=deferred,
                validated=validated,
            )
        else:
            found = Constraint(
                id=object_id,
                comment=r.comments.get((PG_CONSTRAINT, oid, 0), ""),
                kind=kind,
                definition=definition,
                validated=validated,
                tablespace=index.tablespace if index else "",
                clustered=index.clustered if index else False,
                replica_identity=index.replica_identity if index else False,
                index_comment=r.comments.get((PG_CLASS, index.oid, 0), "") if index else "",
            )
            odd = odd or bool(index and index.tablespace)
        if odd:
            found = UnmanagedObject(id=object_id, digest=f"{found.fingerprint()} {off.get(oid, '')}")
        r.add(PG_CONSTRAINT, oid, found)
        if index is not None:
            r.addresses[PG_CLASS, index.oid] = object_id
