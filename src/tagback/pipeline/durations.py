"""Lengths of time as people write them."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 100 * 365 * 86400


def seconds(text: str | int | float) -> float:
    """`500ms`, `10s`, `1h 30m`, or a plain number of seconds. ValueError for anything else."""
    if not isinstance(text, str) or _NUMBER.fullmatch(text):
        number = float(text)
        if not 0 <= number < _LONGEST:
            raise ValueError(f"{text} is no length of time: from 0 to {_LONGEST} seconds")
        return number
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip():
        raise ValueError(f"{text!r} is no length of time; write it as 500ms, 10s, 5m, 1h or 1h 30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def told(length: float) -> str:
    """`850 ms`, `12.3 s`, `4 min 10 s`."""
    if length < 1:
        return f"{length * 1000:.0f} ms"
    if length < 60:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
