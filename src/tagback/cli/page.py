"""Writing for people: colour and ruled tables on a terminal, plain text everywhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from tagback.deploy.results import PlannedStep

_WORTH_TELLING = 0.01  # seconds
_STYLES = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1", "name": "36"}
# Names come from databases and files: none of them may steer the terminal.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Page:
    """One stream, with what it can show."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.terminal = stream is not None and stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self.colour = self.terminal and not os.environ.get("NO_COLOR")

    def styled(self, text: str, style: str) -> str:
        """The text in a colour where there are colours."""
        text = clean(text)
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and text else text

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Writes one line of parts, each a text or a text with its style."""
        shown = "".join(clean(p) if isinstance(p, str) else self.styled(*p) for p in parts)
        self.write(shown.rstrip() + "\n")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Writes aligned columns, ruled on a terminal. `styles`: one per row, empty for none."""
        if self.terminal:
            self._ruled(headers, rows, styles)
            return
        cells = [[clean(c).replace("\n", "; ") for c in row] for row in (headers, *rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(headers))]
        for row in cells:
            self.line("  ", "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)))

    def _ruled(self, headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold" if self.colour else "")
        for header in headers:
            table.add_column(header, overflow="fold")
        colours = {"good": "green", "bad": "red", "warn": "yellow", "dim": "dim"}
        for n, row in enumerate(rows):
            style = colours.get(styles[n], "") if n < len(styles) and self.colour else ""
            table.add_row(*(Text(clean(c)) for c in row), style=style)
        Console(file=self._stream, no_color=not self.colour, highlight=False).print(table)

    def write(self, text: str) -> None:
        """Writes text as it is."""
        if self._stream is not None:
            self._stream.write(text)

    def flush(self) -> None:
        """Hands on what was written."""
        if self._stream is not None:
            self._stream.flush()


def clean(text: str) -> str:
    """The text with control characters shown as what they are."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def one_line(sql: str, length: int = 150) -> str:
    """A statement on one line; where it is longer than that, one sees that it goes on."""
    line = " ".join(sql.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def short(fingerprint: str) -> str:
    """A fingerprint as people compare it."""
    return f"{fingerprint[:8]}…" if fingerprint else "none"


def local_time(moment: str) -> str:
    """An ISO time in the zone of the machine, to the minute."""
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def destroyed(step: PlannedStep) -> tuple[str, str]:
    """`  destroys the rows of table item: 3`, or nothing."""
    told = f"  destroys {', '.join(step.destroys)}" if step.destroys else ""
    return (f"{told}: {step.rows}" if told and step.rows else told, "warn")


def cost(step: PlannedStep) -> tuple[str, str]:
    """What a step that was tried locked, and how long it took, where that is worth a word."""
    told = [step.lock] if step.lock else []
    if step.seconds_estimate is not None and step.seconds_estimate >= _WORTH_TELLING:
        told.append(f"{step.seconds_estimate:.2f} s")
    return (f"  [{', '.join(told)}]" if told else "", "dim")
