"""What goose's and dbmate's formats share: one file for both ways, its parts told apart by marks in comments."""

from __future__ import annotations

import re
from pathlib import Path

from tagback.changelog.listing import Listing
from tagback.changelog.position import Lines
from tagback.changelog.source import SourceFile
from tagback.errors import ChangelogError, Location

_COMMENT_OR_SPACE = re.compile(r"(?:[ \t\f\v\r\n]+|--[^\r\n]*|/\*.*?\*/)*", re.DOTALL)


def marked_files(listing: Listing, up: re.Pattern[str], down: re.Pattern[str]) -> list[Path]:
    """The files of SQL that carry one of the marks; unreadable ones are left for whoever reads them."""
    return [path for path in listing.sql if _carries(listing, path, up, down)]


def up_part(file: SourceFile, up: re.Pattern[str], down: re.Pattern[str], mark: str) -> tuple[re.Match[str], slice]:
    """The up mark of a file, and the text from the line after it to the down mark or the end.

    Raises ChangelogError when the mark is missing, there twice, after the down mark, or has SQL before it.
    """
    ups = list(up.finditer(file.text))
    if not ups:
        raise ChangelogError(
            f"{file.path.name} has no `{mark}` line, which this format needs",
            hint=f"Put `{mark}` on a line of its own before the SQL.",
            location=Location(str(file.path), 1, 1),
        )
    if len(ups) > 1:
        raise ChangelogError(f"{file.path.name} has `{mark}` twice", location=_place(file, ups[1].start()))
    first_down = down.search(file.text)
    if first_down and first_down.start() < ups[0].start():
        raise ChangelogError(
            f"{file.path.name} has its way down before `{mark}`",
            hint="The way up comes first.",
            location=_place(file, first_down.start()),
        )
    before = _COMMENT_OR_SPACE.match(file.text, 0, ups[0].start())
    if before and before.end() < ups[0].start():
        raise ChangelogError(
            f"{file.path.name} has SQL before `{mark}`",
            hint="It would belong to neither way; move it below the mark.",
            location=_place(file, before.end()),
        )
    return ups[0], slice(ups[0].end(), first_down.start() if first_down else len(file.text))


def _carries(listing: Listing, path: Path, up: re.Pattern[str], down: re.Pattern[str]) -> bool:
    try:
        text = listing.source(path).text
    except ChangelogError:
        return False
    return "--" in text and bool(up.search(text) or down.search(text))


def _place(file: SourceFile, offset: int) -> Location:
    return Location(str(file.path), *Lines(file.text).place(offset))
