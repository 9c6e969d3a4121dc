"""Steps that change a database. What is about to be done is noted before it is, and looked for in the target afterwards:
nothing is done twice, however often a runner dies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.drift import OnDrift
from tagback.deploy.results import RolledBack
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.deploy.tags import check_free
from tagback.deploy.target import Target
from tagback.errors import Exit, TagbackError
from tagback.ledger.history import History
from tagback.pipeline.context import Context
from tagback.pipeline.outputs import full_name
from tagback.pipeline.records import Change, ChangeState
from tagback.pipeline.specification import Apply, Rollback
from tagback.pipeline.undo import history_of, own_tags

_NOTHING_LEFT = (Exit.FAILED, Exit.USAGE, Exit.REFUSED)
"""Exit statuses that say that the database is as it was."""


def apply(spec: Apply, context: Context) -> dict[str, Any]:
    """Deploys, with a tag before and one after."""
    changelog = context.at(spec.changelog)
    with context.target(spec.target, create=True) as target:
        known = context.record.intent
        wait = context.lock_wait(spec.target)
        target.recover(lock_wait=wait)
        history = history_of(target)
        if known and (done := _deployed(history, str(known["tag"]))) is not None:
            context.control.set_change(context.run.id, context.path, ChangeState.CHANGED)
            context.tell("it was deployed before the runner ended; it isn't deployed twice")
            return {**known, "deployment": done}
        tag = spec.tag or f"{context.run.id}-{full_name(context.path)}"
        options = ApplyOptions(
            tag=tag,
            to=spec.to,
            granular=spec.granular,
            allow_irreversible=spec.allow_irreversible,
            at_worst=context.at_worst(spec.target),
            lock_wait=wait,
        )
        if any(t.name == tag for t in history.tags):
            if not _stands_there(target, history, tag, changelog):
                check_free(history, tag)
            context.tell(f"nothing is pending, and the state is tagged {tag} already")
            return {"target": spec.target, "tag": tag, "tag_before": tag, "deployment": None, "changesets": []}
        before = str(known.get("tag_before", "")) or _tag_before(spec, context, target, history)
        intent = {"target": spec.target, "tag": tag, "tag_before": before}
        context.control.add_change(context.run.id, context.path, spec.target, before)
        context.intend(**intent)
        try:
            done_now = target.apply(changelog, options)
        except TagbackError as e:
            if e.exit_code in _NOTHING_LEFT or e.code == "lock_timeout":
                context.control.set_change(context.run.id, context.path, ChangeState.UNCHANGED)
            raise
        state = ChangeState.CHANGED if done_now.deployment is not None else ChangeState.UNCHANGED
        context.control.set_change(context.run.id, context.path, state)
    context.tell(done_now.message)
    outputs: dict[str, Any] = msgspec.to_builtins(done_now)
    outputs.pop("plan")
    return {**outputs, **intent}


def rollback(spec: Rollback, context: Context) -> dict[str, Any]:
    """Goes back: to a tag, a deployment, over a count of changesets, or to what this run found."""
    place, only = spec.to, None
    found = [] if spec.placed else changes_of_run(context, spec.target)
    if not spec.placed:
        if not found:
            context.tell("this run has not changed it: there is nothing to take back")
            return {"target": spec.target, "deployments": [], "verified": True}
        place, only = found[0].tag_before, own_tags(context, spec.target)
    with context.target(spec.target) as target:
        options = RollbackOptions(
            to=place,
            deployment=int(spec.deployment) if spec.deployment is not None else None,
            count=_count(spec, context, target),
            on_conflict=OnConflict(spec.on_conflict),
            on_drift=OnDrift(spec.on_drift),
            only=only,
            lock_wait=context.lock_wait(spec.target),
        )
        done = _elsewhere(spec, context, target, options) if only is None else target.rollback(options)
    for change in found:
        context.control.set_change(context.run.id, change.path, ChangeState.BACK, f"receipt {done.receipt}")
    context.tell(done.message)
    outputs: dict[str, Any] = msgspec.to_builtins(done)
    outputs.pop("plan")
    return {**outputs, "target": spec.target}


def changes_of_run(context: Context, target: str) -> list[Change]:
    """What this run did to a database that is not taken back; the first says what it found."""
    return [
        c for c in context.control.changes(context.run.id)
        if c.target == target and c.tag_before and c.state in (ChangeState.CHANGED, ChangeState.CHANGING)
    ]  # fmt: skip


def _elsewhere(spec: Rollback, context: Context, target: Target, options: RollbackOptions) -> RolledBack:
    """Goes back to a place that the file names, which is a change of this run: nothing brings it forth again but an apply."""
    control, run, path = context.control, context.run.id, context.path
    begun = any(c.path == path and c.state is ChangeState.CHANGING for c in control.changes(run))
    control.add_change(run, path, spec.target, "")
    try:
        done = target.rollback(options)
    except TagbackError as e:
        if not begun and (e.exit_code in _NOTHING_LEFT or e.code == "lock_timeout"):
            control.set_change(run, path, ChangeState.UNCHANGED)
        raise
    if done.deployments or begun:
        told = f"a step took it back to {done.tag or 'where nothing was deployed'}"
        control.set_change(run, path, ChangeState.CHANGED, f"{told}, receipt {done.receipt}" if done.receipt else told)
    else:
        control.set_change(run, path, ChangeState.UNCHANGED)
    return done


def _count(spec: Rollback, context: Context, target: Target) -> int | None:
    """A count means what it meant when the step first began: changesets that are gone already don't count again."""
    if spec.count is None:
        return None
    history = history_of(target)
    if not context.record.intent:
        context.intend(depth=history.depth - spec.count)
        return spec.count
    return max(0, history.depth - int(context.record.intent["depth"]))


def _tag_before(spec: Apply, context: Context, target: Target, history: History) -> str:
    """The name of the state that is there: what it has, or a new one."""
    standing = [t.name for t in history.tags if t.depth == history.depth]
    wanted = spec.tag_before
    if wanted is None:
        drifted = history.deployments and bool(target.status().drift)
        if standing and not drifted:
            return standing[-1]
        wanted = f"{context.run.id}-{full_name(context.path)}-before"
    if wanted not in standing:
        target.tag(wanted, lock_wait=context.lock_wait(spec.target))
    return wanted


def _stands_there(target: Target, history: History, tag: str, changelog: str) -> bool:
    """Whether the tag marks the present state already, and nothing is pending."""
    if not any(t.name == tag and t.depth == history.depth for t in history.tags):
        return False
    return not target.status(Path(changelog)).pending


def _deployed(history: History, tag: str) -> int | None:
    """The deployment that ended in this tag, if it is there."""
    for t in history.tags:
        if t.name == tag:
            return int(t.deployment)
    return None
