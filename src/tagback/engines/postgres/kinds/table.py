"""Tables. Partitions are attached to theirs (`attachment`), children by inheritance are made with their parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import msgspec

from tagback.catalog import (
    Action,
    Alteration,
    Carry,
    Catalog,
    Loss,
    LossKind,
    ObjectId,
    SchemaObject,
    Step,
)
from tagback.engines.postgres.kinds import column as column_kind
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, PgObject
from tagback.engines.postgres.kinds.carrying import carry
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.kinds.constraint import set_logged
from tagback.engines.postgres.kinds.default import defaults_of
from tagback.engines.postgres.kinds.foreign_table import ForeignTable
from tagback.engines.postgres.kinds.heirs import as_stored, helper_of, in_that_order, in_usual_order, marked, odd_heirs
from tagback.engines.postgres.kinds.holders import holders_of_rows
from tagback.engines.postgres.kinds.index import is_identified
from tagback.engines.postgres.kinds.layout import lay_out
from tagback.engines.postgres.kinds.options import changed_options, option, toasted
from tagback.engines.postgres.kinds.sequence import counted
from tagback.engines.postgres.kinds.unmanaged import WatchedTable
from tagback.engines.postgres.reading import PG_CLASS, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, path_of, qualified, stable

_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relowner, c.relacl::text[], c.relpersistence, c.reloptions, t.reloptions,
       c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
       CASE WHEN c.reltablespace <> 0 THEN (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace) ELSE '' END,
       c.relkind = 'f', coalesce(am.amname, 'heap'),
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) ELSE '' END,
       c.relkind = 'f' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT c.relispartition
                                                                OR i.inhparent = c.oid)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid AND t.reloptions IS NOT NULL
  LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.relkind IN ('r', 'p', 'f') AND c.relnamespace IN ({ns})
"""
# A column of the key can't be without the table: that is how the server notes which they are.
_PARTITIONED = Rare(
    """
SELECT partrelid, pg_get_partkeydef(partrelid),
       ARRAY(SELECT a.attname::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.objid AND a.attnum = d.objsubid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = partrelid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = partrelid AND d.refobjsubid = 0 AND d.deptype = 'i' ORDER BY a.attnum)
  FROM pg_partitioned_table
""",
    unless="pg_partitioned_table",
)
_PARENTS = Rare(
    """
SELECT i.inhrelid, array_agg(i.inhparent::int8 ORDER BY i.inhseqno),
       (SELECT jsonb_object_agg(a.attnum, CASE WHEN a.attislocal THEN 'too' ELSE 'alone' END) FROM pg_attribute a
         WHERE a.attrelid = i.inhrelid AND a.attnum > 0 AND a.attinhcount > 0 AND NOT a.attisdropped)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE NOT c.relispartition AND c.relkind IN ('r', 'f') AND c.relnamespace IN ({ns})
 GROUP BY i.inhrelid
""",
    unless="pg_inherits",
)
_FOREIGN = Rare(
    """
SELECT f.ftrelid, s.srvname, f.ftoptions,
       ARRAY(SELECT jsonb_build_array(a.attname, to_jsonb(a.attfdwoptions))::text FROM pg_attribute a
              WHERE a.attrelid = f.ftrelid AND a.attfdwoptions IS NOT NULL AND NOT a.attisdropped ORDER BY a.attnum)
  FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
""",
    unless="pg_foreign_table",
)
_WATCHED = """
SELECT c.oid, md5(concat_ws('|', c.relkind, c.relpersistence, c.relowner::regrole, c.reloptions::text, c.relrowsecurity,
         c.relforcerowsecurity, c.relreplident, am.amname, CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype END,
         (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace), t.reloptions::text,
         pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
         (SELECT string_agg(inhparent::regclass::text, ',' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid),
         (SELECT string_agg(x::text, ' ' ORDER BY x::text)
            FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) x),
         (SELECT concat_ws('|', srvname, ftoptions::text)
            FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
         (SELECT string_agg(concat_ws('|', a.attislocal, a.attinhcount, a.attfdwoptions::text), ',' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)))
  FROM pg_class c
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.oid = ANY (%s)
"""
_REPLICA_IDENTITY = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}


