"""From one list of columns to another, in place and in the right order.

The server only appends columns. Where a column has to come before others, all that must follow it are copied behind it
inside one ALTER TABLE, as generated columns that lose their expression afterwards: the table keeps its identity and all
that doesn't hang on the moved columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tagback.catalog import Action, Loss, LossKind, ObjectId, Step
from tagback.engines.postgres.kinds import column as column_kind
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE
from tagback.engines.postgres.kinds.column import Column, settings
from tagback.engines.postgres.kinds.sequence import LAST, Counting, Identity
from tagback.engines.postgres.kinds.turning import cast, keeps_values, most_of
from tagback.engines.postgres.sqltext import ident, literal, qualified

_MOST_ATTRIBUTES = 1500  # the server's limit is 1,600, dropped ones included


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a table go, change their type, stay where they are, and are copied behind the others."""

    table: ObjectId
    owner: str
    before: Mapping[str, Column]
    after: Sequence[Column]
    dropped: tuple[str, ...]
    retyped: tuple[str, ...]
    remade: frozenset[str]  # generated columns, computed anew
    moved: frozenset[str]
    freed: tuple[str, ...]  # generated columns that become plain ones and keep their values
    tail: int  # where in `after` the columns begin that are added or moved
    defaults_before: Mapping[str, str] = field(default_factory=dict)
    defaults_after: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, Counting] = field(default_factory=dict)  # NOT NULL by a sequence that comes back later

    @property
    def possible(self) -> bool:
        return len(self.before) + 2 * len(self.after) < _MOST_ATTRIBUTES

    @property
    def changes(self) -> bool:
        """Whether columns come, go, move, or change their type."""
        return bool(self.touched) or self.tail < len(self.after)

    @property
    def rewrites(self) -> bool:
        """Whether the server goes through the rows, or would if there were any."""
        added = [self._added(c) for c in self.after if c.name not in self.before]
        computed = [c for c in added if c.generated or c.identity or c.name in self.defaults_after]
        return bool(self.retyped or self.remade or self.moved or computed)

    @property
    def touched(self) -> frozenset[str]:
        """Columns that don't stay as they are and where they are."""
        return frozenset((*self.dropped, *self.retyped, *self.remade, *self.moved))

    @property
    def disturbed(self) -> frozenset[ObjectId]:
        return frozenset(ObjectId("column", (*self.table.name, n)) for n in self.touched)

    def steps(self) -> tuple[Step, ...]:
        return (*self._frees(), *self._drops(), *self._retypes(), *self._tail(), *self._settings())

    def finish(self) -> tuple[Step, ...]:
        """What the rows must have by then."""
        clauses = [c.set_not_null for c in self.after if c.not_null and not c.identity and not self._now(c).not_null]
        return (self._alter(clauses),) if clauses else ()

    def _frees(self) -> list[Step]:
        return [self._alter([f"ALTER COLUMN {ident(n)} DROP EXPRESSION" for n in self.freed])] if self.freed else []

    def _drops(self) -> list[Step]:
        found = []
        # Generated columns first: they hang on the others.
        for name in sorted((*self.dropped, *self.remade), key=lambda n: not self.before[n].generated):
            lost = []
            if not self.before[name].generated:
                default = self.defaults_before.get(name, "")
                lost = [Loss(LossKind.COLUMN, self.table, name, default=default)]
            found.append(self._alter([f"DROP COLUMN {ident(name)}"], lost))
        return found

    def _retypes(self) -> list[Step]:
        wanted = {c.name: c for c in self.after}
        clauses, lost = [], []
        for name in self.retyped:
            old, new = self.before[name], wanted[name]
            collate = f" COLLATE {new.collation}" if new.collation else ""
            using = cast(ident(name), old.type, new.type)
            clauses.append(f"ALTER COLUMN {ident(name)} TYPE {new.type}{collate} USING {using}")
            if not keeps_values(old.type, new.type):
                lost.append(Loss(LossKind.VALUES, self.table, name, old.type, new.type))
        return [*self._released(), self._alter(clauses, lost)] if clauses else []

    def _released(self) -> list[Step]:
        """Identities that go or count too far for the other type: it becomes their sequence's as well."""
        wanted = {c.name: c for c in self.after}
        clauses, found = [], []
        for name in self.retyped:
            identity, most = self.before[name].identity, most_of(wanted[name].type)
            if identity and not self._identity(wanted[name]):
                clauses.append(f"ALTER COLUMN {ident(name)} DROP IDENTITY")
            elif identity and most:
                sequence = qualified(*identity.sequence)
                last = f"coalesce((SELECT max({ident(name)}) FROM ONLY {qualified(*self.table.name)}), 1)"
                setval = f"pg_catalog.setval({literal(sequence)}::pg_catalog.regclass, {last})"
                found.append(self._plain(f"SELECT {setval} FROM {sequence} WHERE last_value > {most}"))
        return [*([self._alter(clauses)] if clauses else []), *found]

    def _identity(self, column: Column) -> Identity | None:
        """The one that the column still has when its type is the new one."""
        return None if column.name in self.retyped and not column.identity else self.before[column.name].identity

    def _tail(self) -> list[Step]:
        """Adds the missing columns and copies the moved ones, in runs: a generated column waits for what it uses."""
        found: list[Step] = []
        run: list[Column] = []
        for column in self.after[self.tail :]:
            if column.generated and any(c.name in self.moved and c.name in column.uses for c in run):
                found += self._run(run)
                run = []
            run.append(column)
        return found + self._run(run)

    def _run(self, run: Sequence[Column]) -> list[Step]:
        moved = [c for c in run if c.name in self.moved]
        if not moved and not run:
            return []
        adds = [self._copy(c) if c.name in self.moved else self._addition(c) for c in run]
        found = [self._alter([f"ADD COLUMN {a}" for a in adds], action=Action.CREATE if not moved else Action.ALTER)]
        if not moved:
            return found
        found.append(self._alter([f"ALTER COLUMN {ident(self._copy_name(c))} DROP EXPRESSION" for c in moved]))
        sequences = []
        for c in moved:
            identity = self._identity(c)
            if not identity:
                continue
            # The copy takes over the position of the identity's sequence before the original goes.
            old, new = identity.sequence, (identity.sequence[0], self._copy_name(c))
            stand_in = msgspec.structs.replace(
                c, name=self._copy_name(c), not_null=True, not_null_name="", identity=identity
            )
            found.append(
                self._alter(settings(msgspec.structs.replace(c.bare, name=stand_in.name), stand_in, qualified(*new)))
            )
            found.append(
                self._plain(
                    f"SELECT pg_catalog.setval({literal(qualified(*new))}::pg_catalog.regclass, last_value, is_called)"
                    f" FROM {qualified(*old)}"
                )
            )
            sequences.append((new, old))
        found.append(self._alter([f"DROP COLUMN {ident(c.name)}" for c in moved]))
        for c in moved:
            found.append(self._alter([f"RENAME COLUMN {ident(self._copy_name(c))} TO {ident(c.name)}"]))
            if self._identity(c):
                found.append(self._plain(self._rename_not_null(c)))
        for new, old in sequences:
            found.append(self._plain(f"ALTER SEQUENCE {qualified(*new)} RENAME TO {ident(old[1])}"))
        return found

    def _rename_not_null(self, column: Column) -> str:
        """Where NOT NULL is a constraint (18), it was named for the copy."""
        first = column_kind.usual_not_null_name(self.table.name[-1], self._copy_name(column))
        name = column.not_null_name or column_kind.usual_not_null_name(self.table.name[-1], column.name)
        table = literal(qualified(*self.table.name))
        rename = f"ALTER TABLE {qualified(*self.table.name)} RENAME CONSTRAINT {ident(first)} TO {ident(name)}"
        body = f"""BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_constraint
              WHERE conrelid = {table}::pg_catalog.regclass AND conname = {literal(first)}) THEN
    {rename};
  END IF;
END"""
        return f"DO {literal(body)}"

    def _copy(self, column: Column) -> str:
        collate = f" COLLATE {column.collation}" if column.collation else ""
        name = ident(self._copy_name(column))
        return f"{name} {column.type}{collate} GENERATED ALWAYS AS ({ident(column.name)}) STORED"

    def _addition(self, column: Column) -> str:
        """With the default at once, so that the rows that are there get it."""
        return self._added(column).definition(self.defaults_after.get(column.name, ""))

    def _added(self, column: Column) -> Column:
        """Rows that are there may have nothing in it yet, or are counted: by an identity that is there till then."""
        if column.name in self.counted:
            sequence = (self.table.name[0], self._copy_name(column))
            counting = self.counted[column.name].within(column.type)
            return msgspec.structs.replace(column, identity=Identity(sequence=sequence, counting=counting))
        return column if column.generated or column.name in self.defaults_after else column.nullable

    def _copy_name(self, column: Column) -> str:
        number = next(i for i, c in enumerate(self.after) if c.name == column.name)
        name = f"tagback_{number}"
        while name in self.before or any(c.name == name for c in self.after):
            name += "_"
        return name

    def _settings(self) -> list[Step]:
        clauses: list[str] = []
        more: list[str] = []
        for column in self.after:
            now = self._now(column)
            clauses += settings(now, column if column.identity or now.not_null else column.nullable)
            more += column_kind.further(self.table.name, self.owner, now, column)
        found = [self._alter(clauses)] if clauses else []
        return found + [self._plain(sql) for sql in more]

    def _now(self, column: Column) -> Column:
        """What the column is like once it is there in its place."""
        name = column.name
        if name not in self.before or name in self.remade or name in self.dropped:
            return self._added(column).as_defined
        old = self.before[name]
        if name in self.moved:
            kept = self._identity(column)
            if not kept:
                return column.bare
            identity = kept.made_for(column.type)
            return msgspec.structs.replace(
                column.as_defined, not_null=True, identity=identity, generated="", compression=""
            )
        if name in self.retyped:
            left = self._identity(column)
            # Storage and compression are the type's own again.
            return msgspec.structs.replace(
                old,
                type=column.type,
                collation=column.collation,
                identity=left,
                storage="",
                usual_storage="",
                compression="",
            )
        return old

    def _alter(self, clauses: Sequence[str], lost: Sequence[Loss] = (), action: Action = Action.ALTER) -> Step:
        sql = f"ALTER TABLE ONLY {qualified(*self.table.name)} {', '.join(clauses)}"
        return Step(sql, self.table, action, ACCESS_EXCLUSIVE, tuple(lost))

    def _plain(self, sql: str) -> Step:
        return Step(sql, self.table, Action.ALTER)


