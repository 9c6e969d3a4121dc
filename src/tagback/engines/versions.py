"""Recorded schemas on another major version of the server, where nothing is known to read differently there."""

from __future__ import annotations

from dataclasses import replace

from tagback.catalog import Catalog

OTHER_MAJOR = "other_major"
"""The code of the RefusedError where it can't be told how what was recorded reads here."""


class ReadAlike:
    """Each definition is taken as it was recorded."""

    major: str

    def read_anew(self, recorded: Catalog) -> Catalog:
        return replace(recorded, major=self.major, lineage={}, _cache={})
