"""What of a changelog is still to be deployed, and whether what was deployed is still the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagback.engines.session import Session
from tagback.errors import ChangelogError, Location, UsageError
from tagback.ledger.history import History
from tagback.ledger.records import AppliedChangeset

if TYPE_CHECKING:
    from tagback.changelog import Changelog, Changeset, Statement


@dataclass(frozen=True, slots=True)
class Pending:
    """Changesets to deploy, in order, and what a person should know about the changelog."""

    changesets: tuple[Changeset, ...]
    notes: tuple[str, ...]


def changed_files(changelog: Changelog, history: History) -> tuple[tuple[Changeset, AppliedChangeset], ...]:
    """Changesets whose file isn't what was deployed; repeatable ones may change."""
    applied = {c.id: c for c in history.changesets}
    return tuple(
        (c, applied[c.id])
        for c in changelog.changesets
        if c.id in applied and not c.repeatable and applied[c.id].checksum != c.checksum
    )


def find_pending(changelog: Changelog, history: History, to: str | None = None) -> Pending:
    """ChangelogError when a deployed file has changed; UsageError when `to` isn't in the changelog."""
    for changeset, applied in changed_files(changelog, history):
        raise ChangelogError(
            f"Changeset {changeset.id} was changed after it was deployed: its checksum was {applied.checksum[:12]}"
            f" and is now {changeset.checksum[:12]}.",
            code="checksum",
            location=Location(str(changeset.path), changeset.first_line, 1),
            hint="Put the file back and write a new changeset; or, if the change is only cosmetic, accept it with"
            f" `tagback apply --accept-changed {changeset.id}`. Nothing was touched.",
        )
    latest = {c.id: c for c in history.changesets}
    pending = [
        c for c in changelog.changesets if c.id not in latest or (c.repeatable and latest[c.id].checksum != c.checksum)
    ]
    notes = [str(n) for n in changelog.notes]
    last = max((n for n, c in enumerate(changelog.changesets) if c.id in latest and not c.repeatable), default=-1)
    late = [c.id for n, c in enumerate(changelog.changesets) if n < last and c.id not in latest and not c.repeatable]
    if late:
        notes.append(f"Out of order: {', '.join(late)} comes before changesets that are deployed already.")
    if to is not None:
        names = [c.id for c in changelog.changesets]
        if to not in names:
            raise UsageError(
                f"The changelog has no changeset {to!r}.", code="unknown_changeset", hint="See `tagback status`."
            )
        end = names.index(to)
        wanted = {c.id for c in changelog.changesets[: end + 1]}
        pending = [c for c in pending if c.id in wanted]
    return Pending(tuple(pending), tuple(notes))


def statements_of(changesets: Sequence[Changeset], session: Session) -> dict[str, tuple[Statement, ...]]:
    """The statements of each changeset that are to run: a file's own BEGIN and COMMIT taken out, settings hoisted."""
    from tagback.changelog import StatementKind, locate, split, unwrap_transaction  # not for whoever only looks

    found: dict[str, tuple[Statement, ...]] = {}
    for c in changesets:
        try:
            parts = split(c.text, session.dialect)
        except ChangelogError as e:
            raise _in_file(e, c) from None
        parts = unwrap_transaction(parts, c)
        found[c.id] = tuple(s for s in parts if s.kind is not StatementKind.EMPTY)
        if session.capabilities.statements_outside_transactions:
            continue
        for s in found[c.id]:
            if not s.transactional:
                raise ChangelogError(
                    f"{' '.join(s.words(2)).removesuffix(' ;')} can't run inside a deployment on {session.server}.",
                    code="not_transactional",
                    location=locate(c, s.start),
                    hint="Run it by hand, before or after. Nothing was touched.",
                )
    left = set(map(id, session.prepare([s for parts in found.values() for s in parts])))
    return {name: tuple(s for s in parts if id(s) in left) for name, parts in found.items()}


def _in_file(e: ChangelogError, changeset: Changeset) -> ChangelogError:
    """The error with its place counted in the file, not in the changeset's part of it."""
    if e.location is None:
        place = Location(str(changeset.path), changeset.first_line)
    else:
        place = Location(str(changeset.path), e.location.line + changeset.first_line - 1, e.location.column)
    return ChangelogError(e.message, code=e.code, hint=e.hint, location=place)
