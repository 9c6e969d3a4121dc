"""SQL as text: names and literals written, and the server's own texts taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tagback.changelog import Dialect, tokens

_STRING = r"'(?:[^'\\]|\\.|'')*'"
_NAME = r"`(?:[^`]|``)*`"
_PIECE = re.compile(rf"{_STRING}|{_NAME}\.?", re.DOTALL)
_OPAQUE = re.compile(rf"{_STRING}|{_NAME}", re.DOTALL)
NAME = re.compile(_NAME)
STRING = re.compile(_STRING, re.DOTALL)


OWN_PREFIX = "tagback_"


def translated(sql: str, values: int) -> str:
    """tagback's own notation as the driver's: `?` for a value, `{table}` for a table of the ledger."""
    text = re.sub(r"\{([a-z_]+)\}", rf"{OWN_PREFIX}\1", sql)
    return text.replace("%", "%%").replace("?", "%s") if values else text


def ledger_table(sql: str) -> str:
    """A CREATE TABLE of the ledger's as this server takes it; it does nothing where the table is there."""
    typed = re.sub(r"\bTEXT\b", "LONGTEXT", sql).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1)
    return f"{typed} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"


def ident(name: str) -> str:
    """The name in backticks, which quote in every SQL mode."""
    return "`" + name.replace("`", "``") + "`"


def idents(names: Iterable[str]) -> str:
    """Several, with commas between."""
    return ", ".join(map(ident, names))


def bare(quoted: str) -> str:
    """The name that is written in backticks."""
    return quoted[1:-1].replace("``", "`")


def literal(text: str) -> str:
    """The text as a string, for sessions where a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def without_schema(text: str, schema: str) -> str:
    """A text of the server's without its own schema before names: that one may be called otherwise elsewhere."""
    own = f"{ident(schema)}."
    return _PIECE.sub(lambda piece: "" if piece[0] == own else piece[0], text)


def names_in(text: str) -> list[str]:
    """The names at the beginning of a list such as "(`a`,`b`(10) DESC)", up to its closing bracket."""
    found, depth = [], 0
    for piece in re.finditer(rf"{_NAME}|{_STRING}|[()]", text, re.DOTALL):
        if piece[0] == "(":
            depth += 1
        elif piece[0] == ")":
            depth -= 1
            if depth == 0:
                break
        elif piece[0][0] == "`" and depth == 1:
            found.append(bare(piece[0]))
    return found


def lines(text: str) -> Iterator[str]:
    """The items of a CREATE TABLE of the server's, which stand on a line each; a line end inside a string ends none."""
    held = ""
    for line in text.split("\n"):
        held = f"{held}\n{line}" if held else line
        if not re.search("['`]", _OPAQUE.sub("", held)):
            yield held
            held = ""
    if held:
        yield held


def end_of_words(sql: str, *words: str) -> int:
    """Where these words, one after the other, end for the first time; the end of the text where they don't stand."""
    found = 0
    for token in tokens(sql, Dialect.MYSQL):
        if token.significant:
            found = found + 1 if token.text.upper() == words[found] else int(token.text.upper() == words[0])
        if found == len(words):
            return token.offset + len(token.text)
    return len(sql)


def key_index(types: Sequence[str]) -> list[str]:
    """An index of the columns k0, k1, … of these types in a table that is made; of long ones the beginnings.

    It ends before the first of a type that may have none.
    """
    parts = []
    for n, type_ in enumerate(types):
        text = _TEXT.match(type_)
        if text is not None and int(text[1]):
            parts.append(f"k{n}({min(int(text[1]), 64)})")
        elif _SHORT.match(type_):
            parts.append(f"k{n}")
        else:
            break
    return [f"KEY ({', '.join(parts)})"] if parts else []


_TEXT = re.compile(r"(?:var)?(?:char|binary)\s*\((\d+)\)", re.I)
_SHORT = re.compile(r"(?:(?:tiny|small|medium|big)?int|decimal|date|time|timestamp|datetime|year|uuid)\b", re.I)
