"""What makes a table a partition of another one.

The table is made by itself, as a dump does it, with all that it must have to fit, and is attached then. Whatever changes
in what it has from its parent, it is detached before and attached again after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, TableMember
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.kinds.constraint import Constraint
from tagback.engines.postgres.kinds.index import Index
from tagback.engines.postgres.reading import PG_CLASS, PG_CONSTRAINT, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified, stable

_PARTITIONS = Rare(
    """
SELECT i.inhrelid, i.inhparent, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND c.relnamespace IN ({ns})
""",
    unless="pg_partitioned_table",
)
_INDEXES = Rare(
    """
SELECT x.indrelid, i.inhparent, i.inhrelid
  FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid JOIN pg_class c ON c.oid = x.indrelid
 WHERE c.relnamespace IN ({ns})
""",
    unless="pg_partitioned_table",
)
# Foreign keys are made by attaching, checks have to be there before.
_INHERITED = Rare(
    """
SELECT k.oid, k.conrelid, k.conname, k.contype, CASE WHEN k.contype = 'c' THEN pg_get_constraintdef(k.oid) END,
       (SELECT p.conname FROM pg_constraint p WHERE p.oid = k.conparentid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE c.relispartition AND c.relnamespace IN ({ns})
   AND (k.contype = 'c' AND k.coninhcount > 0 AND NOT k.conislocal
        OR k.contype = 'f' AND k.conparentid <> 0
           AND (SELECT p.conrelid FROM pg_constraint p WHERE p.oid = k.conparentid) <> k.conrelid)
""",
    unless="pg_partitioned_table",
)
_OTHER_STATES = Rare(
    """
SELECT DISTINCT t.tgrelid FROM pg_trigger t JOIN pg_trigger p ON p.oid = t.tgparentid WHERE p.tgenabled <> t.tgenabled
""",
    unless="pg_partitioned_table",
)


class InheritedCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A check that a partition has because what it is a partition of has it; `definition` is the server's text."""

    name: str
    definition: str
    comment: str = ""


class Attachment(TableMember, frozen=True, kw_only=True, omit_defaults=True, tag="attachment"):
    """Named by the partition. `bound` is the server's text.

    The rest is what the two have in common: the parent's columns as SQL, checks, names of foreign keys, and pairs of
    indexes, the parent's first.
    """

    parent: tuple[str, str]
    bound: str
    columns: tuple[str, ...] = ()
    checks: tuple[InheritedCheck, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()

    keyword: ClassVar[str] = "PARTITION"

    @property
    def attaches(self) -> tuple[tuple[ObjectId, ObjectId], ...]:
        return ((ObjectId("table", self.id.name[:2]), ObjectId("table", self.parent)),)

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        """Rows have to be within the bound; what a table only has in common with its parent limits by itself."""
        return not isinstance(after, Attachment) or (after.parent, after.bound) != (self.parent, self.bound)

    def limits_others(self, catalog: Catalog) -> bool:
        """A default partition may have got rows that belong here."""
        return any(
            isinstance(o, Attachment) and o.parent == self.parent and o.bound == "DEFAULT" and o.id != self.id
            for o in catalog.objects.values()
        )

    def create(self) -> tuple[Step, ...]:
        sqls = [
            f"ALTER TABLE {self.table} ADD CONSTRAINT {ident(c.name)} {stable(c.definition)}" for c in self.checks
        ] + [self._comment_on(c) for c in self.checks if c.comment]
        attach = f"ALTER TABLE ONLY {qualified(*self.parent)} ATTACH PARTITION {self.table} {self.bound}"
        return (*self.steps(sqls, lock=ACCESS_EXCLUSIVE), self.step(attach, Action.CREATE, ACCESS_EXCLUSIVE))

    def drop(self) -> tuple[Step, ...]:
        """The server leaves behind what the partition had from its parent; its own it has all the same."""
        detach = f"ALTER TABLE {qualified(*self.parent)} DETACH PARTITION {self.table}"
        left = [*(c.name for c in self.checks), *self.foreign_keys]
        sqls = [f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {ident(name)}" for name in left]
        return (self.step(detach, Action.DROP, ACCESS_EXCLUSIVE), *self.steps(sqls, lock=ACCESS_EXCLUSIVE))

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        """Checks and foreign keys come and go with the parent's."""
        assert isinstance(after, Attachment)
        if not self.only_settings_differ(after, "checks", "foreign_keys"):
            return None
        had = {c.name: c.comment for c in self.checks}
        sqls = [after._comment_on(c) for c in after.checks if c.comment != had.get(c.name, "")]
        return Alteration(self.steps(sqls))

    def _comment_on(self, check: InheritedCheck) -> str:
        text = literal(check.comment) if check.comment else "NULL"
        return f"COMMENT ON CONSTRAINT {ident(check.name)} ON {self.table} IS {text}"


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_PARTITIONS, _INDEXES, _INHERITED, _OTHER_STATES)


def read(r: Reading) -> None:
    """Reads the attachments; tables, indexes and constraints come first."""
    partitions = r.rows(_PARTITIONS)
    indexes: dict[int, list[tuple[ObjectId, ObjectId]]] = {}
    for relation, parent, child in r.rows(_INDEXES):
        pair = r.addresses.get((PG_CLASS, parent)), r.addresses.get((PG_CLASS, child))
        if pair[0] is not None and pair[1] is not None:
            indexes.setdefault(relation, []).append((pair[0], pair[1]))
    checks: dict[int, list[InheritedCheck]] = {}
    foreign_keys: dict[int, list[str]] = {}
    odd = {relation for (relation,) in r.rows(_OTHER_STATES)}
    for oid, relation, name, kind, definition, parent_name in r.rows(_INHERITED):
        comment = r.comment(PG_CONSTRAINT, oid)
        if kind == "c":
            checks.setdefault(relation, []).append(InheritedCheck(name=name, definition=definition, comment=comment))
        else:
            foreign_keys.setdefault(relation, []).append(name)
            if comment or name != parent_name:  # attaching would give it the parent's name and no comment
                odd.add(relation)
    hanging = _indexes_of_tables(r)
    parents = {relation: parent for relation, parent, *_ in partitions}
    for relation, parent, bound, detaching in partitions:
        table, whole = r.relations.get(relation), r.relations.get(parent)
        if table is None or whole is None:
            continue
        pairs = sorted(indexes.get(relation, ()))
        found = Attachment(
            id=ObjectId("attachment", (*table.name, "partition")),
            parent=(whole.name[0], whole.name[1]),
            bound=bound,
            columns=tuple(_inherited(c) for c in r.columns.get(parent, ())),
            checks=tuple(sorted(checks.get(relation, ()), key=lambda c: c.name)),
            foreign_keys=tuple(sorted(foreign_keys.get(relation, ()))),
            indexes=tuple((a.name[-1], b.name[-1]) for a, b in pairs),
        )
        r.partitions.setdefault(whole, []).append(found.id)
        needs = {table, whole, *(i for pair in pairs for i in pair)}
        needs |= {*r.column_ids[relation].values(), *r.column_ids[parent].values()}
        needs |= {i for check in found.checks if check.comment for i in _origin(r, check.name, parent, parents)}
        r.needs[found.id] = needs
        for i in hanging.get(whole, ()):  # one that the partition has none for: it would get one if this came after
            o = r.objects[i]
            if isinstance(o, Index) and o.partitioned and i not in {a for a, _ in pairs}:
                r.needs.setdefault(i, set()).add(found.id)
        watched = {relation, parent} & (odd | r.watched_only)
        ambiguous = _ambiguous(r, hanging.get(table, ()), {b for _, b in pairs})
        # Before 16 CREATE … PARTITION OF makes such a partition, and nothing else does.
        unlike = r.major < 16 and _computed(r, relation) != _computed(r, parent)
        r.objects[found.id] = r.unmanaged(found) if watched or detaching or ambiguous or unlike else found


def _computed(r: Reading, relation: int) -> dict[str, str]:
    return {c.name: c.generated for c in r.columns.get(relation, ()) if c.generated}


def _inherited(column: Column) -> str:
    """What a partition's column has from its parent's."""
    return msgspec.structs.replace(column.as_defined, identity=None, compression="", not_null_name="").definition()


def _origin(r: Reading, check: str, relation: int | None, parents: Mapping[int, int]) -> list[ObjectId]:
    """The constraint that a check has come down from: a comment on what came down can't be made before it."""
    while relation is not None and relation in r.relations:
        object_id = ObjectId("constraint", (*r.relations[relation].name, check))
        if object_id in r.objects:
            return [object_id]
        relation = parents.get(relation)
    return []


def _indexes_of_tables(r: Reading) -> dict[ObjectId, list[ObjectId]]:
    found: dict[ObjectId, list[ObjectId]] = {}
    if r.partitioned:
        for o in r.objects.values():
            if isinstance(o, (Index, Constraint)) and o.part_of is not None:
                found.setdefault(o.part_of, []).append(o.id)
    return found


def _ambiguous(r: Reading, hanging: Iterable[ObjectId], attached: set[ObjectId]) -> bool:
    """Whether the server could pair one of the attached indexes with another one when the table is attached again."""
    alike = Counter(_shape(r.objects[i]) for i in hanging)
    return any(alike[_shape(r.objects[i])] > 1 for i in attached)


def _shape(o: SchemaObject) -> Sequence[object]:
    """What two indexes that can stand for each other have in common."""
    if isinstance(o, Index):
        text = o.definition.partition(" USING ")[2]
        return ("index", o.method, o.unique, o.nulls_not_distinct, o.keys, o.include, text)
    assert isinstance(o, Constraint)
    kind = "key" if o.kind in "pu" else o.kind
    return ("constraint", kind, o.columns, o.include, o.nulls_not_distinct, o.definition)
