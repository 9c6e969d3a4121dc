"""The words of `tagback.engines.merging` as PostgreSQL has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tagback.engines.postgres.columns import exact
from tagback.engines.session import KeptColumn, KeptRows, Rules

# Types whose values are equal exactly when their texts are; numeric, float and json, say, are not among them.
_PLAIN_TYPE = re.compile(
    r"(?:smallint|integer|bigint|boolean|text|character varying|uuid|date|bytea|time(?:stamp)? without time zone"
    r"|timestamp with time zone)(?:\(\d+\))?\Z"
)
_LONGEST = 32  # bytes of a value's text that are kept as they are


class Words:
    """See `tagback.engines.merging.Words`."""

    once = "AS MATERIALIZED"

    def exact(self, value: str) -> str:
        return exact(value)

    def base(self, value: str) -> str:
        text = exact(value)
        return f"CASE WHEN octet_length({text}) <= {_LONGEST} THEN {text} ELSE '#' || md5({text}) END"

    def digest(self, values: Sequence[str]) -> str:
        return f"md5({_row(values)})"

    def digits(self, conditions: Sequence[str]) -> str:
        return " || ".join(f"CASE WHEN {c} THEN '1' ELSE '0' END" for c in conditions) or "''"

    def text(self, number: str) -> str:
        return f"CAST({number} AS TEXT)"

    def same(self, left: str, right: str) -> str:
        return f"{left} IS NOT DISTINCT FROM {right}"

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        if column.plain and _PLAIN_TYPE.match(column.type):
            return self.same(left, right)
        return self.same(exact(left), exact(right))


def total(values: Sequence[str], source: str) -> str:
    """A query for what stands for these values of all rows, in whatever order they come."""
    sums = ", ".join(f"sum(hashtextextended(told, {seed}))" for seed in (0, 1))
    return f"SELECT concat_ws(' ', count(*), {sums}) FROM (SELECT {_row(values)} AS told FROM {source}) rows"


def _row(values: Sequence[str]) -> str:
    """One text for all values: what their types put out, so that it is the same for a value and its exact text."""
    return f'ROW({", ".join(values)})::text COLLATE pg_catalog."C"'


def in_form(k: KeptRows, rules: Rules) -> Rules:
    """With the expressions in the shelf's form."""
    types = {c.name: c for c in k.columns}
    back = {}
    for name, expression in rules.back.items():
        value = f"CAST(({expression}) AS {types[name].type})"
        back[name] = value if types[name].plain else exact(value)
    return replace(rules, back=back)
