"""How much the shelf may still take: a limit that the user has set, less what is there."""

from __future__ import annotations

from tagback.catalog import ObjectId
from tagback.errors import FailedError


class Room:
    """Bytes that are left; None: as many as there are."""

    def __init__(self) -> None:
        self.left: int | None = None

    def holds(self, most: int) -> bool:
        """Whether so much fits in any case, and needn't be measured."""
        return self.left is None or most <= self.left

    def check(self, table: ObjectId, needed: int) -> None:
        """FailedError where so much doesn't fit."""
        if self.left is not None and needed > self.left:
            raise FailedError(
                f"What is kept of {table} takes {needed:,} bytes, and the limit leaves the shelf {max(self.left, 0):,} more.",
                code="shelf_limit",
                hint="Everything was undone: the database is as it was before. Raise shelf_limit in the configuration or with"
                " --shelf-limit, or make room with `tagback shelf purge`; `tagback shelf ls` shows what takes how much.",
            )

    def take(self, table: ObjectId, size: int) -> None:
        """Notes that so much was kept."""
        self.check(table, size)
        if self.left is not None:
            self.left -= size
