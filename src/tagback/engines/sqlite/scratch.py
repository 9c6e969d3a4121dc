"""An empty SQLite file that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tagback.engines.url import Url


@contextmanager
def scratch(near: Url, place: Url) -> Iterator[Url]:
    """See `tagback.engines.scratch`. A folder is made for it, in `place` where that is a folder."""
    chosen = place.database if Path(place.database).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tagback-rehearsal-", dir=chosen) as folder:
        yield replace(near, database=str(Path(folder) / "scratch.db"), undecoded="")
