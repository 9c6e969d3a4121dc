"""What a format is, and what formats share: names that begin with a version, and making changesets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note, Version, checksum_of
from tagback.changelog.directives import asks_for_no_transaction
from tagback.changelog.listing import Listing
from tagback.changelog.position import Lines
from tagback.changelog.source import SourceFile
from tagback.errors import ChangelogError, Location

# A number, or several joined by "." or "-" (1.2, 2018-01-31-120000), and a separator before the description.
_NUMBERED = re.compile(r"([0-9]+(?:[.-][0-9]+)*)(?:[_\-. ]+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Format:
    """A named layout.

    `claims` tells which of a listing's paths have the layout's shape; a path that two formats claim belongs to the
    first. `read` makes changesets, in any order, and notes of these paths.
    """

    name: str
    shape: str
    claims: Callable[[Listing], list[Path]]
    read: Callable[[Listing, list[Path]], Iterator[Changeset | Note]]


def numbered(name: str, path: Path) -> tuple[Version, str]:
    """The version and the description of `0001_create_users`. Raises ChangelogError when there is no number."""
    match = _NUMBERED.fullmatch(name)
    if match is None:
        raise ChangelogError(
            f"{path.name} has no version: its name does not begin with a number",
            hint="Name it like 0007_add_orders.sql, or keep it outside of the changelog's directory.",
            location=Location(str(path)),
        )
    return tuple(int(number) for number in re.split("[.-]", match[1])), describe(match[2] or "")


def describe(name: str) -> str:
    """A file name's words as a description."""
    return " ".join(name.replace("_", " ").split())


def changeset(
    id: str,
    version: Version,
    description: str,
    file: SourceFile,
    *,
    part: slice = slice(None),
    transactional: bool = True,
    repeatable: bool = False,
) -> Changeset:
    """A changeset of `part` of a file's text; headers that ask for no transaction are heard."""
    text = file.text[part]
    first_line = Lines(file.text[: part.start]).place(part.start)[0] if part.start else 1
    return Changeset(
        id=id,
        version=version,
        description=description,
        path=file.path,
        text=text,
        first_line=first_line,
        checksum=checksum_of(text),
        transactional=transactional and not asks_for_no_transaction(file.text[: part.stop]),
        repeatable=repeatable,
    )


def refuse_blank(file: SourceFile) -> None:
    """An empty file is a mistake more often than a wish."""
    if not file.text.strip():
        raise ChangelogError(
            f"{file.path.name} is empty",
            hint="If nothing is meant to happen, say so in a comment: -- nothing to do",
            location=Location(str(file.path), 1, 1),
        )
