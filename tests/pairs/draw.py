"""What random statements are made of: names, types, expressions and conditions over what there is."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from tests.pairs.sight import Column, Relation, Routine, Sight, Type

T = TypeVar("T")

NAMES = (
    *(
        "a",
        "b",
        "t",
        "item",
        "part",
        "Order",
        "UPPER",
        'we"ird',
        "sp ace",
        "select",
        "user",
        "été",
        "x;y",
        "it's",
        "$a$",
    ),
    *(
        "--c",
        "a.b",
        "per%s",
        "{x}",
        "back\\slash",
        "n" * 63,
        "q?",
        "table",
        "1st",
        "group",
        "/*",
        "all",
        "name",
        "public",
    ),
)
COLUMNS = ("id", "a", "b", "c", "Name", "two words", "größe", 'q"q', "order", "it's", "x;y", "val", "state")
TYPES = (
    *("integer", "bigint", "smallint", "numeric(12,3)", "text", "varchar(20)", "character(3)", "boolean", "jsonb"),
    *(
        "text[]",
        "integer[]",
        "timestamptz",
        "date",
        "uuid",
        "bytea",
        "interval",
        "double precision",
        "inet",
        "int4range",
    ),
    *(
        "timestamp(3)",
        "bit(4)",
        "xml",
        "json",
        "tsvector",
        "point",
        "name",
        "money",
        "varchar",
        "time",
        "numeric",
        '"char"',
    ),
)
WHOLE = ("integer", "bigint", "smallint", "numeric", "numeric(12,3)", "double precision")
TEXTS = ("text", "character varying", "character varying(20)", "varchar(20)", "character(3)", "name", "varchar")
ROLES = ("pg_monitor", "pg_read_all_data", "pg_signal_backend")


class LackingError(Exception):
    """There is nothing yet that such a statement could be about."""


class Draw:
    """Draws from what there is. `names` are few, so that they meet."""

    def __init__(self, random: Random, names: Sequence[str], sight: Sight) -> None:
        self.random = random
        self.names = names
        self.sight = sight

    def chance(self, of_hundred: int) -> bool:
        return self.random.randrange(100) < of_hundred

    def one(self, choices: Sequence[T]) -> T:
        """One of them; LackingError if there is none."""
        if not choices:
            raise LackingError
        return choices[self.random.randrange(len(choices))]

    def some(self, choices: Sequence[T], most: int = 2) -> list[T]:
        """One or more, no one twice."""
        if not choices:
            raise LackingError
        return self.random.sample(choices, self.random.randint(1, min(most, len(choices))))

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def word(self, text: str, of_hundred: int) -> str:
        """The text, or nothing."""
        return f" {text}" if self.chance(of_hundred) else ""

    # ------------------------------------------------------------------ names

    def name(self) -> str:
        """One of the few names, quoted."""
        return quoted(self.one(self.names))

    def schema(self) -> str:
        return "public" if self.chance(60) else self.one(self.sight.schemas)

    def new(self) -> str:
        """A qualified name, which may be taken."""
        return f"{self.schema()}.{self.name()}"

    def column_name(self) -> str:
        return quoted(self.one(COLUMNS))

    def relation(self, kinds: str = "rp") -> Relation:
        return self.one(self.sight.of(kinds))

    def table(self, kinds: str = "rp") -> tuple[Relation, Column]:
        """A relation with one of its columns."""
        r = self.one([r for r in self.sight.of(kinds) if r.columns])
        return r, self.one(r.columns)

    def routine(self, kinds: str = "f") -> Routine:
        return self.one([r for r in self.sight.routines if r.kind in kinds])

    # ------------------------------------------------------------------ types and values

    def own_type(self, kinds: str = "edcr") -> Type:
        return self.one([t for t in self.sight.types if t.kind in kinds])

    def type(self) -> str:
        """Any type: the server's, one of the schema's, a row of a table, or an array of these."""
        chosen = self.one(TYPES)
        if self.chance(40) and self.sight.types:
            chosen = self.own_type().sql
        elif self.chance(4) and self.sight.of("rv"):
            chosen = self.relation("rv").sql
        return f"{chosen}[]" if self.chance(8) and not chosen.endswith("]") else chosen

    def value(self, kind: str, *, calls: bool = True) -> str:
        """An expression of this type, without any column. `calls`: with what is there, such as functions."""
        functions = [r for r in self.sight.routines if r.kind == "f" and r.gives == kind and not r.takes]
        if calls and functions and self.chance(50):
            return f"{self.one(functions).name}()"
        taking = [r for r in self.sight.routines if r.kind == "f" and r.gives == kind and len(r.takes) == 1]
        if calls and taking and self.chance(30):
            f = self.one(taking)
            return f"{f.name}(NULL::{f.takes[0]})"
        own = next((t for t in self.sight.types if t.sql in (kind, f"public.{kind}")), None)
        if calls and own is not None and own.kind == "e" and own.labels:
            return f"{self.one(own.labels)}::{kind}"
        sequences = self.sight.of("S")
        if calls and kind in ("integer", "bigint") and sequences and self.chance(30):
            return f"nextval('{self.one(sequences).sql.replace(chr(39), chr(39) * 2)}')"
        if kind in WHOLE:
            return self.one(("0", "1", "-7", "(1 + 1)", "abs(-2)", "length('xyz')"))
        if kind in TEXTS:
            return self.one(
                ("''", "'x'", "'it''s'", "upper('y')", "E'a\\\\b'", "current_user", "'a' || 'b'", "'%s {}'")
            )
        given = {
            "boolean": ("true", "(1 = 1)"),
            "jsonb": ("""'{"a": 1}'""", "jsonb_build_object('a', 1)"),
            "timestamp with time zone": ("now()", "'2020-01-01 00:00+00'", "clock_timestamp() - '1 day'::interval"),
            "date": ("CURRENT_DATE", "'2020-02-02'", "'infinity'"),
            "uuid": ("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'"),
            "interval": ("'1 day'", "'1 mon 2 days 03:00:00'", "make_interval(days => 3)"),
            "integer[]": ("'{1,2}'", "ARRAY[1, 2]"),
            "text[]": ("'{}'", "ARRAY['a', 'b']"),
            "bytea": (r"'\x00ff'",),
        }
        return self.one(given.get(kind, (f"NULL::{kind}",)))

    def expression(self, columns: Sequence[Column], *, pure: bool = False) -> str:
        """An expression over one or two of the columns; `pure`: the server may well insist on it."""
        c = self.one(columns)
        n, kind = c.name, c.type
        choices = [n, n, f"{n} IS NULL", f"coalesce({n}, {n})", f"CASE WHEN {n} IS NULL THEN 1 ELSE 2 END"]
        functions = [r for r in self.sight.routines if r.kind == "f" and r.takes == (kind,) and (r.pure or not pure)]
        choices += [f"{f.name}({n})" for f in functions for _ in (1, 2, 3) if not f.gives.startswith("SETOF")]
        if kind in WHOLE:
            choices += [f"{n} + 1", f"abs({n})", f"({n} * 2)::text", f"greatest({n}, 0)", f"{n} % 3", f"-{n}"]
        if kind in TEXTS:
            choices += [f"lower({n})", f"{n} || 'x'", f"length({n})", f'{n} COLLATE "C"', f"substr({n}, 1, 2)"]
            choices += [f"CASE {n} WHEN 'a' THEN 'it''s' ELSE 'b\\' END", f"{n}::varchar(5)", f"left({n}, 3)::text"]
        if not pure:
            choices += [f"{n}::text", f"ROW({n}, 1)", f"ARRAY[{n}]", f"row_number() OVER (ORDER BY {n})"]
            if len(columns) > 1:
                choices += [f"ROW({n}, {self.one(columns).name})", f"({n})::text || ({self.one(columns).name})::text"]
            sets = [r for r in self.sight.relations if r.columns and r.kind in "rvm"]
            if sets and self.chance(30):
                r = self.one(sets)
                choices += [f"(SELECT max({self.one(r.columns).name}::text) FROM {r.sql})"] * 3
        return self.one(choices)

    def condition(self, columns: Sequence[Column], *, pure: bool = False) -> str:
        """A condition on one or two of the columns."""
        c = self.one(columns)
        n, kind = c.name, c.type
        choices = [f"{n} IS NOT NULL", f"{n} IS DISTINCT FROM NULL", f"num_nonnulls({n}, {self.one(columns).name}) < 2"]
        own = next((t for t in self.sight.types if kind in (t.sql, t.sql.removeprefix("public."))), None)
        if own is not None and own.labels:
            choices += [f"{n} = {self.one(own.labels)}", f"{n} <> {self.one(own.labels)}"] * 2
            choices += [f"{n} IN ({', '.join(own.labels)})", f"{n} >= {self.one(own.labels)}::{kind}"]
        functions = [r for r in self.sight.routines if r.kind == "f" and r.takes == (kind,) and (r.pure or not pure)]
        choices += [f"{f.name}({n}) IS NOT NULL" for f in functions if not f.gives.startswith("SETOF")] * 2
        if kind in WHOLE:
            choices += [
                f"{n} > 0",
                f"{n} IN (1, 2, 3)",
                f"{n} BETWEEN 1 AND 9",
                f"{n} <> ALL (ARRAY[-4, 5])",
                f"{n} * 2 < 10",
            ]
            choices += [f"NOT {n} = ANY ('{{7,8}}')", f"{n} = 1 OR {n} = 3 AND {n} < 9", f"{n} NOT IN (-1, 0)"]
        if kind in TEXTS:
            choices += [
                f"{n} <> ''",
                f"{n} IN ('x', 'it''s')",
                f"{n} ~ '^[a-z\\\\]+$'",
                f"{n} LIKE 'a%'",
                f"length({n}) < 9",
            ]
            choices += [f"{n} NOT IN ('a', 'b')", f"{n} = ANY (ARRAY['x', 'y'])", f"lower({n}) SIMILAR TO 'x(y|z)*'"]
        if kind == "boolean":
            choices += [n, f"NOT {n}", f"{n} IS TRUE"]
        if not pure:
            choices += [f"{n}::text <> 'x'", f"current_user <> {n}::text"]
            sets = [r for r in self.sight.relations if r.columns and r.kind in "rvmp"]
            if sets:
                r = self.one(sets)
                choices += [f"EXISTS (SELECT FROM {r.sql} x WHERE x.{self.one(r.columns).name}::text = {n}::text)"]
        return self.one(choices)


def quoted(name: str) -> str:
    """As an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(words: str) -> str:
    """As a string in SQL."""
    return "'" + words.replace("'", "''") + "'"
