"""The statements that give a table's rows what a merge has decided, where they are.

None goes out to come in again but where no key finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagback.catalog import Action, Restoration, Step
from tagback.engines.mariadb.bags import LOCK, Bag
from tagback.engines.mariadb.kinds.table import Table
from tagback.engines.mariadb.sqltext import ident
from tagback.engines.mariadb.words import Words, exactly
from tagback.engines.merging import Side
from tagback.engines.session import KeptRows


def restoration(
    k: KeptRows,
    now: Table | None,
    then: Table,
    today: Side | None,
    decision: str,
    changed: Sequence[bool],
    bag: Bag | None,
    *,
    come_or_go: bool,
    standing: bool,
) -> Restoration:
    """`changed`: the columns that rows which are there may get other values in. `bag`: no key finds them again.

    `come_or_go`: some rows do more than get other values. `standing`: what somebody has written since it was decided stands.
    """
    table, source = ident(k.table.name[0]), ident(decision)
    stay = {c.name for c in then.columns}  # where changesets run again, some may have gone with a later one
    kept = [(c, n) for n, c in enumerate(k.names) if c in stay]
    columns, values = [ident(c) for c, _ in kept], [f"f{n}" for _, n in kept]
    changed = [changed[n] for _, n in kept]
    insertion = (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source} d"
        " WHERE d.moves = 1 AND d.stays = 1"
    )
    if now is None or today is None:
        return Restoration((), (Step(insertion, k.table, Action.INSERT, LOCK),))
    if bag is not None:
        columns += map(ident, today.staying)
        values += today.along
        sql = (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source} d"
            " WHERE d.moves = 1 AND d.stays = 1"
        )
        return Restoration((), (*bag.out(source), Step(sql, k.table, Action.INSERT, LOCK)))
    found = " AND ".join(f"t.{c} = d.a{n}" for n, c in enumerate(today.address))
    types = {c.name: c.stored_type for c in now.columns}
    retyped = {c.name for c in then.columns if types.get(c.name, c.stored_type) != c.stored_type}
    own = {c: today.own[c] for c, _ in kept if standing and c in today.own and today.kept[c] and c not in retyped}
    numbers = {c: n for c, n in kept if c in own}
    unwritten = {c: _is(k, n, f"t.{ident(c)}", types[c]) for c, n in numbers.items()}
    pairs = [
        f"t.{ident(c)} = " + (f"CASE WHEN {unwritten[c]} THEN d.f{n} ELSE t.{ident(c)} END" if c in own else f"d.f{n}")
        for c, n in kept
    ]
    given = [pair for pair, differs in zip(pairs, changed, strict=True) if differs]
    names = [name for (name, _), differs in zip(kept, changed, strict=True) if differs]
    given += _standing(then, names)
    update = f"UPDATE {table} t JOIN {source} d ON {found} SET {', '.join(given)} WHERE d.moves = 1 AND d.stays = 1"
    out, into = [], [Step(update, k.table, Action.INSERT, LOCK)] if names else []
    fitted = [pair for pair, (c, _) in zip(pairs, kept, strict=True) if c in names and c in retyped]
    if fitted:
        fitted += _standing(now, names)
        # What can't be turned into the column's type goes before it, as near to what comes as the present type can hold.
        sql = f"UPDATE IGNORE {table} t JOIN {source} d ON {found} SET {', '.join(fitted)} WHERE d.moves = 1 AND d.stays = 1"
        out.append(Step(sql, k.table, Action.DELETE, LOCK))
    if come_or_go:
        sql = f"DELETE t FROM {table} t JOIN {source} d ON {found} WHERE d.moves = 1 AND d.stays = 0"
        out.append(Step(" AND ".join([sql, *unwritten.values()]), k.table, Action.DELETE, LOCK))
        places = [dict(kept).get(c) for c in now.key]
        there = " AND ".join(f"o.{ident(c)} = d.f{n}" for c, n in zip(now.key, places, strict=True))
        free = "" if None in places or not standing else f" AND NOT EXISTS (SELECT 1 FROM {table} o WHERE {there})"
        into.append(Step(f"{insertion} AND d.a0 IS NULL{free}", k.table, Action.INSERT, LOCK))
    return Restoration(tuple(out), tuple(into))


def _is(k: KeptRows, n: int, value: str, type_: str) -> str:
    """Whether a row's value is the one that the decision was made from."""
    return Words().alike(k.columns[n], exactly(type_, value), f"d.q{n}")


def _standing(table: Table, given: Sequence[str]) -> list[str]:
    """Columns with ON UPDATE that aren't given a value: they keep theirs only where they are given that."""
    return [
        f"t.{ident(c.name)} = t.{ident(c.name)}"
        for c in table.columns
        if "ON UPDATE" in c.rest.upper() and c.name not in given
    ]
