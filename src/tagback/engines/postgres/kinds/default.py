"""Column defaults: objects of their own, since they and sequences would otherwise need each other."""

from __future__ import annotations

from collections.abc import Iterable

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, PgObject
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.reading import PG_ATTRDEF, Reading
from tagback.engines.postgres.sqltext import ident, qualified, stable

_DEFAULTS = "SELECT oid, adrelid, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef"


class Default(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="default"):
    """The default of a table's or view's column."""

    expression: str
    of: str = "table"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId(self.of, self.id.name[:2])

    def create(self) -> tuple[Step, ...]:
        return (self.step(f"{self._column} SET DEFAULT {stable(self.expression)}", Action.CREATE, ACCESS_EXCLUSIVE),)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"{self._column} DROP DEFAULT", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Default)
        return None if self.of != after.of else Alteration(after.create())

    @property
    def _column(self) -> str:
        only = "ONLY " if self.of == "table" else ""  # partitions and children have defaults of their own
        return f"ALTER {self.of.upper()} {only}{qualified(*self.id.name[:2])} ALTER COLUMN {ident(self.id.name[2])}"


def defaults_of(table: ObjectId, columns: Iterable[Column], catalog: Catalog, there: Catalog | None) -> dict[str, str]:
    """Default expressions by column; with `there`, only those whose needs are met in that other catalog already.

    What the table itself needs and has to be made, its columns' types say, is there before a column is added.
    """
    found = {}
    own = {catalog.owner_of(n) for n in catalog.dependencies.get(table, ())}
    made = {n for n in own if n is not None and there is not None and n not in there.objects}
    for c in columns:
        default = ObjectId("default", (*table.name, c.name))
        o = catalog.objects.get(default)
        if not isinstance(o, Default):
            continue
        if there is not None:
            needs = {catalog.owner_of(n) for n in catalog.dependencies.get(default, ())} - {table, None} - made
            if any(n is not None and there.objects.get(n) != catalog.objects[n] for n in needs):
                continue
        found[c.name] = o.expression
    return found


def asked(major: int) -> tuple[str, ...]:
    """What `read` always asks."""
    return (_DEFAULTS,)


def read(r: Reading) -> None:
    for oid, relation, number, expression in r.rows(_DEFAULTS):
        owner = r.relations.get(relation)
        if owner is None:
            continue
        if (relation, number) in r.generated:
            r.addresses[PG_ATTRDEF, oid] = owner  # a generated column's expression is in its table
            continue
        object_id = ObjectId("default", (*owner.name, r.attributes[relation][number]))
        found: SchemaObject
        if relation in r.watched_only:
            found = UnmanagedObject(id=object_id, digest=expression)
        else:
            found = Default(id=object_id, expression=expression, of=owner.kind)
        r.objects[object_id] = found
        r.addresses[PG_ATTRDEF, oid] = object_id
