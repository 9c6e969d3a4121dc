"""How a run begins, and who may say what to it."""

from __future__ import annotations

import datetime
import difflib
import os
import secrets as randomness
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tagback.deploy.author import author
from tagback.errors import RefusedError, UsageError
from tagback.pipeline.control import Control, now, this_runner
from tagback.pipeline.expressions import filled
from tagback.pipeline.family import members
from tagback.pipeline.outputs import full_name
from tagback.pipeline.records import Run, RunState, StepRecord, StepState
from tagback.pipeline.secrets import Secrets
from tagback.pipeline.specification import Approve, Pipeline
from tagback.pipeline.steps.waiting import ASKED, objection


def new_run(pipeline: Pipeline, file: Path, document: str, variables: Mapping[str, Any]) -> Run:
    """A run that begins now, with its own copy of the file: what is changed in it later doesn't concern the run."""
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    return Run(
        id=f"{moment}-{randomness.token_hex(2)}",
        pipeline=pipeline.name,
        file=str(file.absolute()),
        document=document,
        variables=dict(variables),
        state=RunState.RUNNING,
        started=now(),
        ended="",
        initiator=author().who,
        runner=this_runner(),
    )


def variable(pipeline: Pipeline, name: str, text: str) -> Any:
    """A variable's value as the command line gives it, of the type that it has in the file: `false` must not be a text there.

    UsageError if the file has no such variable, or if its type is another one.
    """
    if name not in pipeline.variables:
        near = difflib.get_close_matches(name, pipeline.variables, 1, 0.5)
        known = ", ".join(pipeline.variables) or "none"
        hint = f"Did you mean {near[0]}?" if near else f"Its variables: {known}."
        raise UsageError(f"The pipeline has no variable {name}.", code="unknown_variable", hint=hint)
    wanted = type(pipeline.variables[name])
    if wanted in (str, type(None)):
        return text
    try:
        return msgspec.convert(text.strip(), wanted, strict=False)
    except msgspec.ValidationError:
        raise UsageError(
            f"{name} is {text!r}, and in the file of the type {wanted.__name__}.", code="variable"
        ) from None


def control_of(pipeline: Pipeline) -> str | None:
    """The database that keeps its runs, if the file says so: whoever looks for a run knows no run's variables yet."""
    if pipeline.control is None:
        return None
    names = {"variables": pipeline.variables, "secrets": Secrets(pipeline.secrets), "env": dict(os.environ)}
    return str(filled(pipeline.control, names))


def speak_to(control: Control, run: Run, step: str) -> tuple[Run, str]:
    """Which run it is that somebody speaks to, with the step's place in it: the step may be a chained pipeline's."""
    for member in members(control, run):
        if member.prefix and member.run.state is RunState.WAITING:
            own = step.removeprefix(f"{member.prefix}/")
            at_work = [p for p, s in control.steps(member.run.id).items() if s.state is StepState.RUNNING]
            if own in at_work or own in [name for p in at_work for name in (p.rpartition("/")[2], full_name(p))]:
                return member.run, own
    return run, step


def check_word(run: Run, steps: Mapping[str, StepRecord], step: str, verdict: str, who: str) -> str:
    """The full path of the step that somebody speaks to; UsageError or RefusedError if their word has no place there."""
    waiting = {p: s for p, s in steps.items() if s.state is StepState.RUNNING}
    found = [p for p in waiting if step in (p, p.rpartition("/")[2], full_name(p))]
    if len(found) != 1 or run.state is not RunState.WAITING:
        told = ", ".join(waiting) or "none"
        raise UsageError(
            f"Run {run.id} has no step {step} that waits.", code="not_waiting", hint=f"Steps at work: {told}."
        )
    path = found[0]
    if verdict in ("approved", "rejected"):
        asked = waiting[path].intent.get(ASKED)
        if asked is None:
            raise UsageError(f"{path} waits for no approval.", code="not_waiting")
        why = objection(msgspec.convert(asked, Approve), run.initiator, who)
        if why:
            raise RefusedError(f"{why}.", code="not_allowed")
    elif not waiting[path].error:
        raise UsageError(f"{path} waits for no decision.", code="not_waiting")
    return path
