"""Schemas and extensions."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_EXTENSION, PG_NAMESPACE, Reading
from tagback.engines.postgres.sqltext import ident, literal

_SCHEMAS = """
SELECT oid, nspname, nspowner, nspacl::text[] FROM pg_namespace WHERE oid IN ({ns})
"""
_EXTENSIONS = """
SELECT e.oid, extname, extversion, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace
"""


class Schema(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="schema"):
    keyword: ClassVar[str] = "SCHEMA"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "CU"),)

    def create(self) -> tuple[Step, ...]:
        return (self.step(f"CREATE SCHEMA {self.address}", Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP SCHEMA {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Schema)
        return Alteration(self.resettle(after))


class Extension(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="extension"):
    """Known by name, version and schema; what it brings is its own. Its owner can't be changed."""

    schema: str
    version: str

    keyword: ClassVar[str] = "EXTENSION"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE EXTENSION {self.address} WITH SCHEMA {ident(self.schema)} VERSION {literal(self.version)}"
        # The extension's own control file sets a comment too.
        return (self.step(sql, Action.CREATE), *self.steps([self._comment(self.comment)]))

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP EXTENSION {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Extension)
        if not self.only_settings_differ(after, "schema"):
            return None
        sqls = []
        if after.schema != self.schema:
            sqls.append(f"ALTER EXTENSION {self.address} SET SCHEMA {ident(after.schema)}")
        if after.comment != self.comment:
            sqls.append(self._comment(after.comment))
        return Alteration(self.steps(sqls))


def asked(major: int) -> tuple[str, ...]:
    """What `read` always asks."""
    return (_SCHEMAS, _EXTENSIONS)


def read(r: Reading) -> None:
    for oid, name, owner, acl in r.rows(_SCHEMAS):
        role = r.roles[owner]
        found = Schema(
            id=ObjectId("schema", (name,)),
            owner=role,
            acl=r.acl("n", role, acl),
            comment=r.comment(PG_NAMESPACE, oid),
        )
        r.objects[found.id] = found  # without lineage: a schema that got another name is made anew, and all moves back
        r.addresses[PG_NAMESPACE, oid] = found.id
    for oid, name, version, schema in r.rows(_EXTENSIONS):
        if schema in r.namespaces.values():
            r.needs[ObjectId("extension", (name,))] = {ObjectId("schema", (schema,))}
        r.add(
            PG_EXTENSION,
            oid,
            Extension(
                id=ObjectId("extension", (name,)),
                schema=schema,
                version=version,
                comment=r.comment(PG_EXTENSION, oid),
            ),
        )
