"""The words of `tagback.engines.merging` as SQLite has them, and the functions that they need."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

from tagback.engines.session import KeptColumn
from tagback.engines.sqlite.rows import affinity

_LONGEST = 32  # bytes of a text that are kept as they are
_MOST_ARGUMENTS = 100
_MOST_DIGITS = 18
_SURELY_INTEGER = 2**51 - 1  # below, no whole real stays one under INTEGER and NUMERIC affinity


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

    def base(self, value: str) -> str:
        # Nothing is composed that could be longer than a value may be.
        return (
            f"CASE typeof({value}) WHEN 'integer' THEN 'i' || {value} WHEN 'text' THEN CASE WHEN length(CAST({value} AS BLOB))"
            f" <= {_LONGEST} THEN 't' || {value} ELSE '#' || tagback_digest(x'74', CAST({value} AS BLOB)) END"
            f" WHEN 'blob' THEN CASE WHEN length({value}) <= {_LONGEST // 2} THEN 'b' || hex({value})"
            f" ELSE '#' || tagback_digest(x'62', {value}) END ELSE {self.exact(value)} END"
        )

    def digest(self, texts: Sequence[str]) -> str:
        parts = list(texts) or ["NULL"]
        while len(parts) > _MOST_ARGUMENTS:
            parts = [self.digest(parts[:_MOST_ARGUMENTS]), *parts[_MOST_ARGUMENTS:]]
        return f"tagback_digest({', '.join(f'CAST({p} AS BLOB)' for p in parts)})"

    def total(self, digest: str) -> str:
        return f"tagback_total({digest})"

    def digits(self, conditions: Sequence[str]) -> str:
        # Adding is cheaper than putting texts together; an integer has room for so many digits besides the first.
        groups = [conditions[n : n + _MOST_DIGITS] for n in range(0, len(conditions), _MOST_DIGITS)]
        return " || ".join(_added(group) for group in groups) or "''"

    def same(self, left: str, right: str) -> str:
        return f"{left} IS {right}"

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        """IS is all there is to it but for numbers that are equal in two storage classes, and zeros.

        Affinity leaves few of these: a TEXT column has no numbers and a REAL one no integers; INTEGER and NUMERIC have no
        zero but the integer, and integers for reals that are whole, unless these are very large.
        """
        same = f"{left} IS {right} COLLATE BINARY"
        kind = affinity(column.type)
        if kind == "TEXT":
            return f"({same})"
        classes = f"typeof({left}) = typeof({right})"
        if kind in ("INTEGER", "NUMERIC"):
            return f"({same} AND ({left} BETWEEN -{_SURELY_INTEGER} AND {_SURELY_INTEGER} OR {classes}))"
        zero = f"{left} IS NOT 0 OR tagback_zero({left}) = tagback_zero({right})"
        if kind == "REAL":
            return f"({same} AND ({zero}))"
        return f"({same} AND {classes} AND (typeof({left}) <> 'real' OR {zero}))"


def _added(conditions: Sequence[str]) -> str:
    width = len(conditions)
    summands = [f"CASE WHEN {c} THEN {10 ** (width - n)} ELSE 0 END" for n, c in enumerate(conditions, 1)]
    return f"substr({10**width} + {' + '.join(summands)}, 2)"


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
