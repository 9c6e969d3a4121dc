"""The ways to lay out a changelog, one module each; order is the order they are tried in."""

from __future__ import annotations

from tagback.changelog.formats import directory, flyway, goose, migrate, plain, updown
from tagback.changelog.formats.layout import Format

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        directory.FORMAT,
        flyway.FORMAT,
        updown.FORMAT,
        updown.GOLANG_MIGRATE,
        goose.FORMAT,
        migrate.FORMAT,
        plain.FORMAT,
    )
}

__all__ = ["FORMATS", "Format"]
