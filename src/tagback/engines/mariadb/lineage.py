"""Which table and column is which while a deployment runs: no name tells, and every rename passes by as a statement."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tagback.catalog import ObjectId, Rename
from tagback.engines.mariadb.kinds.table import Table


class Lineage:
    """What identifies today's tables and columns, by name: the name that they had when following began."""

    def __init__(self) -> None:
        self._tables: dict[str, str] = {}
        self._columns: dict[tuple[str, str], str] = {}
        self._new = itertools.count(1)

    def follow(self, renamed: Iterable[Rename]) -> None:
        """Takes note of what has been renamed, in order."""
        columns: dict[tuple[str, str], str] = {}  # those of one statement change places at once
        for r in renamed:
            if r.before.kind == "table":
                old, new = r.before.name[0], r.after.name[0]
                self._tables[new] = self._table(old)
                self._tables[old] = f"?{next(self._new)}"
                continue
            table = self._table(r.after.name[0])
            old, new = r.before.name[1].lower(), r.after.name[1].lower()
            columns[table, new] = self._columns.get((table, old), old)
            if old != new:
                columns.setdefault((table, old), f"?{next(self._new)}")
        self._columns |= columns

    def of(self, tables: Iterable[Table]) -> dict[ObjectId, str]:
        """As `Catalog.lineage` has it."""
        found = {}
        for table in tables:
            token = self._table(table.id.name[0])
            found[table.id] = token
            for part in table.parts:
                name = part.name[1].lower()
                found[part] = f"{token}\0{self._columns.get((token, name), name)}"
        return found

    def _table(self, name: str) -> str:
        return self._tables.get(name, f"={name}")
