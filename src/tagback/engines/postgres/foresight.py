"""What statements that are going to run seem to take from a table. It may be wrong: what they did is looked at afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tagback.catalog import ObjectId
from tagback.changelog import Statement, TokenKind, tokens

_HARMLESS = frozenset({"ANALYZE", "COMMENT", "CREATE", "GRANT", "REVOKE"})


@dataclass(frozen=True, slots=True)
class Word:
    """A token: `text` as it is compared, words in upper case; `name` is what it would name, in lower case if unquoted."""

    text: str
    name: str


class Foresight:
    """Of the statements that run next, those that name a table."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._read: list[tuple[list[Word], frozenset[str]]] | None = None

    def dropped_columns(self, table: ObjectId) -> frozenset[str]:
        """The columns that these statements drop, if they seem to do nothing else to the table or its rows."""
        found: set[str] = set()
        for words in self._naming(table):
            columns = _dropped(words, table.name[-1])
            if columns is None and words[0].text not in _HARMLESS:
                return frozenset()
            found.update(columns or ())
        return frozenset(found)

    def _naming(self, table: ObjectId) -> Iterator[list[Word]]:
        if self._read is None:
            self._read = [(words, frozenset(w.name for w in words)) for s in self._statements if (words := _words(s))]
        return (words for words, names in self._read if table.name[-1] in names)


def _words(statement: Statement) -> list[Word]:
    found = []
    for token in tokens(statement.sql, statement.dialect):
        if token.kind is TokenKind.QUOTED:
            found.append(Word(token.text, token.text[1:-1].replace('""', '"')))
        elif token.significant:
            found.append(Word(token.text.upper(), token.text.lower() if token.kind is TokenKind.WORD else ""))
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


def _after(words: Sequence[Word], *expected: str) -> Sequence[Word]:
    """What comes after these words; nothing if they aren't there."""
    if tuple(w.text for w in words[: len(expected)]) != expected:
        return ()
    return words[len(expected) :]
