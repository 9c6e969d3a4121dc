"""`tagback pipeline`: releases with databases in them, that go back by themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagback.cli import parameters, sarif
from tagback.cli.answer import Answer
from tagback.cli.page import Page, local_time
from tagback.errors import Exit, TagbackError, UsageError

if TYPE_CHECKING:
    from tagback.pipeline.control import Control
    from tagback.pipeline.records import Change, Run
    from tagback.pipeline.runner import Outcome
    from tagback.pipeline.specification import Pipeline

_file = click.argument("file", default="pipeline.yaml", metavar="[FILE]")
_control = click.option(
    "--control", metavar="URL", help="The database that keeps the runs (sqlite:///.tagback/runs.db)."
)
_of_file = click.option(
    "--file", default="pipeline.yaml", metavar="FILE", help="The pipeline file that says where runs are kept."
)
_events = click.option(
    "--events", metavar="PATH", help="Write every event as a line of JSON to this file; - is standard error."
)
_junit = click.option("--junit", metavar="PATH", help="Write the steps as JUnit XML.")
_markdown = click.option("--markdown", metavar="PATH", help="Write a summary in Markdown.")


@click.group("pipeline")
def command() -> None:
    """Runs pipelines: deploy, check, go on; and when something fails, every database goes back."""


@command.command("validate")
@_file
@parameters.as_json
@sarif.option
def validate(file: str) -> Answer:
    """Checks a pipeline file: its keys, its names, its expressions. Nothing is connected to."""
    pipeline, branches, _ = _read(file)
    steps = sum(_count(b.nodes) for b in branches)
    fields = {"pipeline": pipeline.name, "stages": [b.stage.name for b in branches], "steps": steps}
    return Answer(fields, lambda page: page.line(("✓ ", "good"), f"{file}: {len(branches)} stages, {steps} steps"))


@command.command("schema")
def schema() -> Answer:
    """Writes the JSON schema of pipeline files, for editors."""
    from tagback.pipeline.document import json_schema

    text = json_schema().decode()
    return Answer({}, lambda page: page.write(text))


@command.command("plan")
@_file
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@parameters.as_json
def plan(file: str, variables: tuple[str, ...]) -> Answer:
    """Shows all that would happen, in order, with the SQL and the verdict of every apply, without doing it."""
    from tagback.pipeline.planning import planned

    pipeline, branches, _ = _read(file)
    with _in_folder(file):
        steps = planned(pipeline, branches, _variables(variables, pipeline))

    def show(page: Page) -> None:
        for s in steps:
            page.line("  " * s.depth, (s.name, "name"), f"  {s.kind}", (f"  {s.what}" if s.what else "", "dim"))
            for line in s.details:
                page.line("  " * (s.depth + 1), (line, "dim"))

    return Answer({"pipeline": pipeline.name, "steps": [s.fields for s in steps]}, show)


@command.command("run")
@_file
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@_control
@_events
@_junit
@_markdown
@parameters.as_json
@sarif.option
def run(
    file: str,
    variables: tuple[str, ...],
    control: str | None,
    events: str | None,
    junit: str | None,
    markdown: str | None,
) -> Answer:
    """Runs a pipeline to its end. Relative paths in it are relative to its folder.

    If anything fails after a deployment of this run, every database that it changed goes back, unless the file says
    otherwise. Exit status: 0 done; 1 failed, and what was changed is back, verified; 5 a database is not back.
    """
    from tagback.pipeline.beginning import new_run
    from tagback.pipeline.document import text_of

    document = text_of(Path(file))
    pipeline, _, chains = _read(file, document)
    given = _variables(variables, pipeline)
    outputs = tuple(os.path.abspath(p) if p and p != "-" else p for p in (events, junit, markdown))
    _check_outputs(outputs)
    with _open(control, file, create=True) as opened, _in_folder(file):
        run_ = new_run(pipeline, Path(Path(file).name), document, given)
        opened.begin_run(run_, chains=chains)
        return _driven(opened, run_, outputs)


@command.command("resume")
@click.argument("id", metavar="RUN")
@_control
@_of_file
@_events
@_junit
@_markdown
@parameters.as_json
def resume(
    id: str, control: str | None, file: str, events: str | None, junit: str | None, markdown: str | None
) -> Answer:
    """Goes on with a run whose runner ended, from the step that it was in. No deployment is done twice.

    Of a run that is stuck the way back is tried again.
    """
    from tagback.pipeline.control import this_runner
    from tagback.pipeline.records import OVER, RunState

    outputs = tuple(os.path.abspath(p) if p and p != "-" else p for p in (events, junit, markdown))
    with _open(control, file) as opened:
        run_ = _root(opened, id)
        if run_.state in OVER and run_.state is not RunState.STUCK:
            raise UsageError(f"Run {run_.id} is over: {run_.state.value}.", code="run_over")
        _check_outputs(outputs)
        with _in_folder(run_.file):
            opened.take_over(run_, this_runner())
            return _driven(opened, run_, outputs)


@command.command("list")
@_control
@_of_file
@parameters.as_json
def list_(control: str | None, file: str) -> Answer:
    """Lists the runs, the newest first."""
    with _open(control, file) as opened:
        chained = opened.roots()
        runs = [r for r in opened.runs() if r.id not in chained]
    rows = [(r.id, r.pipeline, r.state.value, local_time(r.started), r.initiator) for r in runs]
    heads = ("run", "pipeline", "state", "started", "by")

    def show(page: Page) -> None:
        if not rows:
            page.line("There are no runs.")
            return
        page.table(heads, rows, [_style(r.state.value) for r in runs])

    return Answer({"runs": [dict(zip(heads, row, strict=True)) for row in rows]}, show)


@command.command("show")
@click.argument("id", metavar="RUN")
@_control
@_of_file
@parameters.as_json
def show(id: str, control: str | None, file: str) -> Answer:
    """Shows a run: its steps, what failed, and how each database stands that it changed."""
    from tagback.cli.pipeline_page import fields_of_run, show_run
    from tagback.pipeline.family import all_changes, all_steps

    with _open(control, file) as opened:
        run_ = opened.run(id)
        steps, changes = all_steps(opened, run_), all_changes(opened, run_)
    return Answer(fields_of_run(run_, steps, changes), lambda page: show_run(page, run_, steps, changes))


@command.command("abort")
@click.argument("id", metavar="RUN")
@click.option("--rollback", is_flag=True, help="Take back what the run changed.")
@_control
@_of_file
@parameters.as_json
def abort(id: str, rollback: bool, control: str | None, file: str) -> Answer:
    """Ends a run. What it changed stays as it is, unless it is to be taken back. A runner that is alive is told to do that."""
    from tagback.deploy.author import author
    from tagback.pipeline.attempts import Halt
    from tagback.pipeline.commands import end_left_behind
    from tagback.pipeline.control import RUN_TAKEN, now, this_runner
    from tagback.pipeline.family import end_all, members
    from tagback.pipeline.records import ABORT, OVER, RunState
    from tagback.pipeline.records import Answer as Word

    with _open(control, file) as opened:
        run_ = _root(opened, id)
        if run_.state in OVER:
            raise UsageError(f"Run {run_.id} is over: {run_.state.value}.", code="run_over")
        who = author().who
        try:
            opened.take_over(run_, this_runner())
        except TagbackError as e:
            if e.code != RUN_TAKEN:
                raise
            opened.answer(run_.id, ABORT, Word(who, "rollback_pipeline" if rollback else "abort", "", now()))
            told = f"Run {run_.id}: its runner is told to end it. `tagback pipeline show {run_.id}` says how it stands."
            return Answer({"run": run_.id, "state": run_.state.value}, lambda page: page.line(told))
        if rollback:
            halt = Halt("", {"type": "aborted", "message": f"{who} aborted the run."}, "rollback_pipeline", "")
            opened.set_state(run_.id, RunState.RUNNING, {"pending": halt.fields})
            with _in_folder(run_.file):
                done = _driven(opened, opened.run(run_.id), (None, None, None))
            # That the run ended is what was asked for; a database that is not back is not.
            return done if done.fields["state"] == RunState.STUCK.value else Answer(done.fields, done.show)
        for member in list(members(opened, run_)):
            end_left_behind(opened, member.run.id, lambda event: None)
        end_all(opened, run_, RunState.ABORTED)
        opened.set_state(run_.id, RunState.ABORTED, over=True)
    return Answer({"run": run_.id, "state": "aborted"}, lambda page: page.line(f"Run {run_.id} is aborted."))


def _word(name: str, verdict: str, help: str) -> None:
    @command.command(name, help=help)
    @click.argument("id", metavar="RUN")
    @click.argument("step", metavar="STEP")
    @click.option("--comment", default="", metavar="TEXT")
    @_control
    @_of_file
    @parameters.as_json
    def say(id: str, step: str, comment: str, control: str | None, file: str) -> Answer:
        return _say(id, step, verdict, comment, control, file)


_word("approve", "approved", "Says yes to a step that waits for approval.")
_word("reject", "rejected", "Says no to a step that waits for approval.")


@command.command("decide")
@click.argument("id", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.argument("what", type=click.Choice(["retry", "ignore", "success", "abort", "rollback"]))
@_control
@_of_file
@parameters.as_json
def decide(id: str, step: str, what: str, control: str | None, file: str) -> Answer:
    """Decides about a step that failed and waits for a person."""
    return _say(id, step, what, "", control, file)


# ---------------------------------------------------------------------- what they have in common


def _read(file: str, text: str | None = None) -> tuple[Pipeline, Any, dict[str, str]]:
    """The pipeline, its stages, and the text of what it chains."""
    from tagback.pipeline.chain import check_chain
    from tagback.pipeline.document import read
    from tagback.pipeline.tree import grow

    pipeline = read(Path(file), text)
    branches = grow(pipeline, Path(file))
    return pipeline, branches, check_chain(pipeline, Path(file))


def _count(nodes: Any) -> int:
    return sum(1 + _count(n.children) for n in nodes)


def _open(url: str | None, file: str, *, create: bool = False) -> Control:
    """The control database: what is given, or what the file says, in the file's folder."""
    from tagback.pipeline.beginning import control_of
    from tagback.pipeline.control import DEFAULT, Control

    given = url or os.environ.get("TAGBACK_CONTROL")
    if given:
        return Control.open(given, create=create)
    pipeline = _read(file)[0] if os.path.exists(file) else None
    with _in_folder(file):
        return Control.open((control_of(pipeline) if pipeline is not None else None) or DEFAULT, create=create)


