"""What a changeset asks for in comments: `-- tagback: NAME [ARGUMENT]`, and other tools' words for "no transaction"."""

from __future__ import annotations

import re
from typing import NamedTuple

from tagback.changelog.changeset import Changeset
from tagback.changelog.dialect import Dialect
from tagback.changelog.lexer import TokenKind, tokens
from tagback.changelog.position import Lines
from tagback.errors import ChangelogError, Location

NO_TRANSACTION = "no-transaction"
NO_KEEP = "no-keep"
BACK = "back"

# Whether each takes an argument.
_KNOWN = {NO_TRANSACTION: False, NO_KEEP: False, BACK: True}

_DIRECTIVE = re.compile(r"(?:^|(?<=[\s;,()]))--[ \t]*tagback:[ \t]*([^\r\n]*)", re.MULTILINE)
_HEADER_LINE = re.compile(r"[ \t]*(?:--([^\r\n]*))?(?:\r\n|\r|\n|\Z)")
_HEADERS = re.compile(
    r"""
      no[-_ ]transaction                              # sqlx
    | (?:postgres-migrations[ ])?disable[-_ ]transaction   # postgres-migrations
    | atlas:[ ]?txmode[ ]none                         # Atlas
    | transactional:[ ]?false                         # yoyo
    | !?[ ]?no-transaction                            # graphile-migrate: --! no-transaction
    | --[ ]?tern:[ ]?disable-tx[ ]?-*                 # tern: ---- tern: disable-tx ----
    | tagback:[ ]?no-transaction
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Directive(NamedTuple):
    """One `-- tagback:` comment; `line` is the file's."""

    name: str
    argument: str
    line: int


def directives(changeset: Changeset, dialect: Dialect | None = None) -> list[Directive]:
    """The changeset's `-- tagback:` comments, in order.

    With a dialect only real comments count; without one, also what looks like such a comment inside a string.
    Raises ChangelogError for one that isn't known, or has or lacks an argument.
    """
    if "tagback:" not in changeset.text:
        return []
    comments = None
    if dialect is not None:
        comments = {t.offset for t in tokens(changeset.text, dialect) if t.kind is TokenKind.COMMENT}
    lines = Lines(changeset.text)
    found = []
    for match in _DIRECTIVE.finditer(changeset.text):
        if comments is not None and match.start() not in comments:
            continue
        line, column = lines.place(match.start())
        name, _, argument = match[1].strip().partition(" ")
        directive = Directive(name, argument.strip(), changeset.first_line + line - 1)
        _check(directive, Location(str(changeset.path), directive.line, column))
        found.append(directive)
    return found


def asks_for_no_transaction(text: str) -> bool:
    """Whether the comments before the first SQL say, in any spelling known, that no transaction is wanted."""
    position = 0
    while position < len(text):
        line = _HEADER_LINE.match(text, position)
        if line is None:
            return False
        if line[1] is not None and _HEADERS.fullmatch(" ".join(line[1].split())):
            return True
        position = line.end()
    return False


def _check(directive: Directive, place: Location) -> None:
    if directive.name not in _KNOWN:
        raise ChangelogError(
            f"unknown directive `-- tagback: {directive.name}`",
            hint=f"Known are: {', '.join(_KNOWN)}.",
            location=place,
        )
    if bool(directive.argument) != _KNOWN[directive.name]:
        problem = "needs an argument" if _KNOWN[directive.name] else "takes no argument"
        raise ChangelogError(f"the directive `-- tagback: {directive.name}` {problem}", location=place)
