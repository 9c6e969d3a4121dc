"""Tables, with their columns, keys, checks, periods, options and partitions: all that one ALTER TABLE changes at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from tagback.catalog import Action, Alteration, Catalog, Loss, LossKind, ObjectId, SchemaObject, Step
from tagback.engines.mariadb.kinds.base import EXCLUSIVE, MariadbObject, column_id, table_id
from tagback.engines.mariadb.kinds.column import Column
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.sqltext import ident

PRIMARY = "PRIMARY"
VERSIONED = "WITH SYSTEM VERSIONING"
_RESET = {
    "ROW_FORMAT": "DEFAULT",
    "COMMENT": "''",
    "KEY_BLOCK_SIZE": "0",
    "MIN_ROWS": "0",
    "MAX_ROWS": "0",
    "AVG_ROW_LENGTH": "0",
    "CHECKSUM": "0",
    "DELAY_KEY_WRITE": "0",
    "STATS_PERSISTENT": "DEFAULT",
    "STATS_AUTO_RECALC": "DEFAULT",
    "STATS_SAMPLE_PAGES": "DEFAULT",
    "PACK_KEYS": "DEFAULT",
    "TRANSACTIONAL": "DEFAULT",
    "PAGE_CHECKSUM": "DEFAULT",
}


class Key(msgspec.Struct, frozen=True):
    """A key as the server writes it in `text`, its name included. `unique`: no two rows may be alike for it."""

    name: str
    text: str
    columns: tuple[str, ...]
    unique: bool


_PLAIN = 5
_NOT_WHOLE = ("`(", "WITHOUT OVERLAPS")  # keys of parts of values, and those that are unique only at a time


def rank(key: Key, columns: Iterable[Column]) -> int:
    """Where the server puts a key among the others of a table that it makes: its sort_keys()."""
    if not key.unique:
        return 6 if key.text.startswith("FULLTEXT") else _PLAIN
    if key.name == PRIMARY:
        return 0
    nullable = {c.name for c in columns if c.nullable}
    return 1 + 2 * (not nullable.isdisjoint(key.columns)) + ("`(" in key.text)


def in_order(keys: Iterable[Key], columns: Sequence[Column]) -> tuple[Key, ...]:
    """The keys as the server would put them now.

    Where a column was made nullable after its unique key had come, the server leaves that key before those that never
    hold NULL; no statement makes such an order, so it isn't told apart.
    """
    return tuple(sorted(keys, key=lambda key: rank(key, columns)))


class Check(msgspec.Struct, frozen=True):
    """A constraint of the table's rows; those that stand with a column are in its `rest`."""

    name: str
    text: str


