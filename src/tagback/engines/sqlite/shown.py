"""What is kept of a table, in SQL for a person."""

from __future__ import annotations

from tagback.engines.reading_shelf import compared
from tagback.engines.session import KeptRows
from tagback.engines.sqlite.naming import OWN_PREFIX, quoted


def shelf_query(kept: KeptRows) -> str:
    """See `tagback.engines.shelf_query`."""
    return compared(kept, quoted(OWN_PREFIX + kept.place), quoted)