class Table(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="table"):
    """`options` and `toast_options` are `name=value`. `replica_identity` i: an index says that it is it.

    `partition_by` is the server's text, and `key` are the columns that it is about. `of_type`: the columns are those of
    this composite type.
    """

    columns: tuple[Column, ...] = ()
    persistence: str = "p"
    options: tuple[str, ...] = ()
    toast_options: tuple[str, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    replica_identity: str = "d"
    tablespace: str = ""
    partition_by: str = ""
    key: tuple[str, ...] = ()
    method: str = "heap"
    of_type: str = ""
    parents: tuple[tuple[str, str], ...] = ()

    keyword: ClassVar[str] = "TABLE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "Dadrtwx"),)

    @property
    def parts(self) -> Iterable[ObjectId]:
        return [ObjectId("column", (*self.id.name, c.name)) for c in self.columns]

    @property
    def carries_data(self) -> bool:
        return True

    @property
    def attaches(self) -> tuple[tuple[ObjectId, ObjectId], ...]:
        return tuple((self.id, ObjectId("table", parent)) for parent in self.parents)

    @property
    def shaped_by(self) -> ObjectId | None:
        return ObjectId("composite type", path_of(self.of_type)) if self.of_type else None

    @property
    def holds_nothing(self) -> bool:
        """Rows are in partitions, but an identity's sequence has a position."""
        return bool(self.partition_by) and not any(c.identity for c in self.columns)

    def required(self, catalog: Catalog) -> Mapping[str, bool]:
        defaults = {c.name for c in self.columns if ObjectId("default", (*self.id.name, c.name)) in catalog.objects}
        return {c.name: c.name in defaults or bool(c.identity) or bool(c.generated) for c in self.columns if c.not_null}

    def create(self) -> tuple[Step, ...]:
        columns = [self._named(c).definition() for c in self.columns if not c.is_heirloom]
        return self._made([self._create_with(", ".join(columns), self.parents)])

    def _create_named(self) -> tuple[Step, ...]:
        """The same with names for what is NOT NULL, as from 18 on. Added to what comes from a parent it would have that one's."""
        named = self._all_named()
        columns = [self._named(c).definition() for c in named.columns if not c.is_heirloom]
        for c in self.columns:
            if c.inherited == "stricter":
                name = c.not_null_name or column_kind.usual_not_null_name(self.id.name[1], c.name)
                columns.append(f"CONSTRAINT {ident(name)} NOT NULL {ident(c.name)}")
        return named._made([self._create_with(", ".join(columns), self.parents)])

    def _create_with(self, columns: str, parents: Iterable[tuple[str, str]]) -> str:
        unlogged = "UNLOGGED " if self.persistence == "u" else ""
        sql = f"CREATE {unlogged}TABLE {self.address} ({columns})"
        if parents:
            sql += f" INHERITS ({', '.join(qualified(*p) for p in parents)})"
        if self.partition_by:
            sql += f" PARTITION BY {stable(self.partition_by)}"
        if self.method != "heap":
            sql += f" USING {ident(self.method)}"
        options = [*self.options, *(f"toast.{o}" for o in self.toast_options)]
        if options:
            sql += f" WITH ({', '.join(option(o) for o in options)})"
        return f"{sql} TABLESPACE {ident(self.tablespace)}" if self.tablespace else sql

    def _made(self, sqls: Sequence[str]) -> tuple[Step, ...]:
        """The statements that make it, and all that is left to do then."""
        clauses = [clause for c in self.columns for clause in column_kind.settings(c.as_defined, c)]
        clauses += self._security(Table(id=self.id), self)
        # A default comes along, too, but a child has its own.
        clauses += [
            f"ALTER COLUMN {ident(c.name)} DROP DEFAULT" for c in self.columns if c.inherited and not c.generated
        ]
        clauses += [c.set_not_null for c in self.columns if c.inherited == "stricter"]
        if self.of_type:
            clauses.append(f"OF {self.of_type}")
        more = [sql for c in self.columns for sql in self._further(c)]
        return (
            *self.steps(sqls, Action.CREATE),
            *self.settle(),
            *self.steps([f"ALTER TABLE {self.address} {', '.join(clauses)}"] if clauses else [], lock=ACCESS_EXCLUSIVE),
            *self.steps(more),
            *self.steps(
                toasted(self.address, self.toast_options, [c.type for c in self.columns]), lock=ACCESS_EXCLUSIVE
            ),
        )

    def create_in(self, target: Catalog) -> tuple[Step, ...]:
        """NOT NULL comes from parents, too, and a child may have got rid of it (before 18). So do storage and compression."""
        parents = [p for i in self.parents if isinstance(p := target.objects.get(ObjectId("table", i)), Table)]
        strict = {c.name for p in parents for c in p.columns if c.not_null}
        names = [c.name for c in self.columns if c.inherited and c.name in strict and not c.not_null]
        clauses = [f"ALTER COLUMN {ident(n)} DROP NOT NULL" for n in names]
        clauses += [clause for p in parents for clause in as_stored(self.columns, p.columns)]
        sqls = [f"ALTER TABLE ONLY {self.address} {', '.join(clauses)}"] if clauses else []
        if in_usual_order([c.name for c in self.columns], [[c.name for c in p.columns] for p in parents]):
            made = self._create_named() if int(target.major) >= 18 else self.create()
            return (*made, *self.steps(sqls, lock=ACCESS_EXCLUSIVE))
        helper = helper_of(self.id)
        columns = [msgspec.structs.replace(c, not_null=c.not_null or c.name in strict) for c in self.columns]
        first = [f"CREATE TABLE {qualified(*helper)} ()", self._create_with("", [helper])]
        sqls_of_it = [*first, *in_that_order(self.id, columns, self.parents, helper, target)]
        return (*self._made(sqls_of_it), *self.steps(sqls, lock=ACCESS_EXCLUSIVE))

    def _named(self, column: Column) -> Column:
        """A child must not say an expression that its parent says."""
        if column.inherited:
            not_null = column.not_null and column.inherited != "looser"
            return msgspec.structs.replace(column, generated="", not_null=not_null)
        return column

    def _all_named(self) -> Table:
        """With the usual names of NOT NULL said: the server takes others where these are another table's in its schema."""
        named = [
            msgspec.structs.replace(c, not_null_name=column_kind.usual_not_null_name(self.id.name[1], c.name))
            if c.not_null and not c.inherited and not c.not_null_name
            else c
            for c in self.columns
        ]
        return msgspec.structs.replace(self, columns=tuple(named))

    def _further(self, column: Column) -> list[str]:
        return column_kind.further(self.id.name, self.owner, column.as_defined, column)

    def drop(self) -> tuple[Step, ...]:
        lost = [] if self.partition_by else [Loss(LossKind.TABLE, self.id)]
        return (self.step(f"DROP TABLE {self.address}", Action.DROP, ACCESS_EXCLUSIVE, lost),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, Table) or after.partition_by != self.partition_by:
            return None
        if not self._heirs_stay(after, live, target):
            return None
        holders = holders_of_rows(self.id, live, target)
        named = [t._all_named() if int(live.major) >= 18 else t for t in (self, after)]
        layout = lay_out(
            self.id,
            after.owner,
            column_kind.settled(named[0].columns, self, after),
            named[1].columns,
            defaults_of(self.id, self.columns, live, None),
            {} if holders else defaults_of(self.id, after.columns, target, live),
            {}
            if after._is_related(target)
            else counted([c.name for c in after.columns if c.not_null], self.id, live, target),
        )
        if not layout.possible or not layout.touched.isdisjoint(self.key):
            return None
        if holders.in_the_way and layout.rewrites:
            return Alteration((), impossible=holders.in_the_way, holders=holders.tables)
        if after.replica_identity == "i" != self.replica_identity and not is_identified(self.id, target):
            return Alteration((), impossible=f"The index that replication knew rows of {self.id} by is gone.")
        clauses = ["NOT OF"] if self.of_type and after.of_type != self.of_type else []
        typed = [f"OF {after.of_type}"] if after.of_type and after.of_type != self.of_type else []
        if self.of_type and after.of_type == self.of_type and layout.changes:
            return None
        clauses += [f"NO INHERIT {qualified(*p)}" for p in self.parents if p not in after.parents]
        clauses += [f"INHERIT {qualified(*p)}" for p in after.parents if p not in self.parents]
        if after.method != self.method:
            clauses.append(f"SET ACCESS METHOD {ident(after.method)}")
        if after.tablespace != self.tablespace:
            clauses.append(f"SET TABLESPACE {ident(after.tablespace or 'pg_default')}")
        clauses += changed_options(self.options, after.options)
        clauses += self._security(self, after)
        own = self.steps([f"ALTER TABLE ONLY {self.address} {c}" for c in clauses], lock=ACCESS_EXCLUSIVE)
        if after.persistence != self.persistence:
            along = _persistent(self.persistence, live) & _persistent(after.persistence, target)
            own += self.steps(set_logged(self.id, along, live, logged=after.persistence == "p"))
        typed += changed_options(
            self.toast_options, after.toast_options, "toast."
        )  # which only last where there are such columns
        retyped = self.steps([f"ALTER TABLE ONLY {self.address} {c}" for c in typed], lock=ACCESS_EXCLUSIVE)
        steps = (*own, *layout.steps(), *retyped)
        steps = tuple(replace(s, destroys=()) for s in steps) if self.partition_by else steps  # its partitions' rows
        return Alteration(
            (*self.resettle(after), *steps),
            layout.disturbed,
            layout.finish(),
            away=holders.shown if layout.rewrites else frozenset(),
        )

    def _heirs_stay(self, after: Table, live: Catalog, target: Catalog) -> bool:
        """Whether columns are the same where a table has parents or children: nothing can say later whence one came."""
        heirs = {i for c in (live, target) for i in c.parts_of(self.id)} & live.objects.keys() & target.objects.keys()
        if self.partition_by or not (self.parents or after.parents or heirs):
            return True
        order = tuple(p for p in self.parents if p in after.parents) + tuple(
            p for p in after.parents if p not in self.parents
        )
        columns = [[(c.as_defined, c.is_heirloom) for c in t.columns] for t in (self, after)]
        same = columns[0] == columns[1]
        return same and order == after.parents and (self.parents == after.parents or not self._has_inherited)

    def _is_related(self, catalog: Catalog) -> bool:
        """Whether what is a column here is one of other tables or of a type, too."""
        return bool(self.parents or self.partition_by or self.of_type) or catalog.has_parts(self.id)

    @property
    def _has_inherited(self) -> bool:
        return any(c.is_heirloom for c in self.columns)

    @property
    def holds_rows_in_parts(self) -> bool:
        return bool(self.partition_by)

    def carried(self, after: SchemaObject, live: Catalog, target: Catalog) -> Carry | None:
        if not isinstance(after, Table):
            return None
        come = [c.name for c in after.columns if c.not_null]
        numbers = dict.fromkeys(counted(come, self.id, live, target), "pg_catalog.row_number() OVER ()")
        defaults = numbers | defaults_of(self.id, after.columns, target, live)
        return carry(self.id, self.columns, after.columns, defaults, live, target, empty=bool(self.partition_by))

    def freed(self, of: frozenset[ObjectId]) -> SchemaObject | None:
        """Generated columns as plain ones; that is no way out for columns' types, nor for a key of partitions."""
        tied = self.partition_by or not all(i.kind == "function" for i in of)
        return None if tied else msgspec.structs.replace(self, columns=tuple(c.freed for c in self.columns))

    def without_columns_of(self, types: frozenset[ObjectId]) -> SchemaObject | None:
        names = {i.name for i in types}
        gone = {c.name for c in self.columns if path_of(c.type.removesuffix("[]")) in names}
        stay = [c for c in self.columns if c.name not in gone and gone.isdisjoint(c.uses)]
        fixed = gone & {*self.key, *(c.name for c in self.columns if c.inherited)}
        return None if fixed or self.of_type else msgspec.structs.replace(self, columns=tuple(stay))

    def lets_rows_stay(self, after: SchemaObject, columns: frozenset[str]) -> bool:
        """Columns that come back have no values but those that they are given then; all others are the same."""
        there = {c.name: c for c in self.columns}
        return isinstance(after, Table) and all(
            there[c.name].stands_for(c) if c.name in there else c.name in columns and not c.identity
            for c in after.columns
            if not c.generated
        )

    def appended(self, live: SchemaObject) -> Table:
        if not isinstance(live, Table):
            return self
        wanted = {c.name: c for c in self.columns}
        again: frozenset[str] = frozenset()
        while True:
            stay = [c.name for c in live.columns if c.name in wanted and c.name not in again]
            columns = [wanted[n] for n in (*stay, *(n for n in wanted if n not in stay))]
            layout = lay_out(self.id, self.owner, live.columns, columns, {}, {}, {})
            # Columns that are dropped to be made anew come to stand behind those that stay.
            anew = again | layout.remade | (wanted.keys() & set(layout.dropped))
            if anew == again:
                return msgspec.structs.replace(self, columns=tuple(columns))
            again = anew

    @staticmethod
    def _security(before: Table, after: Table) -> list[str]:
        clauses = []
        if after.row_security != before.row_security:
            clauses.append(f"{'ENABLE' if after.row_security else 'DISABLE'} ROW LEVEL SECURITY")
        if after.force_row_security != before.force_row_security:
            clauses.append(f"{'FORCE' if after.force_row_security else 'NO FORCE'} ROW LEVEL SECURITY")
        if after.replica_identity != before.replica_identity and after.replica_identity in _REPLICA_IDENTITY:
            clauses.append(f"REPLICA IDENTITY {_REPLICA_IDENTITY[after.replica_identity]}")
        return clauses


def _persistent(persistence: str, catalog: Catalog) -> set[ObjectId]:
    return {i for i, o in catalog.objects.items() if isinstance(o, Table) and o.persistence == persistence}


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_TABLES, _PARTITIONED, _FOREIGN, _PARENTS)


