"""Secrets: fetched when they are needed, never stored, and blotted out of everything that is shown or kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tagback.errors import UsageError
from tagback.pipeline.specification import Secret

_SHORTEST = 3
"""Characters: shorter ones would blot out half of every text."""


class Secrets(Mapping[str, str]):
    """The secrets of a pipeline by name."""

    def __init__(self, sources: Mapping[str, Secret]) -> None:
        self._sources = sources
        self._known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            if name not in self._sources:
                raise KeyError(f"there is no secret {name}")
            self._known[name] = _fetched(name, self._sources[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def blotted(self, text: str) -> str:
        """The text without any secret that was fetched."""
        for value in sorted(self._known.values(), key=len, reverse=True):
            for shown in (value, *value.splitlines()):
                if len(shown) >= _SHORTEST:
                    text = text.replace(shown, "***")
        return text

    def blotted_in(self, value: object) -> object:
        """The same for everything in a value of lists and mappings."""
        if isinstance(value, str):
            return self.blotted(value)
        if isinstance(value, dict):
            return {k: self.blotted_in(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.blotted_in(v) for v in value]
        return value


def _fetched(name: str, source: Secret) -> str:
    if source.env is not None:
        if source.env not in os.environ:
            raise _missing(name, f"the environment variable {source.env} is not set")
        return os.environ[source.env]
    if source.file is not None:
        try:
            return Path(source.file).read_text().rstrip("\n")
        except OSError as e:
            raise _missing(name, f"{source.file} can't be read: {e.strerror}") from None
    assert source.command is not None
    done = subprocess.run(
        source.command, shell=True, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise _missing(name, f"its command ended with {done.returncode}")
    return done.stdout.rstrip("\n")


def _missing(name: str, why: str) -> UsageError:
    return UsageError(f"The secret {name} is not to be had: {why}.", code="secret")
