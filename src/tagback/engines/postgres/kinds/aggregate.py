"""Aggregate functions, named by schema, name and the types of their arguments."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_PROC, Query, Rare, Reading
from tagback.engines.postgres.sqltext import qualified

_MODIFY = "CASE {0} WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END"
_USUAL = "CASE a.aggkind WHEN 'n' THEN 'r' ELSE 'w' END"
_AGGREGATES = Rare(
    f"""
SELECT p.oid, n.nspname, p.proname, oidvectortypes(p.proargtypes), p.proowner, p.proacl::text[],
       coalesce(nullif(pg_get_function_arguments(p.oid), ''), '*'),
       coalesce(nullif(pg_get_function_identity_arguments(p.oid), ''), '*'),
       concat_ws(', ',
         'SFUNC = ' || a.aggtransfn::regproc,
         'STYPE = ' || format_type(a.aggtranstype, NULL),
         CASE WHEN a.aggtransspace <> 0 THEN 'SSPACE = ' || a.aggtransspace END,
         'INITCOND = ' || quote_literal(a.agginitval),
         CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC = ' || a.aggfinalfn::regproc END,
         CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
         CASE WHEN a.aggfinalmodify <> {_USUAL} THEN 'FINALFUNC_MODIFY = ' || {_MODIFY.format("a.aggfinalmodify")} END,
         CASE WHEN a.aggcombinefn <> 0 THEN 'COMBINEFUNC = ' || a.aggcombinefn::regproc END,
         CASE WHEN a.aggserialfn <> 0 THEN 'SERIALFUNC = ' || a.aggserialfn::regproc END,
         CASE WHEN a.aggdeserialfn <> 0 THEN 'DESERIALFUNC = ' || a.aggdeserialfn::regproc END,
         CASE WHEN a.aggmtransfn <> 0 THEN 'MSFUNC = ' || a.aggmtransfn::regproc END,
         CASE WHEN a.aggminvtransfn <> 0 THEN 'MINVFUNC = ' || a.aggminvtransfn::regproc END,
         CASE WHEN a.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(a.aggmtranstype, NULL) END,
         CASE WHEN a.aggmtransspace <> 0 THEN 'MSSPACE = ' || a.aggmtransspace END,
         'MINITCOND = ' || quote_literal(a.aggminitval),
         CASE WHEN a.aggmfinalfn <> 0 THEN 'MFINALFUNC = ' || a.aggmfinalfn::regproc END,
         CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
         CASE WHEN a.aggmtransfn <> 0 AND a.aggmfinalmodify <> {_USUAL}
              THEN 'MFINALFUNC_MODIFY = ' || {_MODIFY.format("a.aggmfinalmodify")} END,
         'SORTOP = OPERATOR(' || quote_ident(oo.nspname) || '.' || o.oprname || ')',
         CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END,
         CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END)
  FROM pg_aggregate a
  JOIN pg_proc p ON p.oid = a.aggfnoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_operator o ON o.oid = a.aggsortop
  LEFT JOIN pg_namespace oo ON oo.oid = o.oprnamespace
 WHERE p.pronamespace IN ({{ns}})
""",
    unless="pg_aggregate WHERE aggfnoid >= 16384",
)


class Aggregate(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="aggregate"):
    """`arguments` are those of CREATE, `identity` those that name it elsewhere. `definition` are the options."""

    arguments: str
    identity: str
    definition: str

    keyword: ClassVar[str] = "AGGREGATE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "X"), ("", "X"))

    @property
    def address(self) -> str:
        return f"{qualified(*self.id.name[:2])}({self.identity})"

    @property
    def _granted(self) -> str:
        return f"FUNCTION {qualified(*self.id.name[:2])}({self.id.name[2]})"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE AGGREGATE {qualified(*self.id.name[:2])}({self.arguments}) ({self.definition})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP AGGREGATE {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Aggregate)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_AGGREGATES,)


def read(r: Reading) -> None:
    for oid, schema, name, types, owner, acl, arguments, identity, definition in r.rows(_AGGREGATES):
        if r.is_member(PG_PROC, oid):
            continue
        role = r.roles[owner]
        found = Aggregate(
            id=ObjectId("aggregate", (schema, name, types)),
            owner=role,
            acl=r.acl("f", role, acl),
            comment=r.comment(PG_PROC, oid),
            arguments=arguments,
            identity=identity,
            definition=definition,
        )
        r.note(PG_PROC, oid, found)
