"""dbmate's format: `-- migrate:up`, optionally with `transaction:false`, and `-- migrate:down`, which is not read."""

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

_UP = re.compile(r"^[ \t]*--[ \t]*migrate:up(?:[ \t]+([^\r\n]*))?[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE)
_DOWN = re.compile(r"^[ \t]*--[ \t]*migrate:down\b", re.MULTILINE)
_MARK = "-- migrate:up"


def _claims(listing: Listing) -> list[Path]:
    return marked_files(listing, _UP, _DOWN)


def _read(listing: Listing, paths: list[Path]) -> Iterator[Changeset | Note]:
    for path in paths:
        file = listing.source(path)
        refuse_blank(file)
        mark, part = up_part(file, _UP, _DOWN, _MARK)
        version, description = numbered(file.stem, path)
        yield changeset(file.stem, version, description, file, part=part, transactional=_transactional(file, mark))


def _transactional(file: SourceFile, mark: re.Match[str]) -> bool:
    transactional = True
    for option in (mark[1] or "").split():
        name, _, value = option.partition(":")
        if name != "transaction" or value not in {"true", "false"}:
            raise ChangelogError(
                f"{file.path.name}: unknown option {option!r} of `{_MARK}`",
                hint="Known are: transaction:true, transaction:false.",
                location=Location(str(file.path), *Lines(file.text).place(mark.start(1))),
            )
        transactional = value == "true"
    return transactional


FORMAT = Format("migrate", _MARK, _claims, _read)
