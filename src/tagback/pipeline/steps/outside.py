"""Steps outside the databases: commands, APIs, messages."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from tagback.pipeline.context import Context, Stopped
from tagback.pipeline.durations import seconds, told
from tagback.pipeline.failures import CommandError, HttpError, TimeLimitError
from tagback.pipeline.request import Response, ask
from tagback.pipeline.specification import Http, Notify, Run

_KEPT = 200  # lines of output that are kept with the run
_READ = 65_536  # characters of a line that are read
_SHOWN = 4_000  # characters of a line that are kept: far fewer, so that no secret is cut where reading ended


def run(spec: Run, context: Context) -> dict[str, Any]:
    """Runs a command, its output line by line. It gets what it needs from the environment, and nothing on its input."""
    code, lines = execute(spec.command, spec.env, spec.cwd, context, tell=True)
    if code:
        last = f": {lines[-1]}" if lines else ""
        raise CommandError(f"The command ended with {code}{last}")
    return {"exit_code": code, "output": "\n".join(lines), "last_line": lines[-1] if lines else ""}


def execute(
    command: str | Sequence[str], env: dict[str, str], cwd: str | None, context: Context, *, tell: bool
) -> tuple[int, list[str]]:
    """Runs a command to its end or the step's; its exit status and its last lines. What it started ends with it."""
    own = {"TAGBACK_RUN": context.run.id, "TAGBACK_STEP": context.path}
    try:
        process = subprocess.Popen(
            command if isinstance(command, str) else list(command),
            shell=isinstance(command, str),
            env={**os.environ, **own, **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )
    except OSError as e:
        raise CommandError(f"The command can't be started: {e.strerror or e}") from None
    lines: deque[str] = deque(maxlen=_KEPT)
    turn = threading.Lock()

    def read() -> None:
        assert process.stdout is not None
        within = False
        while line := process.stdout.readline(_READ):
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
        while process.poll() is None:
            context.check_time()
            try:
                process.wait(min(0.1, max(0.01, context.left)))
            except subprocess.TimeoutExpired:
                continue
    except (TimeLimitError, Stopped, KeyboardInterrupt):
        _end(process)
        raise
    reading.join(2)  # what it left running may hold its output open
    with turn:
        return process.returncode, list(lines)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the command with all that it started: first by asking, then whatever is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def http(spec: Http, context: Context) -> dict[str, Any]:
    """Calls an API."""
    within = min(seconds(spec.within), context.left)
    answer = ask(spec.method, spec.url, spec.headers, spec.body, within)
    expected = [spec.status] if isinstance(spec.status, int) else spec.status
    context.tell(f"{answer.status} in {told(answer.seconds)}")
    if answer.status not in expected:
        raise HttpError(
            f"{spec.url} answered {answer.status}, expected {' or '.join(map(str, expected))}: {answer.text[:200]}"
        )
    return _outputs(answer)


def notify(spec: Notify, context: Context) -> dict[str, Any]:
    """Sends a message."""
    answer = ask("POST", spec.webhook, spec.headers, spec.body, min(30.0, context.left))
    if answer.status >= 300:
        raise HttpError(f"The webhook answered {answer.status}: {answer.text[:200]}")
    return {"status": answer.status}


def _outputs(answer: Response) -> dict[str, Any]:
    return {"status": answer.status, "body": answer.text[:10_000], "json": answer.json, "latency": answer.seconds}
