"""The health check: one look, or many over a time, against a baseline."""

from __future__ import annotations

import time
from typing import Any

from tagback.errors import TagbackError
from tagback.pipeline.checks import look
from tagback.pipeline.context import Context
from tagback.pipeline.durations import seconds, told
from tagback.pipeline.events import StillReachable
from tagback.pipeline.failures import CheckError
from tagback.pipeline.records import ChangeState
from tagback.pipeline.specification import Check


def check(spec: Check, context: Context) -> dict[str, Any]:
    """Looks until it is time to be content, or until too much was wrong."""
    before = context.names["steps"].get(spec.baseline, {}).get("values", {}) if spec.baseline else {}
    if spec.for_ is None:
        found = look(spec, before, context)
        context.tell(found.told)
        if not found.holds:
            raise CheckError(found.told)
        return {"values": found.values, "looks": 1, "failed": 0}
    return _watch(spec, before, context)


def _watch(spec: Check, before: dict[str, Any], context: Context) -> dict[str, Any]:
    assert spec.for_ is not None
    limit, unit = spec.fail_after.replace("%", " %").split()
    until = time.monotonic() + seconds(spec.for_)
    planned = max(1, int(seconds(spec.for_) / max(0.001, seconds(spec.every))))
    looks = failed = row = 0
    while True:
        found = look(spec, before, context)
        looks += 1
        row = 0 if found.holds else row + 1
        failed += not found.holds
        rest = until - time.monotonic()
        context.tell(f"{found.told} ({told(max(0.0, rest))} to go; {failed} of {looks} failed)")
        answers = _reachable(context)
        if answers:
            context.listen(StillReachable(context.path, answers))
        too_many = row >= int(limit) if unit == "consecutive" else failed * 100 > int(limit) * max(planned, looks)
        if too_many:
            raise CheckError(f"{failed} of {looks} looks failed, the last: {found.told}")
        if rest <= 0 and unit == "%" and failed * 100 > int(limit) * looks:  # fewer than there was time for: slow ones
            raise CheckError(f"{failed} of {looks} looks failed, more than {limit} %; the last: {found.told}")
        if rest <= 0:
            return {"values": found.values, "looks": looks, "failed": failed}
        context.pause(min(seconds(spec.every), rest))


def _reachable(context: Context) -> dict[str, str]:
    """Whether what this run changed can still be taken back without loss, by target."""
    answers = {}
    first: dict[str, str] = {}
    for c in context.control.changes(context.run.id):
        if c.state is ChangeState.CHANGED and c.tag_before:
            first.setdefault(c.target, c.tag_before)
    for name, tag in first.items():
        try:
            with context.target(name) as target:
                view = next((t for t in target.tags(within=0.5) if t.tag == tag), None)
        except TagbackError as e:
            answers[name] = context.secrets.blotted(f"not known, {e.message}")
            continue
        word = {True: "yes", False: "no", None: "not known"}[view.reachable] if view else "the tag is gone"
        answers[name] = f"{word}{f', {view.reasons[0]}' if view and view.reasons else ''}"
    return answers
