"""Statements whose own text doesn't say what they do: prepared texts, blocks, and routines that are called.

A prepared text is known by the time it is executed, and is then what counts. Of a block or a call all texts are read
that it can come to. Where none of them can commit it runs in a transaction, as other statements on rows do. Where a
text is put together only while it runs it may do anything, so that every table of the schema is kept beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tagback.changelog import Dialect, Statement, TokenKind, split, tokens
from tagback.changelog.dialect import mysql_in
from tagback.engines.mariadb.statements import OPAQUE, Word, words_of

_VARIABLE = "@tagback_prepared"
_BODIES = """
SELECT lower(routine_name), routine_definition, sql_mode FROM information_schema.routines
 WHERE routine_schema = database()
"""
_COMMITTING = frozenset(
    "ALTER ANALYZE AUTOCOMMIT CACHE CHECK COMMIT CREATE DROP EXECUTE FLUSH GRANT LOCK OPTIMIZE PREPARE RENAME REPAIR"
    " RESET REVOKE ROLLBACK SAVEPOINT START TRUNCATE UNLOCK".split()
)
_BEFORE_STATEMENTS = frozenset("; BEGIN THEN ELSE DO LOOP REPEAT".split())


@dataclass(frozen=True, slots=True)
class Doing:
    """What a call or a block can come to. `commits`: some of it may; `anything`: some of it isn't in any text."""

    statements: tuple[Sequence[Word], ...]
    commits: bool
    anything: bool


class Meanings:
    """The texts that one session has prepared; `ask` runs a statement in whatever settings are in force."""

    def __init__(self, ask: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._ask = ask
        self._prepared: dict[str, str] = {}

    def forget(self) -> None:
        """Nothing is prepared."""
        self._prepared.clear()

    def of(self, statement: Statement) -> Statement:
        """What EXECUTE will run, itself for all others; in the user's settings, in which a text may be put together."""
        match statement.words(2):
            case ["EXECUTE", "IMMEDIATE"]:
                text, _ = _source(statement.sql, statement.dialect)
                self._ask(f"SET {_VARIABLE} = {text}")
                inner = self._text()
            case ["EXECUTE", name]:
                inner = self._prepared.get(_key(name), "")
            case ["PREPARE" | "DEALLOCATE", *_]:
                return replace(statement, transactional=True)
            case _:
                return statement
        if not inner:
            return statement  # the server will say what is wrong with it
        return replace(split(inner, statement.dialect)[0], line=statement.line)

    def sent(self, sql: str, dialect: Dialect) -> list[str]:
        """What goes to the server for a statement: a text to prepare goes by way of a variable that can be read."""
        words = words_of(sql, dialect)
        if [w.upper for w in words[:2]] == ["EXECUTE", "IMMEDIATE"]:
            return [f"EXECUTE IMMEDIATE {_VARIABLE}{_source(sql, dialect)[1]}"]
        if words and words[0].upper == "PREPARE" and len(words) > 3:
            name = sql[: _after(sql, dialect, "FROM")]
            return [f"SET {_VARIABLE} = {_source(sql, dialect)[0]}", f"{name} {_VARIABLE}"]
        return [sql]

    def ran(self, sql: str, dialect: Dialect) -> None:
        """Takes note of a text that has been prepared."""
        words = words_of(sql, dialect)
        if words and words[0].upper == "PREPARE":
            self._prepared[_key(words[1].text)] = self._text()

    def _text(self) -> str:
        ((text,),) = self._ask(f"SELECT {_VARIABLE}")
        return text.decode() if isinstance(text, bytes) else str(text or "")

    def doing(self, statement: Statement) -> Doing | None:
        """What a call or a block can come to; None for other statements."""
        if not is_opaque(statement.sql, statement.dialect):
            return None
        bodies: dict[str, list[list[Word] | None]] = {}
        for name, body, mode in self._ask(_BODIES):
            bodies.setdefault(name, []).append(words_of(body, mysql_in(mode)) if body is not None else None)
        texts = list(_reached(words_of(statement.sql, statement.dialect), bodies))
        words = [w for text in texts for w in text or ()]
        anything = None in texts or any(w.upper in ("EXECUTE", "PREPARE") for w in words)
        own = words[1:] if words[0].upper == "BEGIN" else words
        found = [s for text in texts for s in _statements(text or ())]
        if anything:
            found += [_inside(w) for w in words if w.text[:1] in "'\"" and not w.upper]
        return Doing(tuple(found), anything or any(w.upper in _COMMITTING for w in own), anything)


def is_opaque(sql: str, dialect: Dialect) -> bool:
    """Whether this is a call or a block."""
    words = words_of(sql, dialect)
    return bool(words) and (words[0].upper in OPAQUE or [w.text for w in words[1:2]] == [":"])


def _reached(first: list[Word], bodies: dict[str, list[list[Word] | None]]) -> Iterator[list[Word] | None]:
    """The statement, and the bodies of all routines that are named from there on; None for one that can't be read."""
    queue: list[list[Word] | None] = [first]
    seen: set[str] = set()
    while queue:
        words = queue.pop()
        yield words
        for name in {w.text.casefold() for w in words or ()} & bodies.keys() - seen:
            seen.add(name)
            queue += bodies[name]


def _statements(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """What may be statements of a body, each from its first word to the next semicolon."""
    for at, word in enumerate(words):
        if at == 0 or words[at - 1].text.upper() in _BEFORE_STATEMENTS:
            end = next((n for n in range(at, len(words)) if words[n].text == ";"), len(words))
            if word.upper not in OPAQUE:
                yield words[at:end]


def _inside(word: Word) -> Sequence[Word]:
    """The words in a string."""
    text = word.text[1:-1]
    return words_of(text.replace("'", " ").replace('"', " ").replace("`", " "), Dialect.MYSQL)


def _source(sql: str, dialect: Dialect) -> tuple[str, str]:
    """The expression for a text that is prepared or executed at once, and what follows it."""
    start = _after(sql, dialect, "FROM" if sql.lstrip()[:7].upper() == "PREPARE" else "IMMEDIATE")
    depth = 0
    for token in tokens(sql, dialect):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.offset >= start and depth == 0 and token.kind is TokenKind.WORD and token.text.upper() == "USING":
            return sql[start : token.offset], f" {sql[token.offset :]}"
    return sql[start:], ""


def _after(sql: str, dialect: Dialect, word: str) -> int:
    """The place behind the first such word."""
    found = (t for t in tokens(sql, dialect) if t.kind is TokenKind.WORD and t.text.upper() == word)
    return next((t.offset + len(t.text) for t in found), len(sql))


def _key(name: str) -> str:
    return name.strip('`"').casefold()
