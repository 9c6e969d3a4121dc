"""Reads a pipeline file. A mistake is told with file, line and column, and with what was expected there."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
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

_NO_VALUE = (ValueError, TypeError, AttributeError, LookupError, OverflowError)
"""What PyYAML 6 lets through of a date or a number that is none: it is for mistakes in YAML that it has an error."""

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
    except RecursionError:
        raise UsageError(
            "The pipeline file is nested too deeply.", code="pipeline", location=Location(str(path))
        ) from None
    except _NO_VALUE as e:
        raise _no_value(path, text, e) from None
    places: dict[Path_, tuple[int, int]] = {}
    try:
        if node is not None:
            _note(path, node, (), places)
    except RecursionError:
        raise UsageError("The pipeline file contains itself.", code="pipeline", location=Location(str(path))) from None
    return places, content


def _no_value(path: Path, text: str, why: Exception) -> UsageError:
    """The mistake that a value is none of the kind that it looks like, with the place of the first such one."""
    import yaml

    nodes = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, yaml.ScalarNode):
            try:
                yaml.SafeLoader("").construct_object(node)
            except _NO_VALUE:
                place = Location(str(path), node.start_mark.line + 1, node.start_mark.column + 1)
                message = f"{node.value[:40]!r} reads as {node.tag.rpartition(':')[2]}, and is none."
                return UsageError(message, code="pipeline", hint="Put a text in quotes.", location=place)
        elif isinstance(node, yaml.MappingNode):
            nodes[:0] = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes[:0] = node.value
    return UsageError(f"{why}.", code="pipeline", location=Location(str(path)))


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
    where = _steps(found["path"] or "$", content, found["message"])
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
        if (found["path"] or "").startswith("key`"):
            message, where = "A key has to be a text.", _odd_key(where, places, content)
            hint = "YAML takes yes, no, on and off for true and false: put a text in quotes."
        elif "got `bool`" in message:
            hint = "YAML takes yes, no, on and off for true and false: put a text in quotes."
    return UsageError(message, code="pipeline", hint=hint, location=_location(path, places, where))


def _steps(text: str, content: Any, message: str) -> Path_:
    """The path of msgspec's message; of a mapping's value it tells only `[...]`: whichever alone gives the same message."""
    found: list[str | int] = []
    for name, number in _PART.findall(text):
        if number == "...":
            here = _at(content, found)
            fitting = (k for k in here if isinstance(k, str) and _alone(content, found, k) == message)
            key = next(fitting, None)
            if key is None:
                break
            found.append(key)
        else:
            found.append(name or int(number))
    return tuple(found)


def _at(content: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        content = content[step]
    return content


def _alone(content: Any, path: Sequence[str | int], key: str) -> str:
    """The mistake in the content if the mapping at the path had this key only."""

    def changed(part: Any, rest: Sequence[str | int]) -> Any:
        if not rest:
            return {key: part[key]}
        inner = changed(part[rest[0]], rest[1:])
        if isinstance(part, dict):
            return {**part, rest[0]: inner}
        return [inner if n == rest[0] else p for n, p in enumerate(part)]

    try:
        msgspec.convert(changed(content, path), Pipeline)
    except msgspec.ValidationError as e:
        found = _AT.match(str(e))
        return found["message"] if found is not None else ""
    return ""


def _odd_key(where: Path_, places: Mapping[Path_, tuple[int, int]], content: Any) -> Path_:
    """The place of the first key in a mapping that is no text."""
    keys = [place for place in places if len(place) == len(where) + 1 and place[: len(where)] == where]
    odd = next((n for n, key in enumerate(_at(content, where)) if not isinstance(key, str)), 0)
    return keys[odd] if odd < len(keys) else where


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
