"""Default privileges: what others may do with what a role makes from now on."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres import privileges
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.privileges import Acl
from tagback.engines.postgres.reading import Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident

# Those for a schema are added to the others: they start with nothing.
_DEFAULTS = Rare(
    """
SELECT r.rolname, coalesce(n.nspname, ''), d.defaclobjtype,
       CASE WHEN d.defaclnamespace = 0 THEN
         acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)::text[] ELSE '{}' END,
       d.defaclacl::text[]
  FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 WHERE d.defaclnamespace = 0 OR d.defaclnamespace IN ({ns})
""",
    unless="pg_default_acl",
)
_OBJECTS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}


class DefaultPrivileges(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="default privileges"):
    """Named by role, schema (empty for all of them) and the server's letter for what they are about.

    `usual` are those that there would be without these.
    """

    usual: Acl = ()
    granted: Acl = ()

    keyword: ClassVar[str] = "DEFAULT PRIVILEGES"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId("schema", (self.id.name[1],)) if self.id.name[1] else None

    def tinges(self, maker: str) -> bool:
        return self.id.name[0] == maker

    def create(self) -> tuple[Step, ...]:
        return self.steps(self._change(self.usual, self.granted), Action.CREATE)

    def drop(self) -> tuple[Step, ...]:
        return self.steps(self._change(self.granted, self.usual), Action.DROP)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, DefaultPrivileges)
        return Alteration(self.steps(self._change(self.granted, after.granted)))

    def _change(self, before: Acl, after: Acl) -> list[str]:
        role, schema, letter = self.id.name
        where = f"ALTER DEFAULT PRIVILEGES FOR ROLE {ident(role)}" + (f" IN SCHEMA {ident(schema)}" if schema else "")
        return [f"{where} {s}" for s in privileges.statements(before, after, role, _OBJECTS[letter])]


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_DEFAULTS,)


def read(r: Reading) -> None:
    for role, schema, letter, usual, granted in r.rows(_DEFAULTS):
        found = DefaultPrivileges(
            id=ObjectId("default privileges", (role, schema, letter)),
            usual=privileges.parse(usual),
            granted=privileges.parse(granted),
        )
        r.objects[found.id] = found
        if schema:
            r.needs[found.id] = {ObjectId("schema", (schema,))}
