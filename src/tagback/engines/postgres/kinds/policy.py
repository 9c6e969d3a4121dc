"""Row security policies, and extended statistics: small things that hang on tables."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, PgObject, TableMember
from tagback.engines.postgres.reading import PG_POLICY, PG_STATISTIC_EXT, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, stable

_POLICIES = Rare(
    """
SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles,
       coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace IN ({ns})
""",
    unless="pg_policy",
)
_STATISTICS = Rare(
    """
SELECT s.oid, n.nspname, s.stxname, s.stxrelid, s.stxowner, pg_get_statisticsobjdef(s.oid),
       coalesce(s.stxstattarget, -1)
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxnamespace IN ({ns})
""",
    unless="pg_statistic_ext",
)
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


class Policy(TableMember, frozen=True, kw_only=True, omit_defaults=True, tag="policy"):
    """`roles` are sorted; an empty name is PUBLIC."""

    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str = ""
    check: str = ""

    keyword: ClassVar[str] = "POLICY"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE POLICY {self.address} AS {'PERMISSIVE' if self.permissive else 'RESTRICTIVE'}"
        sql += f" FOR {_COMMANDS[self.command]} {self._rest(self)}"
        return (self.step(sql, Action.CREATE, ACCESS_EXCLUSIVE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP POLICY {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Policy)
        taken_away = (self.using and not after.using) or (self.check and not after.check)
        if taken_away or (after.command, after.permissive) != (self.command, self.permissive):
            return None
        sqls = []
        if not self.only_settings_differ(after):
            sqls.append(f"ALTER POLICY {self.address} {self._rest(after)}")
        return Alteration(self.steps(sqls, lock=ACCESS_EXCLUSIVE) + self.resettle(after))

    @staticmethod
    def _rest(policy: Policy) -> str:
        sql = "TO " + ", ".join(ident(role) if role else "PUBLIC" for role in policy.roles)
        if policy.using:
            sql += f" USING ({stable(policy.using)})"
        if policy.check:
            sql += f" WITH CHECK ({stable(policy.check)})"
        return sql


class Statistics(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="statistics"):
    """Extended statistics of a table, as the server's own text."""

    table: tuple[str, str]
    definition: str
    target: int = -1

    keyword: ClassVar[str] = "STATISTICS"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId("table", self.table)

    def create(self) -> tuple[Step, ...]:
        target = [f"ALTER STATISTICS {self.address} SET STATISTICS {self.target}"] if self.target != -1 else []
        return (
            self.step(stable(self.definition), Action.CREATE, SHARE_UPDATE_EXCLUSIVE),
            *self.steps(target),
            *self.settle(),
        )

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP STATISTICS {self.address}", Action.DROP, SHARE_UPDATE_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Statistics)
        if not self.only_settings_differ(after, "target"):
            return None
        sqls = []
        if after.target != self.target:
            sqls.append(f"ALTER STATISTICS {self.address} SET STATISTICS {after.target}")
        return Alteration(self.steps(sqls) + self.resettle(after))


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_POLICIES, _STATISTICS)


def read(r: Reading) -> None:
    found: SchemaObject
    for oid, relation, name, command, permissive, roles, using, check in r.rows(_POLICIES):
        table = r.relations.get(relation)
        if table is None:
            continue
        found = Policy(
            id=ObjectId("policy", (*table.name, name)),
            command=command,
            permissive=permissive,
            roles=tuple(sorted(r.roles[role] if role else "" for role in roles)),
            using=using,
            check=check,
            comment=r.comment(PG_POLICY, oid),
        )
        r.add(PG_POLICY, oid, r.unmanaged(found) if relation in r.watched_only else found)
    for oid, schema, name, relation, owner, definition, target in r.rows(_STATISTICS):
        table = r.relations.get(relation)
        if table is None:
            continue
        found = Statistics(
            id=ObjectId("statistics", (schema, name)),
            owner=r.roles[owner],
            table=(table.name[0], table.name[1]),
            definition=definition,
            target=target,
            comment=r.comment(PG_STATISTIC_EXT, oid),
        )
        r.add(PG_STATISTIC_EXT, oid, r.unmanaged(found) if relation in r.watched_only else found)
