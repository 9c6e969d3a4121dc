"""Types: enums, domains, composite types and ranges."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import msgspec

from tagback.catalog import LABEL, Action, Alteration, Catalog, Loss, LossKind, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.column import Column, usual_not_null_name
from tagback.engines.postgres.kinds.own_type import OwnType
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.kinds.turning import cast
from tagback.engines.postgres.reading import PG_CLASS, PG_CONSTRAINT, PG_TYPE, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified, stable

_TYPES = Rare(
    """
SELECT t.oid, n.nspname, t.typname, t.typtype, t.typowner, t.typacl::text[], format_type(t.oid, NULL), t.typrelid,
       format_type(t.typbasetype, t.typtypmod), t.typnotnull, pg_get_expr(t.typdefaultbin, 0),
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN
         (SELECT quote_ident(nspname) || '.' || quote_ident(collname)
            FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = t.typcollation)
       END,
       CASE WHEN t.typtype = 'e' THEN
         ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder)
       END,
       CASE WHEN t.typtype = 'e' THEN
         ARRAY(SELECT e.oid::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder)
       END
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c') AND t.typnamespace IN ({ns})
""",
    unless="(SELECT oid FROM pg_type WHERE typtype IN ('d', 'e') UNION ALL SELECT oid FROM pg_class WHERE relkind = 'c') t"
    " WHERE oid >= 16384",
)
_DOMAIN_CHECKS = Rare(
    """
SELECT oid, contypid, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE contypid <> 0 AND contype = 'c' ORDER BY conname COLLATE "C"
""",
    unless="pg_type WHERE typtype = 'd' AND oid >= 16384",
)
# From 17 on a domain's NOT NULL is a constraint with a name, which it mostly has from the domain.
_DOMAIN_NOT_NULLS = Rare(
    """
SELECT k.contypid, k.conname, t.typname
  FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid WHERE k.contypid <> 0 AND k.contype = 'n'
""",
    unless="pg_type WHERE typtype = 'd' AND oid >= 16384",
)
_RANGES = Rare(
    """
SELECT t.oid, n.nspname, t.typname, t.typowner, t.typacl::text[], format_type(t.oid, NULL),
       format_type(g.rngsubtype, NULL),
       (SELECT quote_ident(nspname) || '.' || quote_ident(opcname)
          FROM pg_opclass o JOIN pg_namespace cn ON cn.oid = o.opcnamespace WHERE o.oid = g.rngsubopc),
       (SELECT quote_ident(nspname) || '.' || quote_ident(collname)
          FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = g.rngcollation),
       CASE WHEN g.rngcanonical <> 0 THEN g.rngcanonical::text END,
       CASE WHEN g.rngsubdiff <> 0 THEN g.rngsubdiff::text END,
       g.rngmultitypid,
       ARRAY(SELECT x FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace,
             unnest(ARRAY[mn.nspname::text, m.typname::text]) x WHERE m.oid = g.rngmultitypid)
  FROM pg_range g
  JOIN pg_type t ON t.oid = g.rngtypid
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typnamespace IN ({ns})
""",
    unless="pg_range WHERE rngtypid >= 16384",
)


class Enum(OwnType, frozen=True, kw_only=True, omit_defaults=True, tag="enum"):
    """Labels can be added, but not used in the same transaction, nor removed or moved: so the type is always replaced.

    Which label got which name is known of deployments; of what was changed by hand, it is only told where nothing else
    changed. Otherwise rows with a label that isn't there make the replacement fail, and nothing is lost.
    """

    labels: tuple[str, ...] = ()

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        return isinstance(after, Enum) and not set(after.labels) <= set(self.labels)

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE TYPE {self.address} AS ENUM ({', '.join(literal(label) for label in self.labels)})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Enum)
        if after.labels == self.labels:
            return Alteration(self.resettle(after))
        renamed = self.renamed_labels(after, live)
        names = dict(renamed)
        alter = f"ALTER TYPE {self.address} RENAME VALUE"
        steps = self.steps([f"{alter} {literal(old)} TO {literal(new)}" for old, new in renamed])
        if tuple(names.get(label, label) for label in self.labels) == after.labels:
            return Alteration(steps + self.resettle(after))
        rest = self.replaced(after, live, target)
        return replace(rest, steps=steps + rest.steps)

    def renamed_labels(self, after: Enum, live: Catalog) -> list[tuple[str, str]]:
        """Labels that have another name afterwards, as far as that is known or seen."""
        return self._known(after, live) or self._renamed(after)

    def _known(self, after: Enum, live: Catalog) -> list[tuple[str, str]]:
        """Labels that are known to have got another name, where no other one has it by now: values follow."""
        pairs = live.former.get(self.id, {}).items()
        return [
            (old, new)
            for old, new in pairs
            if old in self.labels and new in after.labels and old not in after.labels and new not in self.labels
        ]

    def _renamed(self, after: Enum) -> list[tuple[str, str]]:
        """Labels that are others in the same places: values follow, so nothing that has them is touched."""
        if len(self.labels) != len(after.labels):
            return []
        pairs = [(old, new) for old, new in zip(self.labels, after.labels, strict=True) if old != new]
        return [] if any(old in after.labels or new in self.labels for old, new in pairs) else pairs


class DomainCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A domain's constraint; `definition` is the server's text."""

    name: str
    definition: str
    comment: str = ""


