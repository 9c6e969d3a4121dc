"""Cutting a text into statements where the engine's own client would.

A semicolon ends a statement unless it stands in a string, a comment, a dollar quote; on PostgreSQL also in
parentheses (CREATE RULE … DO (a; b)) and in BEGIN ATOMIC … END; on SQLite in a trigger's body; on MySQL in a stored
program's body, and for as long as the client's DELIMITER says so. Nothing is parsed beyond
that: text that no engine accepts is cut somewhere, and the engine reports it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from tagback.changelog.classify import classify
from tagback.changelog.dialect import Dialect, mysql_in
from tagback.changelog.lexer import (
    LEXICONS,
    TokenKind,
    blank_end,
    end_of_comment,
    end_of_dollar_quote,
    tokens,
    unterminated,
)
from tagback.changelog.position import Lines
from tagback.changelog.statement import Statement, StatementKind, as_word
from tagback.errors import ChangelogError, Location

_FIRST_WORD = re.compile(r"[A-Za-z_]+")
_TRIGGER_HEAD = re.compile(r"(?:EXPLAIN\s(?:QUERY\s+PLAN\s)?)?CREATE\s(?:TEMP(?:ORARY)?\s)?TRIGGER\b")
_BODY = {
    Dialect.POSTGRES: re.compile(r"\bBEGIN\b.*?\bATOMIC\b", re.IGNORECASE | re.DOTALL),
    **dict.fromkeys(
        (dialect for dialect in Dialect if dialect.is_mysql),
        re.compile(
            r"\b(?:PROCEDURE|FUNCTION|TRIGGER|EVENT)\b.*?\bBEGIN\b|\bBEGIN\b\s+NOT\b", re.IGNORECASE | re.DOTALL
        ),
    ),
}
_OPENS_BODY = frozenset({"CREATE", "ALTER", "BEGIN"})  # BEGIN NOT ATOMIC is a block on its own
_SETS_MODE = re.compile(r"(?:/\*M?![0-9]*\s*)?SET\b.*?\bsql_mode\s*:?=\s*(.*)\Z", re.IGNORECASE | re.DOTALL)
_TRIGGER_WORD = re.compile(r"\bTRIGGER\b", re.IGNORECASE)
_END_WORD = re.compile(r"[eE][nN][dD](?![A-Za-z0-9_$\u0080-\U0010ffff])")  # IGNORECASE would unfold all of Unicode
_META_COMMAND = re.compile(r"\\\S*")
_BLOCK_MARK = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+Statement(Begin|End)\b[^\n]*\n?", re.IGNORECASE | re.MULTILINE)
_DELIMITER = re.compile(r"DELIMITER[ \t]+(\S+)[^\n]*\n?", re.IGNORECASE)


def split(source: str, dialect: Dialect) -> tuple[Statement, ...]:
    """The statements of `source`, in order; their texts, joined, are the source.

    What goose marks as one statement (`-- +goose StatementBegin` to `StatementEnd`) ends at the mark, semicolon or not.
    Raises ChangelogError, with a location relative to the source, for a string, comment or dollar quote that doesn't
    end, and on PostgreSQL for what only psql understands.
    """
    lines = Lines(source)
    if "+goose" not in source:
        return tuple(_Splitter(source, dialect, lines).statements(0, len(source)))
    found: list[Statement] = []
    for start, end, marked in _marked_blocks(source):
        whole = marked and dialect.is_mysql
        part = _Splitter(source if end == len(source) else source[:end], dialect, lines)
        found += part.whole(start) if whole else part.statements(start, end)
        dialect = part.dialect
    return tuple(found)


def _marked_blocks(source: str) -> Iterator[tuple[int, int, bool]]:
    position = 0
    for mark in _BLOCK_MARK.finditer(source):
        inside = mark[1].lower() == "end"
        if mark.end() > position:
            yield position, mark.end(), inside
        position = mark.end()
    if position < len(source):
        yield position, len(source), False


class _Splitter:
    """One pass over one source; holds what does not change from statement to statement."""

    __slots__ = ("delimiter", "dialect", "first_dialect", "lexicon", "lines", "source")

    def __init__(self, source: str, dialect: Dialect, lines: Lines) -> None:
        self.source = source
        self.dialect = self.first_dialect = dialect
        self.lexicon = LEXICONS[dialect]
        self.lines = lines
        self.delimiter = ";"

    def statements(self, position: int, end: int) -> Iterator[Statement]:
        while position < end:
            start = blank_end(self.source, position, self.dialect)
            if start == end:
                yield self._statement(position, start, start, start)
                return
            command = _DELIMITER.match(self.source, start) if self.dialect.is_mysql else None
            if command:
                self.delimiter = command[1]
                yield self._statement(position, start, start, command.end())
                position = command.end()
                continue
            sql_end = self._end_of(start, self._first_word(start))
            stop = min(sql_end + len(self.delimiter), end)
            yield self._statement(position, start, sql_end, stop)
            if self.dialect.is_mysql:
                self._follow_mode(start, sql_end)
            position = stop

    def _follow_mode(self, start: int, end: int) -> None:
        """What follows a SET of the SQL mode is cut as the server will read it."""
        found = _SETS_MODE.match(self.source, start, end)
        if not found:
            return
        words = re.findall(r"[@\w]+", found[1])
        if words and (words[0].upper() == "DEFAULT" or words[0].startswith("@")):
            self.dialect = self.first_dialect  # what a variable holds is what was there before, as dumps have it
        else:
            kept = [self.dialect.value] if "@@sql_mode" in found[1].lower() else []
            self.dialect = mysql_in(",".join([*kept, *words]))
        self.lexicon = LEXICONS[self.dialect]

    def whole(self, position: int) -> Iterator[Statement]:
        """All that is left as one statement."""
        start = blank_end(self.source, position, self.dialect)
        end = len(self.source)
        yield self._statement(position, start, end, end)

    def _first_word(self, start: int) -> str:
        word = _FIRST_WORD.match(self.source, start)
        return word.group().upper() if word else ""

    def _statement(self, offset: int, start: int, sql_end: int, stop: int) -> Statement:
        kind, transactional = StatementKind.EMPTY, True
        if sql_end > start:
            kind, transactional = classify(self.source[start:sql_end], self.dialect)
        line, column = self.lines.place(start)
        text = self.source[offset:stop]
        return Statement(text, offset, start, sql_end, line, column, kind, transactional, self.dialect)

    def _words(self, start: int, end: int) -> Iterator[str]:
        for token in tokens(self.source, self.dialect, start):
            if token.offset >= end:
                return
            if token.significant:
                yield as_word(token)

    def _end_of(self, start: int, first: str) -> int:
        """Where the SQL of the statement at `start` ends: at its delimiter, or at the end of the source."""
        if self.delimiter != ";":
            return self._next_delimiter(start)
        end = self._next_semicolon(start)
        if self.dialect is Dialect.SQLITE and first in {"CREATE", "EXPLAIN"} and self._is_trigger(start, end):
            while end < len(self.source) and (closed := self._trigger_end(end)) is None:
                end = self._next_semicolon(end + 1)
            return end if end == len(self.source) else closed or end
        body = _BODY.get(self.dialect)
        if (
            body
            and first in (_OPENS_BODY if self.dialect.is_mysql else {"CREATE"})
            and body.search(self.source, start, end)
        ):
            return self._end_of_body(start)
        if self.dialect is Dialect.POSTGRES and first == "COPY":
            self._refuse_copy_from_stdin(start, end)
        return end

    def _next_semicolon(self, position: int) -> int:
        source, run, end = self.source, self.lexicon.run.match, len(self.source)
        depth = 0
        while True:
            position = run(source, position).end()  # type: ignore[union-attr]  # it matches nothing, too
            if position >= end:
                return end
            character = source[position]
            if character == ";":
                if depth == 0:
                    return position
                position += 1
            elif character == "(":
                depth += 1
                position += 1
            elif character == ")":
                depth = max(0, depth - 1)
                position += 1
            elif character == "\\" and self.dialect is Dialect.POSTGRES:
                self._refuse_meta_command(position)
                position += 1
            else:
                position = self._token_end(position)

    def _token_end(self, position: int) -> int:
        found = self.lexicon.token.match(self.source, position)
        if found is None:  # the last alternative takes any character
            raise AssertionError(f"no token at {position}")
        match found.lastgroup:
            case "dollar":
                return end_of_dollar_quote(self.source, position, found.group())
            case "block":
                return end_of_comment(self.source, position, self.lexicon)
            case "open_string":
                raise unterminated(self.source, position, "string")
            case "open_quoted":
                raise unterminated(self.source, position, "quoted name")
        return found.end()

    def _is_trigger(self, start: int, end: int) -> bool:
        if not _TRIGGER_WORD.search(self.source, start, end):
            return False
        head = [word for word, _ in zip(self._words(start, len(self.source)), range(6), strict=False)]
        return _TRIGGER_HEAD.match(" ".join(head)) is not None

    def _trigger_end(self, semicolon: int) -> int | None:
        """The end of a trigger whose body's last semicolon this is: `; END ;`, the rule of sqlite3_complete()."""
        position = blank_end(self.source, semicolon + 1, self.dialect)
        if not _END_WORD.match(self.source, position):
            return None
        after = blank_end(self.source, position + 3, self.dialect)
        return after if self.source.startswith(";", after) else None

    def _end_of_body(self, start: int) -> int:
        """The end of a routine whose body may be BEGIN … END, with CASE … END and, on MySQL, other blocks inside."""
        nesting = _nesting_of_mysql if self.dialect.is_mysql else _nesting_of_atomic
        depth = parentheses = 0
        before, word = "", ""
        significant = (token for token in tokens(self.source, self.dialect, start) if token.significant)
        for token in significant:
            before, word = word, as_word(token)
            if token.kind is TokenKind.WORD and before not in {".", "AS"}:
                depth = max(0, depth + nesting(before, word, depth))
            elif word == "(":
                parentheses += 1
            elif word == ")":
                parentheses = max(0, parentheses - 1)
            elif word == ";" and depth == 0 and (parentheses == 0 or self.dialect.is_mysql):
                return token.offset
            elif word == "\\" and self.dialect is Dialect.POSTGRES:
                self._refuse_meta_command(token.offset)
        return len(self.source)

    def _next_delimiter(self, start: int) -> int:
        """MySQL's client looks for the delimiter at every character outside strings and comments, words included."""
        position, end = start, len(self.source)
        while position < end and not self.source.startswith(self.delimiter, position):
            opens = self.source[position] in "'\"`#/-"
            position = self._token_end(position) if opens else position + 1
        return position

    def _refuse_meta_command(self, position: int) -> None:
        line, column = self.lines.place(position)
        if self.source[position - column + 1 : position].strip():
            return
        command = _META_COMMAND.match(self.source, position)
        name = command.group() if command else "\\"
        raise ChangelogError(
            f"{name} is a command of psql, not SQL",
            hint="Remove it: what it does must be said in SQL, and the database is chosen by --url.",
            location=Location("", line, column),
        )

    def _refuse_copy_from_stdin(self, start: int, end: int) -> None:
        words = list(self._words(start, end))
        if any(pair in {("FROM", "STDIN"), ("FROM", "STDOUT")} for pair in itertools.pairwise(words)):
            line, column = self.lines.place(start)
            raise ChangelogError(
                "COPY … FROM stdin takes its data from psql, not from SQL",
                hint="Write the rows as INSERT statements (pg_dump --inserts does).",
                location=Location("", line, column),
            )


def _nesting_of_atomic(before: str, word: str, depth: int) -> int:
    """PostgreSQL: BEGIN ATOMIC opens; inside, CASE opens and END closes."""
    if word == "ATOMIC" and before == "BEGIN":
        return 1
    if word == "CASE" and depth:
        return 1
    return -1 if word == "END" and depth else 0


def _nesting_of_mysql(before: str, word: str, depth: int) -> int:
    """MySQL: BEGIN and CASE open, END closes both; END IF, LOOP, WHILE, REPEAT and FOR close what nobody counted."""
    if before == "END" and word in {"IF", "LOOP", "WHILE", "REPEAT", "FOR"}:
        return 1
    if word == "BEGIN" or (word == "CASE" and depth and before != "END"):
        return 1
    return -1 if word == "END" and depth else 0
