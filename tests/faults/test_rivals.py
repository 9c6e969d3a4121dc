"""Two runners at one database, clients that die while the server works, and waits that are called off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import TagbackError, UnreachableError
from tests.faults.campaign import remember
from tests.faults.scenarios import scenario, write

pytestmark = pytest.mark.slow

SLOW = {
    "sqlite": "INSERT INTO busy WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    " SELECT i FROM n;\n",
    "postgresql": "SELECT pg_sleep({seconds});\n",
}


def slow(engine: str, seconds: float) -> str:
    """A statement that takes at least about so long."""
    return SLOW[engine].format(rows=round(seconds * 1_000_000), seconds=seconds)


@pytest.fixture
def engine(target_url: str) -> str:
    return target_url.partition(":")[0]


@pytest.fixture
def changelog(tmp_path: Path, engine: str) -> Path:
    """A changelog whose second changeset works for a while."""
    folder = tmp_path / "m"
    write(folder, {"001_a.sql": "CREATE TABLE busy (i INTEGER);\n", "002_b.sql": slow(engine, 1.5)})
    return folder


def start(url: str, changelog: Path, *more: str) -> subprocess.Popen[str]:
    """`tagback apply` as a process of its own."""
    command = [sys.executable, "-m", "tagback", "--url", url, "apply", "--changelog", str(changelog), "--json", "-v"]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until_it_works(process: subprocess.Popen[str]) -> None:
    """Waits until the run is in its slow statement: everything before it takes some milliseconds."""
    assert process.stderr is not None
    for line in process.stderr:
        if "schema read" in line:
            time.sleep(1)
            return
    raise AssertionError(f"ended with {process.wait()} before it began")


def test_of_two_runners_one_deploys_and_the_other_finds_nothing_to_do(
    target_url: str, changelog: Path, running: list[subprocess.Popen[str]]
) -> None:
    running += [start(target_url, changelog) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], answers
    with Target.open(target_url) as target:
        assert [d.changesets for d in target.history()] == [("001_a", "002_b")]
        assert target.verify().equal


def test_a_runner_that_does_not_wait_is_told_that_the_lock_is_taken(
    target_url: str, changelog: Path, engine: str, running: list[subprocess.Popen[str]]
) -> None:
    (changelog / "002_b.sql").write_text(slow(engine, 30))
    Target.open(target_url, create=True).close()
    running.append(start(target_url, changelog))
    until_it_works(running[0])
    with Target.open(target_url) as target, pytest.raises(UnreachableError) as refusal:
        target.apply(changelog, ApplyOptions(lock_wait=0.2))
    assert (refusal.value.exit_code, refusal.value.code) == (6, "lock_timeout")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_deployment_in_parts_is_undone_when_it_is_interrupted(
    pg_url: str, tmp_path: Path, running: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    """CREATE INDEX CONCURRENTLY waits for an old transaction meanwhile; parts before it have committed."""
    folder = tmp_path / "m"
    write(folder, {"001_a.sql": "CREATE TABLE a (i INTEGER);\nCREATE TABLE other (i INTEGER);\n"})
    with Target.open(pg_url) as target:
        target.apply(folder, ApplyOptions(tag="r1"))
        before = remember(target)
        write(
            folder,
            {
                "002_b.sql": "ALTER TABLE a ADD COLUMN j INTEGER;\n",
                "003_c.sql": "CREATE INDEX CONCURRENTLY n ON a (i);\n",
            },
        )
        with psycopg.connect(pg_url) as old:
            old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            old.execute("SELECT FROM other")
            running.append(start(pg_url, folder))
            until_it_works(running[0])
            running[0].send_signal(number)
            out, err = running[0].communicate(timeout=30)
            old.rollback()
        assert running[0].returncode == 130, (out, err)
        assert remember(target) == before


def test_the_next_run_waits_for_the_statement_of_a_dead_client(
    pg_url: str, tmp_path: Path, running: list[subprocess.Popen[str]]
) -> None:
    """Killing a client does not stop its statement on the server: the lock stays until it ends."""
    folder = tmp_path / "m"
    write(folder, {"001_a.sql": "CREATE TABLE a (i INTEGER);\n", "002_b.sql": "SELECT pg_sleep(2.5);\n"})
    running.append(start(pg_url, folder))
    until_it_works(running[0])
    os.kill(running[0].pid, signal.SIGKILL)
    running[0].communicate()
    (folder / "002_b.sql").write_text("SELECT 1;\n")
    with Target.open(pg_url) as target:
        with pytest.raises(UnreachableError, match="not free"):
            target.apply(folder, ApplyOptions(lock_wait=0))
        applied = target.apply(folder, ApplyOptions(lock_wait=5))
        assert applied.changesets == ("001_a", "002_b")
        assert target.verify().equal


def test_a_cancelled_deployment_leaves_the_database_as_it_was(target_url: str, changelog: Path, engine: str) -> None:
    write(changelog, {"002_b.sql": slow(engine, 60)})
    with Target.open(target_url, create=True) as target:
        before = remember(target)
        timer = threading.Timer(1, target.session.cancel)
        timer.start()
        with pytest.raises(TagbackError) as error:
            target.apply(changelog)
        timer.join()
        assert error.value.code in ("cancelled", "interrupted")
        assert remember(target) == before
        write(changelog, {"002_b.sql": "SELECT 1;\n"})
        assert target.apply(changelog, ApplyOptions(lock_wait=1)).changesets == ("001_a", "002_b")


def test_of_two_that_roll_back_one_does_and_the_other_finds_nothing_to_undo(
    target_url: str, tmp_path: Path, engine: str
) -> None:
    of = scenario("rollback")
    folder = tmp_path / "m"
    write(folder, of.files(engine))
    with Target.open(target_url, create=True) as target:
        of.prepare(target, folder)
    results: list[object] = []

    def roll_back() -> None:
        with Target.open(target_url) as target:
            results.append(target.rollback(RollbackOptions(to="r1")).deployments)

    threads = [threading.Thread(target=roll_back) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["()", "(3, 2)"]
    with Target.open(target_url) as target:
        assert target.verify("r1").equal