class Domain(OwnType, frozen=True, kw_only=True, omit_defaults=True, tag="domain"):
    """`not_null_name` is empty where it is what the server chooses."""

    base: str
    not_null: bool = False
    not_null_name: str = ""
    default: str = ""
    collation: str = ""
    checks: tuple[DomainCheck, ...] = ()

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        if not isinstance(after, Domain):
            return False
        return (self.not_null and not after.not_null) or not set(self.checks) <= set(after.checks)

    keyword: ClassVar[str] = "DOMAIN"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE DOMAIN {self.address} AS {self.base}"
        if self.collation:
            sql += f" COLLATE {self.collation}"
        if self.default:
            sql += f" DEFAULT {stable(self.default)}"
        if self.not_null:
            sql += f" CONSTRAINT {ident(self.not_null_name)} NOT NULL" if self.not_null_name else " NOT NULL"
        sqls = self._checks((), self.checks)
        if "." in self.base and not self.default:  # it has that of the domain that it is made of
            sqls.append(f"ALTER DOMAIN {self.address} DROP DEFAULT")
        return (self.step(sql, Action.CREATE), *self.settle(), *self.steps(sqls))

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Domain)
        if (after.base, after.collation) != (self.base, self.collation):
            return self.replaced(after, live, target)
        renamed = self._renamed_checks(after)
        stays = msgspec.structs.replace(
            self, checks=tuple(msgspec.structs.replace(c, name=renamed.get(c.name, c.name)) for c in self.checks)
        )
        if (stays.limits_less_than(after)) and (self._is_within(live) or self._is_within(target)):
            return self.replaced(after, live, target)  # the server can't tell then whether all values keep what comes
        sqls = []
        alter = f"ALTER DOMAIN {self.address}"
        if after.default != self.default:
            sqls.append(f"{alter} SET DEFAULT {stable(after.default)}" if after.default else f"{alter} DROP DEFAULT")
        if after.not_null and not self.not_null and after.not_null_name:
            sqls.append(f"{alter} ADD CONSTRAINT {ident(after.not_null_name)} NOT NULL")
        elif after.not_null != self.not_null:
            sqls.append(f"{alter} {'SET' if after.not_null else 'DROP'} NOT NULL")
        elif after.not_null_name != self.not_null_name and after.not_null:
            names = [d.not_null_name or usual_not_null_name(d.id.name[-1]) for d in (self, after)]
            sqls.append(f"{alter} RENAME CONSTRAINT {ident(names[0])} TO {ident(names[1])}")
        sqls += [f"{alter} RENAME CONSTRAINT {ident(old)} TO {ident(new)}" for old, new in renamed.items()]
        return Alteration(self.steps(sqls + self._checks(stays.checks, after.checks)) + self.resettle(after))

    def limits_less_than(self, after: Domain) -> bool:
        """Whether it allows values that the other doesn't."""
        limits = [{(c.name, c.definition) for c in d.checks} for d in (self, after)]
        return (after.not_null and not self.not_null) or not limits[1] <= limits[0]

    def _renamed_checks(self, after: Domain) -> dict[str, str]:
        """Checks that are the same under another name."""
        names = [{c.name for c in d.checks} for d in (self, after)]
        come = {c.definition: c.name for c in after.checks if c.name not in names[0]}
        gone = {c.definition: c.name for c in self.checks if c.name not in names[1]}
        return {name: come[definition] for definition, name in gone.items() if definition in come}

    def _is_within(self, catalog: Catalog) -> bool:
        """Whether values of it are in a column as parts of others: in arrays, rows or ranges."""
        return any(
            i.kind in ("composite type", "range")
            or (
                i.kind in ("table", "materialized view")
                and any(c.type == f"{self.spelled}[]" for c in getattr(catalog.objects[i], "columns", ()))
            )
            for i in catalog.dependents_of(self.id)
        )

    def _checks(self, before: tuple[DomainCheck, ...], after: tuple[DomainCheck, ...]) -> list[str]:
        old = {c.name: c for c in before}
        new = {c.name: c for c in after}
        out = []
        for name, check in old.items():
            if name not in new or new[name].definition != check.definition:
                out.append(f"ALTER DOMAIN {self.address} DROP CONSTRAINT {ident(name)}")
        for name, check in new.items():
            stays = name in old and old[name].definition == check.definition
            if not stays:
                out.append(f"ALTER DOMAIN {self.address} ADD CONSTRAINT {ident(name)} {stable(check.definition)}")
            if check.comment != (old[name].comment if stays else ""):
                text = literal(check.comment) if check.comment else "NULL"
                out.append(f"COMMENT ON CONSTRAINT {ident(name)} ON DOMAIN {self.address} IS {text}")
        return out


