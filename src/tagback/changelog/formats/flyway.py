"""Flyway's names: `V1_2__add_orders.sql`, `R__views.sql` (repeatable).

Undo scripts `U…` are not read. Folders are searched, too.
A `.sql.conf` beside a script may say `executeInTransaction=false`. Placeholders are not replaced; where one seems to be
used, a note says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note, Version
from tagback.changelog.formats.layout import Format, changeset, describe, refuse_blank
from tagback.changelog.listing import Listing, walk
from tagback.changelog.position import Lines
from tagback.changelog.source import read_source
from tagback.errors import ChangelogError, Location

_NAME = re.compile(r"(?:([VUB])([0-9]+(?:[._][0-9]+)*)|(R))__(.*)\.sql", re.DOTALL | re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$\{[A-Za-z][\w:.]*\}")
_HARMLESS = {
    ("encoding", "utf-8"),
    ("encoding", "utf8"),
    ("shouldexecute", "true"),
    ("placeholderreplacement", "false"),
}


def _claims(listing: Listing) -> list[Path]:
    return [path for folder in walk(listing) for path in folder.sql if _NAME.fullmatch(path.name)]


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for path in paths:
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise ChangelogError(
                f"{path.name} is not a name of Flyway's",
                hint="Its names are V1_2__description.sql and R__description.sql, with two underscores.",
                location=Location(str(path)),
            )
        kind = (name[1] or name[3]).upper()
        if kind == "U":
            continue
        if kind == "B":
            yield Note(f"{path.name} is a baseline; it is ignored, all V scripts are applied", Location(str(path)))
            continue
        file = listing.source(path)
        refuse_blank(file)
        placeholder = _PLACEHOLDER.search(file.text)
        if placeholder:
            place = Location(str(path), *Lines(file.text).place(placeholder.start()))
            yield Note(f"{placeholder.group()} looks like a placeholder; placeholders are not replaced", place)
        yield changeset(
            file.stem,
            _version(name[2]) if kind == "V" else (),
            describe(name[4]),
            file,
            transactional=_transactional(path.with_name(path.name + ".conf")),
            repeatable=kind == "R",
        )


def _version(text: str) -> Version:
    """The numbers of a version; to Flyway 1 and 1.0 are the same one."""
    numbers = [int(number) for number in re.split("[._]", text)]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _transactional(path: Path) -> bool:
    if not os.path.lexists(path):
        return True
    transactional = True
    for number, line in enumerate(read_source(path).text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        key, _, value = (part.strip() for part in line.partition("="))
        if key.lower() == "executeintransaction" and value.lower() in {"true", "false"}:
            transactional = value.lower() == "true"
        elif (key.lower(), value.lower()) not in _HARMLESS:
            raise ChangelogError(
                f"{path.name}: {line.strip()!r} is not supported",
                hint="Known is: executeInTransaction=true or false.",
                location=Location(str(path), number, 1),
            )
    return transactional


FORMAT = Format("flyway", "V1_2__name.sql", _claims, _read)
