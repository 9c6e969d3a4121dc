"""Takes back what a run, a stage or a group did: every database to the state that was found, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import TagbackError
from tagback.ledger.history import History, read_history
from tagback.ledger.store import Ledger
from tagback.pipeline.context import Context
from tagback.pipeline.events import GoingBack, WentBack
from tagback.pipeline.family import below
from tagback.pipeline.records import Change, ChangeState


@dataclass(frozen=True, slots=True)
class Undone:
    """How one database stands afterwards."""

    target: str
    to: str
    ok: bool
    detail: str


def take_back(family: Sequence[tuple[Context, str]]) -> tuple[Undone, ...]:
    """Takes back what a run's steps below a scope (empty: all) changed, and the same of the runs that it chained.

    It may be begun again: what is back stays back, and is told. One database that can't go back doesn't keep the others
    from it. A database that several of them name is one.
    """
    found = [
        _Known(context, c, _url(context, c.target))
        for context, scope in family
        for c in context.control.changes(context.run.id)
        if below(c.path, scope)
    ]
    found.sort(key=lambda k: k.change.order)
    open_ = [k for k in found if k.change.state in (ChangeState.CHANGED, ChangeState.CHANGING, ChangeState.FAILED)]
    places = {k.url for k in open_ if k.change.tag_before}
    back = {k.url: k.change for k in reversed(found) if k.change.state is ChangeState.BACK and k.url not in places}
    done = [Undone(c.target, c.tag_before, True, c.detail) for c in back.values()]
    for mine in _newest_first(open_):
        own = frozenset(tag for c, _ in family for tag in _tags_of(c, mine[0].url))
        first, left = _place(mine)
        for k in left:
            context = k.context
            detail = f"a step took it back, below {k.change.tag_before}"
            context.control.set_change(context.run.id, k.change.path, ChangeState.BACK, detail)
        if first is None:
            done.append(
                Undone(left[0].change.target, "", True, f"a step took it back, below {left[0].change.tag_before}")
            )
            continue
        context, change = first.context, first.change
        context.listen(GoingBack(change.target, change.tag_before))
        undone = _one(context, change.target, change.tag_before, own)
        undone = replace(undone, detail=context.secrets.blotted(undone.detail))
        for k in mine[mine.index(first) :]:
            state = ChangeState.BACK if undone.ok else ChangeState.FAILED
            k.context.control.set_change(k.context.run.id, k.change.path, state, undone.detail)
        context.listen(WentBack(change.target, undone.to, undone.ok, undone.detail))
        done.append(undone)
    return tuple(done)


@dataclass(frozen=True, slots=True)
class _Known:
    """A change, with the run's context and the database that it is about."""

    context: Context
    change: Change
    url: str


def history_of(target: Target) -> History:
    """What was deployed there, and the tags."""
    target.session.begin_reading()
    try:
        return read_history(Ledger(target.session))
    finally:
        target.session.rollback()


def own_tags(context: Context, target: str) -> frozenset[str]:
    """The tags of what this run deployed there: a deployment of somebody else is not this run's to take back."""
    return frozenset(_tags_of(context, _url(context, target)))


def _tags_of(context: Context, url: str) -> Iterator[str]:
    for step in context.control.steps(context.run.id).values():
        if step.kind == "apply" and "tag" in step.intent and _url(context, str(step.intent["target"])) == url:
            yield str(step.intent["tag"])


def _url(context: Context, target: str) -> str:
    """What tells a database from others; one whose secret is not to be had any more by its name."""
    try:
        return context.url_of(target)
    except TagbackError:
        return f"{context.run.id} {target}"


def _newest_first(changes: Iterable[_Known]) -> list[list[_Known]]:
    """The changes of each database that was found at some place, in order; the one that was changed last begins."""
    of: dict[str, list[_Known]] = {}
    for k in changes:
        of.setdefault(k.url, []).append(k)
    found = [mine for mine in of.values() if any(k.change.tag_before for k in mine)]
    return sorted(found, key=lambda mine: -mine[-1].change.order)


def _place(mine: Sequence[_Known]) -> tuple[_Known | None, Sequence[_Known]]:
    """The change whose place the database goes back to, and those before it that are gone already.

    It is the first one; but where a step took the database back below that, the first one since; None if there is none.
    """
    places = [k for k in mine if k.change.tag_before]
    try:
        with places[0].context.target(places[0].change.target) as opened:
            opened.recover()
            standing = {t.name for t in history_of(opened).tags}
    except TagbackError:
        return places[0], ()  # whatever it is, going back tells it
    taken = [k.change.order for k in mine if not k.change.tag_before]
    gone = [k for k in places if k.change.tag_before not in standing and any(o > k.change.order for o in taken)]
    rest = [k for k in places if k not in gone]
    return (rest[0] if rest else None), gone


def _one(context: Context, target: str, tag: str, own: frozenset[str]) -> Undone:
    # The step's time is over, perhaps: going back has all the time that it needs.
    context = replace(context, until=None)
    try:
        with context.target(target) as opened:
            wait = max(RollbackOptions().lock_wait, context.lock_wait(target))
            done = opened.rollback(RollbackOptions(to=tag, only=own, lock_wait=wait))
            found = opened.verify(tag) if not done.kept_drift else None
    except TagbackError as e:
        hint = e.hint.replace("--to TAG", f"--to {tag}")
        return Undone(target, tag, False, f"{e.message} {hint}".strip())
    except Exception as e:  # noqa: BLE001 - what nobody thought of must not keep the other databases from going back
        return Undone(target, tag, False, f"Unexpected {type(e).__name__}: {e}")
    if found is not None and not found.equal:
        return Undone(target, tag, False, found.message)
    receipt = f"receipt {done.receipt}" if done.receipt is not None else "nothing was to be undone"
    conflicts = f", {done.conflicts_total} conflicts" if done.conflicts_total else ""
    return Undone(target, tag, True, f"verified, fingerprint {done.fingerprint_after[:12]}, {receipt}{conflicts}")
