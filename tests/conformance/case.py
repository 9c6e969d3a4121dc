"""One case: a schema, a change of it, and what becomes of the way back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`setup` and `change` are changesets. `refused` is the error code of apply where the change must not be deployed.

    `verdict` is what apply says of the way back, where the case is about that. `needs_rows`: without any, the change fails.
    """

    name: str
    setup: str
    change: str
    refused: str = ""
    verdict: str = ""
    needs_rows: bool = False


def exact(name: str, setup: str, change: str, *, needs_rows: bool = False) -> Case:
    """The change is deployed, and the way back leads exactly to where it began."""
    return Case(name, setup, change, needs_rows=needs_rows)


def captured(name: str, setup: str, change: str) -> Case:
    """The same, by way of the shelf: the change does something to rows that were there."""
    return Case(name, setup, change, verdict="captured")


def conditional(name: str, setup: str, change: str) -> Case:
    """The same, where what is written later can stand in the way: apply says when."""
    return Case(name, setup, change, verdict="conditional")


def refused(name: str, setup: str, change: str, code: str = "irreversible") -> Case:
    """The change is not deployed, and nothing is touched."""
    return Case(name, setup, change, code)
