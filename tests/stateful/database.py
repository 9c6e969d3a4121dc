"""What the state machine needs of a database besides tagback: the world around it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

from hypothesis.strategies import SearchStrategy

from tests.stateful.model import Engine, Expected
from tests.stateful.rows import BY_APPLICATION
from tests.stateful.sketch import Change, Sketch
from tests.support.oracle import Rows, State


class Trial(Protocol):
    """An open transaction in which statements are tried before they are written into a changelog."""

    def sketch(self) -> Sketch: ...

    def works(self, change: Change) -> bool:
        """Runs the change; without effect if a statement of it is refused."""

    def holds(self) -> bool:
        """Whether a commit would be let through: foreign keys."""

    def state(self) -> State | None:
        """The oracle's view of what the statements made; None where it can't look into a transaction."""

    def rows(self) -> Mapping[str, Rows]:
        """The rows that the statements left."""


class Database(Protocol):
    """One fresh database, and the application that uses it."""

    engine: str
    url: str
    values: Engine

    def state(self) -> State:
        """What the oracle sees."""

    def rows(self) -> Mapping[str, Rows]:
        """The rows alone, which costs less."""

    def fits(self, schema: Mapping[str, str], tables: Mapping[str, Expected]) -> bool | None:
        """Whether a schema has room for these rows; None where that can't be told."""

    def sketch(self) -> Sketch: ...

    def trial(self) -> contextlib.AbstractContextManager[Trial]:
        """A transaction that is rolled back at the end."""

    def changes(self, sketch: Sketch) -> SearchStrategy[Change]:
        """Changes of the schema or of rows, as a changeset may make them."""

    def tables(self, sketch: Sketch) -> SearchStrategy[Change]:
        """New tables."""

    def writes(self, sketch: Sketch, kinds: tuple[str, ...] = BY_APPLICATION) -> SearchStrategy[Change]:
        """What the application writes to rows."""

    def mistakes(self, sketch: Sketch) -> SearchStrategy[str]:
        """Statements that the server refuses."""

    def write(self, change: Change) -> bool:
        """Runs statements by themselves, as an application or an operator does; whether they were let through."""

    def close(self) -> None: ...
