"""Rows that refer to nothing, under a foreign key that holds for new ones.

A superuser, a restored dump or a replica can leave them behind. When such a key is made again, they are out of the table
while the server looks, and back afterwards, as no trigger sees.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tagback.catalog import Action, Catalog, ObjectId, Step
from tagback.engines.postgres.kinds.constraint import Constraint
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.places import MOVED, address, address_of_moved
from tagback.engines.postgres.sqltext import ident, literal, qualified
from tagback.engines.session import BROKEN, KeptRows, StatementError

_VIOLATION = "23503"  # of a foreign key
_ROLE, _ROLES = "session_replication_role", ("replica", "origin")


def counted(
    attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
    kept: Sequence[KeptRows],
    before: Catalog,
    after: Catalog,
    names: Mapping[ObjectId, ObjectId],
    most: int,
) -> tuple[KeptRows, ...]:
    """The same with `broken`: how many rows referred to nothing at the start, by the foreign key's name.

    Of rows that are gone, and, without a place, of tables that nothing happened to but that such a key is gone. `names` are
    those of today. Only what takes up less than `most` bytes is looked at. `attempt` gives what may be refused: a parent
    that is another one now.
    """
    gone = {k.table: k for k in kept if k.gone and k.bytes < most}
    touched = {k.table for k in kept}
    keys: dict[ObjectId, list[Constraint]] = {}
    for o in before.objects.values():
        if isinstance(o, Constraint) and o.references is not None and o.validated:
            keys.setdefault(ObjectId("table", o.id.name[:2]), []).append(o)
    broken: dict[ObjectId, dict[str, int]] = {}

    def count(table: ObjectId, key: Constraint, child: str, parents: Sequence[str]) -> None:
        filled = " AND ".join(f"c.f{n} IS NOT NULL" for n in range(len(key.columns)))
        same = " AND ".join(f"p.f{n} = c.f{n}" for n in range(len(key.columns)))
        lost = [f"NOT EXISTS (SELECT FROM ({p}) p WHERE {same})" for p in parents]
        found = attempt(f"SELECT count(*) FROM ({child}) c WHERE {' AND '.join([filled, *lost])}")
        if isinstance(found, list) and found[0][0]:
            broken.setdefault(table, {})[key.id.name[2]] = int(str(found[0][0]))

    def today(table: ObjectId, columns: Sequence[str]) -> str:
        there = [names.get(i := ObjectId("column", (*table.name, c)), i).name[-1] for c in columns]
        return _selected(there, qualified(*names.get(table, table).name))

    for table, k in gone.items():
        for key in [key for t in (table, *before.wholes_of(table)) for key in keys.get(t, ())]:
            parent = ObjectId("table", key.references or ())
            child, parents = _gone(k, key.columns), [_gone(gone[parent], key.referenced)] if parent in gone else []
            if parent not in gone or not gone[parent].whole:
                parents.append(today(parent, key.referenced))
            if child and all(parents) and not any(k.table == parent and k.bytes >= most for k in kept):
                count(table, key, child, parents)
    without_place = []
    for table, own in keys.items():
        for key in own:
            parent = ObjectId("table", key.references or ())
            now = after.objects.get(names.get(key.id, key.id))
            went = not isinstance(now, Constraint) or not now.validated
            if (
                went
                and {names.get(t, t) for t in (table, parent)} <= after.objects.keys()
                and not {table, parent} & touched
            ):
                there = literal(qualified(*names.get(table, table).name))
                size = attempt(f"SELECT pg_table_size({there}::regclass)")
                if isinstance(size, list) and int(str(size[0][0])) < most:
                    count(table, key, today(table, key.columns), [today(parent, key.referenced)])
        if table in broken and table not in gone:
            without_place.append(KeptRows(table, "", (), (), (), (), False, how=BROKEN, broken=broken[table]))
    with_place = [replace(k, broken=broken[k.table]) if k.table in broken else k for k in kept]
    return (*with_place, *without_place)


def _gone(k: KeptRows, columns: Sequence[str]) -> str:
    """The query for these columns of the rows that are gone, as f0 …; empty where their values are kept in another form."""
    by_name = {c.name: (n, c) for n, c in enumerate(k.columns)}
    if not all(c in by_name and by_name[c][1].plain for c in columns):
        return ""
    if k.how == MOVED:
        return _selected(columns, address_of_moved(k))
    values = ", ".join(f"v{by_name[c][0]} AS f{n}" for n, c in enumerate(columns))
    return f"SELECT {values} FROM {address(k.place)} WHERE change = 'gone'"


def _selected(columns: Sequence[str], source: str) -> str:
    return f"SELECT {', '.join(f'{ident(c)} AS f{n}' for n, c in enumerate(columns))} FROM {source}"


def spared(
    text: Callable[[str], list[tuple[object, ...]]],
    steps: Sequence[Step],
    error: StatementError,
    live: Catalog,
    target: Catalog,
    kept: Sequence[KeptRows],
) -> tuple[Step, ...] | None:
    """See Session.spared.

    Where the key is there now, rows are known again by the values that refer to nothing now; those that come back are
    counted.
    """
    number = next((n for n, step in enumerate(steps) if step.sql == error.statement), None)
    if number is None or error.sqlstate != _VIOLATION:
        return None
    step = steps[number]
    table = target.objects.get(step.object if step.action is Action.INSERT else ObjectId("table", step.object.name[:2]))
    if not isinstance(table, Table) or not _may(text, table.id):
        return None
    if step.action is Action.INSERT:
        wholes = [w for i in (table.id, *target.wholes_of(table.id)) if isinstance(w := target.objects[i], Table)]
        foreign = [o for o in target.objects.values() if isinstance(o, Constraint) and o.references is not None]
        keys = [_Key(o, whole) for whole in wholes for o in foreign if _stays(o, whole, live)]
        if not keys or (number and _ROLE in steps[number - 1].sql):
            return None
        out, back = keys[0].passing_over()
        back = (*back, *(key.checked() for key in keys))
    else:
        wanted = target.objects.get(step.object)
        if not isinstance(wanted, Constraint):
            return None
        coming = sum(
            k.broken.get(wanted.id.name[2], 0) for k in kept if table.id in (k.table, *target.wholes_of(k.table))
        )
        keys = [_Key(wanted, table)] if _stays(wanted, table, live) else []
        if not (keys or coming) or any(_Key(wanted, table).aside in s.sql for s in steps):
            return None
        out, back = _Key(wanted, table).around(coming, stood=bool(keys))
    known = [first for key in keys if (first := key.known()) not in steps]
    return (*known, *steps[:number], *out, step, *back, *steps[number + 1 :])


def _stays(wanted: Constraint, table: Table, live: Catalog) -> bool:
    """Whether it is a foreign key of the table that is there now, too, and holds."""
    now = live.objects.get(wanted.id)
    return (
        wanted.references is not None
        and wanted.id.name[:2] == table.id.name
        and isinstance(now, Constraint)
        and now.validated
        and (now.columns, now.references, now.referenced) == (wanted.columns, wanted.references, wanted.referenced)
    )


def _may(text: Callable[[str], list[tuple[object, ...]]], table: ObjectId) -> bool:
    """Whether triggers can be passed over, and none is there that can't."""
    ((may, fires),) = text(
        "SELECT current_setting('is_superuser') = 'on',"
        f" EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass({literal(qualified(*table.name))})"
        " AND tgenabled IN ('A', 'R'))"
        f" OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = to_regclass({literal(qualified(*table.name))})"
        " AND ev_enabled IN ('A', 'R'))"
    )
    return bool(may) and not fires


