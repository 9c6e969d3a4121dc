"""What turns values into others: casts, conversions between encodings, and transforms for languages."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_CAST, PG_CONVERSION, PG_TRANSFORM, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal

# A multirange's casts come with its range.
_CASTS = Rare(
    """
SELECT c.oid, format_type(c.castsource, NULL), format_type(c.casttarget, NULL), c.castcontext, c.castmethod,
       CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text ELSE '' END
  FROM pg_cast c
 WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass
                                         AND d.objid = c.oid AND d.deptype = 'i')
""",
    unless="pg_cast WHERE oid >= 16384",
)
_CONVERSIONS = Rare(
    """
SELECT c.oid, n.nspname, c.conname, c.conowner, pg_encoding_to_char(c.conforencoding),
       pg_encoding_to_char(c.contoencoding), c.conproc::regproc::text, c.condefault
  FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.connamespace IN ({ns})
""",
    unless="pg_conversion WHERE oid >= 16384",
)
_TRANSFORMS = Rare(
    """
SELECT t.oid, format_type(t.trftype, NULL), l.lanname,
       CASE WHEN t.trffromsql <> 0 THEN t.trffromsql::regprocedure::text ELSE '' END,
       CASE WHEN t.trftosql <> 0 THEN t.trftosql::regprocedure::text ELSE '' END
  FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
""",
    unless="pg_transform",
)
_CONTEXTS = {"e": "", "a": " AS ASSIGNMENT", "i": " AS IMPLICIT"}


class Cast(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="cast"):
    """From one type to another. `method` is the server's letter: f with a function, i by way of text, b none at all."""

    context: str
    method: str
    function: str = ""

    keyword: ClassVar[str] = "CAST"

    @property
    def address(self) -> str:
        source, target = self.id.name
        return f"({source} AS {target})"

    def create(self) -> tuple[Step, ...]:
        how = {"f": f"WITH FUNCTION {self.function}", "i": "WITH INOUT", "b": "WITHOUT FUNCTION"}[self.method]
        sql = f"CREATE CAST {self.address} {how}{_CONTEXTS[self.context]}"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP CAST {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Cast)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


class Conversion(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="conversion"):
    source: str
    target: str
    function: str
    default: bool = False

    keyword: ClassVar[str] = "CONVERSION"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE {'DEFAULT ' if self.default else ''}CONVERSION {self.address}"
        sql += f" FOR {literal(self.source)} TO {literal(self.target)} FROM {self.function}"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP CONVERSION {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Conversion)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


class Transform(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="transform"):
    """How a language sees values of a type."""

    from_sql: str = ""
    to_sql: str = ""

    keyword: ClassVar[str] = "TRANSFORM"

    @property
    def address(self) -> str:
        type_, language = self.id.name
        return f"FOR {type_} LANGUAGE {ident(language)}"

    def create(self) -> tuple[Step, ...]:
        parts = [f"FROM SQL WITH FUNCTION {self.from_sql}"] if self.from_sql else []
        parts += [f"TO SQL WITH FUNCTION {self.to_sql}"] if self.to_sql else []
        sql = f"CREATE TRANSFORM {self.address} ({', '.join(parts)})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP TRANSFORM {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Transform)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_CASTS, _CONVERSIONS, _TRANSFORMS)


def read(r: Reading) -> None:
    for oid, source, target, context, method, function in r.rows(_CASTS):
        if not r.is_member(PG_CAST, oid):
            comment = r.comment(PG_CAST, oid)
            cast_id = ObjectId("cast", (source, target))
            cast = Cast(id=cast_id, comment=comment, context=context, method=method, function=function)
            r.note(PG_CAST, oid, cast)
    for oid, schema, name, owner, source, target, function, default in r.rows(_CONVERSIONS):
        if not r.is_member(PG_CONVERSION, oid):
            conversion = Conversion(
                id=ObjectId("conversion", (schema, name)),
                owner=r.roles[owner],
                comment=r.comment(PG_CONVERSION, oid),
                source=source,
                target=target,
                function=function,
                default=default,
            )
            r.note(PG_CONVERSION, oid, conversion)
    for oid, type_, language, from_sql, to_sql in r.rows(_TRANSFORMS):
        if not r.is_member(PG_TRANSFORM, oid):
            comment = r.comment(PG_TRANSFORM, oid)
            transform_id = ObjectId("transform", (type_, language))
            r.note(PG_TRANSFORM, oid, Transform(id=transform_id, comment=comment, from_sql=from_sql, to_sql=to_sql))
