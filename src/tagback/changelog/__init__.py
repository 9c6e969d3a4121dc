"""Reading changelogs: files become changesets, their SQL becomes statements.

The names are loaded when they are first used: most commands need to know what a statement is, and never read a file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagback.changelog.changeset import Changelog, Changeset, Note, checksum_of, locate
    from tagback.changelog.dialect import Dialect
    from tagback.changelog.directives import Directive
    from tagback.changelog.lexer import Token, TokenKind, significant, tokens
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
    "format_names",
    "locate",
    "read_changelog",
    "significant",
    "split",
    "tokens",
    "unwrap_transaction",
]

_MODULES = {
    "changeset": ("Changelog", "Changeset", "Note", "checksum_of", "locate"),
    "dialect": ("Dialect",),
    "directives": ("Directive",),
    "lexer": ("Token", "TokenKind", "significant", "tokens"),
    "position": ("Lines",),
    "reader": ("format_names", "read_changelog"),
    "splitter": ("split",),
    "statement": ("Statement", "StatementKind"),
    "transaction": ("unwrap_transaction",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
