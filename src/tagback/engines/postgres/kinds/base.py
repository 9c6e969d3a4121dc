"""What all kinds share: an owner, privileges, a comment, and the statements that settle them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from tagback.catalog import Action, Loss, ObjectId, SchemaObject, Step
from tagback.engines.postgres import privileges
from tagback.engines.postgres.privileges import Acl, Grant
from tagback.engines.postgres.sqltext import ident, literal, qualified

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"


class PgObject(SchemaObject, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`acl` is None where privileges are what the kind starts with; `owner` is empty for kinds without one."""

    owner: str = ""
    acl: Acl | None = None
    comment: str = ""

    keyword: ClassVar[str] = ""  # as in COMMENT ON and ALTER
    grant_keyword: ClassVar[str] = ""  # as in GRANT; empty for kinds without privileges
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = ()  # grantee (* is the owner) and letters, at first

    @property
    def address(self) -> str:
        """How statements name it."""
        return qualified(*self.id.name)

    def step(self, sql: str, action: Action, lock: str = "", destroys: Iterable[Loss] = ()) -> Step:
        return Step(sql, self.id, action, lock, tuple(destroys))

    def steps(self, sqls: Iterable[str], action: Action = Action.ALTER, lock: str = "") -> tuple[Step, ...]:
        return tuple(Step(sql, self.id, action, lock) for sql in sqls)

    def first_privileges(self, owner: str) -> Acl:
        return tuple(
            sorted(
                Grant(owner if grantee == "*" else grantee, owner, letters) for grantee, letters in self.default_grants
            )
        )

    def settle(self) -> tuple[Step, ...]:
        """Owner, privileges and comment of an object that has just been made."""
        sqls = []
        if self.owner:
            sqls.append(self._owner_to(self.owner))
        if self.acl is not None:
            sqls += self._regranted(None, self.acl, self.owner)
        if self.comment:
            sqls.append(self._comment(self.comment))
        return self.steps(sqls)

    def resettle(self, after: PgObject) -> tuple[Step, ...]:
        """The same for one that is there already."""
        sqls = []
        acl = self.acl
        if after.owner != self.owner:
            sqls.append(self._owner_to(after.owner))
            acl = privileges.given_to(acl, self.owner, after.owner) if acl is not None else None
        if acl != after.acl:
            sqls += self._regranted(acl, after.acl, after.owner)
        if after.comment != self.comment:
            sqls.append(self._comment(after.comment))
        return self.steps(sqls)

    def _regranted(self, before: Acl | None, after: Acl | None, owner: str) -> list[str]:
        """From one state to another; None is what there is at first. Of tables that is all, MAINTAIN included from 17 on."""
        first = self.first_privileges(owner)
        if (owner, privileges.ALL_ON_TABLES) not in [(g.grantee, g.privileges) for g in first]:
            return privileges.statements(
                first if before is None else before, first if after is None else after, owner, self._granted
            )
        if before is not None and after is not None:
            return privileges.statements(before, after, owner, self._granted)
        own = tuple(g for g in (before if after is None else after) or () if g.grantee == owner)
        if after is None:
            own = tuple(msgspec.structs.replace(g, grantable="") for g in own)
            revokes = privileges.statements(before or (), own, owner, self._granted)
            return [*revokes, f"GRANT ALL ON {self._granted} TO {ident(owner)}"]
        grants = privileges.statements((), own, owner, self._granted)
        grants += privileges.statements(own, after, owner, self._granted)
        return [f"REVOKE ALL ON {self._granted} FROM {ident(owner)}", *grants]

    @property
    def _granted(self) -> str:
        return f"{self.grant_keyword or self.keyword} {self.address}"

    def _owner_to(self, owner: str) -> str:
        return f"ALTER {self.keyword} {self.address} OWNER TO {qualified(owner)}"

    def _comment(self, text: str) -> str:
        return f"COMMENT ON {self.keyword} {self.comment_address} IS {literal(text) if text else 'NULL'}"

    @property
    def comment_address(self) -> str:
        return self.address

    def only_settings_differ(self, after: SchemaObject, *more: str) -> bool:
        """Whether the other is the same but for owner, privileges, comment and the named fields."""
        if type(after) is not type(self):
            return False
        free = {"owner", "acl", "comment", *more}
        return all(getattr(self, f) == getattr(after, f) for f in self.__struct_fields__ if f not in free)


class TableMember(PgObject, frozen=True, kw_only=True, omit_defaults=True):
    """Something that belongs to one table and is named within it: schema, table, name."""

    @property
    def table(self) -> str:
        return qualified(*self.id.name[:2])

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId("table", self.id.name[:2])

    @property
    def address(self) -> str:
        return f"{qualified(self.id.name[2])} ON {self.table}"
