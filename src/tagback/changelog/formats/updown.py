"""`0001_create_users.up.sql` beside `0001_create_users.down.sql`; the down scripts are not read.

golang-migrate's layout is the same with the version restricted to one number. Its files have no header of their own for
"no transaction"; the general ones are heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note
from tagback.changelog.formats.layout import Format, changeset, numbered, refuse_blank
from tagback.changelog.listing import Listing
from tagback.errors import ChangelogError, Location

_SUFFIX = re.compile(r"\.(up|down)\.sql", re.IGNORECASE)
_GOLANG_NAME = re.compile(r"[0-9]+_.*\.(?:up|down)\.sql", re.IGNORECASE)


def _claims(listing: Listing) -> list[Path]:
    return [path for path in listing.sql if _SUFFIX.search(path.name[-9:])]


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    ups = [path for path in paths if path.name.lower().endswith(".up.sql")]
    stems = {path.name[: -len(".up.sql")] for path in ups}
    for path in paths:
        stem = _SUFFIX.sub("", path.name)
        if path not in ups and stem not in stems:
            yield Note(f"{path.name} has no {stem}.up.sql; it is ignored", Location(str(path)))
    for path in ups:
        stem = path.name[: -len(".up.sql")]
        file = listing.source(path)
        refuse_blank(file)
        version, description = numbered(stem, path)
        yield changeset(stem, version, description, file)


def _read_golang(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for path in paths:
        if not _GOLANG_NAME.fullmatch(path.name):
            raise ChangelogError(
                f"{path.name} is not a name of golang-migrate's",
                hint="Its names are VERSION_name.up.sql and VERSION_name.down.sql, VERSION being one number.",
                location=Location(str(path)),
            )
    yield from _read(listing, paths)


FORMAT = Format("up-down", "NNN_name.up.sql", _claims, _read)
GOLANG_MIGRATE = Format("golang-migrate", "N_name.up.sql", _claims, _read_golang)
