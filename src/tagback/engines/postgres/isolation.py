"""Files that ask for one snapshot of all that they read: a deployment reads what is committed, under locks.

Its own reading has to see what others committed until it had its locks, so it can't be in such a snapshot. Instead, whoever
would write to a table that these files name, or that a view or a function of theirs needs, waits until the deployment has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tagback.catalog import Catalog, ObjectId
from tagback.changelog import Dialect, Statement, TokenKind, significant
from tagback.engines.postgres.sqltext import qualified

_BEGINNINGS = (("SET", "TRANSACTION"), ("BEGIN",), ("START", "TRANSACTION"))


class Isolation:
    """`text` runs a statement, as in `Rows`."""

    def __init__(self, text: Callable[[str], list[tuple[object, ...]]]) -> None:
        self._text = text
        self._names: frozenset[str] = frozenset()

    def without_levels(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        """The statements without those that choose an isolation level."""
        levels = {n: level for n, s in enumerate(statements) if (level := _level(s))}
        left = tuple(s for n, s in enumerate(statements) if n not in levels)
        snapshot = not {"REPEATABLE", "SERIALIZABLE"}.isdisjoint(levels.values())
        self._names = frozenset(_names(left)) if snapshot else frozenset()
        return left

    def keep_writers_away(self, before: Catalog) -> None:
        """From all that the statements name, until the transaction ends, if one of them asked for a snapshot."""
        tables = _needed(self._names, before) if self._names else []
        if tables:
            self._text(f"LOCK TABLE {', '.join(qualified(*t.name) for t in tables)} IN SHARE MODE")


def _level(s: Statement) -> str:
    words = s.words(6)
    if not any(words[: len(b)] == b for b in _BEGINNINGS) or words.count("LEVEL") != 1:
        return ""
    return (*words, "")[words.index("LEVEL") + 1]


def _names(statements: Iterable[Statement]) -> Iterable[str]:
    for s in statements:
        for t in significant(s.sql, Dialect.POSTGRES):
            if t.kind in (TokenKind.WORD, TokenKind.QUOTED):
                yield t.text.strip('"').replace('""', '"').casefold()


def _needed(names: frozenset[str], before: Catalog) -> list[ObjectId]:
    """The tables that bear one of these names, or that something does which needs them."""
    queue = [i for i in before.objects if i.name[-1].casefold() in names and i.kind != "schema"]
    seen: set[ObjectId] = set()
    while queue:
        i = queue.pop()
        if i not in seen:
            seen.add(i)
            queue += [before.owner_of(n) or n for n in before.dependencies.get(i, ())]
    return sorted(i for i in seen if i.kind == "table" and i in before.objects and before.objects[i].carries_data)
