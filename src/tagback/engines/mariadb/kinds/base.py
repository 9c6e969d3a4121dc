"""What all kinds share: how they are named, and the state of the session that steps are written for."""

from __future__ import annotations

from collections.abc import Iterable

from tagback.catalog import Action, Loss, ObjectId, SchemaObject, Step
from tagback.engines.mariadb.sqltext import ident

EXCLUSIVE = "metadata, exclusive"
PLAIN_MODE = "NO_AUTO_VALUE_ON_ZERO"
PLAIN = (
    f"SET SESSION sql_mode = '{PLAIN_MODE}', character_set_client = utf8mb4,"
    " collation_connection = utf8mb4_general_ci, time_zone = '+00:00'"
)
"""Steps begin in this state and leave it behind: a definition is read in it, and means in it what it meant when it was read."""


class MariadbObject(SchemaObject, frozen=True, kw_only=True, omit_defaults=True):
    """An object whose name stands last in its path."""

    @property
    def address(self) -> str:
        """How statements name it."""
        return ident(self.id.name[-1])

    def step(self, sql: str, action: Action, destroys: Iterable[Loss] = ()) -> Step:
        return Step(sql, self.id, action, EXCLUSIVE, tuple(destroys))


def table_id(name: str) -> ObjectId:
    """The id of a table."""
    return ObjectId("table", (name,))


def column_id(table: str, column: str) -> ObjectId:
    """The id of a table's or view's column."""
    return ObjectId("column", (table, column))
