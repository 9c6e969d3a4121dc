"""SQL text: names and literals in quotes, and expressions in the form that the server reads back unchanged."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar


def ident(name: str) -> str:
    """One identifier, always in quotes: no list of reserved words to keep up with the server's."""
    return '"' + name.replace('"', '""') + '"'


def qualified(*path: str) -> str:
    """A name of several parts, outermost first."""
    return ".".join(ident(part) for part in path)


def path_of(name: str) -> tuple[str, ...]:
    """The parts of a qualified name as the server writes it, without their quotes."""
    return tuple(p[1:-1].replace('""', '"') if p[0] == '"' else p for p in re.findall(r'"(?:[^"]|"")*"|[^".]+', name))


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
_AFTER_LIST = frozenset("FROM WHERE GROUP HAVING WINDOW UNION INTERSECT EXCEPT ORDER LIMIT OFFSET FETCH FOR ;".split())
_PLAIN_COLUMN = re.compile(r'(?:\w+|"(?:[^"]|"")*")(?:\.(?:\w+|"(?:[^"]|"")*"))?')
_AFTER = re.compile(r"\)::[\w\s\"().]*?\[\]")


_printed: ContextVar[bool] = ContextVar("printed", default=False)


@contextlib.contextmanager
def as_printed() -> Iterator[None]:
    """While it lasts, definitions are as the server prints them and a dump has them, whatever comes of that."""
    token = _printed.set(True)
    try:
        yield
    finally:
        _printed.reset(token)


def stable(expression: str) -> str:
    """The expression, query or definition in a form that the server deparses to exactly this text again."""
    return expression if _printed.get() else _stable(expression)


@functools.lru_cache(maxsize=4096)
def _stable(expression: str) -> str:
    if "SELECT" in expression:
        expression = _unnamed(expression)
    return _cast_once(expression) if "(ARRAY[" in expression else expression


def _cast_once(expression: str) -> str:
    """With arrays cast to their own type before anything else.

    The server prints `x IN ('a', 'b')` on a varchar as `(ARRAY['a'::character varying, …])::text[]`. Parsed again, the
    cast is pushed down into the elements, and the text is another one. A cast of the array to its own type
    in between keeps the outer cast where it was.
    """
    tokens = _tokens(expression)
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


def _unnamed(query: str) -> str:
    """With the name said of what a SELECT gives no name to.

    The server prints `(SELECT 'x')` as `(SELECT 'x'::text)`, of which the result has the name of the type when it is
    parsed again, which is printed then. What is printed without a name is a plain column, or has this one
    (get_target_list in src/backend/utils/adt/ruleutils.c).
    """
    out: list[str] = []
    lists: list[tuple[int, int]] = []  # of the lists that are open: how deep, and where in `out` the item began
    depth = 0
    before = ""  # the word before
    for kind, text in _tokens(query):
        depth -= kind == "close"
        ends = bool(lists) and (depth < lists[-1][0] or (text in _AFTER_LIST and before not in ("WITHIN", "DISTINCT")))
        if lists and depth <= lists[-1][0] and (kind == "comma" or ends):
            _name(out, lists[-1][1], alone=text not in ("FROM", ","))
            depth_of_list, _ = lists.pop()
            if not ends:
                lists.append((depth_of_list, len(out) + 1))
        depth += kind == "open"
        out.append(text)
        before = before if text.isspace() else text
        if text == "SELECT":
            lists.append((depth, len(out)))
        elif kind == "close" and lists and depth == lists[-1][0] and _is_distinct_on(out[lists[-1][1] :]):
            lists[-1] = (depth, len(out))
    if lists:
        _name(out, lists[-1][1], alone=True)
    return "".join(out)


def _is_distinct_on(item: list[str]) -> bool:
    return "".join(item).lstrip().startswith("DISTINCT ON (")


def _name(out: list[str], start: int, *, alone: bool) -> None:
    """Adds the name to the item that begins there, unless it has one. `alone`: nothing is selected from."""
    item = "".join(out[start:]).strip().removeprefix("DISTINCT ")
    bare = [t for _, t in _outermost(item) if not t.isspace()]
    if not item or "AS" in bare or (_PLAIN_COLUMN.fullmatch(item) and not (alone and "." not in bare)):
        return
    end = len(out)
    while out[end - 1].isspace():
        end -= 1
    out.insert(end, ' AS "?column?"')


def _outermost(item: str) -> list[tuple[str, str]]:
    """The tokens that are in no bracket."""
    found, depth = [], 0
    for kind, text in _tokens(item):
        depth -= kind == "close"
        if not depth and kind not in ("open", "close"):
            found.append((kind, text))
        depth += kind == "open"
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    return [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]


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
