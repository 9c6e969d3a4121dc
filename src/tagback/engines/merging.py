"""The SQL that keeps what a change did to rows, and that merges it with what was written since.

It is the same on every engine but for a few words, which `Words` has. A row is told from others by its key; without one
by the text of those columns that the change left alone, and a number among those that are alike. Values are compared by
their exact text: two are the same when they look the same, not when `=` says so.

Places (the shelf's tables) have these columns: `change` (gone, new or changed: seen from the start; for rollbacks see
`tagback.engines.redoing`), `k0` … the key,
`v0` … the start's values, `d` a digit for each column, 1 where the change made another value, `b0` … the text of
the value that the change left, `a` a digest of the columns that the start doesn't have, `r` of the whole row that the
change left if it is new, or if a rollback asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tagback.engines.session import KeptColumn, KeptRows, Rules
from tagback.errors import RefusedError

GONE, NEW, CHANGED = "gone", "new", "changed"
WHICH = '"change"'  # the column's name, which is a word of MariaDB's
NEVER, ALWAYS = "1 = 0", "1 = 1"


class Words(Protocol):
    """What engines say differently; arguments and results are SQL expressions."""

    def exact(self, value: str) -> str:
        """The value's exact text, NULL for NULL."""

    def base(self, value: str) -> str:
        """The value's exact text, or something short that stands for it, NULL for NULL."""

    def digest(self, values: Sequence[str]) -> str:
        """Something short that stands for these values together, NULLs included."""

    def digits(self, conditions: Sequence[str]) -> str:
        """A text with a digit for each condition: 1 where it holds, else 0."""

    def text(self, number: str) -> str:
        """A number as text."""

    @property
    def once(self) -> str:
        """What stands between the name of a query in WITH and its text, to have it computed once."""

    def same(self, left: str, right: str) -> str:
        """Whether two texts are equal or both NULL."""

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        """Whether two values of this column in the shelf's form have the same exact text, found in the cheapest way."""


@dataclass(frozen=True, slots=True)
class Side:
    """A table in FROM, seen as the start's columns.

    `kept` is each column's value as the way back would give it, in the shelf's form, or empty where it gives none that
    could be the start's; `own` the value that is there, for columns that are; `added` the columns the start doesn't have.
    `address` finds the row again until the table changes. `where`: a condition; rows that it leaves out are the same on
    both sides, key and all. `same`: columns that surely are as they were; set only if there is no new row and no new key.
    Of columns in `raw`, which have nothing in `kept`, `turned` makes the start's form from today's row's `n.w0` …
    `staying` are columns that the start doesn't have and the schema to return to has, as they are: somebody added them by
    hand, and rows that go out and come in take their values along.
    """

    source: str
    kept: Mapping[str, str]
    own: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    address: tuple[str, ...] = ()
    raw: Mapping[str, str] = field(default_factory=dict)
    turned: Mapping[str, str] = field(default_factory=dict)
    staying: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    same: frozenset[str] = frozenset()

    @property
    def along(self) -> dict[str, str]:
        """The values that a row takes along, as x0 …."""
        return {f"x{n}": value for n, value in enumerate(self.staying.values())}


def nothing_given(side: Side) -> Side:
    """The same where columns that are gone don't get a value by themselves."""
    return replace(side, kept={c: v if c in side.own else "" for c, v in side.kept.items()})


