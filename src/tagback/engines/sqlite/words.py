"""The words of `tagback.engines.merging` as SQLite has them, and the functions that they need."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Sequence

from tagback.engines.merging import ALWAYS, NEVER
from tagback.engines.session import KeptColumn
from tagback.engines.sqlite.rows import affinity

_LONGEST = 100  # bytes of a value that are kept as they are: to write them takes less than a digest
_LARGE = 1000  # bytes of a blob from which on it is handed over by its digest
_MOST_ARGUMENTS = 100
_MOST_DIGITS = 18
_SURELY_INTEGER = 2**51 - 1  # below, no whole real stays one under INTEGER and NUMERIC affinity


def register(connection: sqlite3.Connection) -> None:
    """Makes the functions known to a connection."""
    connection.create_function("tagback_digest", -1, digest, deterministic=True)
    connection.create_function("tagback_zero", 1, str, deterministic=True)


class Words:
    """See `tagback.engines.merging.Words`. The first letter of a value's text is its type's."""

    once = "AS MATERIALIZED"

    def exact(self, value: str) -> str:
        return (
            f"CASE typeof({value}) WHEN 'null' THEN NULL WHEN 'text' THEN 't' || {value} WHEN 'blob' THEN {_of_blob(value)}"
            f" WHEN 'real' THEN {_of_real(value)} ELSE 'i' || {value} END"
        )

    def base(self, value: str) -> str:
        # Integers and texts stand for themselves; what stands for all else is a blob, so that it is taken for none.
        of_blob, of_real = (f"CAST({text} AS BLOB)" for text in (_of_blob(value), _of_real(value)))
        return (
            f"CASE typeof({value}) WHEN 'integer' THEN {value} WHEN 'text' THEN CASE WHEN length(CAST({value} AS BLOB))"
            f" <= {_LONGEST} THEN {value} ELSE CAST('t#' || tagback_digest(CAST({value} AS BLOB)) AS BLOB) END"
            f" WHEN 'null' THEN NULL WHEN 'blob' THEN {of_blob} ELSE {of_real} END"
        )

    def digest(self, values: Sequence[str]) -> str:
        parts = [told(value) for value in values]
        while len(parts) > _MOST_ARGUMENTS:
            parts = [f"tagback_digest({', '.join(parts[:_MOST_ARGUMENTS])})", *parts[_MOST_ARGUMENTS:]]
        return f"tagback_digest({', '.join(parts)})"

    def digits(self, conditions: Sequence[str]) -> str:
        # Adding is cheaper than putting texts together; an integer has room for so many digits besides the first.
        if not {*conditions} - {NEVER, ALWAYS}:
            return f"'{''.join(str(int(c == ALWAYS)) for c in conditions)}'"
        groups = [conditions[n : n + _MOST_DIGITS] for n in range(0, len(conditions), _MOST_DIGITS)]
        return " || ".join(map(_added, groups))

    def text(self, number: str) -> str:
        return f"CAST({number} AS TEXT)"

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


def told(value: str) -> str:
    """The value as Python can take it, whatever bytes it has: a text as bytes, a blob as text."""
    return f"CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) WHEN 'blob' THEN {_of_blob(value)} ELSE {value} END"


def _of_blob(value: str) -> str:
    return f"CASE WHEN length({value}) <= {_LARGE} THEN 'b' || hex({value}) ELSE 'b#' || tagback_digest({value}) END"


def _of_real(value: str) -> str:
    # printf gives zero without its sign
    return f"'r' || CASE WHEN {value} = 0 THEN tagback_zero({value}) ELSE printf('%!.17g', {value}) END"


def _added(conditions: Sequence[str]) -> str:
    width = len(conditions)
    summands = [f"CASE WHEN {c} THEN {10 ** (width - n)} ELSE 0 END" for n, c in enumerate(conditions, 1) if c != NEVER]
    return f"substr({' + '.join([str(10**width), *summands])}, 2)"


def digest(*values: object) -> str:
    """The digest of values as `told` gives them, for SQL."""
    return digest_of(values).hex()


def digest_of(values: tuple[object, ...]) -> bytes:
    """128 bits of them."""
    # The oldest format has no references: these would hang on what else holds the same object.
    return hashlib.blake2b(marshal.dumps(values, 0), digest_size=16).digest()  # type: ignore[arg-type]
