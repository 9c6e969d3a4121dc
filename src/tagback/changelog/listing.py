"""What lies at a changelog's path: the files and folders that count, read once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagback.changelog.source import SourceFile, read_source, unreadable
from tagback.errors import ChangelogError, Location

_EDITORS_OWN = re.compile(r"\..*|.*~|#.*#|.*\.(?:swp|swo|swx|bak|orig|rej|tmp|temp)|__pycache__", re.IGNORECASE)
_DOCUMENTS = re.compile(
    r"(?:README|LICEN[CS]E|CHANGELOG|CONTRIBUTING)(?:\.(?:md|txt|rst|adoc))?|.*\.(?:md|rst|adoc)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory's files and folders by name, without hidden ones, editors' backups and documents.

    When the changelog is a single file, `files` is that one and `single` is true. `sql` are the files of SQL.
    """

    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    single: bool = False
    sql: tuple[Path, ...] = field(init=False, compare=False, repr=False)
    _sources: dict[Path, SourceFile] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Once: every format asks for them, and a path is slow to tell its name.
        sql = tuple(file for file in self.files if file.name.lower().endswith(".sql"))
        object.__setattr__(self, "sql", sql)

    def source(self, path: Path) -> SourceFile:
        """The text of a file, read once: what a format is told by is what is applied."""
        found = self._sources.get(path)
        if found is None:
            found = self._sources[path] = read_source(path)
        return found

    def without(self, taken: set[Path]) -> Listing:
        """The same, less the paths that have been accounted for."""
        files = tuple(file for file in self.files if file not in taken)
        return replace(self, files=files, folders=tuple(folder for folder in self.folders if folder not in taken))


def list_changelog(path: Path) -> Listing:
    """The listing of a changelog's path. Raises ChangelogError if it is missing, unreadable or a loop of links."""
    try:
        is_folder = path.is_dir()
        if not is_folder:
            path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    return list_folder(path) if is_folder else Listing(path, (path,), (), single=True)


def list_folder(path: Path) -> Listing:
    """What is directly in a directory."""
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            if _EDITORS_OWN.fullmatch(entry.name) or _DOCUMENTS.fullmatch(entry.name):
                continue
            found = path / entry.name
            _check_name(found)
            if entry.is_symlink():
                _refuse_broken_link(found)
            (folders if entry.is_dir() else files).append(found)
    except OSError as error:
        raise unreadable(path, error) from None
    return Listing(path, tuple(files), tuple(folders))


def walk(listing: Listing, above: tuple[Path, ...] = ()) -> Iterator[Listing]:
    """A listing and those of all folders below it. Raises ChangelogError where links lead back up."""
    real = listing.path.resolve()
    if real in above:
        raise ChangelogError(
            f"{listing.path.name} is a link that leads back to itself", location=Location(str(listing.path))
        )
    yield listing
    for folder in listing.folders:
        yield from walk(list_folder(folder), (*above, real))


def _refuse_broken_link(path: Path) -> None:
    """Whether it would be a file or a folder can't be known, so it can't be left out either."""
    try:
        path.stat()
    except OSError as error:
        raise unreadable(path, error) from None


def _check_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = path.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise ChangelogError(
            f"the file name {shown} is not UTF-8", hint="Rename the file.", location=Location(str(path.parent))
        ) from None
