"""What can go wrong, as the person at the terminal will read it.

Every error carries a stable code for programs, the exit status of the command line, a message (what happened),
a hint (what to do next), and where a changelog file is to blame, its location. The state the database is in is part of the
message wherever it isn't "nothing was touched".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Exit(enum.IntEnum):
    """The exit statuses of the command line."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    CHECK_FAILED = 4
    STUCK = 5
    UNREACHABLE = 6
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a changelog or configuration file; line and column count from 1, 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


def counted(number: int, noun: str) -> str:
    """`1 changeset`, `2 changesets`, as messages say it."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class TagbackError(Exception):
    """Base of all errors meant for the user. `code` and `exit_code` are class attributes unless given."""

    code: str = "error"
    exit_code: Exit = Exit.FAILED

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        location: Location | None = None,
        code: str | None = None,
        exit_code: Exit | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location
        if code is not None:
            self.code = code
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(TagbackError):
    """The call, a URL or a configuration file is wrong; nothing was touched."""

    code = "usage"
    exit_code = Exit.USAGE


class ChangelogError(TagbackError):
    """A changelog can't be read or is inconsistent; nothing was touched."""

    code = "changelog"
    exit_code = Exit.USAGE


class RefusedError(TagbackError):
    """Going on would lose something or start from an unknown state; nothing was touched."""

    code = "refused"
    exit_code = Exit.REFUSED


class FailedError(TagbackError):
    """A statement or step failed, and the database is as it was before."""

    code = "failed"
    exit_code = Exit.FAILED


class StuckError(TagbackError):
    """The database is neither at the start nor at the end; a person is needed."""

    code = "stuck"
    exit_code = Exit.STUCK


class UnreachableError(TagbackError):
    """The target can't be reached, refuses the account, or its lock isn't free."""

    code = "unreachable"
    exit_code = Exit.UNREACHABLE