def _root(control: Control, id: str) -> Run:
    """The run; UsageError for one that another one chained: what happens to that is for the whole to say."""
    run_ = control.run(id)
    root = control.roots().get(run_.id)
    if root is not None:
        raise UsageError(
            f"Run {run_.id} is a part of run {root}.", code="chained", hint=f"Say {root} instead: both go together."
        )
    return run_


class _in_folder:
    """Works in the folder of the pipeline's file."""

    def __init__(self, file: str) -> None:
        self._folder = os.path.dirname(os.path.abspath(file))

    def __enter__(self) -> None:
        try:
            self._before = os.getcwd()
            os.chdir(self._folder)
        except OSError as e:
            raise UsageError(
                f"The pipeline's folder {self._folder} can't be entered: {e.strerror}.", code="folder"
            ) from None

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


def _variables(given: tuple[str, ...], pipeline: Pipeline) -> dict[str, Any]:
    from tagback.pipeline.beginning import variable

    found = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"{pair!r} is no NAME=VALUE.")
        found[name] = variable(pipeline, name, value)
    return found


def _driven(control: Control, run_: Run, outputs: tuple[str | None, ...]) -> Answer:
    from tagback.cli.interrupts import Interrupts
    from tagback.cli.pipeline_page import Lines, fields_of_run, show_outcome
    from tagback.pipeline.document import read
    from tagback.pipeline.family import all_changes
    from tagback.pipeline.reports import junit, markdown
    from tagback.pipeline.runner import Runner
    from tagback.pipeline.tree import grow

    pipeline = read(Path(run_.file), run_.document)
    events, junit_to, markdown_to = outputs
    branches = grow(pipeline, Path(run_.file))
    with Lines(events, branches) as lines, Interrupts():
        runner = Runner(control, run_, pipeline, branches, lines)
        try:
            outcome = runner.drive()
        except KeyboardInterrupt:
            raise TagbackError(
                f"Interrupted. The run stands where it was: tagback pipeline resume {run_.id}",
                code="interrupted",
                exit_code=Exit.INTERRUPTED,
                hint=f"tagback pipeline abort --rollback {run_.id} takes back what it changed.",
            ) from None
        except TagbackError as e:
            raise _unnoted(e, run_, runner.intents) from e
    changes = all_changes(control, run_)
    for path, text in ((junit_to, junit), (markdown_to, markdown)):
        if path:
            try:
                Path(path).write_text(text(outcome, changes), encoding="utf-8", errors="backslashreplace")
            except OSError as e:  # how the run ended must be told nevertheless
                Page(sys.stderr).line(f"{path} can't be written: {e.strerror}")
    fields = fields_of_run(outcome.run, outcome.steps, changes)
    return Answer(fields, lambda page: show_outcome(page, outcome, changes), _error(outcome, changes))