@dataclass(frozen=True, slots=True)
class _Key:
    """A foreign key that is made again in this table."""

    key: Constraint
    table: Table

    @property
    def name(self) -> str:
        """Of the temporary table with the values that refer to nothing."""
        return f"tagback_orphans_{zlib.crc32(repr(self.key.id.name).encode()):08x}"

    @property
    def source(self) -> str:
        whole = "" if self.table.partition_by else "ONLY "
        return f"{whole}{qualified(*self.table.id.name)} c"

    @property
    def values(self) -> str:
        return ", ".join(f"c.{ident(a)}" for a in self.key.columns)

    @property
    def dangling(self) -> str:
        assert self.key.references is not None
        pairs = zip(self.key.columns, self.key.referenced, strict=True)
        there = " AND ".join(f"p.{ident(b)} = c.{ident(a)}" for a, b in pairs)
        filled = " AND ".join(f"c.{ident(a)} IS NOT NULL" for a in self.key.columns)
        return f"{filled} AND NOT EXISTS (SELECT FROM {qualified(*self.key.references)} p WHERE {there})"

    def known(self) -> Step:
        """Notes the values, before anything is changed."""
        sql = f"CREATE TEMP TABLE {self.name} ON COMMIT DROP AS SELECT DISTINCT {self.values} FROM {self.source}"
        return self._step(f"{sql} WHERE {self.dangling}")

    @property
    def aside(self) -> str:
        """Of the temporary table with the rows."""
        return f"{self.name}_out"

    def passing_over(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """What keeps triggers from firing, and ends that."""
        quiet, loud = (self._step(f"SELECT pg_catalog.set_config('{_ROLE}', '{role}', true)") for role in _ROLES)
        return (quiet,), (loud,)

    def checked(self) -> Step:
        """Refuses rows that refer to nothing and whose values aren't known."""
        name = self.key.id.name[2]
        message = f'insert or update on table "{self.table.id.name[1]}" violates foreign key constraint "{name}"'
        others = f"SELECT FROM {self.source} WHERE {self.dangling} AND NOT ({self._known})"
        raised = f"RAISE foreign_key_violation USING MESSAGE = {literal(message)}"
        return self._step(f"DO {literal(f'BEGIN IF EXISTS ({others}) THEN {raised}; END IF; END')}")

    @property
    def _known(self) -> str:
        return f"({self.values}) IN (SELECT * FROM pg_temp.{self.name} o)"

    def around(self, coming: int, *, stood: bool) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """What takes these rows out, and what puts them back: those with the values, and so many that come back."""
        columns = ", ".join(ident(c.name) for c in self.table.columns if not c.generated)
        place, row = ident("tagback tableoid"), ident("tagback ctid")
        select = f"SELECT c.tableoid AS {place}, c.ctid AS {row}, c.* FROM {self.source} WHERE {self.dangling}"
        chosen = [f"{select} AND {self._known}"] if stood else []
        if coming:
            chosen.append(f"({select}{f' AND NOT ({self._known})' if stood else ''} LIMIT {coming})")
        found = f"c.tableoid = o.{place} AND c.ctid = o.{row}"
        into = f"{qualified(*self.table.id.name)} ({columns}) OVERRIDING SYSTEM VALUE"
        quiet, loud = self.passing_over()
        return (
            self._step(f"CREATE TEMP TABLE {self.aside} ON COMMIT DROP AS {' UNION ALL '.join(chosen)}"),
            *quiet,
            self._step(f"DELETE FROM {self.source} USING pg_temp.{self.aside} o WHERE {found}"),
            *loud,
        ), (*quiet, self._step(f"INSERT INTO {into} SELECT {columns} FROM pg_temp.{self.aside} o"), *loud)

    def _step(self, sql: str) -> Step:
        return Step(sql, self.table.id, Action.COPY)
