"""Steps outside the databases: commands, APIs, messages."""

from __future__ import annotations

from typing import Any

from tagback.pipeline.commands import execute
from tagback.pipeline.context import Context
from tagback.pipeline.durations import seconds, told
from tagback.pipeline.failures import CommandError, HttpError
from tagback.pipeline.request import Response, ask
from tagback.pipeline.specification import Http, Notify, Run


def run(spec: Run, context: Context) -> dict[str, Any]:
    """Runs a command, its output line by line. It gets what it needs from the environment, and nothing on its input."""
    code, lines = execute(spec.command, spec.env, spec.cwd, context, tell=True)
    if code:
        last = f": {lines[-1]}" if lines else ""
        raise CommandError(f"The command ended with {code}{last}")
    return {"exit_code": code, "output": "\n".join(lines), "last_line": lines[-1] if lines else ""}


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
