"""The SQL that puts what a rollback took away over what the same changesets have just made again.

Where nobody wrote to the table since the rollback, its rows are those of before the rollback: what it changed is put
back the other way round, whatever the changesets made of the rows now. Where somebody did, that holds row by row for the
rows which the rollback changed or looked at; all others are what the changesets make of them. So its place has two
more kinds of rows: *left*, looked at and as they were before it, with what tells which of its values were written
since; and *away*, looked for and there neither before it nor after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tagback.engines.merging import CHANGED, GONE, NEW, WHICH, Merging, Side
from tagback.engines.session import KeptRows, Redo

LEFT, AWAY = "left", "away"


class Redoing(Merging):
    """The statements of a merge, and those of a redo."""

    # ------------------------------------------------------------------ keeping

    def remain(
        self, kept: KeptRows, place: str, given: Mapping[str, KeptRows], start: Side, end: Side | None
    ) -> list[str]:
        """A statement that notes which rows in `given` (by address) the rollback didn't change, if rows can be told."""
        known = [query for address, other in given.items() if (query := _keys_of(kept, other, address))]
        if end is None or not kept.key or not known:
            return []
        keys = self._key_names(kept)
        values = self._bases(kept, end)
        of_row = ", ".join(f"y.{name}" for name in values)
        return [
            f"INSERT INTO {place} ({', '.join([WHICH, *keys, 'd', *values])})"
            f" SELECT CASE WHEN x.k0 IS NULL THEN '{AWAY}' ELSE '{LEFT}' END, {', '.join(f's.{k}' for k in keys)},"
            f" '{'0' * len(kept.columns)}', {of_row}"
            f" FROM ({' UNION '.join(known)}) s"
            f" LEFT JOIN ({self._rows(kept, start, {})}) x ON {self._together(keys, 's', 'x')}"
            f" LEFT JOIN ({self._rows(kept, end, values)}) y ON {self._together(keys, 's', 'y')}"
            f" LEFT JOIN {place} h ON {self._together(keys, 's', 'h')}"
            f" WHERE h.k0 IS NULL AND (x.k0 IS NULL) = (y.k0 IS NULL)"
        ]

    # ------------------------------------------------------------------ putting over

    def again(self, kept: KeptRows, place: str, today: Side, began: Side | None, redo: Redo) -> str:
        """A query for what becomes of each row, with the columns of `decide`; `began`: the table before the changesets ran.

        It is None where there was no such table.
        """
        if redo.stood is None or began is None or redo.unwritten:
            return self._as_it_was(kept, place, today, began)
        return self._row_by_row(kept, place, today, began, redo.stood.made)

    def _as_it_was(self, kept: KeptRows, place: str, today: Side, began: Side | None) -> str:
        keys = self._key_names(kept)
        values = [f"f{n}" for n in range(len(kept.columns))]
        of_shelf = ", ".join([*(f"h.{k}" for k in keys), *_named(_of("h.v", kept), values)])
        wanted = f"SELECT {of_shelf} FROM {place} h WHERE h.change = '{GONE}'"
        if began is not None:
            of_table = ", ".join([*(f"z.{k}" for k in keys), *_named(_before(kept, began), values)])
            wanted = (
                f"SELECT {of_table} FROM ({self._seen(kept, began)}) z"
                f" LEFT JOIN {place} h ON {self._together(keys, 'z', 'h')} AND h.change IN ('{CHANGED}', '{NEW}')"
                f" WHERE h.k0 IS NULL OR h.change = '{CHANGED}' UNION ALL {wanted}"
            )
        found = self._seen(kept, today)
        if not kept.key:
            wanted = self._whole(wanted, values, values)
            there = [f"q{n}" for n, c in enumerate(kept.names) if today.kept[c]]
            compared = [f"q{n}" if today.kept[c] else "NULL" for n, c in enumerate(kept.names)]
            there += [*(f"a{n}" for n in range(len(today.address))), *today.along]
            found = self._whole(found, compared, there)
        together = self._together(keys, "w", "n")
        put, out = self._put(kept, today, _of("w.f", kept), "w"), self._out(kept, today)
        return (
            f"WITH w {self._w.once} ({wanted}), n {self._w.once} ({found})"
            f" SELECT {put} FROM w LEFT JOIN n ON {together}"
            f" UNION ALL SELECT {out} FROM n LEFT JOIN w ON {together} WHERE w.k0 IS NULL"
        )

    def _row_by_row(self, kept: KeptRows, place: str, today: Side, began: Side, made: int) -> str:
        keys = self._key_names(kept)
        h_n, h_z, n_z = (self._together(keys, *pair) for pair in ("hn", "hz", "nz"))
        same = self._w.same("z.r", "h.r")
        own = [f"z.q{n}" if began.kept[c] else "NULL" for n, c in enumerate(kept.names)]
        unless_there = "z.k0 IS NULL" if kept.key else "(z.k0 IS NULL OR n.k0 IS NULL)"
        every = f"(SELECT count(*) FROM n LEFT JOIN z ON {n_z} WHERE z.k0 IS NULL)"
        out, once = self._out(kept, today), self._w.once
        queries = [
            f"{self._put(kept, today, _before(kept, began))} FROM h JOIN z ON {h_z} LEFT JOIN n ON {h_n}"
            f" WHERE h.change = '{CHANGED}' AND {same}",
            f"{self._merged(kept, today, began)} FROM h JOIN z ON {h_z} JOIN n ON {h_n}"
            f" WHERE h.change IN ('{CHANGED}', '{LEFT}') AND NOT ({same})",
            f"{self._put(kept, today, _of('h.v', kept))} FROM h LEFT JOIN z ON {h_z} LEFT JOIN n ON {h_n}"
            f" WHERE h.change = '{GONE}' AND {unless_there}",
            f"{self._put(kept, today, own)} FROM h JOIN z ON {h_z} LEFT JOIN n ON {h_n}"
            f" WHERE h.change = '{LEFT}' AND {same}",
            f"{out} FROM n JOIN h ON {h_n} JOIN z ON {h_z} WHERE h.change = '{NEW}' AND {same}",
            f"{out} FROM n JOIN h ON {h_n} LEFT JOIN z ON {h_z} WHERE h.change = '{AWAY}' AND z.k0 IS NULL",
            # Rows that were made again under other keys are the same rows if they are as many as the first time.
            f"{out} FROM n LEFT JOIN h ON {h_n} LEFT JOIN z ON {n_z}"
            f" WHERE h.k0 IS NULL AND z.k0 IS NULL AND {every} = {made}",
        ]
        return (
            f"WITH h {once} (SELECT * FROM {place}), n {once} ({self._seen(kept, today)}),"
            f" z {once} ({self._seen(kept, began)}) SELECT {' UNION ALL SELECT '.join(queries)}"
        )

    # ------------------------------------------------------------------ parts of queries

    def _seen(self, kept: KeptRows, side: Side) -> str:
        """All rows of a side, with their values as q0 … and what tells whether they were written."""
        values = {f"q{n}": side.kept[c] for n, c in enumerate(kept.names) if side.kept[c]}
        return self._rows(kept, side, values | side.along | self._bases(kept, side))

    def _whole(self, query: str, compared: Sequence[str], columns: Sequence[str]) -> str:
        """The same rows with whole rows for their keys, and a number among those that are alike."""
        digest, number = self._w.digest(compared), self._w.text("row_number() OVER (PARTITION BY k0)")
        return (
            f"SELECT {', '.join(['k0', f'{number} AS k1', *columns])}"
            f" FROM (SELECT {', '.join([f'{digest} AS k0', *columns])} FROM ({query}) told) numbered"
        )

    def _put(self, kept: KeptRows, today: Side, values: Sequence[str], keys_of: str = "h") -> str:
        """The columns of a decision about a row that is to have these values."""
        other = [f"NOT ({self._alike(kept, today, n, value)})" for n, value in enumerate(values)]
        return self._chosen(kept, today, " OR ".join(["n.k0 IS NULL", *other]), "1", keys_of, values)

    def _out(self, kept: KeptRows, today: Side) -> str:
        """The same for a row that goes."""
        return self._chosen(kept, today, "1 = 1", "0", "n", ["NULL"] * len(kept.columns))

    def _merged(self, kept: KeptRows, today: Side, began: Side) -> str:
        """The same for a row that somebody wrote to: what wasn't written is as it was before the rollback."""
        values, moves = [], ["1 = 0"]
        for n, (name, before) in enumerate(zip(kept.names, _before(kept, began), strict=True)):
            if name in began.own:
                back = f"((h.change = '{LEFT}' OR {_took_part(n)}) AND {self._w.same(f'z.b{n}', f'h.b{n}')})"
            else:
                # Others were written since that it may be made from; not where it has only its default now.
                made = f" OR {self._alike(kept, today, n, f'z.q{n}')}" if began.kept[name] else ""
                back = f"({_took_part(n)} AND (h.a IS NULL OR {self._w.same('z.a', 'h.a')}{made}))"
            values.append(f"CASE WHEN {back} THEN {before} ELSE {f'n.q{n}' if today.kept[name] else 'NULL'} END")
            moves.append(f"({back} AND NOT ({self._alike(kept, today, n, before)}))")
        return self._chosen(kept, today, " OR ".join(moves), "1", "h", values)

    def _alike(self, kept: KeptRows, today: Side, n: int, value: str) -> str:
        column = kept.columns[n]
        return self._w.alike(column, f"({value})", f"n.q{n}") if today.kept[column.name] else "1 = 0"

    def _chosen(self, kept: KeptRows, today: Side, moves: str, stays: str, keys_of: str, values: Sequence[str]) -> str:
        chosen = [f"n.a{n} AS a{n}" for n in range(len(today.address))]
        chosen += [f"CASE WHEN {moves} THEN 1 ELSE 0 END AS moves", f"{stays} AS stays", "'' AS c"]
        chosen += [f"{keys_of}.{k} AS {k}" for k in self._key_names(kept)]
        chosen += [f"{value} AS f{n}" for n, value in enumerate(values)]
        chosen += [f"n.q{n} AS q{n}" for n in self._seen_in(kept, today)]
        return ", ".join([*chosen, *(f"n.{x} AS {x}" for x in today.along)])


def _keys_of(kept: KeptRows, given: KeptRows, address: str) -> str:
    """The keys of other kept rows as this one has them; empty where they are others."""
    types = {c.name: c.type for c in given.columns}
    if set(given.key) != set(kept.key) or any(types[c.name] != c.type for c in kept.columns if c.name in kept.key):
        return ""
    chosen = [f"k{given.key.index(c)} AS k{n}" for n, c in enumerate(kept.key)]
    return f"SELECT {', '.join(chosen)} FROM {address}"


def _before(kept: KeptRows, began: Side) -> list[str]:
    """A row as it was before the rollback: what the rollback changed of it, and the rest as it is."""
    return [
        f"CASE WHEN {_took_part(n)} THEN h.v{n} ELSE z.q{n} END" if began.kept[c] else f"h.v{n}"
        for n, c in enumerate(kept.names)
    ]


def _took_part(n: int) -> str:
    return f"substr(h.d, {n + 1}, 1) = '1'"


def _of(prefix: str, kept: KeptRows) -> list[str]:
    return [f"{prefix}{n}" for n in range(len(kept.columns))]


def _named(expressions: Iterable[str], names: Iterable[str]) -> list[str]:
    return [f"{e} AS {name}" for e, name in zip(expressions, names, strict=True)]
