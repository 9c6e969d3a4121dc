"""SQL text: names and literals in quotes, and expressions in the form that the server reads back unchanged."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable


def ident(name: str) -> str:
    """One identifier, always in quotes: no list of reserved words to keep up with the server's."""
    return '"' + name.replace('"', '""') + '"'


def qualified(*path: str) -> str:
    """A name of several parts, outermost first."""
    return ".".join(ident(part) for part in path)


def literal(text: str) -> str:
    """A string constant that means the same whatever `standard_conforming_strings` is."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def columns(names: Iterable[str]) -> str:
    """Column names in parentheses."""
    return "(" + ", ".join(ident(n) for n in names) + ")"


SCHEMA = "tagback"
"""Where the ledger's tables are."""

OWN_SCHEMAS = f"^{SCHEMA}(_shelf_[0-9]+_[0-9]+_[0-9]+)?$"
"""The names of all schemas that are tagback's, as the server's regular expression: the ledger's, and those of moved tables."""

_TOKEN = re.compile(
    r"""
    (?P<string>  [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' )
  | (?P<name>    "(?:[^"]|"")*" )
  | (?P<open>    [(\[] )
  | (?P<close>   [)\]] )
  | (?P<cast>    :: )
  | (?P<comma>   , )
  | (?P<other>   \w+ | \s+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ELEMENT = re.compile(r"(-?\d+|'-?\d+'::integer)\Z|(?P<numeric>-?\d+\.\d+)\Z|(?P<boolean>true|false)\Z")
_AFTER = re.compile(r"\)::[\w\s\"().]*?\[\]")


@functools.lru_cache(maxsize=4096)
def stable(expression: str) -> str:
    """The expression in a form that the server deparses to exactly this text again.

    The server prints `x IN ('a', 'b')` on a varchar as `(ARRAY['a'::character varying, …])::text[]`. Parsed again, the
    cast is pushed down into the elements, and the text is another one. A cast of the array to its own type
    in between keeps the outer cast where it was.
    """
    if "(ARRAY[" not in expression:
        return expression
    tokens = [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(expression)]
    out: list[str] = []
    opened: list[int] = []  # where in `out` each bracket that is still open stands
    for position, (kind, text) in enumerate(tokens):
        if kind == "open":
            opened.append(len(out))
        elif kind == "close" and opened:
            start = opened.pop()
            if text == "]" and "".join(out[max(0, start - 2) : start]).endswith("(ARRAY"):
                rest = "".join(t for _, t in tokens[position + 1 : position + 24])
                element = _element_type("".join(out[start + 1 :])) if _AFTER.match(rest) else ""
                out.append(f"]::{element}[]" if element else "]")
                continue
        out.append(text)
    return "".join(out)


def _element_type(elements: str) -> str:
    """The type of the array's first element, if its text shows it."""
    first: list[str] = []
    cast_at = -1
    depth = 0
    for m in _TOKEN.finditer(elements):
        kind, text = m.lastgroup, m[0]
        depth += (kind == "open") - (kind == "close")
        if kind == "comma" and depth == 0:
            break
        if kind == "cast" and depth == 0:
            cast_at = len(first)
        first.append(text)
    if cast_at >= 0:
        named = "".join(first[cast_at + 1 :]).strip()
        return re.sub(r"\(\d+(,\d+)?\)", "", named)
    plain = _ELEMENT.match("".join(first).strip())
    if not plain:
        return ""
    return "numeric" if plain["numeric"] else "boolean" if plain["boolean"] else "integer"


@functools.lru_cache(maxsize=256)
def translated(sql: str, values: int) -> bytes:
    """tagback's own notation as the driver's: `?` for a value, `{table}` for a table of the ledger."""
    text = re.sub(r"\{([a-z_]+)\}", lambda match: qualified(SCHEMA, match[1]), sql)
    if text.count("?") != values:
        raise ValueError(f"{text.count('?')} places for {values} values: {sql}")
    return (text.replace("%", "%%").replace("?", "%s") if values else text).encode()
