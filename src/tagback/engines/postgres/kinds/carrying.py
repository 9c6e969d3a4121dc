"""Rows that outlast their table: copied before it is dropped, and put in when it has been made anew.

The copy has core types only, so that whatever the table's columns are made of can go meanwhile; values of other types are
text. A type whose text would be read as something else afterwards, as it has other parts then, is taken apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from tagback.catalog import Action, Carry, Catalog, Loss, LossKind, ObjectId, SchemaObject, Step
from tagback.engines.postgres.columns import exact
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.kinds.sequence import go_on_behind
from tagback.engines.postgres.kinds.turning import cast, keeps_values
from tagback.engines.postgres.sqltext import ident, literal, path_of, qualified

_DEEPEST = 20


def carry(
    table: ObjectId,
    before: Sequence[Column],
    after: Sequence[Column],
    defaults: Mapping[str, str],
    live: Catalog,
    target: Catalog,
    *,
    empty: bool = False,
) -> Carry | None:
    """None where some values can't be turned. `defaults` are what rows get in columns that come.

    `empty`: the rows are in parts of it, but numbers go on.
    """
    types = _Types(live, target)
    place = f"tagback_{hashlib.sha256(table.path.encode()).hexdigest()[:12]}"
    new = {c.name: c for c in after if not c.generated}
    taken, given, lost = {}, {}, []
    for c in before:
        if c.name not in new:
            lost += [] if c.generated else [Loss(LossKind.COLUMN, table, c.name)]
            continue
        if empty:
            continue
        values = types.turned(c, new[c.name])
        if values is None:
            return None
        taken[c.name], given[c.name] = values
        if types.loses_parts(c.type, new[c.name].type):
            lost.append(Loss(LossKind.COLUMN, table, c.name))
        elif not keeps_values(c.type, new[c.name].type):
            lost.append(Loss(LossKind.VALUES, table, c.name, c.type, new[c.name].type))
    given |= {name: value for name, value in defaults.items() if name in new and name not in taken}
    name = qualified(*table.name)
    out = [f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"]
    into = []
    if not empty:
        listed = ", ".join(f"{value} AS {ident(c)}" for c, value in taken.items())
        out.append(f"CREATE TEMPORARY TABLE {place} AS SELECT {listed} FROM ONLY {name}")
        columns = f" ({', '.join(map(ident, given))}) OVERRIDING SYSTEM VALUE" if given else ""
        into.append(f"INSERT INTO {name}{columns} SELECT {', '.join(given.values())} FROM pg_temp.{place}")
        into.append(f"DROP TABLE pg_temp.{place}")
    numbered = {c.name: c.identity for c in before if c.identity}
    for number, c in enumerate(after):
        if not c.identity:
            continue
        if not empty:
            into.append(go_on_behind(c.identity.sequence, table.name, c.name, c.identity.counting.increment))
        was = numbered.get(c.name)
        if was:
            last = f"{place}_{number}"
            sequence = literal(qualified(*c.identity.sequence))
            out.append(f"CREATE TEMPORARY TABLE {last} AS SELECT last_value, is_called FROM {qualified(*was.sequence)}")
            into.append(
                f"SELECT pg_catalog.setval({sequence}::pg_catalog.regclass, last_value, is_called)"
                f" FROM pg_temp.{last}, pg_catalog.pg_sequence s"
                f" WHERE s.seqrelid = {sequence}::pg_catalog.regclass AND last_value BETWEEN s.seqmin AND s.seqmax"
            )
            into.append(f"DROP TABLE pg_temp.{last}")
    return Carry(
        tuple(Step(sql, table, Action.COPY, ACCESS_EXCLUSIVE) for sql in out),
        tuple(Step(sql, table, Action.COPY) for sql in into),
        () if empty else (Step(f"DELETE FROM ONLY {name}", table, Action.DELETE, destroys=tuple(lost)),),
        () if empty else tuple(lost),
    )


class _Types:
    """The types of columns, as they are now and as they will be."""

    def __init__(self, live: Catalog, target: Catalog) -> None:
        self._both = live, target
        self._known = tuple(_by_spelling(c) for c in self._both)

    def turned(self, old: Column, new: Column) -> tuple[str, str] | None:
        """A value in the copy, and one made of that: as SQL."""
        value, core = ident(old.name), "." not in old.type
        if core:
            kept = f'{value} COLLATE pg_catalog."C"' if old.collation else value
            return kept, value if old.type == new.type else cast(value, old.type, new.type)
        if "." not in new.type or self._alike(old.type, new.type):
            names = self._renamed(old.type)
            if names is None or (names and old.type.endswith("]")):
                return None
            whens = "".join(f" WHEN {literal(a)} THEN {literal(b)}" for a, b in names.items())
            read = f"CASE {value}{whens} ELSE {value} END" if whens else value
            return exact(value), read if new.type == "text" else f"({read})::{new.type}"
        row = self._parted(value, old.type, new.type)
        return (
            (f"CASE WHEN {value} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {row}) END", f"{value}::{new.type}")
            if row
            else None
        )

    def _parted(self, value: str, old: str, new: str) -> str:
        """The value with the parts of the other type in their order; empty where that can't be said."""
        if old.endswith("]") and new.endswith("]"):
            one = self._parted(f"({value})[i]", old.removesuffix("[]"), new.removesuffix("[]"))
            plain = f"pg_catalog.array_ndims({value}) = 1 AND pg_catalog.array_lower({value}, 1) = 1"
            each = f"SELECT pg_catalog.format('%s', {one}) FROM pg_catalog.generate_subscripts({value}, 1) i ORDER BY i"
            # Of an array with other subscripts these would be lost: the cast fails, and says which they are.
            odd = f"ARRAY[pg_catalog.array_dims({value})::integer::text]"
            nothing = f"pg_catalog.cardinality({value}) = 0"
            return f"CASE WHEN {plain} THEN ARRAY({each}) WHEN {nothing} THEN '{{}}' ELSE {odd} END" if one else ""
        have, want = (self._attributes(t, known) for t, known in zip((old, new), self._known, strict=True))
        if have is None or want is None:
            return ""
        there, fields = dict(have), []
        for name, kind in want:
            part = f"({value}).{ident(name)}"
            if name in there and "." in kind and not self._alike(there[name], kind):
                parted = self._parted(part, there[name], kind)
                if not parted:
                    return ""
                part = f"CASE WHEN {part} IS DISTINCT FROM NULL THEN {parted} END"
            fields.append(part if name in there else "NULL")
        return f"ROW({', '.join(fields)})"

    def loses_parts(self, old: str, new: str) -> bool:
        """Whether values of the one have parts that those of the other haven't."""
        return _lacks(self._shape(old, self._known[0], 0), self._shape(new, self._known[1], 0))

    def _alike(self, old: str, new: str) -> bool:
        """Whether the text of the one is read as the same by the other."""
        return self._shape(old, self._known[0], 0) == self._shape(new, self._known[1], 0)

    def _shape(self, name: str, known: Mapping[str, SchemaObject], depth: int) -> object:
        """What the text of a type's values is made of: names within names."""
        if name.endswith("]"):
            return ("array", self._shape(name.removesuffix("[]"), known, depth))
        parts = self._attributes(name, known)
        if parts is not None and depth < _DEEPEST:
            return tuple((n, self._shape(kind, known, depth + 1)) for n, kind in parts)
        of = known.get(_plain(name))
        within = getattr(of, "base", "") or getattr(of, "subtype", "")
        return self._shape(within, known, depth + 1) if within and depth < _DEEPEST else "text"

    def _attributes(self, name: str, known: Mapping[str, SchemaObject]) -> list[tuple[str, str]] | None:
        columns: Sequence[Column] | None = getattr(known.get(_plain(name)), "columns", None)
        return None if columns is None else [(c.name, c.type) for c in columns]

    def _renamed(self, name: str) -> dict[str, str] | None:
        """Labels of an enum that have another name then; None where it holds such labels within."""
        old, new = (known.get(_plain(name.removesuffix("[]"))) for known in self._known)
        known = getattr(old, "renamed_labels", None)
        return dict(known(new, self._both[0])) if known and type(new) is type(old) else {}


def _lacks(shape: object, of: object) -> bool:
    """Whether one shape has names that the other hasn't in that place."""
    if not isinstance(shape, tuple) or not isinstance(of, tuple):
        return isinstance(shape, tuple)
    if shape[:1] == ("array",):
        return of[:1] != ("array",) or _lacks(shape[1], of[1])
    there = dict(of)
    return any(name not in there or _lacks(part, there[name]) for name, part in shape)


def _by_spelling(catalog: Catalog) -> dict[str, SchemaObject]:
    """Types by the name that the server gives them: the schema's own, and the rows of tables and views."""
    found = {}
    for o in catalog.objects.values():
        spelled = getattr(o, "spelled", "")
        if spelled:
            found[spelled] = o
        elif o.id.kind in ("table", "view", "materialized view"):
            found[qualified(*o.id.name)] = o
    return {_plain(name): o for name, o in found.items()}


def _plain(name: str) -> str:
    """A type's name with all its parts in quotes."""
    return qualified(*path_of(name))
