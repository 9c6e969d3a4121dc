"""Steps that look at a database, or mark how it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.drift import OnDrift
from tagback.deploy.rehearse import RehearsalOptions
from tagback.deploy.rehearse import rehearse as try_there_and_back
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.engines.session import Session
from tagback.errors import TagbackError
from tagback.pipeline.context import Context
from tagback.pipeline.specification import Preview, Rehearse, SetTag, Verify
from tagback.pipeline.steps.deploying import changes_of_run
from tagback.pipeline.undo import own_tags


def preview(spec: Preview, context: Context) -> dict[str, Any]:
    """Tries an apply or a rollback and undoes it; the answer is kept with the run, and in a file if one is named."""
    if spec.apply is not None:
        wanted = spec.apply
        with context.target(wanted.target, create=True) as target:
            done: Any = target.apply(
                context.at(wanted.changelog),
                ApplyOptions(
                    tag=wanted.tag,
                    to=wanted.to,
                    granular=wanted.granular,
                    dry_run=True,
                    lock_wait=context.lock_wait(wanted.target),
                ),
            )
    else:
        assert spec.rollback is not None
        place = spec.rollback
        to, only = place.to, None
        if not place.placed:
            found_first = changes_of_run(context, place.target)
            if not found_first:
                context.tell("this run has not changed it: there is nothing to take back")
                return {"target": place.target, "deployments": []}
            to, only = found_first[0].tag_before, own_tags(context, place.target)
        with context.target(place.target) as target:
            done = target.rollback(
                RollbackOptions(
                    to=to,
                    deployment=int(place.deployment) if place.deployment is not None else None,
                    count=place.count,
                    on_conflict=OnConflict(place.on_conflict),
                    on_drift=OnDrift(place.on_drift),
                    only=only,
                    dry_run=True,
                    lock_wait=context.lock_wait(place.target),
                )
            )
    found: dict[str, Any] = msgspec.to_builtins(done)
    if spec.file is not None:
        file = Path(context.at(spec.file))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(context.secrets.blotted(json.dumps(found, indent=2)) + "\n")
        context.tell(f"written to {spec.file}")
    context.tell(done.message)
    return found


def verify(spec: Verify, context: Context) -> dict[str, Any]:
    """Compares the live schema with the recorded one."""
    with context.target(spec.target) as target:
        found = target.verify(spec.tag)
    if not found.equal:
        told = [f"{d.object}: {d.change}" for d in found.differences[:5]]
        raise TagbackError(f"{found.message} {'; '.join(told)}", code="difference")
    context.tell(found.message)
    return {"target": spec.target, "equal": True, "fingerprint": found.fingerprint_b, "objects": found.objects}


def rehearse(spec: Rehearse, context: Context) -> dict[str, Any]:
    """Tries what is pending there and back where nothing can be hurt."""
    there: list[Session] = []

    def running(session: Session | None) -> None:
        there[:] = [session] if session is not None else []

    def cancel() -> None:
        for session in there:
            session.cancel()

    scratch = context.url_at(spec.scratch) if spec.scratch is not None else None
    options = RehearsalOptions(to=spec.to, scratch=scratch)
    with context.in_time(cancel):
        done = try_there_and_back(context.url_of(spec.target), context.at(spec.changelog), options, running=running)
    context.tell(done.message)
    return {"target": spec.target, **msgspec.to_builtins(done)}


def tag(spec: SetTag, context: Context) -> dict[str, Any]:
    """Marks the present state; marking it again is no mistake."""
    with context.target(spec.target) as target:
        if any(t.tag == spec.name and not t.behind for t in target.tags()):
            return {"target": spec.target, "tag": spec.name}
        done = target.tag(spec.name, move=spec.move, lock_wait=context.lock_wait(spec.target))
    context.tell(done.message)
    return {"target": spec.target, "tag": done.tag, "fingerprint": done.fingerprint}
