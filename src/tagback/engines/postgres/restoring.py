"""The steps that take rows out of a table and put them in again as it was decided."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tagback.catalog import Action, Correction, ObjectId, Restoration, Step
from tagback.engines.postgres.sqltext import ident, literal, qualified
from tagback.engines.session import KeptColumn, KeptRows

ROW_EXCLUSIVE = "ROW EXCLUSIVE"
_NEXTVAL = re.compile(r"nextval\(('(?:[^']|'')+')::regclass\)\Z")


def restoration(
    k: KeptRows,
    decision: str,
    staying: Sequence[str],
    corrected: Collection[str],
    counted: Collection[str],
    *,
    there: bool,
) -> Restoration:
    """Takes out what moves and puts in what stays. An identity column goes on behind what it has then.

    `staying` are columns whose values rows take along. `counted`: columns that come back and can't be NULL; where they have
    a sequence, rows of today are counted behind the values that come back. `corrected`: the columns in which all rows that
    move differ from today's; nothing if some come, go or are made anew.
    """
    table = qualified(*k.table.name)
    out = []
    if there:
        sql = f"DELETE FROM ONLY {table} WHERE ctid IN (SELECT a0 FROM pg_temp.{decision} WHERE moves = 1)"
        out.append(Step(sql, k.table, Action.DELETE, ROW_EXCLUSIVE))
    values = _values(k)
    along = {c: f"x{n}" for n, c in enumerate(staying)}
    if along:  # other rows have nothing to take along, and get what the column has for them
        into = [
            _insertion(table, values | along, f"{decision} WHERE moves = 1 AND stays = 1 AND a0 IS NOT NULL"),
            _insertion(table, values, f"{decision} WHERE moves = 1 AND stays = 1 AND a0 IS NULL"),
        ]
    else:
        into = [_insertion(table, values, f"{decision} WHERE moves = 1 AND stays = 1")]
    steps = [Step(sql, k.table, Action.INSERT, ROW_EXCLUSIVE) for sql in into]
    # An identity that is generated always takes no value by UPDATE.
    fixed = any(c.numbered and c.name in corrected for c in k.columns)
    instead = _correction(k, decision, corrected, counted) if corrected and not fixed else None
    behind = _behind(k, decision, counted) if there else []
    return Restoration(tuple(out), (*behind, *steps, *_numbers(k)), instead)


def which_differ(k: KeptRows, answer: Sequence[Sequence[object]]) -> tuple[str, ...]:
    """The answer of `Merging.differing`: the columns, or none if rows come or go."""
    ((others, *differ),) = answer
    return () if int(str(others)) else tuple(c for c, other in zip(k.names, differ, strict=True) if int(str(other)))


def _insertion(table: str, values: Mapping[str, str], source: str) -> str:
    into = f" ({', '.join(map(ident, values))}) OVERRIDING SYSTEM VALUE" if values else ""
    return f"INSERT INTO {table}{into} SELECT {', '.join(values.values())} FROM pg_temp.{source}"


def _correction(k: KeptRows, decision: str, columns: Collection[str], counted: Collection[str]) -> Correction:
    """Found by the key and not by the place: a table whose columns are put in order is written anew before."""
    table = qualified(*k.table.name)
    values = _values(k)
    found = " AND ".join(
        f"t.{ident(c.name)} = {values[c.name]}" + (' COLLATE pg_catalog."C"' if c.collated else "")
        for c in k.columns
        if c.name in k.key
    )
    given = ", ".join(f"{ident(c)} = {value}" for c, value in values.items() if c in columns)
    sql = f"UPDATE ONLY {table} t SET {given} FROM pg_temp.{decision} d WHERE d.moves = 1 AND {found}"
    numbers = [step for c in k.columns if c.name in columns for step in _numbers(replace(k, columns=(c,)))]
    behind = _behind(
        k, decision, counted, f" AND NOT EXISTS (SELECT FROM pg_temp.{decision} d WHERE d.moves = 1 AND {found})"
    )
    steps = (Step(sql, k.table, Action.INSERT, ROW_EXCLUSIVE), *behind, *numbers)
    return Correction(frozenset(columns), frozenset(k.key), steps)


def _behind(k: KeptRows, decision: str, counted: Collection[str], others: str = "") -> list[Step]:
    """Steps that count rows which nothing is put into behind the values that come back: what they have may be one of these.

    An identity's sequence is there already; that of a default isn't, if it was dropped with its column.
    """
    table, values, found = qualified(*k.table.name), _values(k), []
    for c in (c for c in k.columns if c.name in counted):
        nextval = _NEXTVAL.match(c.default)
        name = ident(c.name)
        coming = f"(SELECT {values[c.name]} AS {name} FROM pg_temp.{decision} WHERE moves = 1 AND stays = 1) d"
        if c.numbered:
            found.append(_go_on(k, c, coming))
            sql = f"UPDATE ONLY {table} SET {name} = DEFAULT"
        elif nextval:
            sql = (
                f"UPDATE ONLY {table} t SET {name} = s.number"
                " FROM (SELECT t.ctid AS place, m.last + row_number() OVER () AS number"
                f" FROM ONLY {table} t, (SELECT max({name}) AS last FROM {coming}) m"
                f" WHERE m.last IS NOT NULL AND pg_catalog.to_regclass({nextval[1]}) IS NULL{others}) s"
                " WHERE t.ctid = s.place"
            )
        else:
            continue
        found.append(Step(sql, k.table, Action.INSERT, ROW_EXCLUSIVE))
    return found


def _values(k: KeptRows) -> dict[str, str]:
    """The values to put in, by column."""
    return {c.name: f"f{n}" if c.plain else f"CAST(f{n} AS {c.type})" for n, c in enumerate(k.columns)}


def _numbers(k: KeptRows) -> list[Step]:
    """Steps that set the sequences of numbered columns behind the values that came back, never further back."""
    return [_go_on(k, c, qualified(*k.table.name)) for c in k.columns if _sequence(k, c)]


def sequence_of(table: ObjectId, column: str, default: str, identity: bool) -> str:
    """The expression for the sequence that numbers a column, NULL if it isn't there; empty where none does."""
    nextval = _NEXTVAL.match(default)
    if nextval:
        return f"pg_catalog.to_regclass({nextval[1]})"
    own = f"pg_catalog.pg_get_serial_sequence({literal(qualified(*table.name))}, {literal(column)})"
    return f"{own}::pg_catalog.regclass" if identity else ""