class Option(msgspec.Struct, frozen=True):
    """An option of the table, `value` as the server writes it."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """As in CREATE TABLE."""
        return f"{self.name}={self.value}" if self.value else self.name


class Table(MariadbObject, frozen=True, kw_only=True, omit_defaults=True, tag="table"):
    """A table. How far AUTO_INCREMENT has come is no part of its definition; foreign keys are objects of their own."""

    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()
    checks: tuple[Check, ...] = ()
    periods: tuple[str, ...] = ()
    charset: str = ""
    collation: str = ""
    options: tuple[Option, ...] = ()
    partitions: str = ""

    @property
    def parts(self) -> Iterable[ObjectId]:
        return tuple(column_id(self.id.name[0], c.name) for c in self.columns)

    @property
    def carries_data(self) -> bool:
        return True

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart: of the primary key, or of the first unique one that never holds NULL."""
        nullable = {c.name for c in self.columns if c.nullable}
        unique = (k for k in self.keys if k.unique and not any(part in k.text for part in _NOT_WHOLE))
        whole = (k for k in unique if nullable.isdisjoint(k.columns))
        return next((k.columns for k in sorted(whole, key=lambda k: k.name != PRIMARY)), ())

    @property
    def engine(self) -> str:
        return next((o.value for o in self.options if o.name == "ENGINE"), "")

    def interchangeable(self, other: SchemaObject) -> bool:
        """Keys that the server made give way to others, and no one can tell which these are."""
        if not isinstance(other, Table) or replace(self, keys=()) != replace(other, keys=()):
            return False
        return all(_made_for_foreign_key(key) for key in set(self.keys) ^ set(other.keys))

    def required(self, catalog: Catalog) -> Mapping[str, bool]:
        return {c.name: c.default is not None or c.generated or c.numbered for c in self.columns if not c.nullable}

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        if not isinstance(after, Table):
            return False
        mine, theirs = self._limits(), after._limits()
        return bool(mine - theirs)

    def _limits(self) -> frozenset[str]:
        checks = {c.rest for c in self.columns if " CHECK (" in f" {c.rest}"}
        return frozenset({*checks, *(c.text for c in self.checks), *(k.text for k in self.keys if k.unique)})

    # ------------------------------------------------------------------ the statements

    def create(self) -> tuple[Step, ...]:
        return self._created(frozenset())

    def create_in(self, target: Catalog) -> tuple[Step, ...]:
        return self._created(self._left_to_server(frozenset(), target))

    def _created(self, left: frozenset[str]) -> tuple[Step, ...]:
        items = [
            *(c.definition for c in self.columns),
            *(f"PERIOD FOR {p}" for p in self.periods),
            *(k.text for k in self.keys if k.name not in left),
            *(f"CONSTRAINT {ident(c.name)} {c.text}" for c in self.checks),
        ]
        tail = " ".join([f"DEFAULT CHARSET={self.charset} COLLATE={self.collation}", *(o.text for o in self.options)])
        sql = f"CREATE TABLE {self.address} (\n  " + ",\n  ".join(items) + f"\n) {tail}{self._partitioned}"
        return (self.step(sql, Action.CREATE),)

    def _left_to_server(self, there: frozenset[str], target: Catalog) -> frozenset[str]:
        """Keys named like a foreign key, that the server makes along with it, and marks as its own to replace.

        `there`: the names of keys that the table has already. A key is left only where the server makes exactly it,
        and where it comes last: nothing else serves its foreign key, or is served by it.
        """
        foreign = [o for o in target.objects.values() if isinstance(o, ForeignKey)]
        mine = [f for f in foreign if f.part_of == self.id]
        served = [f.parent_columns for f in foreign if not f.schema and table_id(f.parent) == self.id]
        left: set[str] = set()
        for key in reversed([k for k in self.keys if rank(k, self.columns) == _PLAIN]):
            owner = next((f for f in mine if f.id.name[-1] == key.name and f.columns == key.columns), None)
            alike = [k.columns for k in self.keys if k != key] + [f.columns for f in mine if f is not owner] + served
            if owner is None or key.name in there or not _made_for_foreign_key(key):
                break
            if any(columns[:1] == key.columns[:1] for columns in alike):
                break
            left.add(key.name)
        return frozenset(left)

    @property
    def _partitioned(self) -> str:
        return f"\n{self.partitions}" if self.partitions else ""

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP TABLE {self.address}", Action.DROP, [Loss(LossKind.TABLE, self.id)]),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        """One statement, so that it happens or doesn't; None where the server has no words for it."""
        if not isinstance(after, Table) or self.periods != after.periods:
            return None
        options = self._options(after)
        if options is None:
            return None
        fresh = self._made_anew(after)
        left = after._left_to_server(frozenset(k.name for k in self.keys), target)
        down, up = self._keys(after, fresh, left)
        clauses = [*down, *self._columns(after, fresh), *up, *options]
        if replace(self, keys=()) == replace(after, keys=()) and set(self.keys) == set(after.keys):
            clauses.append("FORCE")  # keys that go and come as they were are nothing to do for the server (10.11)
        sql = f"ALTER TABLE {self.address}"
        if clauses:
            sql += "\n  " + ",\n  ".join(clauses)
        if self.partitions != after.partitions:
            sql += after._partitioned or "\nREMOVE PARTITIONING"
        steps = [Step(sql, self.id, Action.ALTER, EXCLUSIVE, self._losses(after))]
        if self.versioned:
            steps.insert(0, self.step("SET SESSION system_versioning_alter_history = KEEP", Action.ALTER))
        return Alteration(tuple(steps), self._disturbed(after, fresh))

    @property
    def versioned(self) -> bool:
        return any(o.name == VERSIONED for o in self.options)

    def _options(self, after: Table) -> list[str] | None:
        mine, theirs = ({o.name: o for o in t.options} for t in (self, after))
        out = []
        for name in mine.keys() - theirs.keys():
            if name == VERSIONED:
                out.append("DROP SYSTEM VERSIONING")
            elif name.startswith("`"):
                out.append(f"{name}=DEFAULT")
            elif name in _RESET:
                out.append(f"{name}={_RESET[name]}")
            else:
                return None
        attributes = [[o for o in t.options if o.name.startswith("`")] for t in (self, after)]
        for name, option in theirs.items():
            if option != mine.get(name) or (name.startswith("`") and attributes[0] != attributes[1]):
                out.append("ADD SYSTEM VERSIONING" if name == VERSIONED else option.text)
        if (self.charset, self.collation) != (after.charset, after.collation):
            out.append(f"DEFAULT CHARSET={after.charset} COLLATE={after.collation}")
        return out

    def _made_anew(self, after: Table) -> frozenset[str]:
        """Columns of both that MODIFY can't change: they go and come in the same statement."""
        mine = {c.name: c for c in self.columns}
        return frozenset(c.name for c in after.columns if c.name in mine and not mine[c.name].becomes(c))

    def _keys(self, after: Table, fresh: frozenset[str], left: frozenset[str]) -> tuple[list[str], list[str]]:
        """What goes first and what comes last: keys and checks that differ, and those that would stand in another order."""
        gone = fresh | ({c.name for c in self.columns} - {c.name for c in after.columns})
        stay = {k.name for place in range(7) for k in _leading(self, after, place) if not gone & set(k.columns)}
        same = _common(self.checks, after.checks)
        down = [_dropped(k) for k in self.keys if k.name not in stay]
        down += [f"DROP CONSTRAINT {ident(c.name)}" for c in self.checks[same:]]
        up = [f"ADD {k.text}" for k in after.keys if k.name not in stay | left]
        return down, up + [f"ADD CONSTRAINT {ident(c.name)} {c.text}" for c in after.checks[same:]]

    def _columns(self, after: Table, fresh: frozenset[str]) -> list[str]:
        """Clauses in the order in which the server works them off, each where the ones before have left the others."""
        mine = {c.name: c for c in self.columns}
        names = {c.name for c in after.columns}
        clauses = [f"DROP COLUMN {ident(c.name)}" for c in self.columns if c.name not in names or c.name in fresh]
        order = [c.name for c in self.columns if c.name in names and c.name not in fresh]
        settled = _in_sequence(order, [c.name for c in after.columns])
        order = [name for name in order if name in settled]
        for at, c in enumerate(after.columns):
            before = after.columns[at - 1].name if at else ""
            place = f" AFTER {ident(before)}" if before else " FIRST"
            if c.name in settled:
                if mine[c.name] != c:
                    clauses.append(f"MODIFY COLUMN {c.definition}")
                continue
            word = "MODIFY" if c.name in mine and c.name not in fresh else "ADD"
            clauses.append(f"{word} COLUMN {c.definition}{place}")
        return clauses

    def _losses(self, after: Table) -> tuple[Loss, ...]:
        theirs = {c.name: c for c in after.columns}
        found = []
        for c in self.columns:
            other = theirs.get(c.name)
            if c.generated:
                continue
            if other is None or other.generated:
                found.append(Loss(LossKind.COLUMN, self.id, c.name, default=c.default or ""))
            elif c.stored_type != other.stored_type:
                found.append(
                    Loss(
                        LossKind.VALUES,
                        self.id,
                        c.name,
                        type_before=c.stored_type,
                        type_after=other.stored_type,
                    )
                )
        return tuple(found)

    def _disturbed(self, after: Table, fresh: frozenset[str]) -> frozenset[ObjectId]:
        """Columns that go, get another type, or lose a key: a foreign key that is there keeps the server from it."""
        theirs = {c.name: c for c in after.columns}
        keys = {k.text for k in after.keys}
        names = set(fresh)
        for c in self.columns:
            other = theirs.get(c.name)
            if other is None or (c.type, c.collation) != (other.type, other.collation):
                names.add(c.name)
        for k in self.keys:
            if k.text not in keys:
                names |= set(k.columns)
        return frozenset(column_id(self.id.name[0], n) for n in names)


