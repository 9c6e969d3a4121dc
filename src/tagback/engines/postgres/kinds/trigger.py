"""Triggers of tables and views, and event triggers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, PgObject, TableMember
from tagback.engines.postgres.kinds.view import ENABLED
from tagback.engines.postgres.reading import PG_CONSTRAINT, PG_EVENT_TRIGGER, PG_TRIGGER, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal, stable

_TRIGGERS = Rare(
    """
SELECT t.oid, t.tgrelid, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled, t.tgconstraint
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relnamespace IN ({ns})
""",
    unless="pg_trigger WHERE NOT tgisinternal",
)
_EVENT_TRIGGERS = Rare(
    """
SELECT oid, evtname, evtevent, evtowner, evtenabled, evttags, evtfoid::regproc::text FROM pg_event_trigger
 WHERE evtname !~ '^tagback(_|$)'
""",
    unless="pg_event_trigger",
)
_AS_CONSTRAINT = "CREATE CONSTRAINT TRIGGER "
_NAME = re.compile(r'"(?:[^"]|"")*"|\S+')


class Trigger(TableMember, frozen=True, kw_only=True, omit_defaults=True, tag="trigger"):
    """`definition` is the server's text; `enabled` its letter: O, D, R or A."""

    definition: str
    on: str = "table"
    enabled: str = "O"

    keyword: ClassVar[str] = "TRIGGER"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId(self.on, self.id.name[:2])

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        return (ObjectId("table", self.id.name[:2]),)

    def create(self) -> tuple[Step, ...]:
        return (
            self.step(stable(self.definition), Action.CREATE, SHARE_ROW_EXCLUSIVE),
            *self.steps([self._enable()] if self.enabled != "O" else [], lock=SHARE_ROW_EXCLUSIVE),
            *self.settle(),
        )

    def create_in(self, target: Catalog) -> tuple[Step, ...]:
        """A constraint trigger can be renamed to the name of a constraint of its table, but not made under it."""
        taken = ObjectId("constraint", self.id.name) in target.objects
        if not taken or not self.definition.startswith(_AS_CONSTRAINT):
            return self.create()
        name = ident(f"{self.id.name[2][:40]}_by_tagback")
        first = _AS_CONSTRAINT + _NAME.sub(lambda _: name, self.definition.removeprefix(_AS_CONSTRAINT), count=1)
        rename = f"ALTER TRIGGER {name} ON {self.table} RENAME TO {ident(self.id.name[2])}"
        made = self.steps([stable(first), rename], Action.CREATE, SHARE_ROW_EXCLUSIVE)
        return (*made, *self.create()[1:])

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP TRIGGER {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Trigger)
        if not self.only_settings_differ(after, "enabled"):
            return None
        enable = [after._enable()] if after.enabled != self.enabled else []
        return Alteration(self.steps(enable, lock=SHARE_ROW_EXCLUSIVE) + self.resettle(after))

    def _enable(self) -> str:
        return f"ALTER TABLE {self.table} {ENABLED[self.enabled]} TRIGGER {ident(self.id.name[2])}"


class EventTrigger(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="event trigger"):
    """`function` is the server's quoted name."""

    event: str
    tags: tuple[str, ...] = ()
    function: str
    enabled: str = "O"

    keyword: ClassVar[str] = "EVENT TRIGGER"

    def create(self) -> tuple[Step, ...]:
        when = f" WHEN TAG IN ({', '.join(literal(t) for t in self.tags)})" if self.tags else ""
        sql = f"CREATE EVENT TRIGGER {self.address} ON {self.event}{when} EXECUTE FUNCTION {self.function}()"
        return (
            self.step(sql, Action.CREATE),
            *self.steps([self._enable()] if self.enabled != "O" else []),
            *self.settle(),
        )

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP EVENT TRIGGER {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, EventTrigger)
        if not self.only_settings_differ(after, "enabled"):
            return None
        enable = [after._enable()] if after.enabled != self.enabled else []
        return Alteration(self.steps(enable) + self.resettle(after))

    def _enable(self) -> str:
        return f"ALTER EVENT TRIGGER {self.address} {ENABLED[self.enabled]}"


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_TRIGGERS, _EVENT_TRIGGERS)


def read(r: Reading) -> None:
    for oid, relation, name, definition, enabled, constraint in r.rows(_TRIGGERS):
        table = r.relations.get(relation)
        if table is None or r.is_member(PG_TRIGGER, oid):
            continue
        found: SchemaObject = Trigger(
            id=ObjectId("trigger", (*table.name, name)),
            on=table.kind,
            definition=definition,
            enabled=enabled,
            comment=r.comment(PG_TRIGGER, oid),
        )
        if relation in r.watched_only:
            found = r.unmanaged(found)
        r.add(PG_TRIGGER, oid, found)
        if constraint and (PG_CONSTRAINT, constraint) not in r.addresses:
            r.addresses[PG_CONSTRAINT, constraint] = found.id
    for oid, name, event, owner, enabled, tags, function in r.rows(_EVENT_TRIGGERS):
        if not r.is_member(PG_EVENT_TRIGGER, oid):
            r.add(
                PG_EVENT_TRIGGER,
                oid,
                EventTrigger(
                    id=ObjectId("event trigger", (name,)),
                    owner=r.roles[owner],
                    event=event,
                    tags=tuple(tags or ()),
                    function=function,
                    enabled=enabled,
                    comment=r.comment(PG_EVENT_TRIGGER, oid),
                ),
            )
