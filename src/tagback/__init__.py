"""tagback: automated rollback for database schemas.

    import tagback

    with tagback.open("sqlite:///shop.db", create=True) as target:
        target.apply("migrations", tagback.ApplyOptions(tag="v2"))
        target.rollback(tagback.RollbackOptions(to="v1"))

Everything that goes wrong is a `TagbackError`. Names are loaded when they are first used, so importing costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagback import errors as errors
    from tagback.deploy import events as events
    from tagback.deploy.apply import ApplyOptions as ApplyOptions
    from tagback.deploy.back import ColumnOrder as ColumnOrder
    from tagback.deploy.drift import OnDrift as OnDrift
    from tagback.deploy.look import Comparison as Comparison
    from tagback.deploy.look import PastDeployment as PastDeployment
    from tagback.deploy.look import Status as Status
    from tagback.deploy.look import TagView as TagView
    from tagback.deploy.rehearse import RehearsalOptions as RehearsalOptions
    from tagback.deploy.rehearse import rehearse as rehearse
    from tagback.deploy.results import Applied as Applied
    from tagback.deploy.results import Recovered as Recovered
    from tagback.deploy.results import Rehearsed as Rehearsed
    from tagback.deploy.results import RolledBack as RolledBack
    from tagback.deploy.rollback import OnConflict as OnConflict
    from tagback.deploy.rollback import RollbackOptions as RollbackOptions
    from tagback.deploy.shelf import Purged as Purged
    from tagback.deploy.shelf import ShelfView as ShelfView
    from tagback.deploy.tags import Tagged as Tagged
    from tagback.deploy.target import Target as Target
    from tagback.errors import TagbackError as TagbackError
    from tagback.ledger.records import Reversibility as Reversibility

    open = Target.open

__version__ = "0.1.0"

_MODULES = {
    "tagback.deploy.apply": ("ApplyOptions",),
    "tagback.deploy.back": ("ColumnOrder",),
    "tagback.deploy.drift": ("OnDrift",),
    "tagback.deploy.look": ("Comparison", "PastDeployment", "Status", "TagView"),
    "tagback.deploy.rehearse": ("RehearsalOptions", "rehearse"),
    "tagback.deploy.results": ("Applied", "Recovered", "Rehearsed", "RolledBack"),
    "tagback.deploy.rollback": ("OnConflict", "RollbackOptions"),
    "tagback.deploy.shelf": ("Purged", "ShelfView"),
    "tagback.deploy.tags": ("Tagged",),
    "tagback.deploy.target": ("Target",),
    "tagback.errors": ("TagbackError",),
    "tagback.ledger.records": ("Reversibility",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["errors", "events", "open", *_HOMES]  # noqa: PLE0604 - the names are those of the table


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    elif name == "open":
        found = importlib.import_module("tagback.deploy.target").Target.open
    elif name == "events":
        found = importlib.import_module("tagback.deploy.events")
    elif name == "errors":
        found = importlib.import_module("tagback.errors")
    else:
        raise AttributeError(f"module 'tagback' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
