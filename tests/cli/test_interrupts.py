"""Ctrl-C and SIGTERM while a database is being changed: exit 130, and everything is as it was before."""

from __future__ import annotations

import json
import signal
import subprocess
import time

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
        time.sleep(1.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
        other.session.rollback()
        other.session.unlock()
    assert running.returncode == json.loads(out)["exit_code"] == 130, err
