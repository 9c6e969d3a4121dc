"""The share of `make faults` that every test run does: errors everywhere on SQLite, samples of the rest."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import cast

import psycopg
import pytest

from tagback.deploy.target import Target
from tagback.engines.session import Session, StatementError
from tagback.errors import FailedError, StuckError
from tests.faults.campaign import Campaign, Row, remember
from tests.faults.ground import Ground, PostgresGround, SqliteGround
from tests.faults.injection import CALLS, QUIET, Counts, How, HurtSession
from tests.faults.scenarios import scenario, write
from tests.support.effort import Effort

pytestmark = pytest.mark.slow

POSTGRES_SAMPLE = 12  # times the stride of SQLite: a fault costs ten times as much


def tried(ground: Ground, name: str, how: How, folder: Path, stride: int = 1) -> Row:
    campaign = Campaign(ground, scenario(name), folder / "changelog")
    row = campaign.row(how, stride)
    campaign.close()
    assert row.points > 0
    return row


def test_every_call_that_can_fail_is_counted() -> None:
    methods = {name for name, _ in inspect.getmembers(Session, inspect.isfunction) if not name.startswith("_")}
    assert methods == CALLS | QUIET | {"run_each", "run_steps"}


@pytest.mark.parametrize("name", ["deploy", "rollback"])
@pytest.mark.parametrize(("how", "stride"), [(How.REFUSED, 1), (How.DISK, 3), (How.FULL, 1)], ids=str)
def test_an_error_anywhere_ends_at_the_start_or_the_end(
    files: SqliteGround, tmp_path: Path, name: str, how: How, stride: int
) -> None:
    row = tried(files, name, how, tmp_path, stride)
    assert row.stuck == []
    assert row.at_start + row.at_end == row.points


@pytest.mark.parametrize("name", ["first", "deploy", "overwrite", "rollback", "inside", "redo", "move"])
@pytest.mark.parametrize("how", [How.KILLED, How.KILLED_SOMETIME, How.SIGNALLED], ids=lambda h: h.name)
def test_a_kill_or_an_interrupt_ends_at_the_start_or_the_end(
    files: SqliteGround, tmp_path: Path, effort: Effort, name: str, how: How
) -> None:
    assert tried(files, name, how, tmp_path, 2 * effort.fault_stride).stuck == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("deploy", How.REFUSED),
        ("overwrite", How.KILLED_DURING),
        ("rollback", How.KILLED),
        ("rollback", How.TERMINATED),
        ("dropped", How.KILLED),
        ("home", How.REFUSED),
        ("journaled", How.CUT),
        ("journaled", How.EXCEPTION),
        ("undone", How.SIGNALLED),
        ("undone", How.KILLED_TWICE),
    ],
    ids=lambda v: v.name if isinstance(v, How) else v,
)
def test_a_fault_on_a_server_ends_at_the_start_or_the_end(
    databases: PostgresGround, tmp_path: Path, effort: Effort, name: str, how: How
) -> None:
    assert tried(databases, name, how, tmp_path, POSTGRES_SAMPLE * effort.fault_stride).stuck == []


def test_an_interrupt_after_the_last_commit_leaves_schema_and_ledger_agreed(
    databases: PostgresGround, tmp_path: Path
) -> None:
    """The undo of a deployment in parts must notice that the deployment had ended."""
    campaign = Campaign(databases, scenario("journaled"), tmp_path / "changelog")
    last = campaign.clean.counts.calls
    row = campaign.row(How.EXCEPTION, last, last - 1)
    campaign.close()
    assert (row.points, row.at_end, row.stuck) == (1, 1, [])


def test_a_ledger_that_disagrees_is_found_out(files: SqliteGround, tmp_path: Path) -> None:
    """The judge itself: a run that leaves half of its work must count as stuck."""
    import sqlite3

    from tests.faults.campaign import After
    from tests.faults.injection import Fault
    from tests.faults.scenarios import Scenario

    honest = scenario("deploy")

    def half(target: Target, folder: Path) -> object:
        if (folder / "half").exists():
            path = target.session.place
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS half (i)")
            raise FailedError("as before, it says")
        return honest.act(target, folder)

    campaign = Campaign(
        files, Scenario("half", "half", ("sqlite",), honest.prepare, half, honest.files), tmp_path / "changelog"
    )
    (tmp_path / "changelog" / "half").touch()
    row = Row("sqlite", "half", "half", How.KILLED)
    campaign.one(row, Fault(How.REFUSED, 10_000), After.RECOVER)
    assert len(row.stuck) == 1
    assert "table half: left behind" in row.stuck[0]


def test_what_a_transaction_gave_up_is_no_touch_and_what_it_committed_is_one(databases: PostgresGround) -> None:
    """The shortcut of the judge: only what certainly left nothing may count as the start."""
    name = databases.empty()
    moment = databases.moment()
    with psycopg.connect(databases.url(name)) as connection:
        connection.execute("CREATE TABLE t (i integer); SAVEPOINT s; INSERT INTO t VALUES (1); RELEASE s")
        connection.rollback()
        assert databases.untouched_since(moment)
        connection.execute("COMMENT ON SCHEMA public IS 'touched'")
        connection.commit()
        assert not databases.untouched_since(moment)
    databases.drop(name)


def test_an_undo_that_cannot_begin_says_that_a_person_is_needed(databases: PostgresGround, tmp_path: Path) -> None:
    """Exit 1 would say that the database is as it was before."""

    class RollbackRefused(HurtSession):
        failed = False

        def run(self, sql: str) -> None:
            try:
                self._real.run(sql)
            except StatementError:
                self.failed = True
                raise

        def rollback(self) -> None:
            if self.failed:
                self.failed = False
                self._be_refused()
            self._real.rollback()

    undone = scenario("undone")
    folder, name = tmp_path / "changelog", databases.empty()
    write(folder, undone.files("postgresql"))
    with Target.open(databases.url(name)) as target:
        undone.prepare(target, folder)
        before = remember(target)
        real = target.session
        target.session = cast(Session, RollbackRefused(real, None, Counts()))
        with pytest.raises(StuckError):
            undone.act(target, folder)
        target.session = real
        target.recover()
        assert remember(target) == before
    databases.drop(name)
