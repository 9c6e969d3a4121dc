"""From the schema as it is to the schema as it was: ordered steps.

What is only in the live catalog goes, what is only in the target comes, what is in both but differs changes in place
or is dropped and created. Whatever depends on something that goes, is created anew or is disturbed by a change is
taken down before and put back after. Rows that come back do so between the two, while nothing acts on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from tagback.catalog import (
    Action,
    Alteration,
    Carry,
    Catalog,
    ObjectId,
    Restoration,
    SchemaObject,
    Step,
    UnmanagedObject,
    diff,
)
from tagback.plan.order import CycleError, in_order, reaches
from tagback.plan.result import Plan
from tagback.plan.staying import exchanges
from tagback.plan.ties import heirs, told, without

_MAIN_STAGE = {Action.DROP: 0, Action.DELETE: 1, Action.ALTER: 2, Action.CREATE: 3, Action.INSERT: 4}


class _Node(NamedTuple):
    action: Action
    id: ObjectId


class Planner:
    """One attempt. `carried` are tables that are made anew although they have rows, which are moved."""

    def __init__(
        self,
        live: Catalog,
        target: Catalog,
        rows: Mapping[ObjectId, Restoration],
        carried: Mapping[ObjectId, Carry] | None = None,
    ) -> None:
        self.live = live
        self.target = target
        self.carried = carried or {}
        self.rows = rows
        self.blocked: list[str] = []
        self.ties: dict[ObjectId, frozenset[ObjectId]] = {}  # what has rows, and what it needs that has to go
        self.tied: dict[ObjectId, frozenset[ObjectId]] = {}  # the same of what changes itself
        self.heirs: Mapping[ObjectId, frozenset[ObjectId]] = {}
        self.parts_go_first = False
        self.removed: set[ObjectId] = set()
        self.added: set[ObjectId] = set()
        self.rebuilt: set[ObjectId] = set()  # dropped and created with another definition
        self.lifted: set[ObjectId] = set()  # taken down and put back unchanged, for what they hang on
        self.alterations: dict[ObjectId, Alteration] = {}
        self.dependents: dict[ObjectId, list[ObjectId]] = {}
        for dependent, needs in live.dependencies.items():
            for needed in needs:
                self.dependents.setdefault(needed, []).append(dependent)
        for o in live.objects.values():
            if o.part_of is not None:
                self.dependents.setdefault(o.part_of, []).append(o.id)

    def plan(self) -> Plan:
        difference = diff(self.live, self.target)
        if not difference and not self.rows:
            return Plan(())
        self.removed = set(difference.removed)
        self.added = set(difference.added)
        self.rebuilt = set(self.carried)
        away: set[ObjectId] | None = None
        while away != (away := {i for i in self.rebuilt if self.live.objects[i].carries_data}):
            self._alter(difference.changed, away)
        self.rows = {table: self._in_place(table, r) for table, r in self.rows.items()}
        self._spread()
        self._lift_tinges()
        self._check()
        if self.blocked:
            self.tied = self._tied()
            return Plan((), tuple(self.blocked))
        try:
            ordered = self._ordered_somehow()
        except CycleError as e:
            self.ties = self.tied = self._tied()
            if self.ties:
                return Plan(
                    (), tuple(told(i, table) for table, needed in sorted(self.ties.items()) for i in sorted(needed))
                )
            names = ", ".join(f"{n.action} {n.id}" for n in e.nodes[:5] if isinstance(n, _Node))
            return Plan((), (f"These changes depend on each other in a circle: {names}.",))
        return Plan(tuple(step for node in ordered for step in self._steps(node)))

    def _alter(self, changed: Iterable[ObjectId], away: set[ObjectId]) -> None:
        """Finds out what changes in place, beside those tables that aren't there meanwhile, and what can't."""
        others = without(self.live, away), without(self.target, away)
        self.alterations.clear()
        for object_id in changed:
            before, after = self.live.objects[object_id], self.target.objects[object_id]
            alike = isinstance(before, type(after)) or isinstance(after, type(before))  # one may be watched only
            alteration = before.alter(after, *others) if alike and object_id not in self.rebuilt else None
            if alteration is None:
                self.rebuilt.add(object_id)
            else:
                self.alterations[object_id] = alteration

    # ------------------------------------------------------------------ rows that needn't go

    def _in_place(self, table: ObjectId, r: Restoration) -> Restoration:
        """The same with its correction instead, if the table lets rows stay and none of its keys is touched."""
        before, after = self.live.objects.get(table), self.target.objects[table]
        if r.instead is None or before is None or table in self.rebuilt:
            return replace(r, instead=None)
        columns, key = _columns(table, r.instead.columns), _columns(table, r.instead.key)
        if (
            not before.lets_rows_stay(after, r.instead.columns)
            or not key <= {*before.parts} & {*after.parts}
            or not columns.isdisjoint(self._turned_by_others(table))
            or exchanges(self.live, table, columns)
            or exchanges(self.target, table, columns, {*self.added, *self.rebuilt})
        ):
            return replace(r, instead=None)
        return Restoration((), r.instead.steps, r.instead)

    def _turned_by_others(self, table: ObjectId) -> set[ObjectId]:
        """Columns whose values are turned over to a type that is made anew: today's may not go into it."""
        return {part for i, a in self.alterations.items() if i != table for part in a.disturbs}

    # ------------------------------------------------------------------ what has to go out of the way

    def _spread(self) -> None:
        """Dependents of what goes, is made anew or is disturbed are taken down as well, and so on."""
        disturbed = {part for a in self.alterations.values() for part in a.disturbs}
        queue: list[ObjectId] = [*disturbed, *self._lift_actors()]
        away = {i for a in self.alterations.values() for i in a.away if self._takes_down(i)}
        for object_id in (*self.removed, *self.rebuilt, *sorted(away)):
            queue += self._with_parts(object_id)
        seen = set(queue)
        while queue:
            goes = self.live.owner_of(needed := queue.pop()) in self.removed
            for dependent in self.dependents.get(needed, ()):
                held = self.live.objects[dependent].is_held and dependent in self.alterations
                if (goes and held) or not self._takes_down(dependent):
                    continue
                for name in self._with_parts(dependent):
                    if name not in seen:
                        seen.add(name)
                        queue.append(name)

    def _lift_tinges(self) -> None:
        """Takes down what would tinge what is made or changed."""
        if not any(self._is_made(i) for i in (*self.added, *self.rebuilt, *self.lifted, *self.alterations)):
            return
        for o in self.live.objects.values():
            if o.tinges(self.live.maker):
                self._takes_down(o.id)

    def _is_made(self, i: ObjectId) -> bool:
        return not self.target.objects[i].tinges(self.live.maker)

    def _lift_actors(self) -> list[ObjectId]:
        """Takes down what would act on rows that come back."""
        actors = [o.id for o in self.live.objects.values() if self._acts_on_rows(o)]
        return [i for i in actors if i in self.target.objects and self._takes_down(i)]

    def _acts_on_rows(self, o: SchemaObject) -> bool:
        acts = frozenset(o.acts_on_rows_of)
        return bool(acts) and any(
            self._acts_on(o, table, place)
            for table in self.rows
            for place in (table, *self.live.wholes_of(table))
            if place in acts
        )

    def _acts_on(self, o: SchemaObject, table: ObjectId, place: ObjectId) -> bool:
        """`place` is the table itself or what it is a partition of."""
        correction = self.rows[table].instead
        if correction is None or not o.acts_by_columns:
            return True
        columns = _columns(place, correction.columns)
        return not self.live.dependencies.get(o.id, columns).isdisjoint(columns)

    def _takes_down(self, dependent: ObjectId) -> bool:
        """Whether this dependent has to be dropped or lifted too; settles which."""
        if dependent in self.removed or dependent in self.rebuilt or dependent in self.lifted:
            return False
        before = self.live.objects[dependent]
        after = self.target.objects[dependent]
        if before.carries_data and (dependent in self.alterations or type(before).take_down is SchemaObject.take_down):
            # What holds data doesn't go because something it uses does: its own alteration cuts the tie.
            return False
        if before == after:
            self.lifted.add(dependent)
        else:
            self.alterations.pop(dependent, None)
            self.rebuilt.add(dependent)
        return True

    def _with_parts(self, object_id: ObjectId) -> list[ObjectId]:
        return [object_id, *self.live.objects[object_id].parts]

    def _check(self) -> None:
        for object_id in sorted({*self.removed, *self.added, *self.rebuilt, *self.lifted, *self.alterations}):
            if any(isinstance(c.objects.get(object_id), UnmanagedObject) for c in (self.live, self.target)):
                self.blocked.append(f"{object_id} is of a kind that tagback does not manage yet.")
        self.blocked += self._ties()
        self.blocked += [a.impossible for _, a in sorted(self.alterations.items()) if a.impossible]
        for table in sorted(self.rows):
            if isinstance(self.live.objects.get(table), UnmanagedObject):
                for i in sorted(self.live.objects):
                    if i.kind in ("trigger", "rule") and i.name[: len(table.name)] == table.name:
                        self.blocked.append(
                            f"{i} would act on the rows that come back, and its kind is not managed yet."
                        )
        for object_id in sorted({*self.added, *self.rebuilt, *self.lifted}):
            if not self.target.objects[object_id].can_be_made:
                self.blocked.append(f"{object_id} was left half done, and nothing makes it so again.")
        for object_id in sorted(self.rebuilt):
            if self.would_lose(object_id):
                self.blocked.append(
                    f"{object_id} would have to be dropped and created again, which would lose its data."
                )

    def _ties(self) -> list[str]:
        """What has to go for a while although something with rows, which stays as it is, can't be without it."""
        found = []
        for object_id, a in self.alterations.items():
            for i in a.holders:
                self.ties[i] = self.ties.get(i, frozenset()) | {object_id}
        for object_id in sorted({*self.rebuilt, *self.lifted}):
            for i in sorted({i for name in self._with_parts(object_id) for i in self.dependents.get(name, ())}):
                stays = i not in self.alterations and i in self.target.objects
                if stays and self.live.objects[i].carries_data and not {i} & (self.rebuilt | self.lifted):
                    found.append(told(object_id, i))
                    self.ties[i] = self.ties.get(i, frozenset()) | {object_id}
        return found

    def would_lose(self, i: ObjectId) -> bool:
        """Whether it has rows that would be gone with it."""
        before = self.live.objects[i]
        return i not in self.carried and before.carries_data and not before.holds_nothing

    def _tied(self) -> dict[ObjectId, frozenset[ObjectId]]:
        """What has rows and changes, and what it needs before and after that has to go for a while."""
        away = frozenset(self.rebuilt.union(self.lifted, self.heirs, *self.heirs.values()))
        found = {
            i: away & (self._needs(self.live, i) | self._needs(self.target, i))
            for i in self.alterations
            if self.live.objects[i].carries_data
        }
        return {i: needed for i, needed in found.items() if needed}

    # ------------------------------------------------------------------ the order

    def _ordered_somehow(self) -> list[_Node]:
        try:
            return self._ordered()
        except CycleError:
            # Two tables with parts that need the other one can't go each with its parts: the parts go first.
            self.parts_go_first = True
            return self._ordered()

    def _ordered(self) -> list[_Node]:
        down = {*self.removed, *self.rebuilt, *self.lifted}
        up = {*self.added, *self.rebuilt, *self.lifted}
        tied = {i for i, a in self.alterations.items() if a.tie}
        made = up | tied
        nodes = [
            *(_Node(Action.DROP, i) for i in sorted(down)),
            *(_Node(Action.ALTER, i) for i in sorted(self.alterations)),
            *(_Node(Action.CREATE, i) for i in sorted(made)),
            *(_Node(action, i) for i in sorted(self.rows) for action in (Action.DELETE, Action.INSERT)),
        ]
        before: dict[_Node, set[_Node]] = {n: set() for n in nodes}
        gone_or_changed = {*down, *self.alterations}
        for object_id in gone_or_changed:
            for needed in self._needs(self.live, object_id):
                here = self._leaves_at(object_id) if object_id in down else _Node(Action.ALTER, object_id)
                if needed in down:
                    before[_Node(Action.DROP, needed)].add(here)
                elif needed in self.alterations and (
                    object_id in down or self._hangs_on_disturbed(self.live, object_id, needed)
                ):
                    before[_Node(Action.ALTER, needed)].add(here)
        come_or_changed = {*up, *self.alterations}
        for object_id in come_or_changed:
            for needed in self._needs(self.target, object_id):
                here = _Node(Action.CREATE if object_id in made else Action.ALTER, object_id)
                if needed in up:
                    before[here].add(_Node(Action.CREATE, needed))
                elif (
                    needed in self.alterations
                    and (
                        object_id in made
                        or self._hangs_on_disturbed(self.target, object_id, needed)
                        or self._hangs_on_new(object_id, needed)
                    )
                    and here not in before[_Node(Action.ALTER, needed)]  # what hangs on it now changes before it does
                ):
                    before[here].add(_Node(Action.ALTER, needed))
        for object_id in tied:
            before[_Node(Action.CREATE, object_id)].add(_Node(Action.ALTER, object_id))
        for object_id in down & up:
            before[_Node(Action.CREATE, object_id)].add(_Node(Action.DROP, object_id))
        self.heirs = heirs(self.live, self.target, up, down)
        for object_id, first in self.heirs.items():
            before[_Node(Action.CREATE, object_id)] |= {self._leaves_at(i) for i in first}
        for table in self.rows:
            self._order_rows(table, before, down, up)
        self._order_tinges(before, down, up)
        depths: dict[ObjectId, int] = {}
        return in_order(nodes, before, lambda n: (_MAIN_STAGE[n.action], self._depth(n, depths), n.id))

    def _order_tinges(self, before: dict[_Node, set[_Node]], down: set[ObjectId], up: set[ObjectId]) -> None:
        """What tinges what is made goes before anything is made, and comes when all is there."""
        gone = {_Node(Action.DROP, i) for i in down if self.live.objects[i].tinges(self.live.maker)}
        come = [_Node(Action.CREATE, i) for i in up if not self._is_made(i)]
        made = (
            {n for n in before if n.action in (Action.CREATE, Action.ALTER) and self._is_made(n.id)}
            if gone or come
            else set()
        )
        for node in made if gone else ():
            before[node] |= gone
        for node in come:
            before[node] |= made

    def _order_rows(
        self, table: ObjectId, before: dict[_Node, set[_Node]], down: set[ObjectId], up: set[ObjectId]
    ) -> None:
        """Rows go out before the table and what it needs changes, and in before anything acts on them or shows them."""
        out, into = _Node(Action.DELETE, table), _Node(Action.INSERT, table)
        before[into].add(out)
        places = {table, *self.live.wholes_of(table)}
        for i in down:
            if not places.isdisjoint(self.live.objects[i].acts_on_rows_of):
                before[out].add(_Node(Action.DROP, i))
        if table in self.live.objects:
            for needed in (table, *self._needs(self.live, table)):
                for action in (Action.ALTER, Action.DROP):
                    if _Node(action, needed) in before:
                        before[_Node(action, needed)].add(out)
        for needed in (table, *self._needs(self.target, table)):
            before[into] |= {_Node(Action.ALTER, needed), _Node(Action.CREATE, needed)}
        places = {table, *self.target.wholes_of(table)}
        by_parts = self.target.objects[table].holds_rows_in_parts
        for i in up - {table}:
            o = self.target.objects[i]
            if by_parts and any(table in (whole, *self.target.wholes_of(whole)) for _, whole in o.attaches):
                before[into].add(_Node(Action.CREATE, i))
            elif not places.isdisjoint(o.acts_on_rows_of) or (not by_parts and table in self._needs(self.target, i)):
                before[_Node(Action.CREATE, i)].add(into)

    def _depth(self, node: _Node, known: dict[ObjectId, int]) -> int:
        """Of things that change in place, those that others will need go first where nothing forbids it."""
        if node.action is not Action.ALTER:
            return 0
        if node.id not in known:
            known[node.id] = 0  # also ends a circle
            needs = [_Node(Action.ALTER, i) for i in self._needs(self.target, node.id) if i in self.alterations]
            known[node.id] = 1 + max((self._depth(n, known) for n in needs), default=-1)
        return known[node.id]

    def _leaves_at(self, object_id: ObjectId) -> _Node:
        """When a dropped object is really gone: with what it is part of, if that is dropped."""
        while self._goes_along(self.live.objects[object_id]):
            whole = self.live.objects[object_id].part_of
            assert whole is not None
            object_id = whole
        return _Node(Action.DROP, object_id)

    def _goes_along(self, o: SchemaObject) -> bool:
        """Whether dropping what this object is part of takes it away already. What is only lifted must not go."""
        whole = o.part_of
        return (
            whole is not None
            and not (o.id in self.lifted and o.carries_data)
            and not self.parts_go_first
            and (whole in self.removed or whole in self.rebuilt)
            and not self._goes_first(o.id, whole)
        )

    def _goes_first(self, part: ObjectId, whole: ObjectId) -> bool:
        """Whether a part needs what itself needs the whole (an index by a function of its table's rows): it can't wait."""
        for needed in self._needs(self.live, part) - {whole}:
            if self.live.objects[needed].part_of == whole:
                if self._goes_first(needed, whole):
                    return True
            elif reaches(needed, whole, lambda i: self._needs(self.live, i)):
                return True
        return False

    def _hangs_on_disturbed(self, catalog: Catalog, object_id: ObjectId, needed: ObjectId) -> bool:
        return bool(self.alterations[needed].disturbs & catalog.dependencies.get(object_id, frozenset()))

    def _hangs_on_new(self, object_id: ObjectId, needed: ObjectId) -> bool:
        """Whether it needs a part that comes when the other is changed."""
        parts = (p for p in self.target.dependencies.get(object_id, ()) if self.target.owner_of(p) == needed)
        return any(self.live.owner_of(p) is None for p in parts)

    @staticmethod
    def _needs(catalog: Catalog, object_id: ObjectId) -> set[ObjectId]:
        """The objects, not parts, that must be there for this one."""
        o = catalog.objects[object_id]
        found = {catalog.owner_of(needed) for needed in catalog.dependencies.get(object_id, ())}
        if o.part_of is not None:
            found.add(o.part_of)
        return {i for i in found if i is not None and i != object_id}

    # ------------------------------------------------------------------ the statements

    def _steps(self, node: _Node) -> tuple[Step, ...]:
        if node.action is Action.DELETE:
            return self.rows[node.id].out
        if node.action is Action.INSERT:
            finish = self.alterations[node.id].finish if node.id in self.alterations else ()
            return (*self.rows[node.id].into, *finish)
        if node.action is Action.ALTER:
            alteration = self.alterations[node.id]
            return alteration.steps if node.id in self.rows else (*alteration.steps, *alteration.finish)
        if node.action is Action.CREATE and node.id in self.alterations:
            return self.alterations[node.id].tie
        if node.action is Action.CREATE:
            after = self.target.objects[node.id]
            if node.id in self.live.objects:
                after = after.as_found(self.live.objects[node.id])
            return after.put_back() if node.id in self.lifted else after.create_in(self.target)
        before = self.live.objects[node.id]
        if self._goes_along(before):
            return ()
        if node.id in self.carried:
            return tuple(replace(s, destroys=self.carried[node.id].lost) for s in before.drop())
        return before.take_down() if node.id in self.lifted else before.drop()


def _columns(table: ObjectId, names: frozenset[str]) -> frozenset[ObjectId]:
    return frozenset(ObjectId("column", (*table.name, n)) for n in names)
