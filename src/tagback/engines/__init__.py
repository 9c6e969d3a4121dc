"""Engines, found by the URL's scheme. A package elsewhere joins through the entry point group `tagback.engines`."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from tagback.engines.session import Session
from tagback.engines.url import Url, parse
from tagback.errors import UsageError

_MODULES = {
    "sqlite": "tagback.engines.sqlite",
    "postgresql": "tagback.engines.postgres",
    "postgres": "tagback.engines.postgres",
}

SCHEMES = tuple(_MODULES)


def connect(url: str | Url) -> Session:
    """Opens one connection. UsageError for an unknown scheme, UnreachableError when the target can't be reached."""
    address = parse(url) if isinstance(url, str) else url
    opener: Callable[[Url], Session]
    module = _MODULES.get(address.scheme)
    if module:
        opener = importlib.import_module(module).connect
    else:
        opener = _registered(address.scheme)
    return opener(address)


def _registered(scheme: str) -> Callable[[Url], Session]:
    from importlib.metadata import entry_points

    for point in entry_points(group="tagback.engines", name=scheme):
        opener: Callable[[Url], Session] = point.load()
        return opener
    known = ", ".join(f"{s}://" for s in SCHEMES)
    raise UsageError(f"No engine is known for {scheme}:// URLs.", hint=f"Known are {known}.")
