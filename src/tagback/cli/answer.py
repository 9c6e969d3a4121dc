"""What a command gives back: fields for programs, text for people, and the error where a check did not hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tagback.cli.page import Page
from tagback.errors import Exit, TagbackError


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one command. `fields` are the JSON's, `show` writes the same for people."""

    fields: Mapping[str, object]
    show: Callable[[Page], None]
    error: TagbackError | None = None

    @property
    def exit_code(self) -> Exit:
        """0, or the error's."""
        return self.error.exit_code if self.error else Exit.DONE


def fields_of(result: object) -> dict[str, object]:
    """A result's fields as JSON has them: enumerations as their values, tuples as lists."""
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(result)
    return found


def envelope(fields: Mapping[str, object], error: TagbackError | None) -> dict[str, object]:
    """The one JSON object of a command: `ok`, `exit_code`, on failure `error`, then the fields."""
    exit_code = int(error.exit_code) if error else 0
    body: dict[str, object] = {"ok": error is None, "exit_code": exit_code}
    if error is not None:
        told: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
        if error.location is not None:
            place = error.location
            told["location"] = {"file": place.file, "line": place.line, "column": place.column}
        body["error"] = told
    return body | dict(fields)
