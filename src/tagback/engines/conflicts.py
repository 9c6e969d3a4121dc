"""What a merge found to be in conflict, read from what it decided about each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagback.engines.session import Disagreement, KeptRows

MOST_CONFLICTS = 1000
"""Conflicts of one table that are listed."""


def counts(decision: str) -> str:
    """A query over what was decided: rows that move, rows that are put in, and conflicts."""
    return (
        "SELECT coalesce(sum(moves), 0), coalesce(sum(moves * stays), 0),"
        f" coalesce(sum(CASE WHEN c = 'row' THEN 1 ELSE length(replace(c, '0', '')) END), 0) FROM {decision}"
    )


def disagreements(kept: KeptRows, rows: Iterable[Sequence[object]]) -> list[Disagreement]:
    """What is in conflict, from rows of `c` and the key's columns as text."""
    found = []
    for digits, *key in rows:
        if kept.key:
            told = ", ".join(f"{name}={value}" for name, value in zip(kept.key, key, strict=True))
        else:
            told = f"row {key[0]}, {key[1]}"
        if digits == "row":
            found.append(Disagreement(kept.table, told, ""))
            continue
        found += [
            Disagreement(kept.table, told, kept.names[n], superseded=digit == "2")
            for n, digit in enumerate(str(digits))
            if digit != "0"
        ]
    return found
