"""Steps that wait: for time to pass, or for people."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from tagback.pipeline.context import Context
from tagback.pipeline.control import now
from tagback.pipeline.durations import seconds, told
from tagback.pipeline.failures import RejectedError, TimeLimitError
from tagback.pipeline.specification import Approve, Wait

ASKED = "asked"
"""What is noted of a step that waits for people: whom it asks, as expressions in the file have it."""
_LOOK = 1.0  # seconds between two looks at what people said


def wait(spec: Wait, context: Context) -> dict[str, Any]:
    """Lets time pass, counted from when the step first began: a runner that died doesn't make it longer."""
    began = datetime.datetime.fromisoformat(context.record.started)
    gone = (datetime.datetime.now(datetime.UTC) - began).total_seconds()
    rest = max(0.0, seconds(spec.for_) - gone)
    context.tell(f"waiting {told(rest)}")
    context.pause(rest)
    return {"seconds": seconds(spec.for_)}


def approve(spec: Approve, context: Context) -> dict[str, Any]:
    """Waits until enough people said yes, or one said no."""
    who = f" of {', '.join(spec.by)}" if spec.by else ""
    but = "" if spec.initiator else f", not {context.run.initiator}"
    asked = f"waits for {spec.count} approval{'s' if spec.count > 1 else ''}{who}{but}: "
    context.tell(f"{asked}tagback pipeline approve {context.run.id} {context.path}")
    if spec.message:
        context.tell(spec.message)
    context.intend(**{ASKED: msgspec.to_builtins(spec)})
    with context.waiting():
        while True:
            answers = context.control.answers(context.run.id, context.path)
            valid = [a for a in answers if not objection(spec, context.run.initiator, a.who)]
            no = next((a for a in valid if a.verdict == "rejected"), None)
            if no is not None:
                raise RejectedError(f"{no.who} rejected it{f': {no.comment}' if no.comment else ''}")
            yes = [a for a in valid if a.verdict == "approved"]
            if len(yes) >= spec.count:
                context.tell(f"approved by {', '.join(a.who for a in yes)}")
                return {"approved_by": [a.who for a in yes], "at": now()}
            try:
                context.pause(min(_LOOK, max(0.01, context.left)))
            except TimeLimitError:
                raise RejectedError("Nobody approved it in time.") from None


def objection(spec: Approve, initiator: str, who: str) -> str:
    """Why somebody's word doesn't count here; empty if it does."""
    if spec.by and who not in spec.by:
        return f"{who} is not among those who may: {', '.join(spec.by)}"
    if not spec.initiator and who == initiator:
        return f"{who} started the run: somebody else has to approve it"
    return ""
