"""`0001_create_users.sql`: every file is one changeset, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note
from tagback.changelog.formats.layout import Format, changeset, describe, numbered, refuse_blank
from tagback.changelog.listing import Listing


def _claims(listing: Listing) -> list[Path]:
    return list(listing.sql)


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for path in paths:
        file = listing.source(path)
        refuse_blank(file)
        # A single file needs no order.
        unordered = listing.single and not path.name[:1].isdigit()
        version, description = ((), describe(file.stem)) if unordered else numbered(file.stem, path)
        yield changeset(file.stem, version, description, file)


FORMAT = Format("plain", "NNN_name.sql", _claims, _read)
