"""Columns of tables, views, materialised views and composite types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tagback.catalog import ObjectId, UnmanagedObject
from tagback.engines.postgres import privileges
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.kinds.sequence import Identity, go_on_behind
from tagback.engines.postgres.privileges import Acl
from tagback.engines.postgres.reading import PG_CLASS, Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified, stable

_COLUMNS = """
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> '' OR a.attacl IS NOT NULL OR a.attoptions IS NOT NULL
       OR coalesce(a.attstattarget, -1) <> -1 OR a.attcompression <> '' OR a.attstorage <> t.typstorage
       OR a.attcollation <> t.typcollation
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND c.relnamespace IN ({ns})
 ORDER BY a.attrelid, a.attnum
"""
_SPECIAL = """
SELECT a.attrelid, a.attnum, a.attidentity,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE '' END,
       CASE WHEN a.attgenerated <> '' THEN
         (SELECT array_agg(u.attname::text ORDER BY u.attname::text COLLATE "C") FROM pg_attribute u
           WHERE u.attrelid = a.attrelid AND u.attnum IN
             (SELECT p.refobjsubid FROM pg_depend p
               WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid <> a.attnum
                 AND (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                      OR p.classid = 'pg_class'::regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum)))
       END,
       CASE WHEN a.attgenerated <> '' THEN
         (SELECT array_agg(p.refobjid::regprocedure::text ORDER BY p.refobjid::regprocedure::text COLLATE "C") FROM pg_depend p
           WHERE p.refclassid = 'pg_proc'::regclass
             AND (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                  OR p.classid = 'pg_class'::regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum))
       END,
       a.attgenerated <> '' AND EXISTS
         (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum
             AND p.refclassid = 'pg_proc'::regclass),
       CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN
         (SELECT quote_ident(nspname) || '.' || quote_ident(collname)
            FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation)
       END,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text ELSE '' END,
       CASE WHEN a.attstorage <> t.typstorage THEN t.typstorage::text ELSE '' END,
       a.attcompression::text, coalesce(a.attstattarget, -1), a.attacl::text[],
       ARRAY(SELECT o FROM unnest(a.attoptions) WITH ORDINALITY x (o, n) WHERE o !~ '^pg_attver=' ORDER BY n),
       a.attcollation::text
  FROM unnest(%s::oid[], %s::int2[]) AS x (relation, number)
  JOIN pg_attribute a ON a.attrelid = x.relation AND a.attnum = x.number
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
"""
# From 18 on NOT NULL is a constraint with a name, which most have from their table and column.
_NOT_NULLS = """
SELECT k.conrelid, a.attnum, k.conname, n.nspname, c.relname, a.attname, k.connoinherit, k.convalidated,
       k.conislocal AND k.coninhcount > 0, coalesce(obj_description(k.oid, 'pg_constraint'), '')
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
 WHERE k.contype = 'n' AND c.relnamespace IN ({ns})
   AND (k.conname <> c.relname || '_' || a.attname || '_not_null' OR k.connoinherit OR NOT k.convalidated
        OR (k.conislocal AND k.coninhcount > 0)
        OR obj_description(k.oid, 'pg_constraint') IS NOT NULL)
