"""Operators, and the families and classes that tell indexes how to use them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_OPCLASS, PG_OPERATOR, PG_OPFAMILY, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, qualified

_NAMED = "'OPERATOR(' || quote_ident({0}n.nspname) || '.' || {0}.oprname || ')'"
# One without a function is only mentioned by another one so far: dumps don't show it.
_OPERATORS = Rare(
    f"""
SELECT o.oid, n.nspname, o.oprname, CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) ELSE 'NONE' END,
       CASE WHEN o.oprright <> 0 THEN format_type(o.oprright, NULL) ELSE 'NONE' END, o.oprowner, o.oprcode::regproc::text,
       {_NAMED.format("c")}, {_NAMED.format("g")},
       CASE WHEN o.oprrest <> 0 THEN o.oprrest::regproc::text ELSE '' END,
       CASE WHEN o.oprjoin <> 0 THEN o.oprjoin::regproc::text ELSE '' END, o.oprcanhash, o.oprcanmerge
  FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
  LEFT JOIN pg_operator c ON c.oid = o.oprcom
  LEFT JOIN pg_namespace cn ON cn.oid = c.oprnamespace
  LEFT JOIN pg_operator g ON g.oid = o.oprnegate
  LEFT JOIN pg_namespace gn ON gn.oid = g.oprnamespace
 WHERE o.oprcode <> 0 AND o.oprnamespace IN ({{ns}})
""",
    unless="pg_operator WHERE oid >= 16384",
)
_FAMILIES = Rare(
    """
SELECT f.oid, n.nspname, f.opfname, m.amname, f.opfowner
  FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
 WHERE f.opfnamespace IN ({ns})
""",
    unless="pg_opfamily WHERE oid >= 16384",
)
_CLASSES = Rare(
    """
SELECT c.oid, n.nspname, c.opcname, m.amname, c.opcowner, c.opcdefault, format_type(c.opcintype, NULL),
       CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) ELSE '' END, fn.nspname, f.opfname
  FROM pg_opclass c
  JOIN pg_namespace n ON n.oid = c.opcnamespace
  JOIN pg_am m ON m.oid = c.opcmethod
  JOIN pg_opfamily f ON f.oid = c.opcfamily
  JOIN pg_namespace fn ON fn.oid = f.opfnamespace
 WHERE c.opcnamespace IN ({ns})
""",
    unless="pg_opclass WHERE oid >= 16384",
)
# What is in a family: each hangs on the class that brought it, or else on the family.
_MEMBERS = Rare(
    """
SELECT d.refclassid, d.refobjid, d.classid, e.oid,
       format('OPERATOR %s', e.amopstrategy),
       format('(%s, %s)', format_type(e.amoplefttype, NULL), format_type(e.amoprighttype, NULL)),
       format('%s.%s (%s, %s)%s', quote_ident(n.nspname), o.oprname, format_type(o.oprleft, NULL),
              format_type(o.oprright, NULL),
              CASE WHEN e.amopsortfamily <> 0 THEN
                (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname) FROM pg_opfamily s
                   JOIN pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = e.amopsortfamily)
              ELSE '' END)
  FROM pg_amop e
  JOIN pg_depend d ON d.classid = 'pg_amop'::regclass AND d.objid = e.oid
                  AND d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass)
                  AND (d.refclassid = 'pg_opclass'::regclass OR d.refobjid = e.amopfamily)
  JOIN pg_operator o ON o.oid = e.amopopr
  JOIN pg_namespace n ON n.oid = o.oprnamespace
UNION ALL
SELECT d.refclassid, d.refobjid, d.classid, e.oid,
       format('FUNCTION %s', e.amprocnum),
       format('(%s, %s)', format_type(e.amproclefttype, NULL), format_type(e.amprocrighttype, NULL)),
       e.amproc::regprocedure::text
  FROM pg_amproc e
  JOIN pg_depend d ON d.classid = 'pg_amproc'::regclass AND d.objid = e.oid
                  AND d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass)
 ORDER BY 5, 6, 7
""",
    unless="pg_opfamily WHERE oid >= 16384",
)


class Operator(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="operator"):
    """Named by schema, name and the types on both sides, NONE where there is none."""

    function: str
    commutator: str = ""
    negator: str = ""
    restrict: str = ""
    join: str = ""
    hashes: bool = False
    merges: bool = False

    keyword: ClassVar[str] = "OPERATOR"

    @property
    def address(self) -> str:
        schema, name, left, right = self.id.name
        return f"{ident(schema)}.{name} ({left}, {right})"

    def create(self) -> tuple[Step, ...]:
        schema, name, left, right = self.id.name
        parts = [f"FUNCTION = {self.function}"]
        parts += [f"{word} = {type_}" for word, type_ in (("LEFTARG", left), ("RIGHTARG", right)) if type_ != "NONE"]
        options = {
            "COMMUTATOR": self.commutator,
            "NEGATOR": self.negator,
            "RESTRICT": self.restrict,
            "JOIN": self.join,
        }
        parts += [f"{word} = {value}" for word, value in options.items() if value]
        parts += ["HASHES"] * self.hashes + ["MERGES"] * self.merges
        sql = f"CREATE OPERATOR {ident(schema)}.{name} ({', '.join(parts)})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP OPERATOR {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Operator)
        if not self.only_settings_differ(after, "restrict", "join"):
            return None
        sqls = []
        if (after.restrict, after.join) != (self.restrict, self.join):
            estimates = f"RESTRICT = {after.restrict or 'NONE'}, JOIN = {after.join or 'NONE'}"
            sqls.append(f"ALTER OPERATOR {self.address} SET ({estimates})")
        return Alteration(self.steps(sqls) + self.resettle(after))


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An operator or a function in a family: `OPERATOR 1`, the types that it is for, and which it is."""

    place: str
    types: str
    what: str

    @property
    def added(self) -> str:
        """An operator's own types say what it is for."""
        return (
            f"{self.place} {self.what}"
            if self.place.startswith("OPERATOR")
            else f"{self.place} {self.types} {self.what}"
        )


