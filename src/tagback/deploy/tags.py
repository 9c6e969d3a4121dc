"""Tags: names for states, set by deployments or by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tagback.deploy.author import author
from tagback.deploy.events import Committing, Listener
from tagback.deploy.start import begin_in_ledger
from tagback.deploy.turn import in_turn
from tagback.engines.session import Session
from tagback.errors import UsageError
from tagback.ledger.history import History
from tagback.ledger.records import DeploymentId, TagState
from tagback.ledger.store import Ledger

_ATTEMPTS = 5
_BAD = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Tagged:
    """The outcome of `tag`."""

    tag: str
    fingerprint: str
    deployment: int
    moved: bool
    message: str


def check_name(name: str) -> None:
    """UsageError for a name that can't be a tag."""
    if not name.strip() or _BAD.search(name) or len(name) > 200 or name.lower() == "live":
        raise UsageError(
            f"{name!r} can't be a tag.",
            code="tag_name",
            hint="A tag is 1 to 200 characters, without control characters, and not the word live.",
        )


def check_free(history: History, name: str) -> None:
    """UsageError when the tag is set already."""
    check_name(name)
    if any(t.name == name for t in history.tags):
        raise UsageError(
            f"The tag {name} is set already.",
            code="tag_exists",
            hint="Choose another one, or move it with `tagback tag --move`. Nothing was touched.",
        )


def is_here(history: History, name: str) -> bool:
    """Whether the tag names the present state already: whoever sets it once more, or second of several, has what they want."""
    return any(t.name == name and t.depth == history.depth and t.snapshot == history.attested for t in history.tags)


def generated_tag(history: History, deployment: DeploymentId) -> str:
    """A name for a deployment that was given none."""
    names = {t.name for t in history.tags}
    name = f"deployment-{deployment}"
    while name in names:
        name += "+"
    return name


def set_tag(session: Session, name: str, *, move: bool, lock_wait: float, listen: Listener) -> Tagged:
    """Marks the present state, whether or not tagback made it."""
    check_name(name)
    return in_turn(
        session, lambda: _set_tag(session, name, move, listen), listen, lock_wait=lock_wait, attempts=_ATTEMPTS
    )


def _set_tag(session: Session, name: str, move: bool, listen: Listener) -> Tagged:
    obstacle = session.ledger_obstacle()
    if obstacle is not None:
        raise obstacle
    session.begin()
    ledger = Ledger(session)
    start = begin_in_ledger(session, ledger, listen)
    existing = [t for t in start.history.tags if t.name == name]
    if not move:
        check_free(start.history, name)
    ledger.end_tags(existing, TagState.MOVED)
    ledger.add_tag(name, start.history.top, start.history.depth, start.snapshot, author().who)
    ledger.attest(start.snapshot)
    listen(Committing())
    session.commit()
    return Tagged(
        tag=name,
        fingerprint=start.live.fingerprint,
        deployment=start.history.top,
        moved=bool(existing),
        message=f"The present state is tagged {name}.",
    )
