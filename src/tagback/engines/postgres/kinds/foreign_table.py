"""Foreign tables: their rows are on another server, so nothing is lost with one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds import column as column_kind
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, PgObject
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.kinds.foreign import options_change, options_clause
from tagback.engines.postgres.sqltext import ident


class ForeignTable(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="foreign table"):
    """Named as a table, whose names it shares. Options are `name=value`, those of columns by the column's name."""

    columns: tuple[Column, ...] = ()
    server: str
    options: tuple[str, ...] = ()
    column_options: tuple[tuple[str, tuple[str, ...]], ...] = ()

    keyword: ClassVar[str] = "FOREIGN TABLE"
    grant_keyword: ClassVar[str] = "TABLE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "Dadrtwx"),)

    @property
    def parts(self) -> Iterable[ObjectId]:
        return [ObjectId("column", (*self.id.name, c.name)) for c in self.columns]

    def create(self) -> tuple[Step, ...]:
        columns = ", ".join(self._definition(c) for c in self.columns)
        sql = (
            f"CREATE FOREIGN TABLE {self.address} ({columns}) SERVER {ident(self.server)}{options_clause(self.options)}"
        )
        return (self.step(sql, Action.CREATE), *self.settle(), *self.steps(self._column_steps({})))

    def _definition(self, column: Column) -> str:
        """A column's options stand between its type and the rest."""
        options = options_clause(dict(self.column_options).get(column.name, ()))
        bare = column_kind.Column(name=column.name, type=column.type).definition()
        return bare + options + column.as_defined.definition().removeprefix(bare)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP FOREIGN TABLE {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, ForeignTable) or after.server != self.server:
            return None
        if [c.as_defined for c in self.columns] != [c.as_defined for c in after.columns]:
            return None
        changes = [options_change(self.options, after.options).strip()]
        had, has = dict(self.column_options), dict(after.column_options)
        for c in after.columns:
            change = options_change(had.get(c.name, ()), has.get(c.name, ()))
            changes += [f"ALTER COLUMN {ident(c.name)}{change}"] if change else []
        sqls = [f"ALTER FOREIGN TABLE {self.address} {c}" for c in changes if c]
        columns = after._column_steps({c.name: c for c in column_kind.settled(self.columns, self, after)})
        return Alteration((*self.steps(sqls, lock=ACCESS_EXCLUSIVE), *self.resettle(after), *self.steps(columns)))

    def _column_steps(self, before: dict[str, Column]) -> Sequence[str]:
        clauses, more = [], []
        for c in self.columns:
            now = before.get(c.name, c.as_defined)
            clauses += column_kind.settings(now, c)
            more += column_kind.further(self.id.name, self.owner, now, c)
        return [f"ALTER FOREIGN TABLE {self.address} {', '.join(clauses)}"] * bool(clauses) + more
