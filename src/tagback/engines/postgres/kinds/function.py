"""Functions and procedures, named by schema, name and the types of their arguments."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_PROC, Query, Rare, Reading
from tagback.engines.postgres.sqltext import qualified, stable

_FUNCTIONS = Rare(
    """
SELECT p.oid, n.nspname, p.proname, oidvectortypes(p.proargtypes), p.prokind, p.proowner, p.proacl::text[],
       pg_get_functiondef(p.oid), pg_get_function_arguments(p.oid), coalesce(pg_get_function_result(p.oid), ''),
       p.prosqlbody IS NOT NULL
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind <> 'a' AND p.pronamespace IN ({ns})
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
""",
    unless="pg_proc WHERE prokind <> 'a' AND oid >= 16384",
)


class Function(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="function"):
    """`definition` is the server's CREATE OR REPLACE. `arguments` and `result` tell whether it can replace another.

    `parsed`: the body is standard SQL that the server keeps parsed.
    """

    definition: str
    arguments: str = ""
    result: str = ""
    parsed: bool = False

    keyword: ClassVar[str] = "FUNCTION"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "X"), ("", "X"))

    @property
    def address(self) -> str:
        return f"{qualified(*self.id.name[:2])}({self.id.name[2]})"

    def create(self) -> tuple[Step, ...]:
        return (self.step(self._creation(), Action.CREATE), *self.settle())

    def _creation(self) -> str:
        return stable(self.definition) if self.parsed else self.definition

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if type(after) is not type(self):
            return None
        assert isinstance(after, Function)
        if (after.arguments, after.result) != (self.arguments, self.result):
            return None
        replace = (
            (self.step(after._creation(), Action.ALTER),)
            if (after.definition, after.parsed) != (self.definition, self.parsed)
            else ()
        )
        return Alteration(replace + self.resettle(after))


class Procedure(Function, frozen=True, kw_only=True, omit_defaults=True, tag="procedure"):
    keyword: ClassVar[str] = "PROCEDURE"


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_FUNCTIONS,)


def read(r: Reading) -> None:
    for oid, schema, name, types, kind, owner, acl, definition, arguments, result, parsed in r.rows(_FUNCTIONS):
        role = r.roles[owner]
        make = Procedure if kind == "p" else Function
        r.add(
            PG_PROC,
            oid,
            make(
                id=ObjectId("procedure" if kind == "p" else "function", (schema, name, types)),
                owner=role,
                acl=r.acl("f", role, acl),
                comment=r.comment(PG_PROC, oid),
                definition=definition.rstrip("\n"),
                arguments=arguments,
                result=result,
                parsed=parsed,
            ),
        )
