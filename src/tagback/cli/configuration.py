"""tagback.toml: targets by name, and defaults for all of them."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tagback.cli.call import Settings
from tagback.cli.measures import age, amount
from tagback.errors import Location, UsageError

_TEXTS = ("changelog", "format")
_SECONDS = ("lock_timeout", "lock_wait", "status_within")
_MEASURES: dict[str, Callable[[str], object]] = {"shelf_limit": amount, "shelf_retention": age}
_CHOICES = {"column_order": ("exact", "logical")}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file's content, checked. `defaults` hold for every target that doesn't say otherwise."""

    path: str
    text: str
    defaults: Settings
    targets: dict[str, Settings]

    @property
    def names(self) -> tuple[str, ...]:
        """The targets' names."""
        return tuple(self.targets)

    def settings(self, target: str | None) -> Settings:
        """A target's settings with ${VARIABLES} filled in, or the defaults alone."""
        if target is None:
            return self.defaults
        if target not in self.targets:
            near = difflib.get_close_matches(target, self.targets, 3, 0.5)
            known = ", ".join(near or self.targets) or "none"
            raise UsageError(
                f"{self.path} has no target {target!r}.",
                code="unknown_target",
                hint=f"Did you mean {known}?" if near else f"Its targets: {known}.",
            )
        found = self.targets[target]
        return replace(found, url=self._filled_in(target, found.url))

    def _filled_in(self, target: str, url: str) -> str:
        for name in _VARIABLE.findall(url):
            if name not in os.environ:
                raise UsageError(
                    f"The url of target {target} needs the environment variable {name}, which is not set.",
                    code="config",
                    location=find_key(self.path, self.text, ("targets", target), "url"),
                )
        return _VARIABLE.sub(lambda m: os.environ[m[1]], url)


def read(path: str) -> Configuration:
    """Reads and checks a configuration file. UsageError with the place of the first mistake."""
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        place = _PLACE.search(str(e))
        at_end = (text.count("\n") + 1, len(text) - text.rfind("\n"))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else at_end
        message = _PLACE.sub("", str(e))
        raise UsageError(f"{message}.", code="config", location=Location(path, line, column)) from None
    reader = _Reader(path, text)
    defaults = reader.settings((), {k: v for k, v in content.items() if k != "targets"}, Settings(), ("targets",))
    targets = content.get("targets", {})
    if not isinstance(targets, dict):
        raise reader.mistake((), "targets", "targets has to be a table: [targets.NAME].")
    found: dict[str, Settings] = {}
    for name, options in targets.items():
        if not isinstance(options, dict):
            raise reader.mistake(("targets",), name, f"targets.{name} has to be a table: [targets.{name}].")
        settings = reader.settings(("targets", name), options, replace(defaults, target=name), ("url",))
        url = options.get("url", "")
        if not isinstance(url, str) or not url:
            table, key = (("targets", name), "url") if "url" in options else (("targets",), name)
            raise reader.mistake(table, key, f"Target {name} needs a url, in quotes.")
        found[name] = replace(settings, url=url)
    return Configuration(path, text, defaults, found)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: str
    text: str

    def settings(
        self, table: tuple[str, ...], options: dict[str, object], base: Settings, also: tuple[str, ...]
    ) -> Settings:
        """The settings of one table over the base; `also`: keys that are somebody else's business."""
        known = (*_TEXTS, *_SECONDS, *_MEASURES, *_CHOICES, *also)
        changes: dict[str, object] = {}
        for key, value in options.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1, 0.5)
                hint = f"Did you mean {near[0]}?" if near else f"Possible here: {', '.join(known)}."
                raise self.mistake(table, key, f"Unknown option {key!r}.", hint)
            if key in _TEXTS:
                if not isinstance(value, str) or not value:
                    raise self.mistake(table, key, f"{key} has to be a text in quotes.")
                changes[key] = str(Path(self.path).parent / value) if key == "changelog" else value
            elif key in _SECONDS:
                if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
                    raise self.mistake(table, key, f"{key} has to be a number of seconds.")
                changes[key] = float(value)
            elif key in _MEASURES:
                try:
                    changes[key] = _MEASURES[key](value if isinstance(value, str) else repr(value))
                except UsageError as e:
                    raise self.mistake(table, key, f"{key}: {e.message}", f"In quotes: {e.hint}") from None
            elif key in _CHOICES:
                if value not in _CHOICES[key]:
                    raise self.mistake(table, key, f"{key} is one of {', '.join(_CHOICES[key])}.")
                changes[key] = value
        return replace(base, **changes)  # type: ignore[arg-type]

    def mistake(self, table: tuple[str, ...], key: str, message: str, hint: str = "") -> UsageError:
        return UsageError(message, code="config", hint=hint, location=find_key(self.path, self.text, table, key))


def _text(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as e:
        raise UsageError(
            f"The configuration file {path} can't be read: {e.strerror or e}.", code="config", location=Location(path)
        ) from None
    try:
        return content.decode()
    except UnicodeDecodeError as e:
        before = content[: e.start]
        line, column = before.count(b"\n") + 1, e.start - (before.rfind(b"\n") + 1) + 1
        raise UsageError(
            "The configuration file is not UTF-8.", code="config", location=Location(path, line, column)
        ) from None


def find_key(path: str, text: str, table: tuple[str, ...], key: str) -> Location:
    """Where a key stands. The parser doesn't tell, so the text is searched: in its table, else anywhere."""
    written = re.compile(rf"""(?:^|[\s{{,.\["'])({re.escape(key)})["']?\s*[=.\]]""")
    at: tuple[str, ...] = ()
    anywhere = None
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            at = tuple(part.strip().strip("\"'") for part in header[1].split("."))
        found = written.search(line)
        if not found:
            continue
        place = Location(path, number, found.start(1) + 1)
        if at == table and not header:
            return place
        anywhere = anywhere or place
    return anywhere or Location(path)
