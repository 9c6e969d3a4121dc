"""The words of `tagback.engines.merging` as SQLite has them, and the functions that they need."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

from tagback.engines.session import KeptColumn

_LONGEST = 33  # bytes of a value's text that are kept as they are
_MOST_ARGUMENTS = 100


def register(connection: sqlite3.Connection) -> None:
    """Makes the functions known to a connection."""
    connection.create_function("tagback_digest", -1, digest, deterministic=True)
    connection.create_function("tagback_zero", 1, str, deterministic=True)
    connection.create_aggregate("tagback_total", 1, _Total)  # type: ignore[arg-type]


class Words:
    """See `tagback.engines.merging.Words`. The first letter of a value's text is its type's."""

    def exact(self, value: str) -> str:
        # printf gives zero without its sign
        real = f"CASE WHEN {value} = 0 THEN tagback_zero({value}) ELSE printf('%!.17g', {value}) END"
        return (
            f"CASE typeof({value}) WHEN 'null' THEN NULL WHEN 'text' THEN 't' || {value} WHEN 'blob' THEN 'b' || hex({value})"
            f" WHEN 'real' THEN 'r' || {real} ELSE 'i' || {value} END"
        )

    def short(self, text: str) -> str:
        return f"CASE WHEN length(CAST({text} AS BLOB)) <= {_LONGEST} THEN {text} ELSE '#' || {self.digest([text])} END"

    def digest(self, texts: Sequence[str]) -> str:
        parts = list(texts) or ["NULL"]
        while len(parts) > _MOST_ARGUMENTS:
            parts = [self.digest(parts[:_MOST_ARGUMENTS]), *parts[_MOST_ARGUMENTS:]]
        return f"tagback_digest({', '.join(f'CAST({p} AS BLOB)' for p in parts)})"

    def total(self, digest: str) -> str:
        return f"tagback_total({digest})"

    def same(self, left: str, right: str) -> str:
        return f"{left} IS {right}"

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        zero = f"typeof({left}) <> 'real' OR {left} <> 0 OR tagback_zero({left}) = tagback_zero({right})"
        return f"({left} IS {right} COLLATE BINARY AND typeof({left}) = typeof({right}) AND ({zero}))"


class _Total:
    """How many digests there are, and their sum."""

    def __init__(self) -> None:
        self._count = self._sum = 0

    def step(self, digest: str) -> None:
        """One more."""
        self._count += 1
        self._sum = (self._sum + int(digest, 16)) % 2**128

    def finalize(self) -> str:
        """Both."""
        return f"{self._count} {self._sum:032x}"


def digest(*texts: bytes | None) -> str:
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        found.update(b"-" if text is None else b"%d:" % len(text) + text)
    return found.hexdigest()
