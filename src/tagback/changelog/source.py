"""A changelog file's text, read with every doubt about its bytes settled."""

from __future__ import annotations

import errno
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from tagback.errors import ChangelogError, Location

_BOM = b"\xef\xbb\xbf"
_BYTE_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of SQL: its text without a byte order mark, with the line endings it has."""

    path: Path
    text: str

    @property
    def stem(self) -> str:
        return self.path.name.removesuffix(self.path.suffix)


def read_source(path: Path) -> SourceFile:
    """The text of a file. Raises ChangelogError if it can't be read, is not UTF-8, or holds NUL bytes."""
    content = read_bytes(path)
    if b"\0" in content:
        utf16 = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
        raise ChangelogError(
            f"{path.name} is {'UTF-16' if utf16 else 'binary (it contains a NUL byte)'}, not UTF-8 text",
            hint="Save it as UTF-8.",
            location=_byte_place(path, content, content.index(b"\0")),
        )
    content = content.removeprefix(_BOM)
    try:
        return SourceFile(path, content.decode())
    except UnicodeDecodeError as error:
        raise ChangelogError(
            f"{path.name} is not UTF-8: byte 0x{content[error.start]:02x} ({error.reason})",
            hint="Save it as UTF-8.",
            location=_byte_place(path, content, error.start),
        ) from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file, links followed; anything else raises ChangelogError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ChangelogError(f"{path.name} is not a regular file", location=Location(str(path)))
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> ChangelogError:
    """What went wrong with a path, in words."""
    name = path.name or str(path)
    if error.errno == errno.ELOOP:
        return ChangelogError(f"{name} is a link that leads back to itself", location=Location(str(path)))
    if isinstance(error, FileNotFoundError):
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        return ChangelogError(f"{name} {what}", location=Location(str(path)))
    return ChangelogError(
        f"{name} can't be read: {error.strerror or error}",
        hint="Check the permissions of the file and of the directories above it.",
        location=Location(str(path)),
    )


def _byte_place(path: Path, content: bytes, at: int) -> Location:
    """Line and column of a byte; the column counts the characters that can be read before it."""
    ends = [end.end() for end in _BYTE_LINE_END.finditer(content, 0, at)]
    before = content[ends[-1] if ends else 0 : at]
    return Location(str(path), len(ends) + 1, len(before.decode(errors="replace")) + 1)
