"""Diesel's layout: `0001_create_users/up.sql`.

An optional `metadata.toml` beside it may say `run_in_transaction = false`. `down.sql` is not read.

An `up.sql` without any text is accepted: histories that serve several engines have such
placeholders for those where nothing is to be done.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note
from tagback.changelog.formats.layout import Format, changeset, numbered
from tagback.changelog.listing import Listing
from tagback.changelog.position import Lines
from tagback.changelog.source import read_source
from tagback.errors import ChangelogError, Location

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = "run_in_transaction"


def _claims(listing: Listing) -> list[Path]:
    if listing.single:
        return [file for file in listing.files if file.name == "up.sql"]
    return [folder for folder in listing.folders if os.path.lexists(folder / "up.sql")]


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for folder in listing.folders:
        if folder not in paths and folder.name[:1].isdigit():
            raise ChangelogError(
                f"{folder.name} has no up.sql", hint="Write it, or remove the folder.", location=Location(str(folder))
            )
    for path in paths:
        folder = path.absolute().parent if listing.single else path
        file = listing.source(path if listing.single else folder / "up.sql")
        if not file.text.strip():
            yield Note(f"{folder.name} does nothing: its up.sql is empty", Location(str(file.path)))
        version, description = numbered(folder.name, folder)
        yield changeset(folder.name, version, description, file, transactional=_transactional(folder / "metadata.toml"))


def _transactional(path: Path) -> bool:
    if not os.path.lexists(path):
        return True
    text = read_source(path).text
    try:
        metadata = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        end = Lines(text).place(len(text))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else end
        message = _TOML_PLACE.sub("", str(error))
        raise ChangelogError(
            f"metadata.toml is not TOML: {message}", location=Location(str(path), line, column)
        ) from None
    for key in metadata:
        if key != _KEY:
            raise ChangelogError(
                f"metadata.toml has an unknown key {key!r}",
                hint=f"Known is: {_KEY}.",
                location=_place_of(key, path, text),
            )
    value = metadata.get(_KEY, True)
    if not isinstance(value, bool):
        raise ChangelogError(
            f"{_KEY} in metadata.toml must be true or false, not {value!r}", location=_place_of(_KEY, path, text)
        )
    return value


def _place_of(key: str, path: Path, text: str) -> Location:
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(rf"\s*\[*\s*[\"']?{re.escape(key)}\b", line)
        if found:
            return Location(str(path), number, len(line) - len(line.lstrip()) + 1)
    return Location(str(path))


FORMAT = Format("directory", "NNN_name/up.sql", _claims, _read)
