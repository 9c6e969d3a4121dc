"""Other servers: foreign data wrappers, servers, and user mappings, whose passwords are never read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import (
    PG_FOREIGN_DATA_WRAPPER,
    PG_FOREIGN_SERVER,
    PG_USER_MAPPING,
    Query,
    Rare,
    Reading,
)
from tagback.engines.postgres.sqltext import ident, literal

_WRAPPERS = Rare(
    """
SELECT f.oid, f.fdwname, f.fdwowner, f.fdwacl::text[],
       CASE WHEN f.fdwhandler <> 0 THEN f.fdwhandler::regproc::text ELSE '' END,
       CASE WHEN f.fdwvalidator <> 0 THEN f.fdwvalidator::regproc::text ELSE '' END, f.fdwoptions
  FROM pg_foreign_data_wrapper f
""",
    unless="pg_foreign_data_wrapper",
)
_SERVERS = Rare(
    """
SELECT s.oid, s.srvname, s.srvowner, s.srvacl::text[], f.fdwname, coalesce(s.srvtype, ''), coalesce(s.srvversion, ''),
       s.srvoptions
  FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw
""",
    unless="pg_foreign_server",
)
# Options that a role may not see are NULL in the view, as if there were none: its condition has to be asked again.
_MAPPINGS = Rare(
    """
SELECT umid, srvname, CASE WHEN umuser = 0 THEN '' ELSE usename::text END,
       ARRAY(SELECT o FROM unnest(umoptions) WITH ORDINALITY x (o, n) WHERE o !~* '^(password|passfile|sslkey|sslpassword)='
              ORDER BY n),
       NOT (pg_has_role(srvowner, 'USAGE') AND (umuser = 0 OR usename = current_user)
            OR usename = current_user AND has_server_privilege(srvid, 'USAGE')
            OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
       OR EXISTS (SELECT FROM unnest(umoptions) o WHERE o ~* '^(password|passfile|sslkey|sslpassword)=')
  FROM pg_user_mappings JOIN (SELECT oid, srvowner FROM pg_foreign_server) s ON s.oid = srvid
""",
    unless="pg_foreign_server",
)


class ForeignDataWrapper(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="foreign data wrapper"):
    """Options here and below are `name=value`, in the order in which dumps show them."""

    handler: str = ""
    validator: str = ""
    options: tuple[str, ...] = ()

    keyword: ClassVar[str] = "FOREIGN DATA WRAPPER"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "U"),)

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE {self.keyword} {self.address}{self._functions()}{options_clause(self.options)}"
        return (self.step(sql, Action.CREATE), *self.settle())

    def _functions(self) -> str:
        handler = f" HANDLER {self.handler}" if self.handler else " NO HANDLER"
        return handler + (f" VALIDATOR {self.validator}" if self.validator else " NO VALIDATOR")

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, ForeignDataWrapper)
        changes = options_change(self.options, after.options)
        if (after.handler, after.validator) != (self.handler, self.validator):
            changes = after._functions() + changes
        sqls = [f"ALTER {self.keyword} {self.address}{changes}"] if changes else []
        return Alteration(self.steps(sqls) + self.resettle(after))


class ForeignServer(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="foreign server"):
    wrapper: str
    server_type: str = ""
    version: str = ""
    options: tuple[str, ...] = ()

    keyword: ClassVar[str] = "SERVER"
    grant_keyword: ClassVar[str] = "FOREIGN SERVER"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "U"),)

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE SERVER {self.address}"
        sql += f" TYPE {literal(self.server_type)}" if self.server_type else ""
        sql += f" VERSION {literal(self.version)}" if self.version else ""
        sql += f" FOREIGN DATA WRAPPER {ident(self.wrapper)}{options_clause(self.options)}"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP SERVER {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, ForeignServer)
        if not self.only_settings_differ(after, "version", "options") or (self.version and not after.version):
            return None
        changes = f" VERSION {literal(after.version)}" if after.version != self.version else ""
        changes += options_change(self.options, after.options)
        sqls = [f"ALTER SERVER {self.address}{changes}"] if changes else []
        return Alteration(self.steps(sqls) + self.resettle(after))


class UserMapping(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="user mapping"):
    """Named by server and role; an empty role is PUBLIC. One with a password can't be made again, and is only watched."""

    options: tuple[str, ...] = ()

    keyword: ClassVar[str] = "USER MAPPING"

    @property
    def address(self) -> str:
        server, role = self.id.name
        return f"FOR {ident(role) if role else 'PUBLIC'} SERVER {ident(server)}"

    def create(self) -> tuple[Step, ...]:
        return (self.step(f"CREATE USER MAPPING {self.address}{options_clause(self.options)}", Action.CREATE),)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP USER MAPPING {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, UserMapping)
        sql = f"ALTER USER MAPPING {self.address}{options_change(self.options, after.options)}"
        return Alteration(self.steps([sql]))


def options_clause(options: Sequence[str]) -> str:
    """The clause that says all of them; nothing where there are none."""
    return f" OPTIONS ({', '.join(_option(o) for o in options)})" if options else ""


def options_change(before: Sequence[str], after: Sequence[str]) -> str:
    """The clause of ALTER that makes them others: all anew, for their order."""
    if tuple(before) == tuple(after):
        return ""
    changes = [f"DROP {ident(o.partition('=')[0])}" for o in before] + [f"ADD {_option(o)}" for o in after]
    return f" OPTIONS ({', '.join(changes)})"


def _option(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{ident(name)} {literal(value)}"


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_WRAPPERS, _SERVERS, _MAPPINGS)


def read(r: Reading) -> None:
    for oid, name, owner, acl, handler, validator, options in r.rows(_WRAPPERS):
        if r.is_member(PG_FOREIGN_DATA_WRAPPER, oid):
            continue
        role = r.roles[owner]
        wrapper = ForeignDataWrapper(
            id=ObjectId("foreign data wrapper", (name,)),
            owner=role,
            acl=r.acl("F", role, acl),
            comment=r.comment(PG_FOREIGN_DATA_WRAPPER, oid),
            handler=handler,
            validator=validator,
            options=tuple(options or ()),
        )
        r.note(PG_FOREIGN_DATA_WRAPPER, oid, wrapper)
    for oid, name, owner, acl, wrapper_name, kind, version, options in r.rows(_SERVERS):
        if r.is_member(PG_FOREIGN_SERVER, oid):
            continue
        role = r.roles[owner]
        server = ForeignServer(
            id=ObjectId("foreign server", (name,)),
            owner=role,
            acl=r.acl("S", role, acl),
            comment=r.comment(PG_FOREIGN_SERVER, oid),
            wrapper=wrapper_name,
            server_type=kind,
            version=version,
            options=tuple(options or ()),
        )
        r.note(PG_FOREIGN_SERVER, oid, server)
    for oid, server_name, role, options, secret in r.rows(_MAPPINGS):
        found: SchemaObject = UserMapping(id=ObjectId("user mapping", (server_name, role)), options=tuple(options))
        if secret or ObjectId("foreign server", (server_name,)) not in r.objects:
            found = UnmanagedObject(id=found.id, digest=found.fingerprint())
        r.note(PG_USER_MAPPING, oid, found)
