"""What a module brings by way of a handler: procedural languages and access methods."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_AM, PG_LANGUAGE, Query, Rare, Reading

_LANGUAGES = Rare(
    """
SELECT l.oid, l.lanname, l.lanowner, l.lanacl::text[], l.lanpltrusted, l.lanplcallfoid::regproc::text,
       CASE WHEN l.laninline <> 0 THEN l.laninline::regproc::text ELSE '' END,
       CASE WHEN l.lanvalidator <> 0 THEN l.lanvalidator::regproc::text ELSE '' END
  FROM pg_language l WHERE l.oid >= 16384 AND l.lanispl
""",
    unless="pg_language WHERE oid >= 16384",
)
_METHODS = Rare(
    "SELECT oid, amname, amhandler::regproc::text, amtype FROM pg_am WHERE oid >= 16384",
    unless="pg_am WHERE oid >= 16384",
)
_TYPES = {"i": "INDEX", "t": "TABLE"}


class Language(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="language"):
    trusted: bool = False
    handler: str
    inline: str = ""
    validator: str = ""

    keyword: ClassVar[str] = "LANGUAGE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "U"), ("", "U"))

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE {'TRUSTED ' if self.trusted else ''}LANGUAGE {self.address} HANDLER {self.handler}"
        sql += f" INLINE {self.inline}" if self.inline else ""
        sql += f" VALIDATOR {self.validator}" if self.validator else ""
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP LANGUAGE {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Language)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


class AccessMethod(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="access method"):
    """`of` INDEX or of TABLE."""

    of: str
    handler: str

    keyword: ClassVar[str] = "ACCESS METHOD"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE ACCESS METHOD {self.address} TYPE {self.of} HANDLER {self.handler}"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP ACCESS METHOD {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, AccessMethod)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_LANGUAGES, _METHODS)


def read(r: Reading) -> None:
    for oid, name, owner, acl, trusted, handler, inline, validator in r.rows(_LANGUAGES):
        if r.is_member(PG_LANGUAGE, oid):
            continue
        role = r.roles[owner]
        language = Language(
            id=ObjectId("language", (name,)),
            owner=role,
            acl=r.acl("l", role, acl),
            comment=r.comment(PG_LANGUAGE, oid),
            trusted=trusted,
            handler=handler,
            inline=inline,
            validator=validator,
        )
        r.note(PG_LANGUAGE, oid, language)
    for oid, name, handler, kind in r.rows(_METHODS):
        if not r.is_member(PG_AM, oid):
            method_id = ObjectId("access method", (name,))
            comment = r.comment(PG_AM, oid)
            r.note(PG_AM, oid, AccessMethod(id=method_id, comment=comment, of=_TYPES[kind], handler=handler))
