"""The unit of a changelog: one versioned piece of SQL, with a stable id and a checksum."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from tagback.changelog.position import Lines
from tagback.errors import Location

Version = tuple[int | str, ...]

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = " \t\f\v"


@dataclass(frozen=True, slots=True)
class Changeset:
    """One file's way up.

    `id` is unique in the changelog and independent of the format's details; `version` sorts, numbers as numbers.
    `text` is the up part exactly as in the file, `first_line` the line it begins at. `transactional` is False when the
    file asks to be run without a transaction. A `repeatable` one is applied again when its checksum changes and comes
    after all versioned ones.
    """

    id: str
    version: Version
    description: str
    path: Path
    text: str
    first_line: int
    checksum: str
    transactional: bool = True
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth telling about a changelog that stops nothing."""

    message: str
    location: Location

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


@dataclass(frozen=True, slots=True)
class Changelog:
    """All changesets in the order they are applied in, and what was noticed while reading them."""

    changesets: tuple[Changeset, ...]
    format: str
    notes: tuple[Note, ...] = ()


def checksum_of(text: str) -> str:
    """SHA-256 of a text without what editors and git change by themselves.

    Line endings, trailing space of lines, trailing blank lines and a byte order mark do not count.
    """
    lines = [line.rstrip(_BLANK) for line in _LINE_END.split(text.removeprefix("\ufeff"))]
    return hashlib.sha256("\n".join(lines).rstrip("\n").encode()).hexdigest()


def locate(changeset: Changeset, offset: int) -> Location:
    """The place in the file of a character offset in `changeset.text`."""
    line, column = Lines(changeset.text).place(offset)
    return Location(str(changeset.path), changeset.first_line + line - 1, column)
