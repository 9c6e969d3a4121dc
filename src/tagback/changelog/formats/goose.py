"""goose's format: `-- +goose Up`, `-- +goose Down` (not read), `-- +goose NO TRANSACTION`.

`-- +goose StatementBegin` and `StatementEnd` stay in the text; splitting respects them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tagback.changelog.changeset import Changeset, Note
from tagback.changelog.formats.layout import Format, changeset, numbered, refuse_blank
from tagback.changelog.formats.marked import marked_files, up_part
from tagback.changelog.listing import Listing
from tagback.changelog.position import Lines
from tagback.changelog.source import SourceFile
from tagback.errors import ChangelogError, Location

_MARK = "-- +goose Up"
_UP = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+Up[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE | re.IGNORECASE)
_DOWN = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+Down\b", re.MULTILINE | re.IGNORECASE)
_ANY = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+([^\r\n]*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_BLOCKS = {"statementbegin": 1, "statementend": -1}
_KNOWN = "Up, Down, StatementBegin, StatementEnd, NO TRANSACTION"


def _claims(listing: Listing) -> list[Path]:
    return marked_files(listing, _UP, _DOWN)


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for path in paths:
        file = listing.source(path)
        refuse_blank(file)
        _, part = up_part(file, _UP, _DOWN, _MARK)
        version, description = numbered(file.stem, path)
        yield changeset(file.stem, version, description, file, part=part, transactional=_transactional(file, part))


def _transactional(file: SourceFile, part: slice) -> bool:
    """Goes over the annotations of the way up, and says whether one of them forbids a transaction."""
    transactional, depth, opened = True, 0, 0
    for annotation in _ANY.finditer(file.text.replace("\r", "\n"), 0, part.stop):
        words = " ".join(annotation[1].lower().split())
        if words == "no transaction":
            transactional = False
        elif words in _BLOCKS:
            depth += _BLOCKS[words]
            opened = annotation.start()
            if depth not in {0, 1}:
                raise _error(file, opened, f"`-- +goose {annotation[1]}` without its partner")
        elif words != "up":
            raise _error(file, annotation.start(), f"`-- +goose {annotation[1]}` is not supported")
    if depth:
        raise _error(file, opened, "`-- +goose StatementBegin` without its partner")
    return transactional


def _error(file: SourceFile, offset: int, what: str) -> ChangelogError:
    return ChangelogError(
        f"{file.path.name}: {what}",
        hint=f"Known are: {_KNOWN}.",
        location=Location(str(file.path), *Lines(file.text).place(offset)),
    )


FORMAT = Format("goose", _MARK, _claims, _read)
