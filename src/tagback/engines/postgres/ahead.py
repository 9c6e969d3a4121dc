"""Queries sent before their answers are wanted: the server works on the next while this side takes in the last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult

from tagback.engines.postgres.pipeline import on_their_way

Row = tuple[Any, ...]


class Ahead:
    """The answers to some queries without parameters, taken in when they are asked for, in whatever order."""

    def __init__(self, connection: psycopg.Connection[Any], queries: Sequence[str]) -> None:
        self._transformer = Transformer(connection)
        self._waiting = list(reversed(queries))
        self._taken: dict[str, PGresult] = {}
        self._stack = contextlib.ExitStack()
        self._answers: Iterator[PGresult] = self._stack.enter_context(
            on_their_way(connection, [query.encode() for query in queries])
        )

    def rows(self, query: str) -> list[Row] | None:
        """The rows of a query that was sent; None for any other, and for one that was asked for before."""
        if query not in self._taken:
            if query not in self._waiting:
                return None
            self._take(until=query)
        result = self._taken.pop(query)
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def take_all(self) -> None:
        """Takes in all answers, so that the connection is free for another query."""
        self._take(until="")
        self._stack.close()

    def close(self) -> None:
        """Throws away what nobody asked for."""
        self._stack.close()

    def _take(self, until: str) -> None:
        while self._waiting and until not in self._taken:
            self._taken[self._waiting.pop()] = next(self._answers)


def ask_each(connection: psycopg.Connection[Any], queries: Sequence[str]) -> list[list[Row]]:
    """The rows of each query; all are on their way at once where the driver can do that."""
    if not queries:
        return []
    if not psycopg.Pipeline.is_supported():
        return [connection.execute(query.encode(), prepare=False).fetchall() for query in queries]
    transformer = Transformer(connection)
    found = []
    with on_their_way(connection, [query.encode() for query in queries]) as answers:
        for result in answers:
            transformer.set_pgresult(result)
            found.append(transformer.load_rows(0, result.ntuples, tuple))
    return found