class CompositeType(OwnType, frozen=True, kw_only=True, omit_defaults=True, tag="composite type"):
    columns: tuple[Column, ...] = ()

    @property
    def parts(self) -> Iterable[ObjectId]:
        return [ObjectId("column", (*self.id.name, c.name)) for c in self.columns]

    @property
    def is_held(self) -> bool:
        return True

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE TYPE {self.address} AS ({', '.join(_attribute(c) for c in self.columns)})"
        comments = [self._column_comment(c) for c in self.columns if c.comment]
        return (self.step(sql, Action.CREATE), *self.settle(), *self.steps(comments))

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        """In place when attributes only go, or come at the end; else anew, attribute by attribute."""
        assert isinstance(after, CompositeType)
        old = {c.name: c for c in self.columns}
        kept = [c for c in after.columns if c.name in old]
        gone = [c for c in self.columns if c.name not in {k.name for k in kept}]
        come = [c for c in after.columns if c.name not in old]
        in_order = [c.name for c in self.columns if c not in gone] == [c.name for c in kept]
        changed = any(_attribute(old[c.name]) != _attribute(c) for c in kept)
        if in_order and not gone and not come and changed:
            return self.replaced(after, live, target)  # by way of text, in which attributes go by their place
        typed = [t.id for t in live.objects.values() if isinstance(t, Table) and t.of_type == self.spelled]
        if typed and (gone or come):
            # ALTER TYPE … CASCADE would change these tables, which have their own way back.
            told = f"{self.id} gives {typed[0]} its columns, and gets others."
            return Alteration((), impossible=told, holders=frozenset(typed))
        spellings = (self.spelled, f"{self.spelled}[]")
        lost = [
            Loss(LossKind.COLUMN, t.id, c.name)
            for t in live.objects.values()
            if isinstance(t, Table)
            for c in t.columns
            if c.type in spellings
        ]
        if not in_order or list(after.columns) != kept + come or changed:
            turned = {self.spelled: functools.partial(self._turned, after)}
            return self.replaced(after, live, target, turned, lost if gone else [])
        drops = [
            self.step(f"ALTER TYPE {self.address} DROP ATTRIBUTE {ident(c.name)}", Action.ALTER, destroys=lost)
            for c in gone
        ]
        sqls = []
        sqls += [f"ALTER TYPE {self.address} ADD ATTRIBUTE {_attribute(c)}" for c in come]
        sqls += [
            self._column_comment(c)
            for c in after.columns
            if c.comment != (old[c.name].comment if c.name in old else "")
        ]
        disturbed = frozenset(ObjectId("column", (*self.id.name, c.name)) for c in gone)
        return Alteration((*drops, *self.steps(sqls), *self.resettle(after)), disturbed)

    def _turned(self, after: CompositeType, value: str) -> str:
        """The value as one of the other type."""
        if not after.columns:
            return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN {literal('()')}::{after.spelled} END"
        old = {c.name: c for c in self.columns}
        fields = [
            cast(f"({value}).{ident(c.name)}", old[c.name].type, c.type) if c.name in old else "NULL"
            for c in after.columns
        ]
        return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN ROW({', '.join(fields)})::{after.spelled} END"

    def _column_comment(self, column: Column) -> str:
        text = literal(column.comment) if column.comment else "NULL"
        return f"COMMENT ON COLUMN {self.address}.{ident(column.name)} IS {text}"