class Merging:
    """Composes the statements. `seen`: decisions tell, as q0 …, the values that they were made from."""

    def __init__(self, words: Words, *, seen: bool = False) -> None:
        self._w = words
        self._tells_seen = seen

    # ------------------------------------------------------------------ keeping

    def keep(self, kept: KeptRows, start: Side, end: Side | None, place: str) -> list[str]:
        """Statements that fill the place; with no `end` the table is gone.

        With a key they are two: for rows that are there now, and for those that are gone.
        """
        count = len(kept.columns)
        keys = self._key_names(kept)
        into = self._into(kept, place)
        values = {f"v{n}": start.kept[c] for n, c in enumerate(kept.names)}
        nothing = ["NULL"] * count
        gone = [f"'{GONE}'", *(f"s.{k}" for k in keys), *(f"s.v{n}" for n in range(count)), "NULL", *nothing]
        gone += ["NULL", "NULL"]
        if end is None:
            return [f"{into} SELECT {', '.join(gone)} FROM ({self._rows(kept, start, values)}) s"]
        differs = [
            NEVER
            if kept.key and c.name in end.same
            else self._differs(c, f"s.v{n}", f"n.p{n}" if end.kept[c.name] else "")
            for n, c in enumerate(kept.columns)
        ]
        # What is there now is one pass: a row that has no origin is new, one that differs from its origin is changed.
        is_new = NEVER if kept.key and end.same.issuperset(kept.key) else "s.k0 IS NULL"
        which = _any([is_new, *differs])
        differs = [_within(which, different) for different in differs]
        there = [
            f"'{CHANGED}'" if is_new == NEVER else f"CASE WHEN {is_new} THEN '{NEW}' ELSE '{CHANGED}' END",
            *(f"coalesce(s.{k}, n.{k})" for k in keys),
            *(_where(different, f"s.v{n}") for n, different in enumerate(differs)),
            _unless(is_new, self._w.digits(differs)),
            *(_unless(is_new, _where(different, f"n.b{n}")) for n, different in enumerate(differs)),
            _unless(is_new, "n.a"),
            "n.r" if kept.stood is not None else _where(is_new, "n.r"),
        ]
        together = self._together(keys, "s", "n")
        values_at_end = {f"p{n}": end.kept[c] for n, c in enumerate(kept.names) if end.kept[c]}
        at_end = values_at_end | self._bases(kept, end)
        start_rows = self._rows(kept, start, values)
        first, (left, right) = self._named_sources(kept, s=start_rows, n=self._rows(kept, end, at_end, end.where))
        queries = [
            f"SELECT {', '.join(there)} FROM {right} {'LEFT ' if is_new != NEVER else ''}JOIN {left} ON {together}"
            f" WHERE {which}"
        ]
        _, (left, right) = self._named_sources(kept, s=start_rows, n=self._rows(kept, end, at_end))
        queries.append(f"SELECT {', '.join(gone)} FROM {left} LEFT JOIN {right} ON {together} WHERE n.k0 IS NULL")
        if kept.key:
            return [f"{into} {query}" for query in queries]
        return [f"{into} {first} {' UNION ALL '.join(queries)}"]

    def keep_lost(self, kept: KeptRows, start: Side, end: Side, place: str) -> str:
        """The statement where nothing happened to any row but that columns are gone: today's table isn't read."""
        differs = [
            NEVER if c.name in end.own else self._differs(c, f"s.v{n}", end.kept[c.name])
            for n, c in enumerate(kept.columns)
        ]
        which = _any(differs)
        differs = [_within(which, different) for different in differs]
        values = {f"v{n}": start.kept[c] for n, c in enumerate(kept.names) if c not in end.own}
        chosen = [f"'{CHANGED}'", *(f"s.{k}" for k in self._key_names(kept))]
        chosen += [*(_where(different, f"s.v{n}") for n, different in enumerate(differs)), self._w.digits(differs)]
        chosen += [*["NULL"] * len(differs), "NULL", "NULL"]
        return (
            f"{self._into(kept, place)} SELECT {', '.join(chosen)} FROM ({self._rows(kept, start, values)}) s"
            f" WHERE {which}"
        )

    def _into(self, kept: KeptRows, place: str) -> str:
        count = len(kept.columns)
        names = [WHICH, *self._key_names(kept), *(f"v{n}" for n in range(count)), "d"]
        return f"INSERT INTO {place} ({', '.join([*names, *(f'b{n}' for n in range(count)), 'a', 'r'])})"

    def _differs(self, column: KeptColumn, start: str, end: str) -> str:
        return f"NOT ({self._w.alike(column, start, end)})" if end else ALWAYS

    def _named_sources(self, kept: KeptRows, **queries: str) -> tuple[str, list[str]]:
        """The queries for use in FROM: in place with a key, where the engine finds rows by it, else computed once."""
        if kept.key:
            return "", [f"({query}) {name}" for name, query in queries.items()]
        return "WITH " + ", ".join(f"{name} {self._w.once} ({query})" for name, query in queries.items()), list(queries)

    def _bases(self, kept: KeptRows, side: Side) -> dict[str, str]:
        """What tells later whether somebody wrote since: each value's short text, the added columns, the whole row."""
        found = {f"b{n}": self._w.base(side.own[c]) if c in side.own else "NULL" for n, c in enumerate(kept.names)}
        added = [side.added[c] for c in kept.added if c in side.added]
        own = [side.own[c] for c in kept.names if c in side.own]
        return found | {"a": self._w.digest(added) if added else "NULL", "r": self._w.digest([*own, *added])}

    # ------------------------------------------------------------------ telling rows apart

    @staticmethod
    def _key_names(kept: KeptRows) -> list[str]:
        return [f"k{n}" for n in range(len(kept.key))] if kept.key else ["k0", "k1"]

    @staticmethod
    def _together(keys: Sequence[str], left: str, right: str) -> str:
        return " AND ".join(f"{left}.{k} = {right}.{k}" for k in keys)

    def _rows(self, kept: KeptRows, side: Side, values: Mapping[str, str], where: str = "") -> str:
        """Selects the key as k0 …, the address as a0 … and the values; `where` is for rows with a key only."""
        chosen = {f"a{n}": expression for n, expression in enumerate(side.address)} | dict(values)
        if kept.key:
            chosen = {f"k{n}": side.kept[c] for n, c in enumerate(kept.key)} | chosen
            return f"SELECT {_as(chosen)} FROM {side.source}{f' WHERE {where}' if where else ''}"
        content = self._w.digest([side.kept[c] for c in kept.matched])
        rest = {
            f"o{n}": self._w.exact(side.kept[c])
            for n, c in enumerate(kept.names)
            if c not in kept.matched and side.kept[c]
        }
        order = f" ORDER BY {', '.join(rest)}" if rest else ""
        number = f"{self._w.text(f'row_number() OVER (PARTITION BY k0{order})')} AS k1"
        return (
            f"SELECT {', '.join(['k0', number, *chosen])} FROM (SELECT {_as({'k0': content} | chosen | rest)}"
            f" FROM {side.source}) numbered"
        )

    # ------------------------------------------------------------------ merging

    def decide(self, kept: KeptRows, place: str, today: Side | None, rules: Rules) -> str:
        """A query for what becomes of each row that the change touched.

        Columns: `a0` … the address of today's row, `moves` (1: it is taken out, or put in, or both), `stays` (1: it is put
        in), `c` what is in conflict (a digit for each column, or `row`), the key's text, `f0` … the row to put in, and
        `x0` … what it takes along, and `q0` … what is there today, where decisions tell.
        """
        count = len(kept.columns)
        keys = self._key_names(kept)
        values = [f"h.v{n}" for n in range(count)]
        own_keys = [f"h.{k}" for k in keys]
        if today is None:
            chosen = ["1 AS moves", "1 AS stays", "'' AS c", *own_keys, *(f"h.v{n} AS f{n}" for n in range(count))]
            return f"SELECT {', '.join(chosen)} FROM {place} h WHERE h.change = '{GONE}'"
        width = len(today.address)
        addresses = [f"n.a{n}" for n in range(width)]
        along = [f"n.{x}" for x in today.along]
        nowhere = [*["NULL"] * count, *along]
        given = {f"q{n}": today.kept[c] for n, c in enumerate(kept.names) if today.kept[c]}
        backs = {f"e{n}": rules.back[c] for n, c in enumerate(kept.names) if c in rules.back}
        raw = {f"w{n}": today.raw[c] for n, c in enumerate(kept.names) if c in today.raw}
        rows = self._rows(kept, today, given | backs | raw | today.along | self._bases(kept, today))
        together = self._together(keys, "h", "n")
        alike = (
            " AND ".join(
                self._w.alike(c, f"h.v{n}", f"n.q{n}") if today.kept[c.name] else "1 = 0"
                for n, c in enumerate(kept.columns)
            )
            or "1 = 1"
        )
        column = [_Column(self._w, kept, today, rules, n) for n in range(count)]
        changed = [
            *addresses,
            f"CASE WHEN {' OR '.join(c.moves for c in column) or '1 = 0'} THEN 1 ELSE 0 END",
            "1",
            " || ".join(c.digit for c in column) or "''",
            *own_keys,
            *(c.value for c in column),
            *along,
        ]
        gone = [
            *addresses,
            f"CASE WHEN n.k0 IS NULL OR ({int(rules.restore)} = 1 AND NOT ({alike})) THEN 1 ELSE 0 END",
            "1",
            f"CASE WHEN n.k0 IS NULL OR ({alike}) THEN '' ELSE 'row' END",
            *own_keys,
            *values,
            *along,
        ]
        if kept.whole and kept.key and any(name not in today.own for name in kept.names):
            gone = [*addresses, "1", "1", *self._of_another(kept, today, rules), *along]
        untouched = self._w.same("h.r", "n.r")
        new = [
            *addresses,
            "1" if rules.restore else f"CASE WHEN {untouched} THEN 1 ELSE 0 END",
            "0",
            f"CASE WHEN {untouched} THEN '' ELSE 'row' END",
            *own_keys,
            *nowhere,
        ]
        names = [*(f"a{n}" for n in range(width)), "moves", "stays", "c", *keys]
        names += [*(f"f{n}" for n in range(count)), *today.along, *(f"q{n}" for n in self._seen_in(kept, today))]
        seen = [f"n.q{n}" for n in self._seen_in(kept, today)]
        changed, gone, new = [*changed, *seen], [*gone, *seen], [*new, *seen]
        start, (h, t) = self._named_sources(kept, h=f"SELECT * FROM {place}", n=rows)
        queries = [
            f"SELECT {_named(changed, names)} FROM {h} JOIN {t} ON {together} WHERE h.change = '{CHANGED}'",
            f"SELECT {', '.join(gone)} FROM {h} LEFT JOIN {t} ON {together if kept.key else '1 = 0'}"
            f" WHERE h.change = '{GONE}'",
            f"SELECT {', '.join(new)} FROM {h} JOIN {t} ON {together} WHERE h.change = '{NEW}'",
        ]
        if not kept.key:
            # Without a key a row that was changed since can't be told from one that was removed; and what is alike was
            # not put back by somebody, but is one more.
            lost = [*["NULL"] * width, "0", "0", "'row'", *own_keys, *nowhere, *seen]
            queries.append(
                f"SELECT {', '.join(lost)} FROM {h} LEFT JOIN {t} ON {together}"
                f" WHERE h.change IN ('{CHANGED}', '{NEW}') AND n.k0 IS NULL"
            )
        if backs:
            # Rows that came since have no old value; what their new columns say is the way to one.
            since = [*addresses, "1", "1", "''", *(f"n.{k}" for k in keys)]
            since += [
                f"n.e{n}" if f"e{n}" in backs else f"n.q{n}" if today.kept[c] else "NULL"
                for n, c in enumerate(kept.names)
            ]
            since += [*along, *seen]
            queries.append(f"SELECT {', '.join(since)} FROM {t} LEFT JOIN {h} ON {together} WHERE h.k0 IS NULL")
        return f"{start} {' UNION ALL '.join(queries)}"

    def seen(self, kept: KeptRows, today: Side | None) -> frozenset[str]:
        """The names of the columns whose values of today a decision tells."""
        return frozenset(kept.names[n] for n in self._seen_in(kept, today)) if today is not None else frozenset()

    def _seen_in(self, kept: KeptRows, today: Side) -> list[int]:
        """The numbers of the columns whose values of today a decision tells."""
        own = (n for n, c in enumerate(kept.names) if c in today.own and today.kept[c])
        return list(own) if self._tells_seen else []

    def _of_another(self, kept: KeptRows, today: Side, rules: Rules) -> list[str]:
        """What is in conflict, the key and the values where the table went and another one has its name.

        What that one has no column for comes back in any case.
        """
        digits, values = ["'2'"] * len(kept.columns), [f"h.v{n}" for n in range(len(kept.columns))]
        for n, c in enumerate(kept.columns):
            if c.name in today.own:
                digits[n] = f"CASE WHEN {self._w.alike(c, f'h.v{n}', f'n.q{n}')} THEN '0' ELSE '1' END"
                values[n] = f"CASE WHEN n.k0 IS NULL OR {int(rules.restore)} = 1 THEN h.v{n} ELSE n.q{n} END"
        keys = [f"h.{k}" for k in self._key_names(kept)]
        return [f"CASE WHEN n.k0 IS NULL THEN '' ELSE {' || '.join(digits)} END", *keys, *values]

    def differing(self, kept: KeptRows, decision: str, today: Side | None) -> str:
        """A query over what was decided: whether rows that move come or go, and for each column if they get other values.

        Empty where rows can't be told, or where a column has another type.
        """
        if not kept.key or today is None or any(today.kept[c] != value for c, value in today.own.items()):
            return ""
        own = {f"q{n}": today.own[c] for n, c in enumerate(kept.names) if c in today.own}
        found = _as({f"a{n}": a for n, a in enumerate(today.address)} | own)
        place = " AND ".join(f"n.a{n} = d.a{n}" for n in range(len(today.address)))
        other = [
            self._differs(c, f"d.f{n}", f"n.q{n}" if c.name in today.own else "") for n, c in enumerate(kept.columns)
        ]
        return (
            f"SELECT max(CASE WHEN n.a0 IS NULL OR d.stays = 0 THEN 1 ELSE 0 END),"
            f" {', '.join(f'max(CASE WHEN {o} THEN 1 ELSE 0 END)' for o in other)}"
            f" FROM {decision} d LEFT JOIN (SELECT {found} FROM {today.source}) n ON {place} WHERE d.moves = 1"
        )


