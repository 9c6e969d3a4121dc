"""A run on a terminal: the tree of its stages and steps as it stands now, with times and the last thing each had to say."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tagback.cli.page import clean
from tagback.pipeline import events
from tagback.pipeline.durations import told

if TYPE_CHECKING:
    from rich.text import Text

    from tagback.pipeline.tree import Branch, Node

_SIGNS = {"done": "✓", "skipped": "-", "ignored": "!", "failed": "✗", "running": "▸", "": "·"}
_COLOURS = {"done": "green", "skipped": "dim", "ignored": "yellow", "failed": "red", "running": "cyan", "": "dim"}
_KINDS = {"steps": "group"}
_OUTSIDE = 3  # lines that the tree leaves free of the terminal's height


@dataclass
class _Line:
    """A stage, a group or a step. `began` is None until it begins, `took` until it is over (seconds)."""

    path: str
    kind: str
    state: str = ""
    attempt: int = 1
    began: float | None = None
    took: float | None = None
    said: list[tuple[str, str]] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return self.path.count("/")


class Tree:
    """Listens to a run and draws it, some times a second."""

    def __init__(self, branches: Sequence[Branch]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._turn = threading.Lock()
        self._head = ("", "")
        self._began = time.monotonic()
        self._lines: dict[str, _Line] = {}
        self._ways: list[tuple[str, str]] = []
        self._final = False
        for branch in branches:
            self._lines[branch.stage.name] = _Line(branch.stage.name, "")
            for node in branch.nodes:
                self._plant(node)
        self._console = Console(file=sys.stderr, no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=5,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _plant(self, node: Node) -> None:
        self._lines[node.path] = _Line(node.path, node.step.kind)
        for child in node.children:
            self._plant(child)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._final = True
        self._live.stop()

    def __call__(self, event: events.Event) -> None:
        """Notes what happened; drawing is the other thread's."""
        with self._turn:
            self._note(event)

    def _note(self, event: events.Event) -> None:
        match event:
            case events.RunStarted(run=run, pipeline=pipeline):
                self._head = (run, pipeline)
            case events.StageStarted(stage=stage):
                self._line(stage, "").began = time.monotonic()
            case events.StepStarted(path=path, kind=kind, attempt=attempt):
                line = self._line(path, kind)
                line.state, line.attempt, line.began, line.took, line.said = (
                    "running",
                    attempt,
                    time.monotonic(),
                    None,
                    [],
                )
            case events.StepTold(path=path, text=text):
                line = self._line(path, "")
                line.said = [(text, "dim"), *(s for s in line.said if s[1] == "cyan")]
            case events.StillReachable(path=path, answers=answers):
                line = self._line(path, "")
                line.said = [*(s for s in line.said if s[1] != "cyan"), (reachable(answers), "cyan")]
            case events.StrategyChosen(path=path, error_type=kind, do=do):
                self._line(path, "").said.append((f"{kind}: {do}", "yellow"))
            case events.StepEnded(path=path, kind=kind, state=state, seconds=seconds, summary=summary):
                line = self._line(path, kind)
                line.state, line.took = state, seconds
                line.said = [(summary, "red" if state == "failed" else "dim")] if summary else []
            case events.GoingBack(target=target, to=to):
                self._ways.append((f"↩ {target} goes back to {to}", "yellow"))
            case events.WentBack(target=target, ok=ok, detail=detail):
                word = f"✓ {target} is back, {detail}" if ok else f"✗ {target} is NOT back: {detail}"
                self._ways[-1:] = [(word, "green" if ok else "red")]

    def _line(self, path: str, kind: str) -> _Line:
        """The line of a step; one of a chained pipeline comes behind what is known of that already."""
        if path not in self._lines:
            above = path.rpartition("/")[0]
            lines = list(self._lines.values())
            behind = [n for n, line in enumerate(lines) if line.path == above or line.path.startswith(f"{above}/")]
            lines.insert(behind[-1] + 1 if behind else len(lines), _Line(path, kind))
            self._lines = {line.path: line for line in lines}
        return self._lines[path]

    # ------------------------------------------------------------------ drawing

    def _drawn(self) -> Text:
        from rich.text import Text

        with self._turn:
            run, pipeline = self._head
            rows = [
                _row(("run ", "dim"), (run, "cyan"), (f"  {pipeline}  {told(time.monotonic() - self._began)}", "dim"))
            ]
            lines = list(self._lines.values())
            room = self._console.size.height - _OUTSIDE - len(self._ways)
            drawn = [(line, self._rows(line)) for line in lines]
            if not self._final and sum(len(r) for _, r in drawn) > room:
                drawn = _folded(drawn, room)
            rows += [row for _, r in drawn for row in r]
            rows += [_row((word, style)) for word, style in self._ways]
        return Text("\n").join(rows)

    def _rows(self, line: _Line) -> list[Text]:
        indent, name = "  " * line.depth, line.path.rpartition("/")[2]
        if not line.kind and line.path in self._stages():
            return [_row((f"{indent}{name}", "bold" if line.began is not None else "dim"))]
        took = line.took if line.took is not None else time.monotonic() - line.began if line.began is not None else None
        again = f", attempt {line.attempt}" if line.attempt > 1 else ""
        shown = f"  {_KINDS.get(line.kind, line.kind)}{again}{f'  {told(took)}' if took is not None else ''}"
        colour = _COLOURS[line.state]
        rows = [_row((f"{indent}{_SIGNS[line.state]} ", colour), (name, "" if line.state else "dim"), (shown, "dim"))]
        return rows + [_row((f"{indent}    {text}", style)) for text, style in line.said if not _over(line)]

    def _stages(self) -> set[str]:
        return {line.path for line in self._lines.values() if not line.kind}


def _over(line: _Line) -> bool:
    """Whether it has nothing more to say that matters."""
    return line.state in ("done", "skipped")


def _folded(drawn: list[tuple[_Line, list[Text]]], room: int) -> list[tuple[_Line, list[Text]]]:
    """As many as there is room for: what is over goes first, the oldest first, then what didn't begin, from the end."""
    over = [pair for pair in drawn if _over(pair[0])]
    ahead = [pair for pair in reversed(drawn) if pair[0].kind and not pair[0].state]
    left = list(drawn)
    for pair in (*over, *ahead):
        if sum(len(rows) for _, rows in left) <= room:
            break
        left.remove(pair)
    return left


def _row(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*((clean(text), style) for text, style in parts))


def reachable(answers: dict[str, str]) -> str:
    """`back to the start without loss? shop: yes; stock: no, …`."""
    return f"back to the start without loss? {'; '.join(f'{t}: {a}' for t, a in answers.items())}"
