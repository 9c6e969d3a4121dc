"""Engines, found by the URL's scheme. A package elsewhere joins through the entry point group `tagback.engines`."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Protocol

from tagback.catalog import Catalog
from tagback.engines.session import KeptRows, Session, Value
from tagback.engines.url import Url, parse
from tagback.errors import UsageError

_MODULES = {
    "sqlite": "tagback.engines.sqlite",
    "postgresql": "tagback.engines.postgres",
    "postgres": "tagback.engines.postgres",
    "mariadb": "tagback.engines.mariadb",
    "mysql": "tagback.engines.mariadb",
}


class Opener(Protocol):
    """What an engine's package offers as `connect`."""

    def __call__(self, url: Url, *, create: bool, lock_timeout: float | None) -> Session:
        """Opens one connection."""


SCHEMES = tuple(_MODULES)


def connect(url: str | Url, *, create: bool = False, lock_timeout: float | None = None) -> Session:
    """Opens one connection. UsageError for an unknown scheme, UnreachableError when the target can't be reached.

    `create` makes a missing SQLite file. `lock_timeout`: seconds a statement may wait for a lock, None for the default.
    """
    address = parse(url) if isinstance(url, str) else url
    opener: Opener
    module = _MODULES.get(address.scheme)
    opener = importlib.import_module(module).connect if module else _registered(address.scheme)
    return opener(address, create=create, lock_timeout=lock_timeout)


def first_row(url: str, sql: str, within: float) -> dict[str, Value]:
    """The first row of a query, by column; nothing if there is none. It may write nothing, and take so many seconds.

    StatementError when the server refuses it or it takes too long.
    """
    address = parse(url)
    query = _part(address.scheme, "query")
    if query is None:
        raise UsageError(f"No query can be sent to {address.scheme}:// URLs yet.")
    found: dict[str, Value] = query.first_row(address, sql, within)
    return found


def scratch(near: str, place: str | None = None) -> AbstractContextManager[Url]:
    """An empty database like `near`, gone at the end: on its server, or the one of `place`, where the account may make one.

    RefusedError when that can't be done.
    """
    address = parse(near)
    module = _part(address.scheme, "scratch")
    if module is None:
        raise UsageError(f"There is no rehearsal for {address.scheme}:// yet.", code="rehearsal")
    at = address if place is None else parse(place)
    if _MODULES.get(at.scheme) != _MODULES[address.scheme]:
        raise UsageError(f"A scratch database for {address.scheme}:// can't be on {at.scheme}://.", code="rehearsal")
    made: AbstractContextManager[Url] = module.scratch(address, at)
    return made


def without_rights(engine: str, catalog: Catalog, empty: Catalog) -> Catalog | None:
    """The schema without owners and privileges, as whoever read the `empty` database can make it there.

    None for an engine that has none.
    """
    module = _part(engine, "undressed")
    found: Catalog | None = module.without_rights(catalog, empty) if module is not None else None
    return found


def shelf_query(engine: str, kept: KeptRows) -> str:
    """A SELECT that shows what is kept, under the table's own names; empty for an engine that has none."""
    module = _part(engine, "shown")
    query: str = module.shelf_query(kept) if module is not None and kept.place else ""
    return query


def _part(scheme: str, name: str) -> ModuleType | None:
    """A module of the engine's that not every engine has."""
    module = _MODULES.get(scheme)
    there = module is not None and importlib.util.find_spec(f"{module}.{name}") is not None
    return importlib.import_module(f"{module}.{name}") if there else None


def _registered(scheme: str) -> Opener:
    from importlib.metadata import entry_points

    for point in entry_points(group="tagback.engines", name=scheme):
        opener: Opener = point.load()
        return opener
    known = ", ".join(f"{s}://" for s in SCHEMES)
    raise UsageError(f"No engine is known for {scheme}:// URLs.", hint=f"Known are {known}.")
