"""Secrets: fetched when they are needed, never stored, and blotted out of everything that is shown or kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from tagback.errors import UsageError
from tagback.pipeline.specification import Secret

_SHORTEST = 3
"""Characters: shorter ones would blot out half of every text."""
_PASSWORDS = (re.compile(r"\w+://[^\s:/@]*:([^\s/@]+)@"), re.compile(r"password=([^\s&'\";]+)", re.I))


class Secrets(Mapping[str, str]):
    """The secrets of a pipeline by name. Those of the environment are known from the start: commands may show them too."""

    def __init__(self, sources: Mapping[str, Secret], folder: str = "", above: Secrets | None = None) -> None:
        """`folder`: what the files of secrets are relative to. `above`: those of the pipeline that chained this one."""
        self._sources = sources
        self._folder = folder
        self._above = above
        self._turn = threading.Lock()
        self._known: dict[str, str] = {}
        self._shown: tuple[str, ...] = ()
        for name, source in sources.items():
            if source.env is not None and source.env in os.environ:
                self._learn(name, os.environ[source.env])

    def __getitem__(self, name: str) -> str:
        with self._turn:
            if name not in self._known:
                if name not in self._sources:
                    raise KeyError(f"there is no secret {name}")
                self._learn(name, _fetched(name, self._sources[name], self._folder))
            return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _learn(self, name: str, value: str) -> None:
        self._known[name] = value
        forms = {form for known in self._known.values() for form in _forms(known)}
        self._shown = tuple(sorted((f for f in forms if len(f) >= _SHORTEST), key=len, reverse=True))

    def blotted(self, text: str) -> str:
        """The text without any secret that is known."""
        for shown in self._shown:
            text = text.replace(shown, "***")
        return self._above.blotted(text) if self._above is not None else text

    def blotted_in(self, value: object) -> object:
        """The same for everything in a value of lists and mappings: texts, names, and numbers that are a secret."""
        if isinstance(value, str):
            return self.blotted(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return "***" if self._is_secret(value) else value
        if isinstance(value, dict):
            return {self.blotted_in(k): self.blotted_in(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.blotted_in(v) for v in value]
        return value

    def _is_secret(self, number: float) -> bool:
        shown = str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)
        return shown in self._shown or (self._above is not None and self._above._is_secret(number))


def _forms(value: str) -> Iterator[str]:
    """How a secret may be met: as it is, each line of it, in JSON, in a URL; and the password, where it is a URL."""
    found = [password for pattern in _PASSWORDS for password in pattern.findall(value)]
    passwords = [form for password in found for form in (password, unquote(password))]
    for part in (value, *value.splitlines(), *passwords):
        yield from (part, part.strip(), quote(part, safe=""), quote(part), quote_plus(part), repr(part)[1:-1])
        yield from (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])


def _fetched(name: str, source: Secret, folder: str) -> str:
    if source.env is not None:
        if source.env not in os.environ:
            raise _missing(name, f"the environment variable {source.env} is not set")
        return os.environ[source.env]
    if source.file is not None:
        try:
            return Path(folder, source.file).read_bytes().decode().rstrip("\r\n")
        except OSError as e:
            raise _missing(name, f"{source.file} can't be read: {e.strerror}") from None
        except UnicodeDecodeError:
            raise _missing(name, f"{source.file} is not UTF-8") from None
    assert source.command is not None
    done = subprocess.run(
        source.command, shell=True, capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd=folder or None
    )
    if done.returncode:
        raise _missing(name, f"its command ended with {done.returncode}")
    try:
        return done.stdout.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _missing(name, "what its command prints is not UTF-8") from None


def _missing(name: str, why: str) -> UsageError:
    return UsageError(f"The secret {name} is not to be had: {why}.", code="secret")