def read(r: Reading) -> None:
    rows = r.rows(_TABLES)
    partitioned = {oid: (by, tuple(key)) for oid, by, key in r.rows(_PARTITIONED)}
    r.partitioned = bool(partitioned)
    outside = {oid: rest for oid, *rest in r.rows(_FOREIGN)}
    parents = {oid: (tuple(of), inherited or {}) for oid, of, inherited in r.rows(_PARENTS)}
    odd = odd_heirs(r, parents, {row[0] for row in rows if row[-1]})
    names = {row[0]: (row[1], row[2]) for row in rows}
    watched = [row[0] for row in rows if row[-1] or row[0] in odd]
    digests: dict[int, str] = dict(r.rows(_WATCHED, (watched,))) if watched else {}
    for (
        oid, schema, name, owner, acl, persistence, options, toast_options,
        row_security, force, replica_identity, tablespace, foreign, method, of_type, is_odd,
    ) in rows:  # fmt: skip
        if r.members and r.is_member(PG_CLASS, oid):
            continue
        object_id = ObjectId("table", (schema, name))
        r.relations[oid] = object_id
        role = r.roles[owner]
        partition_by, key = partitioned.get(oid, ("", ()))
        table = Table(
            id=object_id,
            owner=role,
            acl=r.acl("r", role, acl),
            comment=r.comments.get((PG_CLASS, oid, 0), ""),
            columns=marked(r, oid, *parents[oid]) if oid in parents else r.columns.get(oid, ()),
            persistence=persistence,
            options=tuple(options or ()),
            toast_options=tuple(toast_options or ()),
            row_security=row_security,
            force_row_security=force,
            replica_identity=replica_identity,
            tablespace=tablespace,
            partition_by=partition_by,
            key=key,
            method=method,
            of_type=of_type,
            parents=tuple(names[p] for p in parents[oid][0] if p in names) if oid in parents else (),
        )
        found: SchemaObject = _foreign(table, *outside[oid]) if foreign else table
        if is_odd or oid in odd:
            r.watched_only.add(oid)
            found = WatchedTable(
                id=object_id,
                digest=f"{digests[oid]} {found.fingerprint()}",
                columns=tuple(c.name for c in r.columns.get(oid, ())),
            )
        r.add(PG_CLASS, oid, found)
        r.trace_columns(oid)


def _foreign(table: Table, server: str, options: list[str] | None, columns: list[str]) -> ForeignTable:
    return ForeignTable(
        id=table.id,
        owner=table.owner,
        acl=table.acl,
        comment=table.comment,
        columns=table.columns,
        server=server,
        options=tuple(options or ()),
        column_options=tuple((name, tuple(given)) for name, given in map(msgspec.json.decode, columns)),
    )
