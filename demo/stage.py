"""What the demo puts on the terminal: at most 100 columns, colour only where somebody looks."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

WIDTH = min(100, shutil.get_terminal_size((100, 25)).columns)
_COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
_STYLES = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "name": "36", "act": "1;36"}


def styled(text: str, style: str) -> str:
    """The text in a colour where there are colours."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if _COLOUR else text


def act(number: int, title: str) -> None:
    """A heading across the page."""
    heading = f"── {number}. {title} "
    _write("\n" + styled(heading + "─" * max(0, WIDTH - len(heading)), "act"))


def say(text: str) -> None:
    """A sentence or two, folded."""
    _write("\n".join(textwrap.wrap(text, WIDTH)))


def command(text: str) -> None:
    """A command as a person would type it."""
    _write(f"\n{styled('$', 'dim')} {styled(text, 'bold')}")


def show(text: str) -> None:
    """Text that stands as it is."""
    _write(text)


def fact(text: str, holds: bool) -> None:
    """One claim, checked."""
    _write(f"  {styled('✓', 'good') if holds else styled('✗', 'bad')} {text}")


def _write(text: str) -> None:
    print(text, flush=True)
