"""Sequences. Those of identity columns are part of their column; where a sequence stands isn't schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.privileges import Acl
from tagback.engines.postgres.reading import PG_CLASS, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified

_SEQUENCES = Rare(
    """
SELECT c.oid, n.nspname, c.relname, c.relowner, c.relacl::text[], c.relpersistence,
       s.seqtypid::regtype::text, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
       d.deptype, d.refobjid, d.refobjsubid, tn.nspname, t.relname, a.attname, a.attidentity
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_sequence s ON s.seqrelid = c.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  LEFT JOIN pg_class t ON t.oid = d.refobjid
  LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE c.relkind = 'S' AND c.relnamespace IN ({ns})
""",
    unless="pg_sequence",
)
_TYPES = ("base type", "composite type", "domain", "enum", "multirange", "range")
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")

LAST = {"smallint": 32767, "integer": 2147483647, "bigint": 9223372036854775807}
"""The last number of each type that can be counted by an identity."""


class Counting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a sequence counts."""

    data_type: str = "bigint"
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cache: int = 1
    cycle: bool = False

    def within(self, data_type: str) -> Counting:
        """The same, no further than the type's values go."""
        last = LAST[data_type]
        return msgspec.structs.replace(self, minimum=max(self.minimum, -last - 1), maximum=min(self.maximum, last))

    def clause(self, data_type: str = "") -> str:
        """The options of CREATE SEQUENCE; the type of an identity's sequence is its column's."""
        return (
            (f"AS {data_type} " if data_type else "")
            + f"START WITH {self.start} INCREMENT BY {self.increment} MINVALUE {self.minimum} MAXVALUE {self.maximum}"
            + f" CACHE {self.cache}{' CYCLE' if self.cycle else ' NO CYCLE'}"
        )


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What makes a column an identity column. Its sequence has the table's owner."""

    always: bool = False
    sequence: tuple[str, str]
    counting: Counting
    acl: Acl | None = None
    comment: str = ""

    @property
    def generated(self) -> str:
        return "ALWAYS" if self.always else "BY DEFAULT"

    def made_for(self, data_type: str) -> Identity:
        """What its clause makes of it for a column of this type; one made by LIKE may count in another."""
        counting = msgspec.structs.replace(self.counting, data_type=data_type)
        return msgspec.structs.replace(self, counting=counting, acl=None, comment="")

    def clause(self, sequence: str = "") -> str:
        """As in a column's definition; `sequence` is another name, already in quotes."""
        name = sequence or qualified(*self.sequence)
        return f"GENERATED {self.generated} AS IDENTITY (SEQUENCE NAME {name} {self.counting.clause()})"


class Sequence(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="sequence"):
    counting: Counting
    persistence: str = "p"
    owned_by: tuple[str, str, str] | None = None

    keyword: ClassVar[str] = "SEQUENCE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "Urw"),)

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId("table", self.owned_by[:2]) if self.owned_by else None

    @property
    def carries_data(self) -> bool:
        return True

    def create(self) -> tuple[Step, ...]:
        return self._create_as(self.id.name[1])

    def create_in(self, target: Catalog) -> tuple[Step, ...]:
        """No sequence is made under the name of a type (heap_create_with_catalog), but it can be renamed to that."""
        taken = any(target.owner_of(ObjectId(kind, self.id.name)) is not None for kind in _TYPES)
        return self._create_as(
            f"{self.id.name[1][:40]}_by_tagback" if taken else self.id.name[1], self._goes_on(target)
        )

    def _goes_on(self, target: Catalog) -> bool:
        """Whether its column has numbers, behind which it has to go on."""
        table = target.objects.get(ObjectId("table", (self.owned_by or ("", ""))[:2]))
        columns = {c.name: c.type for c in getattr(table, "columns", ())}
        kind = columns.get(self.owned_by[2], "") if self.owned_by else ""
        bases = {o.spelled: o.base for o in target.objects.values() if o.id.kind == "domain"}  # type: ignore[attr-defined]
        while kind in bases:
            kind = bases[kind]
        return kind.partition("(")[0] in _NUMBERS

    def _create_as(self, name: str, goes_on: bool = True) -> tuple[Step, ...]:
        unlogged = "UNLOGGED " if self.persistence == "u" else ""
        first = qualified(self.id.name[0], name)
        sqls = [f"CREATE {unlogged}SEQUENCE {first} {self.counting.clause(self.counting.data_type)}"]
        if name != self.id.name[1]:
            sqls.append(f"ALTER SEQUENCE {first} RENAME TO {ident(self.id.name[1])}")
        go_on: tuple[Step, ...] = ()
        if self.owned_by and goes_on:
            go_on = self.steps(
                [go_on_behind(self.id.name, self.owned_by[:2], self.owned_by[2], self.counting.increment)]
            )
        return (*self.steps(sqls, Action.CREATE), *self.settle(), *self.put_back(), *go_on)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP SEQUENCE {self.address}", Action.DROP, "ACCESS EXCLUSIVE"),)

    def take_down(self) -> tuple[Step, ...]:
        return self.steps([f"ALTER SEQUENCE {self.address} OWNED BY NONE"]) if self.owned_by else ()

    def put_back(self) -> tuple[Step, ...]:
        return (
            self.steps([f"ALTER SEQUENCE {self.address} OWNED BY {qualified(*self.owned_by)}"]) if self.owned_by else ()
        )

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Sequence)
        sqls = []
        if self.owned_by:  # its column may go for a while, too
            sqls.append(f"ALTER SEQUENCE {self.address} OWNED BY NONE")
        if after.persistence != self.persistence:
            sqls.append(f"ALTER SEQUENCE {self.address} SET {'UNLOGGED' if after.persistence == 'u' else 'LOGGED'}")
        if after.counting != self.counting:
            data_type = after.counting.data_type if after.counting.data_type != self.counting.data_type else ""
            sqls.append(f"ALTER SEQUENCE {self.address} {after.counting.clause(data_type)}")
        steps = self.steps(sqls, lock="SHARE ROW EXCLUSIVE") + self.resettle(after)
        return Alteration(steps, tie=after.put_back())


