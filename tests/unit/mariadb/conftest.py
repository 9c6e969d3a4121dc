"""A schema on a real server, with what changes it and what compares it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tagback.catalog import Catalog, diff, explain
from tagback.changelog import Dialect, StatementKind, split
from tagback.engines.mariadb.connecting import Connection, open_connection
from tagback.engines.mariadb.kinds.base import PLAIN
from tagback.engines.mariadb.reader import read_catalog
from tagback.engines.url import parse
from tagback.plan import plan
from tests.support.mariadb import MariadbServer


class Schema:
    """One database of the server."""

    def __init__(self, server: MariadbServer) -> None:
        self._server = server
        self.name = server.create_database()
        self.connection: Connection = open_connection(parse(server.url(self.name)))

    def run(self, script: str) -> None:
        """Runs statements as a changelog has them."""
        for statement in split(script, Dialect.MYSQL):
            if statement.kind is not StatementKind.EMPTY:
                self.connection.ask(statement.sql)
        self.connection.ask("SET SESSION sql_mode = DEFAULT")

    def catalog(self) -> Catalog:
        return read_catalog(self.connection)

    def go_to(self, target: Catalog) -> list[str]:
        """Plans the way from what is there, runs it, and gives its statements; afterwards it must be the target.

        A second way may be needed where the server gave a key another name than the plan could foresee.
        """
        done: list[str] = []
        for _ in range(2):
            done += self._step_to(target)
            there = self.catalog()
            different = diff(there, target)
            if not different:
                break
        assert not different, [explain(there, target, i) if i in different.changed else i for i in different.names]
        assert there.fingerprint == target.fingerprint
        return done

    def _step_to(self, target: Catalog) -> list[str]:
        planned = plan(self.catalog(), target)
        assert not planned.blocked
        self.connection.ask(PLAIN)
        for step in planned.steps:
            self.connection.ask(step.sql)
        self.connection.ask("SET SESSION sql_mode = DEFAULT")
        return [step.sql for step in planned.steps]

    def dump(self) -> list[str]:
        """What the server's own client writes down of it, without rows and how far numbers have come."""
        text = self._server.run(
            "mariadb-dump", "--no-data", "--routines", "--triggers", "--events", "--skip-comments", self.name
        )
        text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        return re.sub(r"(?m)^(?:DO|SELECT) SETVAL.*\n", "", text).replace(f"`{self.name}`", "`schema`").splitlines()

    def close(self) -> None:
        self.connection.close()
        self._server.drop_database(self.name)


@pytest.fixture
def schema(mariadb_server: MariadbServer) -> Iterator[Schema]:
    """An empty schema."""
    made = Schema(mariadb_server)
    yield made
    made.close()


@pytest.fixture
def other(mariadb_server: MariadbServer) -> Iterator[Schema]:
    """Another one."""
    made = Schema(mariadb_server)
    yield made
    made.close()
