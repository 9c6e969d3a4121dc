"""Names in SQLite: quoted, compared without case, and those that are tagback's own."""

from __future__ import annotations

OWN_PREFIX = "tagback_"


def quoted(name: str) -> str:
    """The name as an identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """The form in which SQLite compares names: ASCII letters in lower case, others as they are."""
    if name.isascii():
        return name.lower()
    return "".join(c.lower() if c.isascii() else c for c in name)


def is_own(name: str) -> bool:
    """Whether the name belongs to tagback itself."""
    return folded(name).startswith(OWN_PREFIX)