class OperatorFamily(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="operator family"):
    """`members` are those that no class brought."""

    members: tuple[Member, ...] = ()

    keyword: ClassVar[str] = "OPERATOR FAMILY"

    @property
    def address(self) -> str:
        return f"{qualified(*self.id.name[:2])} USING {ident(self.id.name[2])}"

    def create(self) -> tuple[Step, ...]:
        return (
            self.step(f"CREATE OPERATOR FAMILY {self.address}", Action.CREATE),
            *self.steps(self._changed((), self.members)),
            *self.settle(),
        )

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP OPERATOR FAMILY {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, OperatorFamily)
        return Alteration(self.steps(self._changed(self.members, after.members)) + self.resettle(after))

    def _changed(self, before: tuple[Member, ...], after: tuple[Member, ...]) -> list[str]:
        gone = ", ".join(f"{m.place} {m.types}" for m in before if m not in after)
        come = ", ".join(m.added for m in after if m not in before)
        alter = f"ALTER OPERATOR FAMILY {self.address}"
        return [f"{alter} DROP {gone}"] * bool(gone) + [f"{alter} ADD {come}"] * bool(come)


class OperatorClass(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="operator class"):
    default: bool = False
    for_type: str
    storage: str = ""
    family: tuple[str, str]
    members: tuple[Member, ...] = ()

    keyword: ClassVar[str] = "OPERATOR CLASS"

    @property
    def address(self) -> str:
        return f"{qualified(*self.id.name[:2])} USING {ident(self.id.name[2])}"

    def create(self) -> tuple[Step, ...]:
        items = [m.added for m in self.members]
        if self.storage or not items:
            items.append(f"STORAGE {self.storage or self.for_type}")
        sql = f"CREATE OPERATOR CLASS {qualified(*self.id.name[:2])}{' DEFAULT' if self.default else ''}"
        sql += f" FOR TYPE {self.for_type} USING {ident(self.id.name[2])} FAMILY {qualified(*self.family)}"
        return (self.step(f"{sql} AS {', '.join(items)}", Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP OPERATOR CLASS {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, OperatorClass)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_OPERATORS, _FAMILIES, _CLASSES, _MEMBERS)


def read(r: Reading) -> None:
    for (
        oid, schema, name, left, right, owner, function, commutator, negator, restrict, join, hashes, merges,
    ) in r.rows(_OPERATORS):  # fmt: skip
        if r.is_member(PG_OPERATOR, oid):
            continue
        operator = Operator(
            id=ObjectId("operator", (schema, name, left, right)),
            owner=r.roles[owner],
            comment=r.comment(PG_OPERATOR, oid),
            function=function,
            commutator=commutator or "",
            negator=negator or "",
            restrict=restrict,
            join=join,
            hashes=hashes,
            merges=merges,
        )
        r.note(PG_OPERATOR, oid, operator)
    members: dict[tuple[int, int], list[Member]] = {}
    entries: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for refclassid, refobjid, classid, entry, place, types, what in r.rows(_MEMBERS):
        members.setdefault((refclassid, refobjid), []).append(Member(place=place, types=types, what=what))
        entries.append(((classid, entry), (refclassid, refobjid)))
    for oid, schema, name, method, owner in r.rows(_FAMILIES):
        if not r.is_member(PG_OPFAMILY, oid):
            family = OperatorFamily(
                id=ObjectId("operator family", (schema, name, method)),
                owner=r.roles[owner],
                comment=r.comment(PG_OPFAMILY, oid),
                members=tuple(members.get((PG_OPFAMILY, oid), ())),
            )
            r.note(PG_OPFAMILY, oid, family)
    for oid, schema, name, method, owner, default, type_, storage, family_schema, family_name in r.rows(_CLASSES):
        if not r.is_member(PG_OPCLASS, oid):
            found = OperatorClass(
                id=ObjectId("operator class", (schema, name, method)),
                owner=r.roles[owner],
                comment=r.comment(PG_OPCLASS, oid),
                default=default,
                for_type=type_,
                storage=storage,
                family=(family_schema, family_name),
                members=tuple(members.get((PG_OPCLASS, oid), ())),
            )
            r.note(PG_OPCLASS, oid, found)
    for entry, holder in entries:
        if holder in r.addresses:
            r.addresses[entry] = r.addresses[holder]