"""
STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One column. Its default is an object of its own, so that sequences and tables don't need each other.

    `uses` are the columns that a generated column is computed from, `calls` functions with their types;
    `bound`: DROP EXPRESSION would leave it depending on these (in 14, which takes it away with them). `storage` is empty
    where it is the type's own, which else is `usual_storage`. Options are in the order they were given in, which dumps show.
    `not_null_name` is empty where it is what the server chooses. `inherited`: "alone" where the table has it from its
    parents alone, "stricter" where NOT NULL is added to that, "too" where it is also its own, "looser" where all
    but its NOT NULL is.
    """

    name: str
    type: str
    not_null: bool = False
    not_null_name: str = ""
    identity: Identity | None = None
    generated: str = ""
    uses: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    bound: bool = False
    collation: str = ""
    storage: str = ""
    usual_storage: str = ""
    compression: str = ""
    statistics: int = -1
    options: tuple[str, ...] = ()
    acl: Acl = ()
    comment: str = ""
    inherited: str = ""

    def definition(self, default: str = "") -> str:
        """As in CREATE TABLE and ADD COLUMN."""
        parts = [ident(self.name), self.type]
        if self.collation:
            parts.append(f"COLLATE {self.collation}")
        if self.compression:
            parts.insert(2, f"COMPRESSION {_COMPRESSION[self.compression]}")
        if self.generated:
            parts.append(f"GENERATED ALWAYS AS ({stable(self.generated)}) STORED")
        if default:
            parts.append(f"DEFAULT {stable(default)}")
        if self.identity:
            parts.append(self.identity.clause())
        if self.not_null:
            parts.append(f"CONSTRAINT {ident(self.not_null_name)} NOT NULL" if self.not_null_name else "NOT NULL")
        return " ".join(parts)

    @property
    def is_heirloom(self) -> bool:
        """Whether the table has it from its parents alone."""
        return self.inherited in ("alone", "stricter")

    @property
    def set_not_null(self) -> str:
        """As in ALTER TABLE."""
        if self.not_null_name:
            return f"ADD CONSTRAINT {ident(self.not_null_name)} NOT NULL {ident(self.name)}"
        return f"ALTER COLUMN {ident(self.name)} SET NOT NULL"

    @property
    def freed(self) -> Column:
        """A generated one as a plain one that may hold NULL; any other as it is."""
        if not self.generated:
            return self
        return msgspec.structs.replace(
            self, generated="", uses=(), calls=(), bound=False, not_null=False, not_null_name=""
        )

    @property
    def as_defined(self) -> Column:
        """What `definition` alone makes of it: the rest has to be set afterwards."""
        return msgspec.structs.replace(
            self,
            identity=self.identity.made_for(self.type) if self.identity else None,
            storage="",
            usual_storage="",
            statistics=-1,
            options=(),
            acl=(),
            comment="",
            inherited="",
        )

    def stands_for(self, other: Column) -> bool:
        """Whether values of one are values of the other."""
        return (self.type, self.collation, self.identity, self.computed) == (
            (other.type, other.collation, other.identity, other.computed)
        )

    @property
    def computed(self) -> tuple[str, tuple[str, ...]]:
        """How its values are computed: the same text may call another function."""
        return self.generated, self.calls

    @property
    def nullable(self) -> Column:
        """The same where rows may lack a value, but for an identity, which always has one."""
        return self if self.identity else msgspec.structs.replace(self, not_null=False)

    @property
    def bare(self) -> Column:
        """Name and type alone."""
        return Column(name=self.name, type=self.type, collation=self.collation)


def settings(before: Column, after: Column, sequence: str = "") -> list[str]:
    """Clauses of ALTER TABLE that make everything but name, type and expression as in `after`.

    `sequence` is another name for the sequence of a new identity.
    """
    column = f"ALTER COLUMN {ident(after.name)}"
    out = []
    if before.identity and not after.identity:
        out.append(f"{column} DROP IDENTITY")
    if before.not_null and not after.not_null:
        out.append(f"{column} DROP NOT NULL")
    if before.generated and not after.generated:
        out.append(f"{column} DROP EXPRESSION")
    if after.not_null and not before.not_null:
        out.append(after.set_not_null)
    if after.storage != before.storage:
        out.append(f"{column} SET STORAGE {STORAGE[after.storage or before.usual_storage]}")
    if after.compression != before.compression:
        out.append(f"{column} SET COMPRESSION {_COMPRESSION.get(after.compression, 'DEFAULT')}")
    if after.statistics != before.statistics:
        out.append(f"{column} SET STATISTICS {after.statistics}")
    if after.options != before.options:
        if before.options:
            out.append(f"{column} RESET ({names_of(before.options)})")
        if after.options:
            out.append(f"{column} SET ({', '.join(after.options)})")
    if after.identity and not before.identity:
        out.append(f"{column} ADD {after.identity.clause(sequence)}")
    elif after.identity and before.identity and after.identity.always != before.identity.always:
        out.append(f"{column} SET GENERATED {after.identity.generated}")
    return out