def counted(columns: Iterable[str], table: ObjectId, live: Catalog, target: Catalog) -> dict[str, Counting]:
    """How those of the columns are counted that have a sequence of their own, which isn't there now."""
    found = {}
    for name in columns:
        default = ObjectId("default", (*table.name, name))
        for needed in target.dependencies.get(default, ()) if default in target.objects else ():
            sequence = target.objects.get(needed)
            if isinstance(sequence, Sequence) and sequence.owned_by == default.name and needed not in live.objects:
                found[name] = sequence.counting
    return found


def go_on_behind(sequence: tuple[str, ...], table: tuple[str, ...], column: str, increment: int) -> str:
    """Sets a new sequence behind the values that its column has already; does nothing for an empty table."""
    order = f"{ident(column)} DESC NULLS LAST" if increment > 0 else f"{ident(column)} NULLS LAST"
    return (
        f"SELECT pg_catalog.setval({literal(qualified(*sequence))}::pg_catalog.regclass, v.last::bigint)"
        f" FROM (SELECT pg_catalog.to_jsonb({ident(column)}) AS last FROM {qualified(*table)} ORDER BY {order} LIMIT 1) v,"
        f" pg_catalog.pg_sequence s WHERE s.seqrelid = {literal(qualified(*sequence))}::pg_catalog.regclass"
        " AND CASE WHEN pg_catalog.jsonb_typeof(v.last) = 'number'"
        " THEN v.last::numeric BETWEEN s.seqmin AND s.seqmax ELSE false END"
    )


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_SEQUENCES,)


def read(r: Reading) -> None:
    for (
        oid, schema, name, owner, acl, persistence, data_type, start, increment, low, high, cache, cycle,
        deptype, table_oid, attnum, table_schema, table, column, identity,
    ) in r.rows(_SEQUENCES):  # fmt: skip
        if r.is_member(PG_CLASS, oid):
            continue
        counting = Counting(
            data_type=data_type,
            start=start,
            increment=increment,
            minimum=low,
            maximum=high,
            cache=cache,
            cycle=cycle,
        )
        role = r.roles[owner]
        privileges = r.acl("s", role, acl)
        comment = r.comment(PG_CLASS, oid)
        if deptype == "i":
            r.addresses[PG_CLASS, oid] = ObjectId("table", (table_schema, table))
            r.counted[PG_CLASS, oid] = ObjectId("column", (table_schema, table, column))
            r.identities[table_oid, attnum] = Identity(
                always=identity == "a",
                sequence=(schema, name),
                counting=counting,
                acl=privileges,
                comment=comment,
            )
            continue
        r.relations[oid] = ObjectId("sequence", (schema, name))
        found = Sequence(
            id=r.relations[oid],
            owner=role,
            acl=privileges,
            comment=comment,
            counting=counting,
            persistence=persistence,
            owned_by=(table_schema, table, column) if column is not None else None,
        )
        r.add(PG_CLASS, oid, found)
