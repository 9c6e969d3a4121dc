"""Ages and sizes as people write them, and sizes as they read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tagback.errors import UsageError

if TYPE_CHECKING:
    import datetime

_AGE = re.compile(r"(\d+)\s*([wdhms])\Z")
_AGES = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\Z", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
AGES = "A number and a unit: 30d, 12h, 90m, 45s."
SIZES = "A number and a unit: 2GB, 500MB, 1.5GiB."


def age(text: str) -> datetime.timedelta:
    """30d, 12h, 90m, 45s, 2w. UsageError for anything else."""
    from datetime import timedelta

    match = _AGE.match(text.strip())
    if match is not None:
        try:
            return timedelta(**{_AGES[match[2]]: int(match[1])})
        except OverflowError:
            pass
    raise UsageError(f"{text!r} is no age.", hint=AGES)


def amount(text: str) -> int:
    """Bytes: 2GB is 2,000,000,000 of them, 2GiB 2 × 1024³. UsageError for what is no size."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size.", hint=SIZES)
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _POWERS[match[2].lower()])


def size(count: int) -> str:
    """Bytes for people: 512 B, 1.5 KiB, 20.0 MiB."""
    shown, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while shown >= 1024 and len(units) > 1:
        shown /= 1024
        units.pop(0)
    return f"{shown:.1f} {units[0]}" if units[0] != "B" else f"{count} B"
