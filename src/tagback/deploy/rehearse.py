"""The whole way there and back, tried where nothing can be hurt: in a scratch database with the target's schema."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tagback.catalog import Catalog, diff
from tagback.changelog import Changelog, read_changelog
from tagback.deploy.apply import ApplyOptions, apply_changelog, unmanaged
from tagback.deploy.drift import describe
from tagback.deploy.events import Listener, silent
from tagback.deploy.pending import find_pending
from tagback.deploy.results import Applied, Rehearsed
from tagback.deploy.rollback import RollbackOptions, rollback
from tagback.deploy.tags import set_tag
from tagback.engines import connect, scratch, without_rights
from tagback.engines.session import Session, StatementError
from tagback.errors import Exit, RefusedError, TagbackError, counted
from tagback.ledger.history import read_history
from tagback.ledger.store import Ledger
from tagback.plan import plan

_START, _END = "rehearsal-start", "rehearsal-end"

_NOT_ALLOWED = "permission"
_NO_RIGHTS = (
    "The account may not make all that is other roles': owners and privileges, event triggers, default privileges and settings of"
    " the database are left out of the scratch database, or differ there."
)
_NO_ROWS = (
    "There are no rows in the scratch database: what needs some that the target has can't be rehearsed;"
    " `apply --dry-run` tries it on them."
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """What is rehearsed, and where. `scratch`: the URL of a server to make the scratch database on, else the target's."""

    to: str | None = None
    format: str | None = None
    scratch: str | None = None
    lock_timeout: float | None = None


class RehearsalError(TagbackError):
    """What was rehearsed would not work, or could not be taken back. The target was only read."""

    code = "rehearsal"
    exit_code = Exit.CHECK_FAILED


def rehearse(
    url: str,
    changelog: str | Path,
    options: RehearsalOptions | None = None,
    listen: Listener = silent,
    running: Callable[[Session | None], None] = lambda session: None,
) -> Rehearsed:
    """Builds the target's schema elsewhere, deploys what is pending there, goes back, compares, deploys it again.

    The target is only read, and there are no rows in the scratch database: what depends on them isn't rehearsed.
    `running` is called with the session there, which can be told to stop, and with None at its end. RehearsalError says
    which act failed; RefusedError and UsageError why there could be none.
    """
    started = time.monotonic()
    options, path = options or RehearsalOptions(), Path(changelog)
    live, pending, notes = _wanted(url, read_changelog(path, options.format), options)
    with scratch(url, options.scratch) as place:
        session = connect(place, create=True, lock_timeout=options.lock_timeout)
        try:
            running(session)
            result = _there_and_back(session, live, pending, path, listen)
            if result.fingerprint_built != result.fingerprint_target:
                notes = (*notes, _NO_RIGHTS)
        finally:
            running(None)
            session.close()
    took = round(1000 * (time.monotonic() - started))
    return replace(result, notes=(*notes, *result.notes), duration_ms=took)


def _wanted(url: str, changelog: Changelog, options: RehearsalOptions) -> tuple[Catalog, Changelog, tuple[str, ...]]:
    """The target's schema as it is, and what is pending there."""
    session = connect(url)
    try:
        session.begin_reading()
        history = read_history(Ledger(session))
        live = session.read_catalog()
    finally:
        session.close()
    pending = find_pending(changelog, history, options.to)
    return live, replace(changelog, changesets=pending.changesets, notes=()), (*pending.notes, *unmanaged(live))


def _there_and_back(session: Session, live: Catalog, pending: Changelog, path: Path, listen: Listener) -> Rehearsed:
    built = _build(session, live)
    if not pending.changesets:
        return _rehearsed(live, built, None, built, built, "Nothing is pending; the schema can be built again exactly.")
    set_tag(session, _START, move=False, lock_wait=0, listen=listen)
    first = _act("Deploying", lambda: _apply(session, pending, path, listen))
    there = _read(session)
    _act("Going back", lambda: rollback(session, RollbackOptions(to=_START), listen))
    back = _read(session)
    _same("going back", built, back)
    _act("Deploying it again", lambda: _apply(session, pending, path, listen))
    again = _read(session)
    _same("deploying it again", there, again)
    count = counted(len(pending.changesets), "changeset")
    return _rehearsed(live, built, first, back, again, f"{count} can be deployed, taken back, and deployed again.")


def _build(session: Session, live: Catalog) -> Catalog:
    """Makes the schema in the empty database."""
    session.begin()
    try:
        empty = session.read_catalog()
        if empty.major != live.major:
            raise RefusedError(
                f"The scratch server is {empty.engine} {empty.major}, and the target is {live.engine} {live.major}:"
                " their schemas can't be compared.",
                code="scratch",
                hint="Name a server of the same version with --scratch. Nothing was touched.",
            )
        try:
            built = _made(session, empty, live)
        except RehearsalError as e:
            wanted = without_rights(session.engine, live, empty) if e.code == _NOT_ALLOWED else None
            if wanted is None:
                raise
            session.rollback()
            session.begin()
            built = _made(session, empty, wanted)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return built


def _made(session: Session, empty: Catalog, wanted: Catalog) -> Catalog:
    planned = plan(empty, wanted)
    if planned.blocked:
        raise RefusedError(
            "The schema can't be built again:\n  " + "\n  ".join(planned.blocked),
            code="unmanaged",
            hint="Nothing was touched.",
        )
    _act("Building the schema", lambda: session.run_steps(planned.steps, lambda step, seconds: None))
    built = session.read_catalog()
    if {*diff(built, wanted).names} <= empty.objects.keys():  # what is there already may be others' to change
        wanted = replace(wanted, objects={**wanted.objects, **{i: built.objects[i] for i in empty.objects}}, _cache={})
    _same("building the schema", wanted, built)
    return built


def _apply(session: Session, pending: Changelog, path: Path, listen: Listener) -> Applied:
    """Whatever the verdict: what can't be taken back is seen when it is."""
    tag = ApplyOptions(tag=_END, allow_irreversible=True, lock_wait=0)
    return apply_changelog(session, pending, path, tag, listen)


def _read(session: Session) -> Catalog:
    session.begin_reading()
    try:
        return session.read_catalog()
    finally:
        session.rollback()


def _act(what: str, act: Callable[[], T]) -> T:
    try:
        return act()
    except TagbackError as e:
        if isinstance(e, StatementError) and e.lost:
            raise
        raise RehearsalError(
            f"{what} failed in the scratch database: {e.message}",
            code=e.code,
            location=e.location,
            hint=(f"{_NO_ROWS}\n" if e.code in ("constraint", "data") else "") + "The target was only read.",
        ) from e


def _same(act: str, wanted: Catalog, found: Catalog) -> None:
    if wanted.fingerprint == found.fingerprint:
        return
    raise RehearsalError(
        f"After {act} the scratch database has another schema than it should:\n  "
        + "\n  ".join(describe(wanted, found)),
        hint="This is a defect of tagback; please report it with what is named here. The target was only read.",
    )


def _rehearsed(
    live: Catalog, built: Catalog, first: Applied | None, back: Catalog, again: Catalog, message: str
) -> Rehearsed:
    return Rehearsed(
        changesets=first.changesets if first is not None else (),
        fingerprint_target=live.fingerprint,
        fingerprint_built=built.fingerprint,
        fingerprint_after=again.fingerprint,
        fingerprint_back=back.fingerprint,
        reversibility=first.reversibility if first is not None else None,
        reasons=first.reasons if first is not None else (),
        notes=first.notes if first is not None else (),
        message=message,
        duration_ms=0,
    )
