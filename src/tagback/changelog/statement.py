"""One SQL statement of a source text, and what can be said about it without understanding it."""

from __future__ import annotations

import enum
import itertools
import re
from dataclasses import dataclass

from tagback.changelog.dialect import Dialect
from tagback.changelog.lexer import Token, TokenKind, significant

# A word in every dialect, and followed by nothing that would make it part of another token. Most statements begin so.
_PLAIN_WORD = re.compile(r"([A-Za-z_]+)[ \t\r\n]+")


class StatementKind(enum.StrEnum):
    """What a statement does to transactions; SAVEPOINT is RELEASE and ROLLBACK TO as well, COMMIT is END too."""

    EMPTY = "empty"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    PRAGMA = "pragma"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Statement:
    """An exact slice of a source: the texts of all statements, joined, are the source.

    Leading comments and space belong to the statement; what trails the last one is a statement of kind EMPTY.
    `offset` is where the text begins, `start` where its first token that is SQL begins, `end` where its SQL ends, the
    semicolon left out: all in characters of the source. `line` and `column` are those of `start`, from 1.
    `transactional` is False for a statement that the dialect refuses in a transaction block.
    """

    text: str
    offset: int
    start: int
    end: int
    line: int
    column: int
    kind: StatementKind
    transactional: bool
    dialect: Dialect

    @property
    def sql(self) -> str:
        """The statement alone, without what leads it and without its terminator."""
        return self.text[self.start - self.offset : self.end - self.offset]

    def words(self, count: int) -> tuple[str, ...]:
        """The first `count` significant tokens; words in upper case, quoted names and strings as they are."""
        found: list[str] = []
        position = self.start - self.offset
        while len(found) < count and (plain := _PLAIN_WORD.match(self.text, position)):
            found.append(plain[1].upper())
            position = plain.end()
        if len(found) == count:
            return tuple(found)
        found_at = significant(self.text, self.dialect, self.start - self.offset)
        return tuple(as_word(token) for token in itertools.islice(found_at, count))


def as_word(token: Token) -> str:
    """A token as it is compared: words in upper case, everything else as written."""
    return token.text.upper() if token.kind is TokenKind.WORD else token.text