def lay_out(
    table: ObjectId,
    owner: str,
    before: Sequence[Column],
    after: Sequence[Column],
    defaults_before: Mapping[str, str],
    defaults_after: Mapping[str, str],
    counted: Mapping[str, Counting],
) -> Layout:
    """Finds what has to be done with each column; columns are the same when their names are."""
    new = {c.name: c for c in after}
    freed = tuple(c.name for c in before if c.generated and c.name in new and not new[c.name].generated and not c.bound)
    old = {
        c.name: msgspec.structs.replace(c, generated="", uses=(), calls=()) if c.name in freed else c for c in before
    }
    dropped = {n for n in old if n not in new or bool(new[n].generated) != bool(old[n].generated)}
    retyped = {
        n
        for n, c in old.items()
        if n in new and n not in dropped and (c.type, c.collation) != (new[n].type, new[n].collation)
    }
    remade = {
        n
        for n, c in old.items()
        if c.generated and n not in dropped and new[n].generated and (n in retyped or c.computed != new[n].computed)
    }
    while True:
        retyped -= remade
        stays = [c.name for c in before if c.name not in dropped and c.name not in remade]
        tail = _longest_start(stays, [c.name for c in after])
        kept = {c.name for c in after[:tail]}
        moved = frozenset(n for n in stays if n not in kept)
        gone = {*dropped, *retyped, *moved, *remade}
        hanging = {
            n
            for n, c in old.items()
            if c.generated and n not in dropped and n not in remade and (n in moved or gone & set(c.uses))
        }
        # A generated column can't be copied by another one, nor stay while what it uses is changed.
        if not hanging:
            break
        remade |= hanging
    return Layout(
        table, owner, old, tuple(after), tuple(n for n in old if n in dropped), tuple(n for n in old if n in retyped),
        frozenset(remade), moved, freed, tail, defaults_before, defaults_after,
        {n: counting for n, counting in counted.items() if n not in old and new[n].type in LAST},
    )  # fmt: skip


def _longest_start(stays: Sequence[str], wanted: Sequence[str]) -> int:
    """How many of the wanted columns can stay where they are: the longest start that is in the right order already."""
    at = 0
    for count, name in enumerate(wanted):
        try:
            at = stays.index(name, at) + 1
        except ValueError:
            return count
    return len(wanted)
