"""The tokens of SQL, as each engine's own scanner cuts them.

Two regular expressions a dialect: one finds single tokens, the other runs over everything that can't end a statement,
so that a dump of megabytes is split at the speed of the regex engine. Both are made of the same fragments. What no
regular expression can say (nested comments, dollar quotes) is done by hand.

Sources of the rules: PostgreSQL's scan.l and "Lexical Structure", SQLite's tokenize.c, MySQL's "Language Structure".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tagback.changelog.dialect import Dialect
from tagback.changelog.position import Lines
from tagback.errors import ChangelogError, Location


class TokenKind(enum.StrEnum):
    """What a token is; the texts of all tokens, joined, are the source."""

    SPACE = "space"
    COMMENT = "comment"
    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    PARAMETER = "parameter"
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """One token and where it begins, in characters from the start of the source."""

    kind: TokenKind
    text: str
    offset: int

    @property
    def significant(self) -> bool:
        """Neither space nor a comment."""
        return self.kind is not TokenKind.SPACE and self.kind is not TokenKind.COMMENT


@dataclass(frozen=True)
class Lexicon:
    """The rules of one dialect, compiled when they are first used: that takes longer than most commands.

    `token` matches one token at any place; its group's name is the token's kind, or names what has to be done by hand.
    `run` matches what lies between the places where splitting must look, `blank` space and line comments; both may
    match nothing.
    """

    token_rule: str
    run_rule: str
    blank_rule: str
    nested_comments: bool

    @cached_property
    def token(self) -> re.Pattern[str]:
        """Matches one token."""
        return re.compile(self.token_rule)

    @cached_property
    def run(self) -> re.Pattern[str]:
        """Matches what needs no look."""
        return re.compile(self.run_rule)

    @cached_property
    def blank(self) -> re.Pattern[str]:
        """Matches space and line comments."""
        return re.compile(self.blank_rule)


_NON_ASCII = "\u0080-\U0010ffff"
_PG_SPACE = r" \t\n\r\f\v"
_PG_WORD = rf"[A-Za-z_{_NON_ASCII}][A-Za-z0-9_${_NON_ASCII}]*"
# A string goes on in the next literal when a line end lies between; after E'' what continues it has escapes, too.
_PG_CONTINUES = r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*"
_ESCAPED = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*"
_PG_NUMBER = r"[0-9][0-9_]*(?:\.(?!\.)[0-9]*)?(?:[eE][+-]?[0-9]+)?"
_PG_ESCAPE_STRING = rf"[eE]'{_ESCAPED}'(?:{_PG_CONTINUES}'{_ESCAPED}')*"
_DOUBLED = "'[^']*(?:''[^']*)*'"

_POSTGRES = Lexicon(
    token_rule=rf"""(?xs)
          (?P<SPACE>[{_PG_SPACE}]+)
        | (?P<COMMENT>--[^\n\r]*)
        | (?P<STRING>{_PG_ESCAPE_STRING}|(?:[nN]|[uU]&)?{_DOUBLED}|[bBxX]'[^']*')
        | (?P<open_string>(?:[eEbBxXnN]|[uU]&)?')
        | (?P<QUOTED>(?:[uU]&)?"[^"]*(?:""[^"]*)*")
        | (?P<open_quoted>(?:[uU]&)?")
        | (?P<WORD>{_PG_WORD})
        | (?P<NUMBER>{_PG_NUMBER}|\.{_PG_NUMBER})
        | (?P<PARAMETER>\$[0-9]+)
        | (?P<dollar>\$(?:[A-Za-z_{_NON_ASCII}][A-Za-z0-9_{_NON_ASCII}]*)?\$)
        | (?P<block>/\*)
        | (?P<PUNCTUATION>::|[<>!]=|<>|\|\||.)
        """,
    run_rule=rf"""(?x)
          (?: (?![eE]'){_PG_WORD}
            | [{_PG_SPACE},.=<>:+*%!?@|^~\#&`{{}}\[\]]+
            | '[^']*' | "[^"]*" | --[^\n\r]* | - | /(?!\*)
            | {_PG_NUMBER} | \$[0-9]+
          ){{0,400}}
        """,
    blank_rule=rf"(?:[{_PG_SPACE}]+|--[^\n\r]*)*",
    nested_comments=True,
)

_SQLITE_WORD = rf"[A-Za-z_{_NON_ASCII}][A-Za-z0-9_${_NON_ASCII}]*"
_SQLITE = Lexicon(
    token_rule=rf"""(?xs)
          (?P<SPACE>[ \t\n\r\f]+)
        | (?P<COMMENT>--[^\n]*)
        | (?P<STRING>[xX]?{_DOUBLED})
        | (?P<open_string>[xX]?')
        | (?P<QUOTED>"[^"]*(?:""[^"]*)*"|`[^`]*(?:``[^`]*)*`|\[[^\]]*\])
        | (?P<open_quoted>["`\[])
        | (?P<WORD>{_SQLITE_WORD})
        | (?P<NUMBER>0[xX][0-9A-Fa-f]+|(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
        | (?P<PARAMETER>\?[0-9]*|[:@$\#][A-Za-z0-9_${_NON_ASCII}]+)
        | (?P<block>/\*)
        | (?P<PUNCTUATION>[<>!=]=|<>|\|\||<<|>>|->>?|.)
        """,
    run_rule=r"(?:[^'\"`\[/;\-]+|'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|-|/(?!\*)){0,400}",
    blank_rule=r"(?:[ \t\n\r\f]+|--[^\n]*)*",
    nested_comments=False,
)

_MYSQL_WORD = rf"[A-Za-z_${_NON_ASCII}][A-Za-z0-9_${_NON_ASCII}]*"
_MYSQL_DASHES = r"--(?=[\s\x00-\x1f]|\Z)[^\n]*"


def _mysql(dialect: Dialect) -> Lexicon:
    """The rules under an SQL mode: what the double quote opens, and whether a backslash escapes."""
    strings, names = [_literal("'", dialect.escapes)], ["`[^`]*(?:``[^`]*)*`"]
    (names if dialect.ansi_quotes else strings).append(_literal('"', dialect.escapes and not dialect.ansi_quotes))
    string, name = "|".join(strings), "|".join(names)
    open_string, open_name = ("'", '["`]') if dialect.ansi_quotes else ("['\"]", "`")
    return Lexicon(
        token_rule=rf"""(?xs)
          (?P<SPACE>[ \t\n\r\f\v]+)
        | (?P<COMMENT>{_MYSQL_DASHES}|\#[^\n]*)
        | (?P<STRING>(?:[xXbBnN](?='))?(?:{string}))
        | (?P<open_string>{open_string})
        | (?P<QUOTED>{name})
        | (?P<open_quoted>{open_name})
        | (?P<WORD>{_MYSQL_WORD})
        | (?P<NUMBER>0[xX][0-9A-Fa-f]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
        | (?P<PARAMETER>\?|@@?[A-Za-z0-9_.${_NON_ASCII}]+)
        | (?P<block>/\*)
        | (?P<PUNCTUATION>[<>!:]=|<>|\|\||&&|.)
        """,
        run_rule=rf"(?:[^'\"`/;\-\#]+|{string}|{name}|{_MYSQL_DASHES}|\#[^\n]*|-|/(?!\*)){{0,400}}",
        blank_rule=rf"(?:[ \t\n\r\f\v]+|{_MYSQL_DASHES}|\#[^\n]*)*",
        nested_comments=False,
    )


def _literal(mark: str, escapes: bool) -> str:
    if escapes:
        return rf"{mark}[^{mark}\\]*(?:(?:\\.|{mark}{mark})[^{mark}\\]*)*{mark}"
    return rf"{mark}[^{mark}]*(?:{mark}{mark}[^{mark}]*)*{mark}"


LEXICONS = {
    Dialect.POSTGRES: _POSTGRES,
    Dialect.SQLITE: _SQLITE,
    **{dialect: _mysql(dialect) for dialect in Dialect if dialect.is_mysql},
}

_KINDS = {kind.name: kind for kind in TokenKind}
_EXECUTED = re.compile(r"/\*M?!\d*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def tokens(source: str, dialect: Dialect, start: int = 0) -> Iterator[Token]:
    """The tokens of `source` from character `start` on; joined they are the source.

    Raises ChangelogError with line and column for a string, quoted name, comment or dollar quote that doesn't end.
    """
    lexicon = LEXICONS[dialect]
    match, kinds = lexicon.token.match, _KINDS
    position, end = start, len(source)
    while position < end:
        found = match(source, position)
        if found is None or found.lastgroup is None:  # the last alternative takes any character
            raise AssertionError(f"no token at {position}")
        name = found.lastgroup
        stop = found.end()
        if name in kinds:
            yield Token(kinds[name], source[position:stop], position)
        elif name == "dollar":
            stop = end_of_dollar_quote(source, position, found.group())
            yield Token(TokenKind.STRING, source[position:stop], position)
        elif name == "block":
            stop = end_of_comment(source, position, lexicon)
            yield Token(_comment_kind(source, position, dialect), source[position:stop], position)
        else:
            raise unterminated(source, position, "string" if name == "open_string" else "quoted name")
        position = stop


def significant(source: str, dialect: Dialect, start: int = 0) -> Iterator[Token]:
    """The tokens that a server acts on, those in comments that MariaDB and MySQL execute included."""
    for token in tokens(source, dialect, start):
        inside = _EXECUTED.match(token.text) if dialect.is_mysql and token.text.startswith("/*") else None
        if inside is not None and token.significant:
            yield from significant(source[: token.offset + len(token.text) - 2], dialect, token.offset + inside.end())
        elif token.significant:
            yield token


def blank_end(source: str, position: int, dialect: Dialect) -> int:
    """Where the space and comments at `position` end: the next significant token, or the end of the source."""
    lexicon = LEXICONS[dialect]
    while True:
        position = lexicon.blank.match(source, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        if not source.startswith("/*", position) or _comment_kind(source, position, dialect) is not TokenKind.COMMENT:
            return position
        position = end_of_comment(source, position, lexicon)


def _comment_kind(source: str, start: int, dialect: Dialect) -> TokenKind:
    """MySQL executes what stands in `/*! … */` and MariaDB `/*M! … */`: such a comment is part of a statement."""
    executed = dialect.is_mysql and source.startswith(("/*!", "/*M!"), start)
    return TokenKind.PUNCTUATION if executed else TokenKind.COMMENT


def end_of_dollar_quote(source: str, start: int, tag: str) -> int:
    """Where the body that `tag` opens at `start` ends."""
    closing = source.find(tag, start + len(tag))
    if closing < 0:
        raise unterminated(source, start, f"dollar quote {tag}")
    return closing + len(tag)


def end_of_comment(source: str, start: int, lexicon: Lexicon) -> int:
    """Where the `/*` at `start` ends; on PostgreSQL comments nest."""
    if not lexicon.nested_comments:
        closing = source.find("*/", start + 2)
        if closing < 0:
            raise unterminated(source, start, "comment")
        return closing + 2
    depth = 1
    for edge in _COMMENT_EDGE.finditer(source, start + 2):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise unterminated(source, start, "comment")


def unterminated(source: str, offset: int, what: str) -> ChangelogError:
    """The error for something opened at `offset` that the source never closes."""
    line, column = Lines(source).place(offset)
    return ChangelogError(
        f"this {what} is not terminated",
        hint=f"It begins at line {line}, column {column}; add the closing mark.",
        location=Location("", line, column),
    )
