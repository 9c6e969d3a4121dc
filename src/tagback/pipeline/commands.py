"""Commands that steps run. Which process it is stands in the control database before the command begins its work: whoever
goes on with a run whose runner was killed ends what that one left at work, and no command ever runs beside itself.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Sequence

from tagback.pipeline.context import Context
from tagback.pipeline.control import Control
from tagback.pipeline.events import Listener, StepTold
from tagback.pipeline.failures import CommandError
from tagback.pipeline.processes import end_group, identity, is_here, left_behind
from tagback.pipeline.records import StepState

_KEPT = 200  # lines of output that are kept with the run
_READ = 65_536  # characters of a line that are read
_SHOWN = 4_000  # characters of a line that are kept: far fewer, so that no secret is cut where reading ended
_HELD = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "sh")
"""Waits for a line, and becomes the command then. If the runner dies before it could note the process, no line comes."""


def execute(
    command: str | Sequence[str], env: dict[str, str], cwd: str | None, context: Context, *, tell: bool
) -> tuple[int, list[str]]:
    """Runs a command to its end or the step's; its exit status and its last lines. What it started ends with it."""
    own = {"TAGBACK_RUN": context.run.id, "TAGBACK_STEP": context.path}
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    try:
        process = subprocess.Popen(
            [*_HELD, *words],
            env={**os.environ, **own, **env},
            cwd=context.at(cwd or "") or None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )
    except (OSError, ValueError) as e:  # what can't stand in a command is a ValueError
        raise CommandError(f"The command can't be started: {getattr(e, 'strerror', None) or e}") from None
    lines: deque[str] = deque(maxlen=_KEPT)
    turn = threading.Lock()

    def read() -> None:
        assert process.stdout is not None
        within = False
        with process.stdout as output:
            while line := output.readline(_READ):
                if not within:
                    shown = context.secrets.blotted(line.rstrip("\n"))
                    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
                    with turn:
                        lines.append(shown)
                    if tell:
                        context.tell(shown)
                within = not line.endswith("\n")

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        context.intend(process=identity(process.pid))
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
        while process.poll() is None:
            context.check_time()
            try:
                process.wait(min(0.1, max(0.01, context.left)))
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        end_group(process.pid)
        process.wait()
        raise
    reading.join(2)  # what it left running may hold its output open
    with turn:
        return process.returncode, list(lines)


def end_left_behind(control: Control, run: str, listen: Listener) -> None:
    """Ends the commands that a runner which was killed left at work. Those of another host can't be reached: that is said."""
    for step in control.steps(run).values():
        known = step.intent.get("process")
        if known is None or step.state is not StepState.RUNNING:
            continue
        if not is_here(known):
            listen(
                StepTold(step.path, f"its command, process {known['pid']} on {known['host']}, may be at work there yet")
            )
        elif left_behind(known):
            listen(StepTold(step.path, f"its command, process {known['pid']}, outlived its runner and is ended"))
            end_group(known["pid"])
