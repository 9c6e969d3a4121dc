"""Names and strings as they are written in SQL text that tagback composes."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(*path: str) -> str:
    """An identifier, or a path of them, always in double quotes: `"public"."t"`."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in path)


def literal(text: str) -> str:
    """A string constant; right only where standard_conforming_strings is on, as in all of tagback's own statements."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """String constants with commas between them."""
    return ", ".join(map(literal, texts))