def _sequence(k: KeptRows, c: KeptColumn) -> str:
    return sequence_of(k.table, c.name, c.default, c.numbered)


def _go_on(k: KeptRows, column: KeptColumn, source: str) -> Step:
    """Sets the column's sequence behind the values that are in `source`."""
    last = f"(SELECT CASE WHEN q.seqincrement > 0 THEN pg_catalog.max({ident(column.name)})"
    last += f" ELSE pg_catalog.min({ident(column.name)}) END::bigint AS last FROM {source})"
    return _further(k, column, last)


def positions(k: KeptRows, there: Collection[str]) -> list[Step]:
    """Steps that set sequences behind the last number that they had given out, once they are back. `there` are columns now."""
    columns = {c.name: c for c in k.columns}
    gone = {name: last for name, last in k.positions.items() if name not in there}
    return [_further(k, columns[name], f"(SELECT {last}::bigint AS last)") for name, last in gone.items()]


def _further(k: KeptRows, column: KeptColumn, value: str) -> Step:
    """Sets the column's sequence to a value, a query in parentheses, unless it stands there or beyond."""
    last = "pg_catalog.pg_sequence_last_value(q.seqrelid)"
    return Step(
        f"SELECT pg_catalog.setval(q.seqrelid::pg_catalog.regclass, v.last) FROM pg_catalog.pg_sequence q, LATERAL {value} v"
        f" WHERE q.seqrelid = {_sequence(k, column)} AND v.last BETWEEN q.seqmin AND q.seqmax"
        f" AND CASE WHEN q.seqincrement > 0 THEN coalesce(v.last > {last}, v.last >= q.seqstart)"
        f" ELSE coalesce(v.last < {last}, v.last <= q.seqstart) END",
        k.table,
        Action.ALTER,
    )
