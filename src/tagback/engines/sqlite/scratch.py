"""An empty SQLite file that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tagback.engines.url import Url
from tagback.errors import UsageError


@contextmanager
def scratch(near: Url, place: Url) -> Iterator[Url]:
    """See `tagback.engines.scratch`. A folder is made for it, in `place` where that is another one."""
    chosen = place.database if place != near else None
    if chosen is not None and not Path(chosen).is_dir():
        raise UsageError(f"{chosen} is no folder to make a scratch database in.", code="rehearsal")
    with tempfile.TemporaryDirectory(prefix="tagback-rehearsal-", dir=chosen) as folder:
        yield replace(near, database=str(Path(folder) / "scratch.db"), undecoded="")
