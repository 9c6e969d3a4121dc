"""`--sarif PATH`: what is wrong with a changelog or a pipeline file, with its places, as code scanning reads it.

The format is SARIF 2.1.0 (OASIS). What has a place in a file is a result; what has none, such as a server that is not to be
reached, is a notification of the tool.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from tagback.cli.answer import Answer
from tagback.errors import Location, TagbackError, UsageError

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"irreversible": "error", "conditional": "warning"}
_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?\Z", re.S)
Found = tuple[str, str, str, Location | None]
"""A rule, a level, a message and a place."""


def option(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Adds the option to a command; the file is written whatever comes of it."""

    @click.option("--sarif", metavar="PATH", help="Write what is wrong with the files as SARIF, for code scanning.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, sarif: str | None, **options: Any) -> Answer:
        if sarif is None:
            return command(*arguments, **options)
        path = Path(sarif).absolute()
        _write(path, _report([]))  # one that can't be written is told before anything happens
        try:
            answer = command(*arguments, **options)
        except TagbackError as e:
            _write(path, _report([_of_error(e)]))
            raise
        _write(path, _report(list(_results(answer, options))))
        return answer

    return wrapped


def _results(answer: Answer, options: Mapping[str, Any]) -> Iterator[Found]:
    fields: Mapping[str, Any] = answer.fields
    verdicts = [v for v in fields.get("verdicts", ()) if v["reversibility"] in _LEVELS]
    places = _places(options) if verdicts else {}
    for v in verdicts:
        told = "; ".join(v["reasons"]) or f"the way back is {v['reversibility']}"
        yield v["reversibility"], _LEVELS[v["reversibility"]], f"{v['id']}: {told}", places.get(v["id"])
    folder = os.path.dirname(options.get("file") or "")
    failed = [s["error"] for s in fields.get("steps", ()) if isinstance(s, Mapping) and s.get("error")]
    for error in failed:
        yield error["code"], "error", error["message"], _place(folder, error.get("at", ""))
    if answer.error is not None and not failed and not any(v["reversibility"] == "irreversible" for v in verdicts):
        yield _of_error(answer.error)


def _of_error(e: TagbackError) -> Found:
    return e.code, "error", f"{e.message}\n{e.hint}".strip(), e.location


def _places(options: Mapping[str, Any]) -> dict[str, Location]:
    """Where changesets stand, by their ids."""
    from tagback.changelog import read_changelog

    call = click.get_current_context().obj
    settings = call.settings(changelog=options.get("changelog"), format=options.get("format"))
    changelog = read_changelog(Path(settings.changelog), settings.format)
    return {c.id: Location(str(c.path), c.first_line, 1) for c in changelog.changesets}


def _place(folder: str, text: str) -> Location | None:
    found = _PLACE.match(text)
    if found is None:
        return None
    return Location(os.path.join(folder, found["file"]), int(found["line"] or 0), int(found["column"] or 0))


def _report(found: list[Found]) -> dict[str, Any]:
    from tagback import __version__

    placed = [f for f in found if f[3] is not None]
    others = [f for f in found if f[3] is None]
    invocation: dict[str, Any] = {"executionSuccessful": not others}
    if others:
        invocation["toolExecutionNotifications"] = [
            {"descriptor": {"id": rule}, "level": level, "message": {"text": text}} for rule, level, text, _ in others
        ]
    rules = sorted({rule for rule, *_ in placed})
    driver = {"name": "tagback", "version": __version__, "rules": [{"id": rule} for rule in rules]}
    results = [_result(rule, level, text, place) for rule, level, text, place in placed if place is not None]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }


def _result(rule: str, level: str, text: str, place: Location) -> dict[str, Any]:
    file = os.path.relpath(place.file)
    shown = Path(place.file).as_uri() if file.startswith("..") and os.path.isabs(place.file) else quote(file)
    physical: dict[str, Any] = {"artifactLocation": {"uri": shown}}
    if place.line:
        physical["region"] = {"startLine": place.line, **({"startColumn": place.column} if place.column else {})}
    message = {"text": text}
    return {"ruleId": rule, "level": level, "message": message, "locations": [{"physicalLocation": physical}]}


def _write(path: Path, report: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(report, indent=2) + "\n")
    except OSError as e:
        raise UsageError(f"{path} can't be written: {e.strerror}.", code="output") from None