def _leading(before: Table, after: Table, place: int) -> list[Key]:
    """Of the keys of one rank those that are the same and come first on both sides, whatever else goes."""
    wanted = [k for k in after.keys if rank(k, after.columns) == place]
    there = [k for k in before.keys if k in wanted]
    return wanted[: _common(there, wanted)]


def _common(before: Iterable[object], after: Iterable[object]) -> int:
    """How many items two lists begin with alike."""
    count = 0
    for a, b in zip(before, after, strict=False):
        if a != b:
            break
        count += 1
    return count


def _dropped(key: Key) -> str:
    return "DROP PRIMARY KEY" if key.name == PRIMARY else f"DROP KEY {ident(key.name)}"


def _made_for_foreign_key(key: Key) -> bool:
    """Whether it has nothing that the server wouldn't write of itself: no length, no order, no method."""
    return key.text == f"KEY {ident(key.name)} ({','.join(map(ident, key.columns))})"


def _in_sequence(there: list[str], wanted: list[str]) -> frozenset[str]:
    """Names that can stay where they are: a longest run of `there` that is in the order of `wanted`."""
    place = {name: at for at, name in enumerate(wanted)}
    best: list[list[str]] = []  # for each length the run that ends lowest
    for name in there:
        longer = max((run for run in best if place[run[-1]] < place[name]), key=len, default=[])
        run = [*longer, name]
        if len(run) > len(best):
            best.append(run)
        elif place[name] < place[best[len(run) - 1][-1]]:
            best[len(run) - 1] = run
    return frozenset(best[-1] if best else ())
