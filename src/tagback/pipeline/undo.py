"""Takes back what a run, a stage or a group did: every database to the state that was found, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tagback.deploy.rollback import RollbackOptions
from tagback.errors import TagbackError
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
    for first in _newest_first(open_):
        context, change = first.context, first.change
        own = frozenset(tag for c, _ in family for tag in _tags_of(c, first.url))
        context.listen(GoingBack(change.target, change.tag_before))
        undone = _one(context, change.target, change.tag_before, own)
        undone = replace(undone, detail=context.secrets.blotted(undone.detail))
        for k in open_:
            if k.url == first.url:
                state = ChangeState.BACK if undone.ok else ChangeState.FAILED
                context.control.set_change(k.context.run.id, k.change.path, state, undone.detail)
        context.listen(WentBack(change.target, undone.to, undone.ok, undone.detail))
        done.append(undone)
    return tuple(done)


@dataclass(frozen=True, slots=True)
class _Known:
    """A change, with the run's context and the database that it is about."""

    context: Context
    change: Change
    url: str


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


def _newest_first(changes: Iterable[_Known]) -> list[_Known]:
    """Of each database what found it first; the one that was changed last begins."""
    first: dict[str, _Known] = {}
    last: dict[str, int] = {}
    for k in changes:
        if k.change.tag_before:
            first.setdefault(k.url, k)
        last[k.url] = k.change.order
    return [first[url] for url in sorted(first, key=lambda url: -last[url])]


def _one(context: Context, target: str, tag: str, own: frozenset[str]) -> Undone:
    # The step's time is over, perhaps: going back has all the time that it needs.
    context = replace(context, until=None)
    try:
        with context.target(target) as opened:
            done = opened.rollback(RollbackOptions(to=tag, only=own))
            found = opened.verify(tag) if not done.kept_drift else None
    except TagbackError as e:
        hint = e.hint.replace("--to TAG", f"--to {tag}")
        return Undone(target, tag, False, f"{e.message} {hint}".strip())
    if found is not None and not found.equal:
        return Undone(target, tag, False, found.message)
    receipt = f"receipt {done.receipt}" if done.receipt is not None else "nothing was to be undone"
    conflicts = f", {done.conflicts_total} conflicts" if done.conflicts_total else ""
    return Undone(target, tag, True, f"verified, fingerprint {done.fingerprint_after[:12]}, {receipt}{conflicts}")
