"""Steps outside the databases: commands, APIs, messages."""

from __future__ import annotations

import json
from typing import Any

from tagback.errors import UsageError
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
    text = f"{context.run.pipeline}: {context.run.state.value}" if spec.body is None else spec.body
    if spec.webhook is None:
        return _by_mail_or_chat(spec, text, context)
    body = json.dumps({"text": text}) if spec.body is None else text
    answer = ask("POST", spec.webhook, spec.headers, body, min(30.0, context.left))
    if answer.status >= 300:
        raise HttpError(f"The webhook answered {answer.status}: {answer.text[:200]}")
    return {"status": answer.status}


def _by_mail_or_chat(spec: Notify, text: str, context: Context) -> dict[str, Any]:
    try:
        import apprise
    except ImportError:
        raise UsageError(
            "Messages by mail and chat need the package apprise.",
            code="package_missing",
            hint="pip install 'tagback[notify]'",
        ) from None
    addresses = [spec.to] if isinstance(spec.to, str) else spec.to or []
    sender = apprise.Apprise()
    for n, address in enumerate(addresses, 1):
        if not sender.add(address):  # which it is can't be told: it has passwords in it
            raise UsageError(
                f"Address {n} of {len(addresses)} is none that Apprise knows.",
                code="address",
                hint="https://github.com/caronc/apprise lists how mail and chats are written.",
            )
    with apprise.LogCapture(level=apprise.logging.WARNING) as log:  # type: ignore[no-untyped-call]
        sent = sender.notify(body=text, title=spec.title or context.run.pipeline)
    if not sent:
        why = " ".join(context.secrets.blotted(log.getvalue()).split())
        raise HttpError(f"Not all messages could be delivered: {why[-300:] or 'no reason was given'}")
    context.tell(f"sent to {len(addresses)}")
    return {"sent": len(addresses)}


def _outputs(answer: Response) -> dict[str, Any]:
    return {"status": answer.status, "body": answer.text[:10_000], "json": answer.json, "latency": answer.seconds}
