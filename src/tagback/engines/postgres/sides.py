"""A table of today seen as the columns that it had at the start, each as the way back would give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tagback.catalog import ObjectId
from tagback.engines.merging import Side
from tagback.engines.postgres.columns import Column, constant_text, exact, is_about_data, is_constant, kept_form
from tagback.engines.postgres.copies import Described
from tagback.engines.postgres.kinds.turning import cast
from tagback.engines.postgres.sqltext import ident, qualified
from tagback.engines.session import StatementError


class Sides:
    """`attempt` tries a statement, as in `Rows`: whether a type can be turned into another one, the server knows."""

    def __init__(self, attempt: Callable[[str], list[tuple[object, ...]] | StatementError]) -> None:
        self._attempt = attempt

    def of(
        self,
        start: Sequence[Column],
        today: Described,
        now: ObjectId,
        places: Mapping[str, str],
    ) -> Side:
        """`places`: today's column for each of the start's that is there."""
        columns = {c.name: c for c in today.columns}
        kept, own = {}, {}
        for column in start:
            there = columns.get(places.get(column.name, ""))
            kept[column.name] = self._projected(column, there, now)
            if there is not None:
                own[column.name] = kept_form(there)
        used = {places[c.name] for c in start if c.name in places}
        added = {c.name: kept_form(c) for c in today.columns if c.name not in used and not c.generated}
        return Side(f"ONLY {qualified(*now.name)}", kept, own, added, ("ctid",))

    def _projected(self, start: Column, today: Column | None, now: ObjectId) -> str:
        """A column of today as the way back would give it in place of the start's, in the form of the copy."""
        if today is None:
            return self.returning(start)
        if today.type == start.type:
            return kept_form(today)
        value = cast(ident(today.name), today.type, start.type)
        known = self._attempt(f"SELECT {value} FROM ONLY {qualified(*now.name)} LIMIT 0")
        if not isinstance(known, StatementError):
            return kept_form(start, value)
        if not is_about_data(known):
            raise known
        return exact(ident(today.name))  # the start's type is gone: it comes back with the same names for its values

    def returning(self, start: Column) -> str:
        """What rows get in a column that is added again; empty where it is never what they had."""
        form = start.type if start.core else "text"
        if start.identity or (start.default and not is_constant(start.default)):
            return ""
        if not start.default:
            return f"CAST(NULL AS {form})"
        value = f"CAST({start.default} AS {start.type})"
        known = self._attempt(f"SELECT {value}")
        if not isinstance(known, StatementError):
            return kept_form(start, value)
        if self._is_known(start.default):
            return exact(start.default)
        # A type that is gone comes back before the column. One that is another now can't have the default until it is as before.
        return "" if self._is_known(f"CAST(NULL AS {start.type})") else exact(constant_text(start.default))

    def _is_known(self, expression: str) -> bool:
        return not isinstance(self._attempt(f"SELECT {expression}"), StatementError)
