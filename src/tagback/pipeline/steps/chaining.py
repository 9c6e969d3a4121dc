"""The step `pipeline`: another pipeline, whose run is a part of this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tagback.errors import Exit, TagbackError
from tagback.pipeline import events
from tagback.pipeline.attempts import Halt, described
from tagback.pipeline.beginning import new_run, variable
from tagback.pipeline.context import Context, Stopped
from tagback.pipeline.document import read, text_of
from tagback.pipeline.failures import TimeLimitError
from tagback.pipeline.outputs import full_name
from tagback.pipeline.records import OVER, Run, RunState
from tagback.pipeline.runner import Outcome, Runner
from tagback.pipeline.specification import Chained
from tagback.pipeline.tree import grow


def pipeline(spec: Chained, context: Context) -> dict[str, Any]:
    """Begins its run, or goes on with it. One that fails has done what its own file says, and is this step's failure."""
    run = _run(spec, context)
    read_again = read(Path(run.file), run.document)
    runner = Runner(
        context.control, run, read_again, grow(read_again, Path(run.file)), _passed_on(context), above=context
    )
    try:
        with context.in_time(runner.stop.set):
            outcome = runner.drive()
    except Stopped:
        if context.stop.is_set() or context.left > 0:
            raise
        late = TimeLimitError("The chained pipeline took longer than the step's timeout.")
        outcome = runner.end(Halt("", described(late), "rollback_pipeline", ""))
    if outcome.run.state is RunState.DONE:
        own = context.control.steps(run.id)
        return {"run": run.id, "steps": {full_name(path): dict(step.outputs) for path, step in own.items()}}
    raise _failure(outcome, context)


def _run(spec: Chained, context: Context) -> Run:
    for child in context.control.children(context.run.id):
        if child.path == context.path and child.run.state not in OVER:
            return child.run
    path = Path(context.at(spec.file))
    text = context.control.chained_text(context.run.id, context.path) or text_of(path)
    found = read(path, text)
    given = {k: variable(found, k, v) if isinstance(v, str) else v for k, v in spec.variables.items()}
    run = replace(new_run(found, path, text, given), initiator=context.run.initiator)
    context.control.begin_run(run, (context.run.id, context.path))
    return run


def _failure(outcome: Outcome, context: Context) -> Exception:
    run, error = outcome.run, dict(outcome.failure.get("error", {}))
    step = outcome.failure.get("step")
    where = f", {step} failed" if step else ""
    message = f"Run {run.id} of {run.pipeline} is {run.state.value}{where}: {error.get('message', '')}"
    if run.state is RunState.STUCK:  # whatever is to be done about failures: a database isn't back
        return Halt(context.path, {**error, "message": message}, "rollback_pipeline", "")
    exit_code = Exit.USAGE if error.get("type") == "usage" else None
    return TagbackError(message, code=str(error.get("code", "")) or str(error.get("type")), exit_code=exit_code)


def _passed_on(context: Context) -> events.Listener:
    """Tells what happens in it as happening below the step."""

    def listen(event: events.Event) -> None:
        match event:
            case events.RunStarted() | events.RunEnded():
                return
            case events.StageStarted(stage=stage):
                context.listen(msgspec.structs.replace(event, stage=f"{context.path}/{stage}"))
            case events.GoingBack() | events.WentBack():
                context.listen(event)
            case _:
                context.listen(msgspec.structs.replace(event, path=f"{context.path}/{event.path}"))

    return listen
