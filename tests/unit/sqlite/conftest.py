"""A database with a changelog that grows, an application that writes to it, and eyes of its own for what it holds."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.results import Applied, RolledBack
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.deploy.target import Target
from tests.support.oracle import State, differences, quoted, sqlite_state


class Shop:
    """One SQLite file with its changelog; each command opens it anew, as a process of its own would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "target.db"
        self.log = folder / "log"
        self.log.mkdir()

    # ------------------------------------------------------------------ the application

    def sql(self, script: str) -> None:
        """What somebody else does to the database."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            connection.executescript(script)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query gives."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(query).fetchall()

    def stored(self, table: str) -> list[tuple[str, ...]]:
        """Every row, each value with its storage class: `integer 1` isn't `text '1'`, nor `real 1.0`."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            connection.text_factory = lambda text: text.decode(errors="surrogateescape")
            names = [quoted(r[0]) for r in connection.execute(f"SELECT name FROM pragma_table_info({quoted(table)})")]
            pairs = ", ".join(f"typeof({name}), {name}" for name in names)
            found = connection.execute(f"SELECT {pairs} FROM {quoted(table)}").fetchall()
        told = ["NULL" if value is None else repr(value) for row in found for value in row[1::2]]
        kinds = [str(kind) for row in found for kind in row[::2]]
        every = [f"{kind} {value}" for kind, value in zip(kinds, told, strict=True)]
        return sorted(tuple(every[n : n + len(names)]) for n in range(0, len(every), len(names)))

    def state(self) -> State:
        """Schema and rows, tagback's own left out."""
        return sqlite_state(self.file)

    def shelf(self) -> dict[str, int]:
        """Rows by place of the shelf."""
        places = self.rows("SELECT name FROM sqlite_schema WHERE name GLOB 'tagback_shelf_[0-9]*' ORDER BY name")
        found = {}
        for (place,) in places:
            ((count,),) = self.rows(f"SELECT count(*) FROM {place}")
            assert isinstance(count, int)
            found[str(place)] = count
        return found

    # ------------------------------------------------------------------ deployments

    def tag(self, name: str = "base") -> None:
        """Marks the present state."""
        with Target.open(f"sqlite:///{self.file}", create=True) as target:
            target.tag(name)

    def start(self, script: str) -> State:
        """The state at the tag `base`, made without tagback."""
        self.sql(script)
        self.tag()
        return self.state()

    def write(self, *changesets: str) -> None:
        """Adds changesets to the changelog."""
        for sql in changesets:
            (self.log / f"{len(list(self.log.iterdir())) + 1:03}_change.sql").write_text(sql)

    def apply(
        self,
        *changesets: str,
        tag: str | None = None,
        to: str | None = None,
        granular: bool = False,
        force: bool = False,
    ) -> Applied:
        """Deploys what is pending, with these as the next changesets."""
        self.write(*changesets)
        with Target.open(f"sqlite:///{self.file}", create=True) as target:
            return target.apply(self.log, ApplyOptions(tag=tag, to=to, granular=granular, allow_irreversible=force))

    def back(
        self, to: str = "base", on_conflict: OnConflict = OnConflict.KEEP, *, changeset: str | None = None
    ) -> RolledBack:
        """Goes back to a tag, or to the end of a changeset."""
        with Target.open(f"sqlite:///{self.file}") as target:
            options = RollbackOptions(
                to=None if changeset else to, to_changeset=changeset, on_conflict=OnConflict(on_conflict)
            )
            result = target.rollback(options)
        assert result.verified
        return result


def same(wanted: State, found: State) -> None:
    """Fails with what is different."""
    assert differences(wanted, found) == []


def with_rows(state: State, folder: Path, script: str) -> State:
    """This schema with the rows that the script makes in a database of its own, without tagback."""
    path = folder / "wanted.db"
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return State(state.schema, sqlite_state(path).rows)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty one."""
    return Shop(tmp_path)
