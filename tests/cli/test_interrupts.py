"""Ctrl-C and SIGTERM while a database is being changed: exit 130, and everything is as it was before."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Project

# Some minutes of work in one statement that the server can be asked to stop.
LONG = {
    True: "insert into busy with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000)"
    " select i from n;",
    False: "select pg_sleep(300);",
}


@pytest.fixture
def busy(project: Project) -> Project:
    """A changeset that has changed the schema and then works for minutes."""
    project.write("001_a.sql", "create table a (id integer primary key);")
    project.apply("--tag", "r1")
    project.write("002_busy.sql", f"create table busy (i integer);\n{LONG[project.is_sqlite]}")
    return project


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a failing test has started would write a billion rows."""
    started: list[subprocess.Popen[str]] = []
    start = Project.start

    def remembered(project: Project, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        started.append(start(project, *arguments, **options))
        return started[-1]

    monkeypatch.setattr(Project, "start", remembered)
    yield
    for process in started:
        process.kill()
        process.communicate()


def signals_are_handled(process: subprocess.Popen[str]) -> bool:
    """Whether it has come to its handler of SIGTERM, as the system tells it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught & 1 << signal.SIGTERM - 1)


def interrupt(running: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """Sends the signal once the long statement runs; it must end long before the statement would."""
    assert running.stderr is not None
    seen = ""
    while "schema read" not in seen:
        seen += running.stderr.readline()
    time.sleep(0.5)
    assert running.poll() is None
    running.send_signal(number)
    return running.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_an_interrupted_deployment_leaves_the_database_as_it_was(busy: Project, number: signal.Signals) -> None:
    before = busy.schema(), busy.json("status").body
    running = busy.start("apply", "--changelog", "m", "-v", "--json")
    out, err = interrupt(running, number)
    body = json.loads(out)
    assert running.returncode == body["exit_code"] == 130, err
    assert body["error"]["code"] == "interrupted"
    assert "verified" in body["error"]["message"]
    assert "Traceback" not in err
    assert (busy.schema(), busy.json("status").body) == before


def test_the_lock_is_free_after_an_interrupt(busy: Project) -> None:
    running = busy.start("apply", "--changelog", "m", "-v")
    interrupt(running, signal.SIGINT)
    assert running.returncode == 130
    busy.write("002_busy.sql", "create table busy (i integer);")
    assert busy.json("apply", "--changelog", "m", "--lock-wait", "1").exit == 0


def test_waiting_for_the_lock_can_be_interrupted(busy: Project) -> None:
    from tagback.deploy.target import Target

    with Target.open(busy.url) as other:
        other.session.lock(0)
        other.session.begin()
        running = busy.start("apply", "--changelog", "m", "--json")
        while not signals_are_handled(running):
            time.sleep(0.05)
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
        other.session.rollback()
        other.session.unlock()
    assert running.returncode == json.loads(out)["exit_code"] == 130, err


@pytest.fixture
def in_parts(sqlite_project: Project, pg_url: str) -> Project:
    """A deployment whose first part has committed when its second one begins to work for minutes."""
    project = sqlite_project
    project.url = pg_url
    project.write("001_a.sql", "create table a (id integer primary key);")
    project.apply("--tag", "r1")
    project.write("002_parts.sql", "-- no-transaction\ncreate table parts (i integer);\nselect pg_sleep(300);\n")
    return project


def first_part_done(project: Project, running: subprocess.Popen[str]) -> None:
    """Waits until the long statement runs."""
    while not project.sql("select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"):
        assert running.poll() is None
        time.sleep(0.05)
    assert project.sql("select count(*) from parts") == [(0,)]


def test_an_interrupted_deployment_in_parts_is_taken_back(in_parts: Project) -> None:
    before = in_parts.schema()
    running = in_parts.start("apply", "--changelog", "m", "--json")
    first_part_done(in_parts, running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "verified" in json.loads(out)["error"]["message"]
    assert in_parts.schema() == before
    assert in_parts.json("verify").exit == 0


def killed(project: Project) -> None:
    """Ends the process in the middle of its second part, and what it left on the server."""
    running = project.start("apply", "--changelog", "m", "--json")
    first_part_done(project, running)
    running.kill()
    running.communicate(timeout=10)
    project.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'")


def test_a_killed_deployment_is_taken_back_by_the_next_run(in_parts: Project) -> None:
    before = in_parts.schema()
    killed(in_parts)
    assert in_parts.json("status").body["interrupted"] == [2]
    body = in_parts.json("recover").body
    assert (body["deployments"], body["tag"]) == ([2], "r1")
    assert in_parts.schema() == before


def test_what_was_written_to_a_killed_deployments_first_part_is_kept(in_parts: Project) -> None:
    before = in_parts.schema()
    killed(in_parts)
    in_parts.sql("insert into parts values (1)")
    assert in_parts.json("recover").body["deployments"] == [2]
    assert in_parts.schema() == before
    ((place, rows, state),) = in_parts.sql("select kept::json ->> 'place', row_count, state from tagback.shelf")
    assert (rows, state) == (1, "kept")
    assert in_parts.sql(f"select v0 from tagback.{place}") == [(1,)]


def test_a_killed_deployment_that_can_not_be_taken_back_without_loss_needs_a_person(in_parts: Project) -> None:
    in_parts.write(
        "002_parts.sql",
        "-- no-transaction\nalter table a alter id type bigint;\ncreate table parts (i integer);\nselect pg_sleep(300);\n",
    )
    killed(in_parts)
    in_parts.sql("insert into a values (5000000000)")
    for command in (["recover"], ["apply", "--changelog", "m"], ["rollback", "--to", "r1", "--yes"]):
        result = in_parts.json(*command)
        assert (result.exit, result.error["code"]) == (5, "stuck")
        assert "column id of table" in result.error["message"]
        assert "recover" in result.error["hint"]
    assert in_parts.sql("select id from a") == [(5000000000,)]
    in_parts.sql("delete from a")
    assert in_parts.json("recover").body["deployments"] == [2]