def further(table: tuple[str, ...], owner: str, before: Column, after: Column, keyword: str = "TABLE") -> list[str]:
    """Statements for what ALTER TABLE has no clause for."""
    out = []
    from_parents = after.inherited in ("alone", "looser")  # then so is the name, and changes with theirs
    first_name = before.not_null_name or usual_not_null_name(table[-1], before.name)
    name = after.not_null_name or usual_not_null_name(table[-1], after.name)
    if before.not_null and after.not_null and first_name != name and not from_parents:
        out.append(f"ALTER TABLE {qualified(*table)} RENAME CONSTRAINT {ident(first_name)} TO {ident(name)}")
    if after.identity:
        sequence = qualified(*after.identity.sequence)
        if before.identity is None:
            first: Identity = after.identity.made_for(after.type)
            out.append(go_on_behind(after.identity.sequence, table, after.name, after.identity.counting.increment))
        else:
            first = before.identity
            if first.sequence[1] != after.identity.sequence[1]:
                old = qualified(*first.sequence)
                out.append(f"ALTER SEQUENCE {old} RENAME TO {ident(after.identity.sequence[1])}")
        if first.counting != after.identity.counting:
            data_type = after.identity.counting.data_type
            out.append(f"ALTER SEQUENCE {sequence} {after.identity.counting.clause(data_type)}")
        rights = (privileges.Grant(owner, owner, "Urw"),)
        out += privileges.statements(
            first.acl if first.acl is not None else rights,
            after.identity.acl if after.identity.acl is not None else rights,
            owner,
            f"SEQUENCE {sequence}",
        )
        if after.identity.comment != first.comment:
            out.append(f"COMMENT ON SEQUENCE {sequence} IS {_text(after.identity.comment)}")
    if after.acl != before.acl:
        out += privileges.statements(before.acl, after.acl, owner, f"TABLE {qualified(*table)}", after.name)
    if after.comment != before.comment:
        out.append(f"COMMENT ON COLUMN {qualified(*table, after.name)} IS {_text(after.comment)}")
    return out


def settled(columns: Iterable[Column], before: PgObject, after: PgObject) -> tuple[Column, ...]:
    """What is left of the columns' privileges when `before` has the owner and the privileges of `after`.

    Those of the old owner are the new one's then, and what is revoked of a table is revoked of its columns.
    """
    acl = before.acl
    if acl is not None:
        acl = privileges.given_to(acl, before.owner, after.owner)
    revoked = privileges.revoked(acl, after.acl, after.owner)
    found = []
    for c in columns:
        identity = c.identity
        if identity and identity.acl:
            given = privileges.given_to(identity.acl, before.owner, after.owner)
            identity = msgspec.structs.replace(identity, acl=given)
        left = privileges.without(privileges.given_to(c.acl, before.owner, after.owner), revoked)
        found.append(msgspec.structs.replace(c, acl=left, identity=identity))
    return tuple(found)


def usual_not_null_name(table: str, column: str = "") -> str:
    """What the server calls the constraint (makeObjectName in src/backend/commands/indexcmds.c): 63 bytes at most.

    A domain's has no column in its name.
    """
    first, second = table.encode(), column.encode()
    room = 63 - len("__not_null" if column else "_not_null")
    while len(first) + len(second) > room:
        first, second = (first[:-1], second) if len(first) > len(second) else (first, second[:-1])
    middle = f"_{second.decode(errors='ignore')}" if column else ""
    return f"{first.decode(errors='ignore')}{middle}_not_null"


