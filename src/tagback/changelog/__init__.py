"""Reading changelogs: files become changesets, their SQL becomes statements."""

from __future__ import annotations

from tagback.changelog.changeset import Changelog, Changeset, Note, checksum_of, locate
from tagback.changelog.dialect import Dialect
from tagback.changelog.directives import Directive, directives
from tagback.changelog.lexer import Token, TokenKind, tokens
from tagback.changelog.position import Lines
from tagback.changelog.reader import format_names, read_changelog
from tagback.changelog.splitter import split
from tagback.changelog.statement import Statement, StatementKind
from tagback.changelog.transaction import unwrap_transaction

__all__ = [
    "Changelog",
    "Changeset",
    "Dialect",
    "Directive",
    "Lines",
    "Note",
    "Statement",
    "StatementKind",
    "Token",
    "TokenKind",
    "checksum_of",
    "directives",
    "format_names",
    "locate",
    "read_changelog",
    "split",
    "tokens",
    "unwrap_transaction",
]
