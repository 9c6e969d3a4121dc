"""What is kept of a table, in SQL for a person."""

from __future__ import annotations

from tagback.engines.postgres.places import MOVED, address, address_of_moved
from tagback.engines.postgres.sqltext import ident
from tagback.engines.reading_shelf import compared
from tagback.engines.session import KeptRows


def shelf_query(kept: KeptRows) -> str:
    """See `tagback.engines.shelf_query`. A table that was moved is itself on the shelf."""
    if kept.how == MOVED:
        return f"SELECT * FROM {address_of_moved(kept)}"
    return compared(kept, address(kept.place), ident)
