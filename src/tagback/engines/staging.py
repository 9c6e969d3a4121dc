"""A deployment in stages: what an engine needs to know where statements commit, and nothing where one transaction holds all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from tagback.catalog import Catalog, ObjectId, Rename, Step
from tagback.changelog import Statement

if TYPE_CHECKING:
    from tagback.engines.session import KeptRows, StatementError


class Staged(Protocol):
    """The part of `tagback.engines.session.Session` that is about stages."""

    def begin_stage(self, label: str, before: Catalog, *, commits: bool) -> bool:
        """What is kept from here on is for this label. `commits`: what runs next may commit, and copies must outlive that.

        Copies that an earlier run of the same label left are taken up; whether there were any.
        """

    def meant(self, statement: Statement) -> Statement:
        """What a statement comes to that is about to run, and whether that can be in a transaction.

        RefusedError where that isn't run in a deployment.
        """

    def doubts(self) -> tuple[str, ...]:
        """On what it depends that the stage did no more than was observed."""

    def renamed_by(self, sql: str, before: Catalog, after: Catalog) -> tuple[Rename, ...]:
        """What a statement renamed that may have run just before its process died, told from the schemas around it."""

    def sweep(self, places: Collection[str]) -> None:
        """Drops what killed stages left; nothing is unfinished, and these places are all that is kept."""

    def reached(self, tables: Collection[ObjectId], before: Catalog, ahead: Sequence[Statement]) -> frozenset[ObjectId]:
        """These tables, and those that the engine can tell from the statements' texts to be touched besides."""


class InOneTransaction:
    """That part where a stage ends with its transaction, whatever happens."""

    def begin_stage(self, label: str, before: Catalog, *, commits: bool) -> bool:
        return False

    def meant(self, statement: Statement) -> Statement:
        return statement

    def doubts(self) -> tuple[str, ...]:
        return ()

    def renamed_by(self, sql: str, before: Catalog, after: Catalog) -> tuple[Rename, ...]:
        return ()

    def sweep(self, places: Collection[str]) -> None:
        """Nothing is left: it went with the transaction."""

    def reached(self, tables: Collection[ObjectId], before: Catalog, ahead: Sequence[Statement]) -> frozenset[ObjectId]:
        return frozenset(tables)

    def keeps_late(self) -> bool:
        return False

    def keep_late(self, tables: Collection[ObjectId]) -> frozenset[ObjectId]:
        return frozenset(tables)

    def spared(
        self, steps: Sequence[Step], error: StatementError, live: Catalog, target: Catalog, kept: Sequence[KeptRows]
    ) -> tuple[Step, ...] | None:
        return None
