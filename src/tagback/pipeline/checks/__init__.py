"""What a health check looks at."""

from __future__ import annotations

import datetime
import decimal
import shlex
import socket
import time
from dataclasses import dataclass, field, replace
from typing import Any

from tagback.engines import first_row
from tagback.errors import TagbackError, UsageError
from tagback.pipeline.commands import execute
from tagback.pipeline.context import Context
from tagback.pipeline.durations import seconds, told
from tagback.pipeline.expressions import evaluate
from tagback.pipeline.failures import HttpError, TimeLimitError
from tagback.pipeline.request import ask
from tagback.pipeline.specification import (
    Check,
    CommandCheck,
    HttpCheck,
    PrometheusCheck,
    SqlCheck,
    TcpCheck,
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: whether it holds, in words, and what was seen."""

    holds: bool
    told: str
    values: dict[str, Any] = field(default_factory=dict)


def look(spec: Check, before: dict[str, Any], context: Context) -> Look:
    """Looks once. That there is no answer is an answer: it does not hold."""
    try:
        if spec.http is not None:
            return _http(spec.http, context)
        if spec.sql is not None:
            return _sql(spec.sql, before, context)
        if spec.command is not None:
            return _command(spec.command, context)
        if spec.prometheus is not None:
            return _prometheus(spec.prometheus, before, context)
        assert spec.tcp is not None
        return _tcp(spec.tcp, context)
    except (HttpError, TimeLimitError) as e:
        return Look(False, e.message)


def _http(spec: HttpCheck, context: Context) -> Look:
    answer = ask(spec.method, spec.url, spec.headers, spec.body, min(seconds(spec.within), context.left))
    values: dict[str, Any] = {"status": answer.status, "latency": round(answer.seconds, 4)}
    wrong = []
    expected = [spec.status] if isinstance(spec.status, int) else spec.status
    if answer.status not in expected:
        wrong.append(f"status {answer.status}, expected {' or '.join(map(str, expected))}")
    if spec.contains is not None and spec.contains not in answer.text:
        wrong.append(f"{spec.contains!r} is not in the body")
    for path, wanted in spec.json.items():
        found = at_path(answer.json, path)
        values[path] = found
        if found != wanted:
            wrong.append(f"{path} is {found!r}, expected {wanted!r}")
    return _judged(f"{spec.url}: {answer.status} in {told(answer.seconds)}", wrong, values)


def _sql(spec: SqlCheck, before: dict[str, Any], context: Context) -> Look:
    try:
        row = first_row(context.url_of(spec.target), spec.query, min(seconds(spec.within), context.left))
    except TagbackError as e:
        return Look(False, f"the query failed: {e.message}")
    try:
        return _expected(spec.expect, {name: comparable(value) for name, value in row.items()}, before, context)
    except UsageError:
        if row:
            raise
        return Look(False, f"{spec.expect}: the query has no row")


def _command(spec: CommandCheck, context: Context) -> Look:
    limited = replace(context, until=time.monotonic() + min(seconds(spec.within), context.left))
    code, lines = execute(spec.run, spec.env, None, limited, tell=False)
    text = "\n".join(lines)
    shown = spec.run if isinstance(spec.run, str) else shlex.join(spec.run)
    wrong = [f"ended with {code}"] if code else []
    if spec.contains is not None and spec.contains not in text:
        wrong.append(f"{spec.contains!r} is not in its output")
    return _judged(f"{shown}: {code}", wrong, {"exit_code": code, "output": text})


def _prometheus(spec: PrometheusCheck, before: dict[str, Any], context: Context) -> Look:
    from urllib.parse import quote

    url = f"{spec.url.rstrip('/')}/api/v1/query?query={quote(spec.query)}"
    answer = ask("GET", url, {}, None, min(seconds(spec.within), context.left)).json
    if not isinstance(answer, dict) or answer.get("status") != "success":
        error = answer.get("error") if isinstance(answer, dict) else "no JSON"
        return Look(False, f"{spec.query}: {error}")
    found = at_path(answer, "$.data.result")
    if found == []:
        return Look(False, f"{spec.query}: no series")
    scalar = at_path(answer, "$.data.resultType") == "scalar"
    try:
        value = float(at_path(answer, "$.data.result[1]" if scalar else "$.data.result[0].value[1]"))
    except (TypeError, ValueError):
        return Look(False, f"{spec.query}: gives no value, but {at_path(answer, '$.data.resultType')}")
    return _expected(spec.expect, {"value": value, "series": 1 if scalar else len(found)}, before, context)


def _tcp(spec: TcpCheck, context: Context) -> Look:
    started = time.monotonic()
    try:
        socket.create_connection((spec.host, spec.port), max(0.01, min(seconds(spec.within), context.left))).close()
    except (OSError, ValueError) as e:  # a name that can't be one is a ValueError
        return Look(False, f"{spec.host}:{spec.port}: {getattr(e, 'strerror', None) or e}")
    took = time.monotonic() - started
    return Look(True, f"{spec.host}:{spec.port} takes connections ({told(took)})", {"latency": took})


def _expected(expression: str, values: dict[str, Any], before: dict[str, Any], context: Context) -> Look:
    names = {**context.names, **values, "before": before}
    holds = bool(evaluate(expression, names))
    seen = ", ".join(f"{k}={v}" for k, v in values.items())
    earlier = f"; before: {', '.join(f'{k}={v}' for k, v in before.items())}" if before else ""
    return Look(holds, f"{expression}: {'holds' if holds else 'does not hold'} ({seen}{earlier})", values)


def comparable(value: Any) -> Any:
    """A database's value as expressions compare it, and as it is kept: the same before a run was gone on with, and after.

    Numbers are numbers, lengths of time are seconds, points in time are text that sorts by time.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case decimal.Decimal():
            whole = value.is_finite() and value == value.to_integral_value()
            return int(value) if whole else float(value)
        case datetime.timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case dict():
            return {str(k): comparable(v) for k, v in value.items()}
        case list() | tuple():
            return [comparable(v) for v in value]
        case _:
            return str(value)


def _judged(shown: str, wrong: list[str], values: dict[str, Any]) -> Look:
    return Look(not wrong, f"{shown}{': ' + '; '.join(wrong) if wrong else ''}", values)


def at_path(value: Any, path: str) -> Any:
    """The value at `$.a.b[0]` in JSON; None where there is nothing."""
    for name in path.removeprefix("$").replace("[", ".").replace("]", "").split("."):
        if not name:
            continue
        if isinstance(value, list) and name.lstrip("-").isdigit():
            value = value[int(name)] if -len(value) <= int(name) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value