class Range(OwnType, frozen=True, kw_only=True, omit_defaults=True, tag="range"):
    subtype: str
    operators: str
    collation: str = ""
    canonical_function: str = ""
    difference: str = ""
    multirange: tuple[str, str] | None = None

    @property
    def parts(self) -> Iterable[ObjectId]:
        """Its multirange: made and dropped with it, but renamed and moved by itself."""
        return [ObjectId("multirange", self.multirange)] if self.multirange else ()

    def create(self) -> tuple[Step, ...]:
        parts = [f"subtype = {self.subtype}", f"subtype_opclass = {self.operators}"]
        if self.collation:
            parts.append(f"collation = {self.collation}")
        if self.canonical_function:
            parts.append(f"canonical = {self.canonical_function}")
        if self.difference:
            parts.append(f"subtype_diff = {self.difference}")
        if self.multirange:
            parts.append(f"multirange_type_name = {qualified(*self.multirange)}")
        return (self.step(f"CREATE TYPE {self.address} AS RANGE ({', '.join(parts)})", Action.CREATE), *self.settle())

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        return (
            Alteration(self.resettle(after)) if isinstance(after, Range) and self.only_settings_differ(after) else None
        )


def _attribute(column: Column) -> str:
    return f"{ident(column.name)} {column.type}" + (f" COLLATE {column.collation}" if column.collation else "")


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_DOMAIN_CHECKS, _TYPES, _RANGES, *((_DOMAIN_NOT_NULLS,) if major >= 17 else ()))


def read(r: Reading) -> None:
    checks: dict[int, list[DomainCheck]] = {}
    domain_of: dict[int, int] = {}
    not_nulls = {}
    for domain, name, of in r.rows(_DOMAIN_NOT_NULLS) if r.major >= 17 else ():
        not_nulls[domain] = name if name != usual_not_null_name(of) else ""
    for oid, domain, name, definition in r.rows(_DOMAIN_CHECKS):
        check = DomainCheck(name=name, definition=definition, comment=r.comment(PG_CONSTRAINT, oid))
        checks.setdefault(domain, []).append(check)
        domain_of[oid] = domain
    for (
        oid, schema, name, kind, owner, acl, spelled, relation, base, not_null, default, collation, labels, label_oids,
    ) in r.rows(_TYPES):  # fmt: skip
        if r.is_member(PG_TYPE, oid) or (relation and r.is_member(PG_CLASS, relation)):
            continue
        role = r.roles[owner]
        privileges = r.acl("T", role, acl)
        comment = r.comment(PG_TYPE, oid)
        found: SchemaObject
        if kind == "e":
            found = Enum(
                id=ObjectId("enum", (schema, name)),
                owner=role,
                acl=privileges,
                comment=comment,
                spelled=spelled,
                labels=tuple(labels),
            )
            for label, label_oid in zip(labels, label_oids, strict=True):
                r.lineage[ObjectId(LABEL, (schema, name, label))] = label_oid
        elif kind == "d":
            found = Domain(
                id=ObjectId("domain", (schema, name)),
                owner=role,
                acl=privileges,
                comment=comment,
                spelled=spelled,
                base=base,
                not_null=not_null,
                not_null_name=not_nulls.get(oid, ""),
                default=default or "",
                collation=collation or "",
                checks=tuple(checks.get(oid, ())),
            )
        else:
            found = CompositeType(
                id=ObjectId("composite type", (schema, name)),
                owner=role,
                acl=privileges,
                comment=comment,
                spelled=spelled,
                columns=r.columns.get(relation, ()),
            )
            r.addresses[PG_CLASS, relation] = found.id
            r.relations[relation] = found.id
            r.trace_columns(relation)
        r.add(PG_TYPE, oid, found)
    for oid, domain in domain_of.items():
        if (PG_TYPE, domain) in r.addresses:
            r.addresses[PG_CONSTRAINT, oid] = r.addresses[PG_TYPE, domain]
    _read_ranges(r)


def _read_ranges(r: Reading) -> None:
    for (
        oid, schema, name, owner, acl, spelled, subtype, operators, collation, canonical, difference, multi_oid, multi,
    ) in r.rows(_RANGES):  # fmt: skip
        if r.is_member(PG_TYPE, oid):
            continue
        role = r.roles[owner]
        found = Range(
            id=ObjectId("range", (schema, name)),
            owner=role,
            acl=r.acl("T", role, acl),
            comment=r.comment(PG_TYPE, oid),
            spelled=spelled,
            subtype=subtype,
            operators=operators,
            collation=collation or "",
            canonical_function=canonical or "",
            difference=difference or "",
            multirange=(multi[0], multi[1]) if multi else None,
        )
        r.add(PG_TYPE, oid, found)
        for part in found.parts:
            r.lineage[part] = str(multi_oid)