def _unnoted(e: TagbackError, run_: Run, intents: Sequence[Mapping[str, Any]]) -> TagbackError:
    """The runner can't note what it does any more, and stops: the databases are as they are, and that has to be said."""
    from tagback.pipeline.control import RUN_TAKEN

    if e.code == RUN_TAKEN:
        return e
    touched = {str(i["target"]): str(i["tag_before"]) for i in reversed(intents) if "tag_before" in i}
    stood = ", ".join(f"{target}, which stood at {tag}" for target, tag in touched.items())
    return TagbackError(
        f"Run {run_.id} stops, for the control database fails it: {e.message}",
        code=e.code,
        exit_code=e.exit_code,
        hint=f"`tagback pipeline resume {run_.id}` goes on once that is well again."
        + (f" Until then what it changed stands: {stood}." if stood else " It had changed no database."),
    )


def _check_outputs(paths: tuple[str | None, ...]) -> None:
    """Before anything is changed: a run that ended can't be told in files that can't be written."""
    for path in paths:
        if path and path != "-":
            try:
                open(path, "a").close()
            except OSError as e:
                raise UsageError(f"{path} can't be written: {e.strerror}.", code="output") from None


def _error(outcome: Outcome, changes: Sequence[Change]) -> TagbackError | None:
    standing = ", ".join(dict.fromkeys(c.target for c in changes if c.state.value == "changed"))
    state, failure = outcome.run.state.value, outcome.failure
    if state == "done":
        return None
    error = failure.get("error", {})
    where = f"Step {failure['step']} failed" if failure.get("step") else "The run ended"
    message = f"{where}: {error.get('message', '')}".rstrip(": ")
    exits = {"stuck": Exit.STUCK, "aborted": Exit.FAILED, "rolled back": Exit.FAILED}
    hints = {
        "rolled back": f"What was to go back is back, verified. {standing} stands as the run changed it."
        if standing
        else "Every database that the run changed is back where it was, verified.",
        "stuck": "A database is not back: see above. When what was in the way is gone, `tagback pipeline resume` tries again.",
        "failed": f"{standing} stands as the run changed it." if standing else "The run had changed no database.",
        "aborted": "What the run changed stands as it is.",
    }
    return TagbackError(
        message, code=str(error.get("type", state)), exit_code=exits.get(state, Exit.FAILED), hint=hints.get(state, "")
    )


def _say(id: str, step: str, verdict: str, comment: str, control: str | None, file: str) -> Answer:
    from tagback.deploy.author import author
    from tagback.pipeline.beginning import check_word, speak_to
    from tagback.pipeline.control import now
    from tagback.pipeline.records import Answer as Word

    who = author().who
    with _open(control, file) as opened:
        run_, step = speak_to(opened, opened.run(id), step)
        path = check_word(run_, opened.steps(run_.id), step, verdict, who)
        opened.answer(run_.id, path, Word(who, verdict, comment, now()))
    return Answer(
        {"run": run_.id, "step": path, "who": who, "verdict": verdict},
        lambda page: page.line(("✓ ", "good"), f"{who}: {verdict} {path} of run {run_.id}"),
    )


def _style(state: str) -> str:
    return {"done": "good", "running": "", "waiting": "warn", "rolled back": "warn"}.get(state, "bad")
