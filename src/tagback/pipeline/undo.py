"""Takes back what a run, a stage or a group did: every database to the state that was found, the newest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tagback.deploy.rollback import RollbackOptions
from tagback.errors import TagbackError
from tagback.pipeline.context import Context
from tagback.pipeline.events import GoingBack, WentBack
from tagback.pipeline.records import Change, ChangeState


@dataclass(frozen=True, slots=True)
class Undone:
    """How one database stands afterwards."""

    target: str
    to: str
    ok: bool
    detail: str


def take_back(context: Context, scope: str) -> tuple[Undone, ...]:
    """Takes back what the steps below `scope` (empty: all) changed. It may be begun again: what is back stays back, and is told.

    One database that can't go back doesn't keep the others from it.
    """
    within = [c for c in context.control.changes(context.run.id) if _below(c.path, scope)]
    changes = [c for c in within if c.state in (ChangeState.CHANGED, ChangeState.CHANGING, ChangeState.FAILED)]
    open_ = {c.target for c in changes}
    back = [c for c in within if c.state is ChangeState.BACK and c.target not in open_]
    done = [Undone(c.target, c.tag_before, True, c.detail) for c in {c.target: c for c in reversed(back)}.values()]
    for target, first in _newest_first(changes):
        context.listen(GoingBack(target, first.tag_before))
        undone = _one(context, target, first.tag_before)
        undone = replace(undone, detail=context.secrets.blotted(undone.detail))
        for c in changes:
            if c.target == target:
                state = ChangeState.BACK if undone.ok else ChangeState.FAILED
                context.control.set_change(context.run.id, c.path, state, undone.detail)
        context.listen(WentBack(target, undone.to, undone.ok, undone.detail))
        done.append(undone)
    return tuple(done)


def own_tags(context: Context, target: str) -> frozenset[str]:
    """The tags of what this run deployed there: a deployment of somebody else is not this run's to take back."""
    intents = [s.intent for s in context.control.steps(context.run.id).values() if s.kind == "apply"]
    return frozenset(str(i["tag"]) for i in intents if i.get("target") == target)


def _below(path: str, scope: str) -> bool:
    return not scope or path == scope or path.startswith(f"{scope}/")


def _newest_first(changes: Iterable[Change]) -> list[tuple[str, Change]]:
    """Each target once, with what found it first; the one that was changed last begins."""
    first: dict[str, Change] = {}
    last: dict[str, int] = {}
    for c in changes:
        first.setdefault(c.target, c)
        last[c.target] = c.order
    return [(t, first[t]) for t in sorted(first, key=lambda t: -last[t])]


def _one(context: Context, target: str, tag: str) -> Undone:
    # The step's time is over, perhaps: going back has all the time that it needs.
    context = replace(context, until=None)
    try:
        with context.target(target) as opened:
            done = opened.rollback(RollbackOptions(to=tag, only=own_tags(context, target)))
            found = opened.verify(tag) if not done.kept_drift else None
    except TagbackError as e:
        hint = e.hint.replace("--to TAG", f"--to {tag}")
        return Undone(target, tag, False, f"{e.message} {hint}".strip())
    if found is not None and not found.equal:
        return Undone(target, tag, False, found.message)
    receipt = f"receipt {done.receipt}" if done.receipt is not None else "nothing was to be undone"
    conflicts = f", {done.conflicts_total} conflicts" if done.conflicts_total else ""
    return Undone(target, tag, True, f"verified, fingerprint {done.fingerprint_after[:12]}, {receipt}{conflicts}")
