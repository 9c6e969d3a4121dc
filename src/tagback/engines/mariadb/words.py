"""The words of `tagback.engines.merging` as MariaDB has them, for sessions with ANSI_QUOTES and PIPES_AS_CONCAT."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tagback.engines.session import KeptColumn

_LONGEST = 32  # bytes of a value that are kept as they are
_TEXTS = re.compile(r"(?:var)?char|(?:tiny|medium|long)?text|enum|set|json", re.I)
_ROUNDED = re.compile(r"float|double", re.I)


class Words:
    """See `tagback.engines.merging.Words`. Texts are hexadecimal digits: no collation tells them apart or alike."""

    once = "AS"

    def exact(self, value: str) -> str:
        return _plain(f"HEX({as_bytes(value)})")

    def base(self, value: str) -> str:
        short = f"OCTET_LENGTH({as_bytes(value)}) <= {_LONGEST}"
        return _plain(f"CASE WHEN {short} THEN HEX({as_bytes(value)}) ELSE CONCAT('#', MD5({as_bytes(value)})) END")

    def digest(self, values: Sequence[str]) -> str:
        parts = [_part(value) for value in values] or ["''"]
        return _plain(f"MD5(CONCAT_WS(',', {', '.join(parts)}))")

    def digits(self, conditions: Sequence[str]) -> str:
        return f"CONCAT({', '.join(f'IF({c}, 1, 0)' for c in conditions)})" if conditions else "''"

    def text(self, number: str) -> str:
        return _plain(number)

    def same(self, left: str, right: str) -> str:
        return f"({left} <=> {right})"

    def alike(self, column: KeptColumn, left: str, right: str) -> str:
        """Numbers that are rounded when they are written out are compared as numbers, all else byte by byte."""
        if _ROUNDED.match(column.type):
            return f"({left} <=> {right})"
        return f"({as_bytes(left)} <=> {as_bytes(right)})"


def is_text(type_: str) -> bool:
    """Whether values of this type are texts."""
    return _TEXTS.match(type_) is not None


def exactly(type_: str, expression: str) -> str:
    """Rounded numbers with all their digits."""
    return f"CAST({expression} AS DOUBLE)" if type_.lower().startswith("float") else expression


def is_rounded(type_: str) -> bool:
    """Whether numbers of this type lose digits when they are written out."""
    return _ROUNDED.match(type_) is not None


def _plain(text: str) -> str:
    return f"CONVERT({text} USING ascii) COLLATE ascii_bin"


def as_bytes(value: str) -> str:
    """The value's text, byte by byte."""
    return f"CAST({value} AS BINARY)"


def _part(value: str) -> str:
    return f"COALESCE(MD5({as_bytes(value)}), '-')"
