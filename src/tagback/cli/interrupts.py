"""Ctrl-C, SIGTERM and SIGHUP while a database is being changed: everything is rolled back, unless it is too late."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from tagback.deploy import events
from tagback.errors import TagbackError

_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Interrupts:
    """Turns the first signal into KeyboardInterrupt and stops the running statement; later ones change nothing.

    Python runs signal handlers between bytecodes, so none runs while a driver waits for a long statement: a second
    thread, woken by the signal itself, asks the server to stop that statement. Once the commit has begun the outcome
    isn't in doubt any more, and signals come too late.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.start = ""
        self.cancel: Callable[[], None] | None = None
        self._late = False
        self._handled = False
        self._installed = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            # What the caller wants ignored stays ignored: nohup, or a shell's background job.
            wanted = [s for s in _SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
            self._before = {s: signal.signal(s, self._handle) for s in wanted}
            self._installed = True
            reading, self._writing = os.pipe()
            os.set_blocking(self._writing, False)
            self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=(reading,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.set_wakeup_fd(self._wakeup)
            os.close(self._writing)
            for number, handler in self._before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self, event: events.Event) -> None:
        """Listens: where the deployment starts, and when it can't be stopped any more."""
        match event:
            case events.CatalogRead(fingerprint=fingerprint):
                self.start = fingerprint
            case events.Committing():
                self._late = True
            case events.Retrying():
                self._late = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._handled = True
        if not self._late and not self.stopped:
            self.stopped = True
            raise KeyboardInterrupt

    def _watch(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            while pipe.read(1):
                # The main thread may be at the handler already; what it does then must not be stopped.
                cancel = self.cancel
                if cancel is not None and not self._late and not self._handled:
                    with contextlib.suppress(
                        TagbackError
                    ):  # no server, or no session: the statement ends by itself then
                        cancel()