def names_of(options: tuple[str, ...]) -> str:
    """Of `name=value` the names, for RESET."""
    return ", ".join(o.partition("=")[0] for o in options)


def _text(comment: str) -> str:
    return literal(comment) if comment else "NULL"


def asked(major: int) -> tuple[str, ...]:
    """What `read` always asks."""
    return (_COLUMNS, _NOT_NULLS) if major >= 18 else (_COLUMNS,)


def read(r: Reading) -> None:
    """Fills `r.columns`; sequences come first, for the identities."""
    rows = r.rows(_COLUMNS)
    odd = [row for row in rows if row[6]]
    special = {}
    if odd:
        answers = r.rows(_SPECIAL, ([row[0] for row in odd], [row[1] for row in odd]))
        special = {(relation, number): rest for relation, number, *rest in answers}
    not_nulls = _read_not_nulls(r) if r.major >= 18 else {}
    commented = {(oid, number) for classid, oid, number in r.comments if classid == PG_CLASS and number}
    relation = 0
    columns: list[Column] = []
    names: dict[int, str] = {}
    types: dict[int, int] = {}
    for relation_now, number, name, type_oid, type_name, not_null, is_special in rows:
        if relation_now != relation:
            r.columns[relation] = tuple(columns)
            relation, columns = relation_now, []
            names = r.attributes[relation] = {}
            types = r.types_of[relation] = {}
        names[number] = name
        types[number] = type_oid
        if is_special:
            columns.append(_special(r, relation, number, (name, type_name, not_null), special[relation, number]))
        elif commented and (relation, number) in commented:
            comment = r.comment(PG_CLASS, relation, number)
            columns.append(Column(name=name, type=type_name, not_null=not_null, comment=comment))
        else:
            columns.append(Column(name=name, type=type_name, not_null=not_null))
    r.columns[relation] = tuple(columns)
    for (relation, number), name in not_nulls.items():
        place = list(r.attributes[relation]).index(number)
        named = list(r.columns[relation])
        named[place] = msgspec.structs.replace(named[place], not_null_name=name)
        r.columns[relation] = tuple(named)


def _read_not_nulls(r: Reading) -> dict[tuple[int, int], str]:
    """The names that aren't the usual ones. What is more than a name is only watched."""
    found = {}
    for relation, number, name, schema, table, column, no_inherit, validated, own, comment in r.rows(_NOT_NULLS):
        if own:
            r.own_not_nulls.add((relation, number))
        if no_inherit or not validated or comment:
            odd = ObjectId("constraint", (schema, table, name))
            r.objects[odd] = UnmanagedObject(id=odd, digest=f"{column} {no_inherit} {validated} {comment}")
        if name != usual_not_null_name(table, column):
            found[relation, number] = name
    return found


def _special(r: Reading, relation: int, number: int, plain: tuple[str, str, bool], rest: list[Any]) -> Column:
    """A column with more to it than a name, a type and NOT NULL."""
    (
        _,
        generated,
        uses,
        calls,
        bound,
        collation,
        storage,
        usual_storage,
        compression,
        statistics,
        acl,
        options,
        collation_oid,
    ) = rest
    if collation:
        r.collated[relation, number] = collation_oid
    if generated:
        r.generated.add((relation, number))
    return Column(
        name=plain[0],
        type=plain[1],
        not_null=plain[2],
        identity=r.identities.get((relation, number)),
        generated=generated,
        uses=tuple(uses or ()),
        calls=tuple(calls or ()),
        bound=bound,
        collation=collation or "",
        storage=storage,
        usual_storage=usual_storage,
        compression=compression,
        statistics=statistics,
        options=tuple(options),
        acl=privileges.parse(acl or ()),
        comment=r.comment(PG_CLASS, relation, number),
    )
