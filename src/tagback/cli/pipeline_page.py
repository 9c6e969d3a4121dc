"""How a run is shown: lines while it goes on, and how it stands at the end."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from tagback.cli.page import Page, local_time
from tagback.pipeline import events
from tagback.pipeline.durations import told
from tagback.pipeline.records import Change, Run, StepRecord

if TYPE_CHECKING:
    from tagback.cli.pipeline_live import Tree
    from tagback.pipeline.runner import Outcome
    from tagback.pipeline.tree import Branch

_SIGNS = {"done": ("✓", "good"), "skipped": ("-", "dim"), "ignored": ("!", "warn"), "failed": ("✗", "bad")}
_STYLES = {"done": "good", "rolled back": "warn", "waiting": "warn", "running": "name"}


class Lines:
    """Listens to a run: a tree on a terminal, else a line on standard error for each thing that happens.

    Every event also goes to a file, if one is named.
    """

    def __init__(self, path: str | None, branches: Sequence[Branch] = ()) -> None:
        self._branches = branches
        self._tree: Tree | None = None
        self._page = Page(sys.stderr)
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path == "-":
            self._file, self._page = sys.stderr, Page(None)
        elif self._path:
            self._file = open(self._path, "a")
        if self._page.terminal:
            from tagback.cli.pipeline_live import Tree

            self._tree = Tree(self._branches).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tree is not None:
            self._tree.__exit__(kind, error, trace)
        if self._file is not None and self._file is not sys.stderr:
            self._file.close()

    def __call__(self, event: events.Event) -> None:
        import msgspec

        try:  # what can't be written is left out: it must never stop a run
            if self._file is not None:
                self._file.write(json.dumps(msgspec.to_builtins(event), separators=(",", ":")) + "\n")
                self._file.flush()
        except (OSError, ValueError):
            self._file = None
        try:
            if self._tree is not None:
                self._tree(event)
                return
            self._tell(event)
            self._page.flush()
        except (OSError, ValueError):
            self._page = Page(None)

    def _tell(self, event: events.Event) -> None:
        line = self._page.line
        match event:
            case events.RunStarted(run=run, pipeline=pipeline, resumed=resumed):
                line(("run ", "dim"), (run, "name"), f"  {pipeline}{', goes on' if resumed else ''}")
            case events.StageStarted(stage=stage):
                line((stage, "bold"))
            case events.StepStarted(path=path, kind=kind, attempt=attempt):
                again = f"  attempt {attempt}" if attempt > 1 else ""
                line("  " * path.count("/"), ("▸ ", "dim"), _name(path), (f"  {kind}{again}", "dim"))
            case events.StepTold(path=path, text=text):
                line("  " * (path.count("/") + 1), (text, "dim"))
            case events.StillReachable(path=path, answers=answers):
                shown = "; ".join(f"{target}: {answer}" for target, answer in answers.items())
                line("  " * (path.count("/") + 1), (f"back to the start without loss? {shown}", "dim"))
            case events.StepEnded(path=path, state=state, seconds=took, summary=summary):
                line(
                    "  " * path.count("/"),
                    (f"{_SIGNS[state][0]} ", _SIGNS[state][1]),
                    _name(path),
                    (f"  {told(took)}", "dim"),
                )
                if summary:
                    line("  " * (path.count("/") + 1), (summary, "bad" if state == "failed" else "dim"))
            case events.StrategyChosen(path=path, error_type=kind, do=do, given=given):
                line(
                    "  " * (path.count("/") + 1),
                    (f"{kind}: {do}{'' if given else ', as nothing else is said'}", "warn"),
                )
            case events.GoingBack(target=target, to=to):
                line(("↩ ", "warn"), (target, "name"), f" goes back to {to}")
            case events.WentBack(target=target, ok=ok, detail=detail):
                sign = ("✓ ", "good") if ok else ("✗ ", "bad")
                line(sign, (target, "name"), f" is back, {detail}" if ok else f" is NOT back: {detail}")
            case events.RunEnded(state=state, seconds=took):
                line(("run ", "dim"), (state, _STYLES.get(state, "bad")), (f"  {told(took)}", "dim"))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def fields_of_run(run: Run, steps: Mapping[str, StepRecord], changes: Sequence[Change]) -> dict[str, Any]:
    """A run as JSON has it."""
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "state": run.state.value,
        "started": run.started,
        "ended": run.ended,
        "initiator": run.initiator,
        "failure": run.report.get("failure") or {},
        "steps": [
            {
                "path": s.path,
                "kind": s.kind,
                "state": s.state.value,
                "attempts": s.attempts,
                "started": s.started,
                "ended": s.ended,
                "outputs": _strict(dict(s.outputs)),
                "error": dict(s.error),
            }
            for s in steps.values()
        ],
        "databases": [
            {"target": c.target, "step": c.path, "tag_before": c.tag_before, "state": c.state.value, "detail": c.detail}
            for c in changes
        ],
    }


def _strict(value: Any) -> Any:
    """The same as JSON can have it: a number that is none, as Prometheus knows it, is null there."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _strict(v) for k, v in value.items()}
    return [_strict(v) for v in value] if isinstance(value, (list, tuple)) else value


def show_run(page: Page, run: Run, steps: Mapping[str, StepRecord], changes: Sequence[Change]) -> None:
    """Writes a run for people."""
    page.line((run.id, "name"), f"  {run.pipeline}  ", (run.state.value, _STYLES.get(run.state.value, "bad")))
    page.line((f"started {local_time(run.started)} by {run.initiator}", "dim"))
    for s in steps.values():
        sign, style = _SIGNS.get(s.state.value, ("▸", "name"))
        page.line("  " * s.path.count("/"), (f"{sign} ", style), s.path, (f"  {s.kind}", "dim"))
        if s.error:
            page.line("  " * (s.path.count("/") + 1), (str(s.error.get("message", "")), "bad"))
    _show_changes(page, changes)


def show_outcome(page: Page, outcome: Outcome, changes: Sequence[Change]) -> None:
    """Writes what came of a run."""
    page.line(
        ("run ", "dim"),
        (outcome.run.id, "name"),
        ": ",
        (outcome.run.state.value, _STYLES.get(outcome.run.state.value, "bad")),
    )
    _show_changes(page, changes)


def _show_changes(page: Page, changes: Sequence[Change]) -> None:
    styles = {"changed": "name", "back": "good", "unchanged": "dim", "changing": "warn", "not back": "bad"}
    for c in changes:
        detail = f"  {c.detail}" if c.detail else ""
        page.line(
            "  ",
            (c.target, "name"),
            ": ",
            (c.state.value, styles[c.state.value]),
            (f"{f'  found at {c.tag_before}' if c.tag_before else ''}{detail}", "dim"),
        )
