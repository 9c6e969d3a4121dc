"""From a path to a changelog: the format told apart, the changesets in order, doubts reported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from tagback.changelog.changeset import Changelog, Changeset, Note
from tagback.changelog.directives import directives
from tagback.changelog.formats import FORMATS, Format
from tagback.changelog.listing import Listing, list_changelog
from tagback.errors import ChangelogError, Location

_DATE_LIKE = 10_000_000
_MISSING_SHOWN = 5
_STRUCTURED = (".xml", ".yaml", ".yml", ".json")


def read_changelog(path: Path, format: str | None = None) -> Changelog:
    """The changelog at `path`, a directory or a single file; the format is told by its shape unless given by name.

    Versioned changesets come first, ordered by version with numbers compared as numbers, then repeatable ones by
    description. Raises ChangelogError for anything that can't be read or would be ambiguous; nothing is ever skipped
    in silence: what is left out is in the notes.
    """
    if format is not None and format not in FORMATS:
        raise ChangelogError(
            f"there is no changelog format {format!r}", hint=f"Supported are: {', '.join(format_names())}."
        )
    listing = list_changelog(path)
    form, paths = (_forced(FORMATS[format], listing)) if format else _told_apart(listing)
    found = list(form.read(listing, paths))
    changesets = [entry for entry in found if isinstance(entry, Changeset)]
    if not changesets:
        raise _nothing_here(listing)
    notes = [entry for entry in found if isinstance(entry, Note)]
    changesets.sort(key=lambda one: (one.repeatable, one.version, one.description, one.id))
    _refuse_duplicates(changesets)
    for changeset in changesets:
        directives(changeset)
    notes += _left_out(listing, form, paths)
    notes += _gaps([one for one in changesets if not one.repeatable])
    return Changelog(tuple(changesets), form.name, tuple(notes))


def format_names() -> tuple[str, ...]:
    """The names that `format` may have."""
    return tuple(sorted(FORMATS))


def _forced(form: Format, listing: Listing) -> tuple[Format, list[Path]]:
    """All SQL files, if the shape is told by content; what the format says, if it is told by names."""
    claimed = form.claims(listing)
    missed = [path for path in listing.sql if path not in claimed]
    if form.name == "directory" and not listing.single:
        if missed:
            raise _mixed(form, claimed, FORMATS["plain"], missed)
        return form, claimed
    return form, claimed + missed


def _told_apart(listing: Listing) -> tuple[Format, list[Path]]:
    claims: dict[str, list[Path]] = {}
    taken: set[Path] = set()
    for form in FORMATS.values():
        paths = form.claims(listing.without(taken) if taken else listing)
        if paths:
            claims[form.name] = paths
            taken.update(paths)
    _refuse_liquibase(listing, any_sql=bool(claims))
    if not claims:
        raise _nothing_here(listing)
    (name, paths), *others = claims.items()
    if others:
        raise _mixed(FORMATS[name], paths, FORMATS[others[0][0]], others[0][1])
    return FORMATS[name], paths


def _mixed(one: Format, paths: list[Path], other: Format, strays: list[Path]) -> ChangelogError:
    stray = strays[0]
    if other.name == "plain" and one.name in {"migrate", "goose"}:
        return ChangelogError(
            f"{stray.name} has no `{one.shape}` line, {paths[0].name} has one",
            hint="Put it before the SQL, or keep the two kinds of changelog in directories of their own.",
            location=Location(str(stray), 1, 1),
        )
    example = f"{paths[0].name} has the shape {one.shape} ({one.name}), " if paths else ""
    return ChangelogError(
        f"a changelog has one format: {example}{stray.name} has the shape {other.shape} ({other.name})",
        hint="Keep them in directories of their own, or name the format with --format.",
        location=Location(str(stray)),
    )


def _refuse_liquibase(listing: Listing, *, any_sql: bool) -> None:
    for file in listing.files:
        if file.suffix.lower() in _STRUCTURED and (not any_sql or "changelog" in file.name.lower()):
            raise ChangelogError(
                f"{file.name}: changelogs in XML, YAML and JSON are not supported yet",
                hint=_supported(),
                location=Location(str(file)),
            )


def _nothing_here(listing: Listing) -> ChangelogError:
    if listing.single:
        return ChangelogError(
            f"{listing.path.name} is not a changelog", hint=_supported(), location=Location(str(listing.path))
        )
    empty = "is empty" if not (listing.files or listing.folders) else "has no changesets"
    return ChangelogError(
        f"the directory {listing.path} {empty}", hint=_supported(), location=Location(str(listing.path))
    )


def _supported() -> str:
    shapes = ", ".join(f"{form.shape} ({form.name})" for form in FORMATS.values())
    return f"Supported are: {shapes}."


def _refuse_duplicates(changesets: Iterable[Changeset]) -> None:
    versions: dict[tuple[object, ...], Changeset] = {}
    for changeset in changesets:
        key = ("repeatable", changeset.description) if changeset.repeatable else changeset.version
        first = versions.setdefault(key, changeset)
        if first is not changeset:
            what = changeset.description if changeset.repeatable else ".".join(map(str, changeset.version))
            raise ChangelogError(
                f"two changesets have the version {what}: {_shown(first)} and {_shown(changeset)}",
                hint="Give one of them another number.",
                location=Location(str(changeset.path), 1, 1),
            )


def _shown(changeset: Changeset) -> str:
    return (
        f"{changeset.path.parent.name}/{changeset.path.name}"
        if changeset.path.name == "up.sql"
        else changeset.path.name
    )


def _left_out(listing: Listing, form: Format, paths: list[Path]) -> Iterator[Note]:
    """Files and folders beside the changesets; those that belong to the format are not worth a word."""
    used = {path.parent if path.parent != listing.path else path for path in paths} | set(paths)
    for entry in (*listing.files, *listing.folders):
        own = form.name == "flyway" and (entry.name.lower().endswith(".sql.conf") or entry in listing.folders)
        if entry not in used and not own:
            yield Note(f"{entry.name} is not part of the changelog; it is ignored", Location(str(entry)))


def _gaps(changesets: list[Changeset]) -> Iterator[Note]:
    """Numbers left out of a sequence 1, 2, 3 or 10, 20, 30; versions that are dates have no gaps."""
    numbers = [one.version[0] for one in changesets if len(one.version) == 1 and isinstance(one.version[0], int)]
    if len(numbers) != len(changesets) or len(numbers) < 2 or numbers[-1] >= _DATE_LIKE:
        return
    step = math.gcd(*numbers)
    for before, after, changeset in zip(numbers, numbers[1:], changesets[1:], strict=False):
        missing = range(before + step, after, step)
        if missing:
            names = ", ".join(map(str, missing[:_MISSING_SHOWN])) + (" …" if len(missing) > _MISSING_SHOWN else "")
            yield Note(
                f"no changeset has the number {names}, before {changeset.id}", Location(str(changeset.path), 1, 1)
            )
