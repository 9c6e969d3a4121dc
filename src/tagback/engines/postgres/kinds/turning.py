"""Values of one type as values of another: whether all have their equal, and how it is said in SQL."""

from __future__ import annotations

import re

_WHOLE = {"smallint": 2, "integer": 4, "bigint": 8}
_SIZED = re.compile(r"(character varying|character|numeric|bit varying)\((\d+)(?:,(-?\d+))?\)\Z")
_INTO = {
    "real": {"double precision"},
    "date": {"timestamp without time zone"},
    "character varying": {"text"},
    "text": {"character varying"},
}


def most_of(type_: str) -> int:
    """The largest number that a type of whole numbers holds; 0 for any other."""
    size = _WHOLE.get(type_, 0)
    return 2 ** (8 * size - 1) - 1 if size else 0


def keeps_values(before: str, after: str) -> bool:
    """Whether every value of one type has its equal in the other, seen from the types' names alone."""
    if before == after:
        return True
    if before in _WHOLE:
        return after == "numeric" or _WHOLE.get(after, 0) >= _WHOLE[before]
    if after in _INTO.get(before, ()):
        return True
    sized = _SIZED.match(before)
    if not sized:
        return False
    kind, length, scale = sized[1], int(sized[2]), int(sized[3] or 0)
    if kind == "character varying" and after in ("text", "character varying"):
        return True
    if after == kind and kind != "character":
        return True
    into = _SIZED.match(after)
    if not into or into[1] != kind or kind == "character":
        return False
    if kind == "numeric":
        into_scale = int(into[3] or 0)
        return into_scale >= scale and int(into[2]) - into_scale >= length - scale
    return int(into[2]) >= length


_FAMILIES = (
    {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    {"integer", "boolean"},
    {"date", "timestamp", "timestamp without time zone", "timestamp with time zone"},
    {"time", "time without time zone", "time with time zone"},
    {"money", "numeric"},
    *({"json", "jsonb"}, {"inet", "cidr"}, {"bit", "bit varying"}),
    {"bit", "integer", "bigint"},
)
_ONE_WAY = {
    **dict.fromkeys(("integer", "bigint"), ("money",)),
    "timestamp without time zone": ("time without time zone",),
    "timestamp with time zone": ("time without time zone", "time with time zone"),
}
_TEXTS = {"text", "character varying", "character", "name"}


def cast(expression: str, before: str, after: str) -> str:
    """The expression as the other type: directly where the server has such a cast, else by way of text."""
    base_before, base_after = _base(before), _base(after)
    if base_before.endswith("[]") and base_after.endswith("[]"):
        base_before, base_after = base_before[:-2], base_after[:-2]
    direct = (
        base_before == base_after
        or base_before in _TEXTS
        or base_after in _TEXTS
        or base_after in _ONE_WAY.get(base_before, ())
        or any(base_before in f and base_after in f for f in _FAMILIES)
    )
    return f"{expression}::{after}" if direct else f"{expression}::text::{after}"


def _base(name: str) -> str:
    return re.sub(r"\(.*?\)", "", name).replace("  ", " ")
