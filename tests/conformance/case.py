"""One case: a schema, a change of it, and what becomes of the way back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`setup` and `change` are changesets. `refused` is the error code of apply where the change must not be deployed."""

    name: str
    setup: str
    change: str
    refused: str = ""


def exact(name: str, setup: str, change: str) -> Case:
    """The change is deployed, and the way back leads exactly to where it began."""
    return Case(name, setup, change)


def refused(name: str, setup: str, change: str, code: str = "irreversible") -> Case:
    """The change is not deployed, and nothing is touched."""
    return Case(name, setup, change, code)