def size_of(insertion: str, size: str) -> str:
    """A query for how much an insertion of `Merging.keep` would insert; `size` is an expression over a row `q`."""
    head, _, query = insertion.partition(") ")
    names = head.partition(" (")[2]
    return f"WITH q ({names}) AS ({query}) SELECT coalesce(sum({size}), 0) FROM q"


def columns_of(insertion: str) -> list[str]:
    """The columns that such an insertion fills."""
    return insertion.partition(") ")[0].partition(" (")[2].split(", ")


class _Column:
    """One column of a row that the change changed, as expressions over the shelf's row `h` and today's `n`."""

    def __init__(self, words: Words, kept: KeptRows, today: Side, rules: Rules, n: int) -> None:
        name, took_part = kept.names[n], f"substr(h.d, {n + 1}, 1) = '1'"
        self.conflicts = self.superseded = "1 = 0"
        if name in rules.passing and name in today.own:
            self.moves, self.value = "1 = 0", f"n.q{n}" if today.kept[name] else "NULL"
            return
        if name in today.turned:
            changed = f"NOT ({words.same(f'n.b{n}', f'h.b{n}')})"
            self.conflicts = f"({took_part} AND {changed})"
            self.moves = took_part if rules.restore else f"({took_part} AND NOT ({changed}))"
            self.value = f"CASE WHEN {self.moves} THEN h.v{n} ELSE {today.turned[name]} END"
            return
        if name in today.own:
            changed = f"NOT ({words.same(f'n.b{n}', f'h.b{n}')})"
            other = f"NOT ({words.alike(kept.columns[n], f'h.v{n}', f'n.q{n}')})"
            self.conflicts = f"({took_part} AND {changed} AND {other})"
            self.moves = (
                f"({took_part} AND {other})" if rules.restore else f"({took_part} AND NOT ({changed}) AND {other})"
            )
            self.value = f"CASE WHEN {self.moves} THEN h.v{n} ELSE n.q{n} END"
            return
        otherwise = f"n.q{n}" if today.kept[name] else "NULL"
        superseded = f"(h.a IS NOT NULL AND NOT ({words.same('n.a', 'h.a')}))" if kept.added else "1 = 0"
        if name in rules.back:
            self.moves = f"({took_part} OR {superseded})"
            self.value = f"CASE WHEN {superseded} THEN n.e{n} WHEN {took_part} THEN h.v{n} ELSE {otherwise} END"
            return
        self.superseded = f"({took_part} AND {superseded})"
        self.moves = f"({took_part})"
        self.value = f"CASE WHEN {took_part} THEN h.v{n} ELSE {otherwise} END"

    @property
    def digit(self) -> str:
        """How it stands: 0 for no conflict, 1 for one, 2 for one with what stands in new columns."""
        return f"CASE WHEN {self.superseded} THEN '2' WHEN {self.conflicts} THEN '1' ELSE '0' END"


def _where(condition: str, value: str) -> str:
    """The value where the condition holds, else NULL."""
    return {NEVER: "NULL", ALWAYS: value}.get(condition, f"CASE WHEN {condition} THEN {value} END")


def _unless(condition: str, value: str) -> str:
    return value if condition == NEVER else _where(f"NOT ({condition})", value)


def _within(which: str, condition: str) -> str:
    """The condition for rows that are chosen by `which`, in the shortest way."""
    return ALWAYS if condition == which != NEVER else condition


def _any(conditions: Sequence[str]) -> str:
    return " OR ".join(c for c in conditions if c != NEVER) or NEVER


def _as(chosen: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in chosen.items())


def _named(expressions: Sequence[str], names: Sequence[str]) -> str:
    return ", ".join(f"{e} AS {n}" for e, n in zip(expressions, names, strict=True))


def shelf_missing(kept: KeptRows, place: str) -> RefusedError:
    """What was kept isn't where it was put."""
    return RefusedError(
        f"What was kept of {kept.table} is gone: there is no table {place}.",
        code="shelf_missing",
        hint="It was renamed, moved or dropped by hand: put it back under that name. Nothing was touched.",
    )
