"""One PostgreSQL database on trial: deploy changesets, write as the application, go back, and look at all of it."""

from __future__ import annotations

from pathlib import Path

import tagback
from tests.support import client
from tests.support.oracle import State, differences, postgres_rows, postgres_state
from tests.support.postgres import PostgresServer
from tests.support.versions import fitting, without_icu_skipped

Options = tagback.RollbackOptions
OnConflict = tagback.OnConflict


class Trial:
    """`setup` runs without tagback, and is tagged `before`; each deployment's changesets are files of their own."""

    def __init__(self, server: PostgresServer, url: str, folder: Path) -> None:
        self.url = url
        self.changelog = folder / "changelog"
        self.changelog.mkdir()
        self._server = server
        self._database = url.rpartition("/")[2]
        self._files = 0

    def setup(self, sql: str) -> None:
        with self._server.connect(self._database) as connection, without_icu_skipped():
            connection.execute(fitting(sql, self._server.major).encode())
        with tagback.open(self.url) as target:
            target.tag("before")

    def add(self, *changesets: str) -> None:
        """Puts changesets on disk."""
        for sql in changesets:
            self._files += 1
            (self.changelog / f"{self._files:03}_change.sql").write_text(fitting(sql, self._server.major) + "\n")

    def deploy(
        self, *changesets: str, tag: str | None = None, granular: bool = False, anyway: bool = False
    ) -> tagback.Applied:
        """`anyway`: even if there is no way back."""
        self.add(*changesets)
        options = tagback.ApplyOptions(tag=tag, granular=granular, allow_irreversible=anyway)
        with tagback.open(self.url) as target:
            return target.apply(self.changelog, options)

    def back(
        self, to: str = "before", on_conflict: OnConflict = OnConflict.KEEP, *, to_changeset: str | None = None
    ) -> tagback.RolledBack:
        options = Options(to=None if to_changeset else to, to_changeset=to_changeset, on_conflict=on_conflict)
        with tagback.open(self.url) as target:
            done = target.rollback(options)
        assert done.verified
        return done

    def write(self, script: str) -> None:
        """As the application, a statement at a time."""
        client.write(self.url, script)

    def rows(self, query: str) -> list[client.Row]:
        return client.rows(self.url, query)

    def state(self) -> State:
        """Schema and rows."""
        with self._server.connect(self._database) as connection:
            return postgres_state(self._server, self._database, connection)

    def every_row(self) -> State:
        """The same without the schema, for those in a hurry."""
        with self._server.connect(self._database) as connection:
            return State({}, postgres_rows(connection))

    def goes_there_and_back(self, change: str) -> None:
        """Schema and rows are the same after the way back, without a conflict, and redo leads where the deployment led."""
        before = self.state()
        self.deploy(change)
        after = self.state()
        assert differences(before, after), "the change changes nothing"
        done = self.back(on_conflict=OnConflict.FAIL)
        assert differences(before, self.state()) == []
        assert done.conflicts_total == 0
        self.deploy()
        assert differences(after, self.state()) == []
        self.back(on_conflict=OnConflict.FAIL)
        assert differences(before, self.state()) == []
