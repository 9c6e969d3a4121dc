"""The steps that take rows out of a table and put them in again as it was decided."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tagback.catalog import Action, Correction, Restoration, Step
from tagback.engines.postgres.sqltext import ident, literal, qualified
from tagback.engines.session import KeptRows

ROW_EXCLUSIVE = "ROW EXCLUSIVE"
_NEXTVAL = re.compile(r"nextval\(('(?:[^']|'')+')::regclass\)\Z")


def restoration(
    k: KeptRows, decision: str, staying: Sequence[str], corrected: Collection[str], *, there: bool
) -> Restoration:
    """Takes out what moves and puts in what stays. An identity column goes on behind what it has then.

    `staying` are columns whose values rows take along. `corrected`: the columns in which all rows that move differ from
    today's; nothing if some come, go or are made anew.
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
    instead = _correction(k, decision, corrected) if corrected and not fixed else None
    return Restoration(tuple(out), (*steps, *_numbers(k)), instead)


def which_differ(k: KeptRows, answer: Sequence[Sequence[object]]) -> tuple[str, ...]:
    """The answer of `Merging.differing`: the columns, or none if rows come or go."""
    ((others, *differ),) = answer
    return () if int(str(others)) else tuple(c for c, other in zip(k.names, differ, strict=True) if int(str(other)))


def _insertion(table: str, values: Mapping[str, str], source: str) -> str:
    into = f" ({', '.join(map(ident, values))}) OVERRIDING SYSTEM VALUE" if values else ""
    return f"INSERT INTO {table}{into} SELECT {', '.join(values.values())} FROM pg_temp.{source}"


def _correction(k: KeptRows, decision: str, columns: Collection[str]) -> Correction:
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
    steps = (Step(sql, k.table, Action.INSERT, ROW_EXCLUSIVE), *numbers)
    return Correction(frozenset(columns), frozenset(k.key), steps)


def _values(k: KeptRows) -> dict[str, str]:
    """The values to put in, by column."""
    return {c.name: f"f{n}" if c.plain else f"CAST(f{n} AS {c.type})" for n, c in enumerate(k.columns)}


def _numbers(k: KeptRows) -> list[Step]:
    """Steps that set the sequences of numbered columns behind the values that came back, never further back."""
    table = qualified(*k.table.name)
    found = []
    for c in k.columns:
        nextval = _NEXTVAL.match(c.default)
        if not c.numbered and not nextval:
            continue
        own = f"pg_catalog.pg_get_serial_sequence({literal(table)}, {literal(c.name)})::pg_catalog.regclass"
        sequence = f"pg_catalog.to_regclass({nextval[1]})" if nextval else own
        name, last = ident(c.name), "pg_catalog.pg_sequence_last_value(q.seqrelid)"
        found.append(
            Step(
                "SELECT pg_catalog.setval(q.seqrelid::pg_catalog.regclass, v.last) FROM pg_catalog.pg_sequence q,"
                f" LATERAL (SELECT CASE WHEN q.seqincrement > 0 THEN pg_catalog.max({name}) ELSE pg_catalog.min({name}) END"
                f"::bigint AS last FROM {table}) v"
                f" WHERE q.seqrelid = {sequence} AND v.last BETWEEN q.seqmin AND q.seqmax"
                f" AND CASE WHEN q.seqincrement > 0 THEN coalesce(v.last > {last}, v.last >= q.seqstart)"
                f" ELSE coalesce(v.last < {last}, v.last <= q.seqstart) END",
                k.table,
                Action.ALTER,
            )
        )
    return found
