"""What kind of failure it was, and what was said to be done then: inner before outer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagback.errors import Exit, TagbackError
from tagback.pipeline.specification import Strategy

ERRORS = (
    "lock_timeout", "deadlock", "connection", "authentication", "authorization", "syntax", "constraint", "checksum",
    "drift", "data_loss", "conflict", "verification", "policy", "health", "command", "http", "timeout", "approval_rejected",
    "usage", "interrupted", "other",
)  # fmt: skip
"""The names of error types, as `errors` of a strategy has them."""

_BY_CODE = {
    "lock_timeout": "lock_timeout",
    "deadlock": "deadlock",
    "serialization": "deadlock",
    "unreachable": "connection",
    "lost": "connection",
    "lock_lost": "connection",
    "authentication": "authentication",
    "permission": "authorization",
    "privilege": "authorization",
    "rows_hidden": "authorization",
    "syntax": "syntax",
    "constraint": "constraint",
    "data": "constraint",
    "checksum": "checksum",
    "drift": "drift",
    "irreversible": "data_loss",
    "data_loss": "data_loss",
    "conflict": "conflict",
    "deployed_since": "conflict",
    "difference": "verification",
    "not_equal": "verification",
    "policy": "policy",
    "health": "health",
    "command": "command",
    "http": "http",
    "timeout": "timeout",
    "approval_rejected": "approval_rejected",
    "interrupted": "interrupted",
    "cancelled": "interrupted",
}


def type_of(error: TagbackError) -> str:
    """The error's type, one of ERRORS."""
    known = _BY_CODE.get(error.code)
    if known is not None:
        return known
    return "usage" if error.exit_code is Exit.USAGE else "other"


def chosen(levels: Iterable[Sequence[Strategy]], error_type: str) -> Strategy | None:
    """The first strategy for this type, from the innermost level outwards."""
    for strategies in levels:
        for s in strategies:
            if not s.errors or error_type in s.errors:
                return s
    return None


class CheckError(TagbackError):
    """A health check did not hold."""

    code = "health"
    exit_code = Exit.CHECK_FAILED


class CommandError(TagbackError):
    """A command ended with another status than 0."""

    code = "command"


class HttpError(TagbackError):
    """An HTTP service didn't answer as expected."""

    code = "http"


class TimeLimitError(TagbackError):
    """A step took longer than it may."""

    code = "timeout"


class RejectedError(TagbackError):
    """Somebody who may said no, or nobody said yes in time."""

    code = "approval_rejected"
    exit_code = Exit.REFUSED
