"""How the start of a table is kept: whole, or, if it is large, only what the statements to come seem to take of it.

Columns that are dropped go straight into a place of the shelf, with the key. That is all there is to keep if in the end
exactly these are gone and no row was written. Of rows that an UPDATE or a DELETE chooses there are images. Whether that was
enough `short` looks at; else the statements run once more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from tagback.catalog import ObjectId
from tagback.changelog import Statement
from tagback.engines.merging import Merging, Side
from tagback.engines.postgres.columns import kept_form
from tagback.engines.postgres.copies import Copy
from tagback.engines.postgres.foresight import Foresight
from tagback.engines.postgres.images import Images
from tagback.engines.postgres.places import Places
from tagback.engines.postgres.rows import Rows
from tagback.engines.postgres.sides import Sides
from tagback.engines.postgres.sqltext import literal, qualified
from tagback.engines.room import Room
from tagback.engines.session import KeptRows

LARGE = 4_000_000
"""Bytes; a smaller table is copied in the time of a few questions."""

MOST_TIMES = 4
"""What is kept of a table takes less than so many times the table."""


class Start:
    """See Session.keep_start. `large` is the size, in bytes, of the smallest table that isn't simply copied."""

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        rows: Rows,
        sides: Sides,
        places: Places,
        merging: Merging,
        room: Room,
        images: Images,
    ) -> None:
        self._images = images
        self.large = LARGE
        self._text = text
        self._rows = rows
        self._sides = sides
        self._places = places
        self._merging = merging
        self._room = room

    def keep(self, tables: Collection[ObjectId], ahead: Sequence[Statement]) -> None:
        """Keeps the tables that aren't kept yet."""
        foresight = Foresight(ahead)
        for table in sorted(set(tables) - self._rows.copies.keys()) if ahead else ():
            if not self._large(table):
                continue
            copy = None
            if dropped := foresight.dropped_columns(table):
                copy = self._taken(table, dropped)
            elif chosen := foresight.chosen_rows(table):
                copy = self._images.taken(table, chosen)
            if copy is not None:
                self._rows.keep_in_part(table, copy)
        self._rows.keep_start(tables)

    def short(self) -> frozenset[ObjectId]:
        """See Session.short."""
        return self._rows.short(self._images.complete)

    def _large(self, table: ObjectId) -> bool:
        """Whether it is a large heap, and what could be kept of it fits on the shelf."""
        ((size,),) = self._text(
            "SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class"
            f" WHERE oid = to_regclass({literal(qualified(*table.name))}) AND relkind = 'r' AND relam = 2"
        )
        return int(str(size)) >= self.large and self._room.holds(MOST_TIMES * int(str(size)))

    def _taken(self, table: ObjectId, dropped: frozenset[str]) -> Copy | None:
        """These columns, with the key; None where that can't be."""
        copy = replace(self._rows.uncopied(table), taken=dropped)
        names = {c.name for c in copy.columns}
        if not copy.key or not dropped <= names - set(copy.key):
            return None
        described = self._rows.described([table])[table]
        own = {c.name: kept_form(c) for c in copy.columns}
        start = Side(f"ONLY {qualified(*table.name)}", own, own)
        left = replace(described, columns=tuple(c for c in described.columns if c.name not in dropped))
        end = self._sides.of(copy.columns, left, table, {name: name for name in names - dropped})
        kept = KeptRows(table, copy.name, copy.kept_columns, copy.key, (), (), whole=False)
        self._rows.read_whole(table, self._merging.keep_lost(kept, start, end, self._places.make(kept, copy.columns)))
        return copy
