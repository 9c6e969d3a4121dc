"""Tells on standard error how far a deployment is: one moving line on a terminal, a line per changeset with -v."""

from __future__ import annotations

import sys

from tagback.cli.page import Page, one_line
from tagback.deploy import events
from tagback.errors import counted


class Progress:
    """Listens to the events of one command. What can't be written is left out: progress must never stop a deployment."""

    def __init__(self, *, verbose: bool) -> None:
        self._page = Page(sys.stderr)
        self._verbose = verbose
        self._moving = False
        self.objects: int | None = None

    def __call__(self, event: events.Event) -> None:
        try:
            self._tell(event)
            self._page.flush()
        except (OSError, ValueError):
            self._page = Page(None)

    def end(self) -> None:
        """Takes the moving line away."""
        if self._moving:
            self._page.write("\r\x1b[K")
            self._moving = False

    def _tell(self, event: events.Event) -> None:
        match event:
            case events.ChangesetStarted(id=name, number=number, total=total) if not self._verbose:
                self._move(f"[{number}/{total}] {name}")
            case events.ChangesetDone(id=name, number=number, total=total, seconds=seconds) if self._verbose:
                self._page.line((f"[{number}/{total}] ", "dim"), name, (f"  {1000 * seconds:.0f} ms", "dim"))
            case events.StepDone(sql=sql, number=number, total=total):
                if self._verbose:
                    self._page.line((f"[{number}/{total}] ", "dim"), one_line(sql))
                else:
                    self._move(f"[{number}/{total}] {' '.join(sql.split())}")
            case events.Compared(objects=objects):
                self.objects = objects
                self.end()
            case events.Recovering(deployment=deployment):
                self._note(f"deployment {deployment} was interrupted; it is being taken back first")
            case events.DriftAdopted(differences=differences):
                self._note(
                    f"the schema was changed outside tagback; {counted(len(differences), 'difference')} become"
                    " part of the start"
                )
                for line in differences if self._verbose else ():
                    self._page.line("  ", (line, "dim"))
            case events.Retrying(reason=reason, attempt=attempt, attempts=attempts, pause=pause):
                self._note(f"{reason} (attempt {attempt} of {attempts}); everything was undone, again in {pause:.1f} s")
            case events.RunAgain(tables=tables) if self._verbose:
                self._note(f"rows of {', '.join(tables)} are touched: run once more to watch them")
            case events.CatalogRead(objects=objects, seconds=seconds) if self._verbose:
                self._page.line((f"schema read: {counted(objects, 'object')}, {1000 * seconds:.0f} ms", "dim"))

    def _note(self, text: str) -> None:
        self.end()
        self._page.line(("note: ", "warn"), text)

    def _move(self, text: str) -> None:
        if self._page.terminal:
            import shutil

            width = shutil.get_terminal_size().columns - 1
            self._page.write("\r\x1b[K" + self._page.styled(text[:width], "dim"))
            self._moving = True
