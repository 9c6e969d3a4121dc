"""Reads a pipeline file. A mistake is told with file, line and column, and with what was expected there."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tagback.errors import Location, UsageError
from tagback.pipeline.specification import Part, Pipeline

if TYPE_CHECKING:
    import yaml

_AT = re.compile(r"(?P<message>.*?)(?: - at `(?P<path>.*)`)?\Z", re.S)
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`")

Path_ = tuple[str | int, ...]


def read(path: Path, text: str | None = None) -> Pipeline:
    """The file's content, checked as far as it can be without running it. UsageError for the first mistake.

    `text`: the content as it was at another time.
    """
    places, content = _parsed(path, text)
    try:
        return msgspec.convert(content, Pipeline)
    except msgspec.ValidationError as e:
        raise _mistake(path, places, content, str(e)) from None


def json_schema() -> bytes:
    """The schema of such files, for editors."""
    schema = msgspec.json.schema(Pipeline)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "tagback pipeline"
    return json.dumps(schema, indent=2).encode() + b"\n"


def mistake(path: Path, where: Path_, message: str, hint: str = "") -> UsageError:
    """A mistake at a place in the file."""
    places, _ = _parsed(path)
    return UsageError(message, code="pipeline", hint=hint, location=_location(path, places, where))


def text_of(path: Path) -> str:
    """The file's text; UsageError if there is none."""
    try:
        return path.read_bytes().decode()
    except OSError as e:
        raise UsageError(
            f"The pipeline file {path} can't be read: {e.strerror or e}.", code="pipeline", location=Location(str(path))
        ) from None
    except UnicodeDecodeError as e:
        before = path.read_bytes()[: e.start]
        place = Location(str(path), before.count(b"\n") + 1, e.start - (before.rfind(b"\n") + 1) + 1)
        raise UsageError("The pipeline file is not UTF-8.", code="pipeline", location=place) from None


def _parsed(path: Path, text: str | None = None) -> tuple[dict[Path_, tuple[int, int]], Any]:
    try:
        import yaml
    except ImportError:
        raise UsageError(
            "Pipelines need the package PyYAML.", code="package_missing", hint="pip install 'tagback[pipeline]'"
        ) from None
    text = text_of(path) if text is None else text
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        place = Location(str(path), mark.line + 1, mark.column + 1) if mark else Location(str(path))
        raise UsageError(f"{e.problem or e.context}.", code="pipeline", location=place) from None
    except yaml.YAMLError as e:
        raise UsageError(" ".join(str(e).split()), code="pipeline", location=Location(str(path))) from None
    places: dict[Path_, tuple[int, int]] = {}
    try:
        if node is not None:
            _note(path, node, (), places)
    except RecursionError:
        raise UsageError("The pipeline file contains itself.", code="pipeline", location=Location(str(path))) from None
    return places, content


def _note(path: Path, node: yaml.Node, at: Path_, places: dict[Path_, tuple[int, int]]) -> None:
    import yaml

    mark = node.start_mark
    places.setdefault(at, (mark.line + 1, mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (key.start_mark.line + 1, key.start_mark.column + 1)
            if name in seen:
                raise UsageError(f"{name} is there twice.", code="pipeline", location=Location(str(path), *here))
            seen.add(name)
            places[(*at, name)] = here
            _note(path, value, (*at, name), places)
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            _note(path, value, (*at, n), places)


def _mistake(path: Path, places: dict[Path_, tuple[int, int]], content: Any, text: str) -> UsageError:
    found = _AT.match(text)
    assert found is not None
    where = tuple(_steps(found["path"] or "$", content))
    message, hint = found["message"], ""
    unknown = _UNKNOWN.match(message)
    if unknown:
        known = _keys(where)
        near = difflib.get_close_matches(unknown["name"], known, 1, 0.5)
        message = f"Unknown key {unknown['name']!r}."
        hint = f"Did you mean {near[0]}?" if near else f"Possible here: {', '.join(known)}."
        where = (*where, unknown["name"])
    elif message.startswith("Object missing required field"):
        message = message.replace("Object missing required field", "The key") + " is missing."
    else:
        message = f"{message[:1].upper()}{message[1:]}{'' if message.endswith('.') else '.'}"
        if "got `bool`" in message:
            hint = "YAML takes yes, no, on and off for true and false: put a text in quotes."
    return UsageError(message, code="pipeline", hint=hint, location=_location(path, places, where))


def _steps(text: str, content: Any) -> list[str | int]:
    """The path of msgspec's message; of a mapping's value it tells only `[...]`, so the first that fits is taken."""
    found: list[str | int] = []
    for name, number in _PART.findall(text):
        if number == "...":
            break
        found.append(name or int(number))
    return found


def _keys(where: Path_) -> list[str]:
    """The keys that are possible at a place."""
    import typing

    kind: Any = Pipeline
    for step in where:
        if isinstance(step, int):
            continue
        if not (isinstance(kind, type) and issubclass(kind, Part)):
            break
        field = next((f for f in msgspec.structs.fields(kind) if f.encode_name == step), None)
        if field is None:
            break
        inner = [a for a in _flat(field.type, typing) if isinstance(a, type) and issubclass(a, Part)]
        kind = inner[0] if inner else None
    return [f.encode_name for f in msgspec.structs.fields(kind)] if isinstance(kind, type) else []


def _flat(annotation: Any, typing: Any) -> list[Any]:
    arguments = typing.get_args(annotation)
    return [annotation] if not arguments else [a for inner in arguments for a in _flat(inner, typing)]


def _location(path: Path, places: dict[Path_, tuple[int, int]], where: Path_) -> Location:
    while where not in places and where:
        where = where[:-1]
    return Location(str(path), *places.get(where, (0, 0)))
