"""What statements that are going to run seem to take from a table. It may be wrong: what they did is looked at afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tagback.catalog import ObjectId
from tagback.changelog import Statement, TokenKind, tokens
from tagback.engines.postgres.sqltext import qualified

_HARMLESS = frozenset({"ANALYZE", "COMMENT", "CREATE", "GRANT", "REVOKE"})

_BEFORE_PARENTHESIS = frozenset(
    "ALL AND ANY AS BETWEEN BY CASE DISTINCT ELSE EXISTS FROM HAVING ILIKE IN IS JOIN LATERAL LIKE NOT ON OR SELECT SIMILAR"
    " SOME THEN TO USING VALUES WHEN WHERE ABS ARRAY_AGG AVG BTRIM CEIL CHAR_LENGTH CHARACTER_LENGTH COALESCE CONCAT COUNT"
    " DATE_PART DATE_TRUNC EXTRACT FLOOR GREATEST JSONB_ARRAY_LENGTH JSONB_TYPEOF LEAST LEFT LENGTH LOWER LTRIM MAX MD5 MIN"
    " NOW NULLIF OCTET_LENGTH POSITION REGEXP_REPLACE REPLACE RIGHT ROUND RTRIM SPLIT_PART STRPOS SUBSTR SUBSTRING SUM TRIM"
    " UPPER CHAR CHARACTER VARCHAR NUMERIC DECIMAL".split()
)
"""What may stand before a parenthesis in a condition that is tried out: nothing that could have an effect."""


@dataclass(frozen=True, slots=True)
class Word:
    """A token: `text` as it is compared, words in upper case; `name` is what it would name, in lower case if unquoted.

    It is at `start` to `end` of the statement's text.
    """

    text: str
    name: str
    start: int
    end: int


class Foresight:
    """Of the statements that run next, those that name a table."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._read: list[tuple[str, list[Word], frozenset[str]]] | None = None

    def dropped_columns(self, table: ObjectId) -> frozenset[str]:
        """The columns that these statements drop, if they seem to do nothing else to the table or its rows."""
        found: set[str] = set()
        for _, words in self._naming(table):
            columns = _dropped(words, table.name[-1])
            if columns is None and words[0].text not in _HARMLESS:
                return frozenset()
            found.update(columns or ())
        return frozenset(found)

    def chosen_rows(self, table: ObjectId) -> list[str]:
        """What follows FROM in queries for the rows that these statements update or delete; empty if that can't be told."""
        found = []
        for sql, words in self._naming(table):
            if words[0].text in _HARMLESS:
                continue
            target = _written(words)
            if target is None:
                return []
            name, rest = target
            if name != table.name[-1]:
                continue
            chosen = _chosen(sql, words[0].text, rest)
            if chosen is None:
                return []
            found.append(f"ONLY {qualified(*table.name)} {chosen}")
        return found

    def _naming(self, table: ObjectId) -> Iterator[tuple[str, list[Word]]]:
        if self._read is None:
            read = [(s.sql, _words(s)) for s in self._statements]
            self._read = [(sql, words, frozenset(w.name for w in words)) for sql, words in read if words]
        return ((sql, words) for sql, words, names in self._read if table.name[-1] in names)


def _words(statement: Statement) -> list[Word]:
    found = []
    for token in tokens(statement.sql, statement.dialect):
        place = token.offset, token.offset + len(token.text)
        if token.kind is TokenKind.QUOTED:
            found.append(Word(token.text, token.text[1:-1].replace('""', '"'), *place))
        elif token.kind is TokenKind.WORD:
            found.append(Word(token.text.upper(), token.text.lower(), *place))
        elif token.significant:
            found.append(Word(token.text, "", *place))
    return found


def _dropped(words: Sequence[Word], table: str) -> set[str] | None:
    """The columns of an ALTER TABLE that drops columns of this table and does nothing else."""
    rest = _after(words, "ALTER", "TABLE")
    rest = _after(rest, "IF", "EXISTS") or rest
    rest = _after(rest, "ONLY") or rest
    if len(rest) > 2 and rest[1].text == ".":
        rest = rest[2:]
    if not rest or rest[0].name != table:
        return None
    found: set[str] = set()
    rest = _after(rest[1:], "*") or rest[1:]
    while True:
        rest = _after(rest, "DROP")
        rest = _after(rest, "COLUMN") or rest
        rest = _after(rest, "IF", "EXISTS") or rest
        if not rest or rest[0].text == "CONSTRAINT":
            return None
        found.add(rest[0].name)
        rest = rest[1:]
        if rest and rest[0].text in ("RESTRICT", "CASCADE"):
            rest = rest[1:]
        if not rest:
            return found
        if rest[0].text != ",":
            return None
        rest = rest[1:]


def _written(words: Sequence[Word]) -> tuple[str, Sequence[Word]] | None:
    """The name of the table that an INSERT, UPDATE or DELETE writes to, without its schema, and the words after it."""
    rest = _after(words, "UPDATE") or _after(words, "DELETE", "FROM") or _after(words, "INSERT", "INTO")
    rest = _after(rest, "ONLY") or rest
    while len(rest) > 2 and rest[0].name and rest[1].text == ".":
        rest = rest[2:]
    return (rest[0].name, _after(rest[1:], "*") or rest[1:]) if rest and rest[0].name else None


def _chosen(sql: str, verb: str, words: Sequence[Word]) -> str | None:
    """The alias and WHERE that choose the rows of an UPDATE or DELETE; None if there are none that can be tried out.

    `words` are those after the table's name. Rows joined in by FROM or USING are asked for by EXISTS.
    """
    among = {"UPDATE": "FROM", "DELETE": "USING"}.get(verb, "")
    alias = ""
    rest = _after(words, "AS") or words
    if among and rest and rest[0].name and rest[0].text not in ("SET", "USING", "WHERE", "RETURNING"):
        alias, rest = f"AS {sql[rest[0].start : rest[0].end]} ", rest[1:]
    parts: dict[str, list[Word]] = {}
    depth, part = 0, ""
    for before, word in zip((None, *rest), rest, strict=False):
        depth += (word.text == "(") - (word.text == ")")
        is_part = word.text in (among, "WHERE", "RETURNING") and not (before and before.text == "DISTINCT")
        if depth == 0 and is_part and word.text not in parts:
            part = word.text
            parts[part] = []
        elif part:
            parts[part].append(word)
    if not among or not parts.get("WHERE") or not (_effectless(parts["WHERE"]) and _effectless(parts.get(among, ()))):
        return None
    condition, joined = (_source(sql, parts.get(name, ())) for name in ("WHERE", among))
    return f"{alias}WHERE " + (f"EXISTS (SELECT FROM {joined}\nWHERE {condition}\n)" if joined else f"({condition}\n)")


def _source(sql: str, words: Sequence[Word]) -> str:
    return sql[words[0].start : words[-1].end] if words else ""


def _effectless(words: Sequence[Word]) -> bool:
    """Whether asking for this changes nothing: it calls no unknown functions and takes no locks."""
    if any(word.text in ("CURRENT", "FOR", "INTO") for word in words):
        return False
    called = [before for before, word in pairwise(words) if word.text == "(" and before.name]
    return all(word.text in _BEFORE_PARENTHESIS for word in called)


def _after(words: Sequence[Word], *expected: str) -> Sequence[Word]:
    """What comes after these words; nothing if they aren't there."""
    if tuple(w.text for w in words[: len(expected)]) != expected:
        return ()
    return words[len(expected) :]
