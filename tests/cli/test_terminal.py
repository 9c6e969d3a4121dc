"""What people see: colour and questions on a terminal, plain text elsewhere; and outputs that go away."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping

import pytest

from tests.cli.conftest import Project

CTRL_C, END_OF_INPUT = "\x03", "\x04"


def on_a_terminal(
    project: Project, *arguments: str, answer: str = "", environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Runs the program on a terminal of its own; gives its exit status and all that it showed."""
    leader, follower = pty.openpty()
    try:
        running = subprocess.Popen(
            project.command(*arguments),
            cwd=project.folder,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **(environment or {})},
        )
        os.close(follower)
        shown, answered, deadline = b"", False, time.monotonic() + 60
        while time.monotonic() < deadline:
            ready, _, _ = select.select([leader], [], [], 0.1)
            if ready:
                try:
                    part = os.read(leader, 65536)
                except OSError:  # Linux tells the end of a terminal so
                    break
                shown += part
            if answer and not answered and b"Go back?" in shown:
                if answer == CTRL_C:
                    time.sleep(0.5)  # Python would sleep over a signal that comes just before it waits for input
                    running.send_signal(signal.SIGINT)
                else:
                    os.write(leader, answer.encode())
                answered = True
        return running.wait(timeout=10), shown.decode()
    finally:
        os.close(leader)


@pytest.fixture
def deployed(shop: Project) -> Project:
    shop.apply("--tag", "r2")
    return shop


@pytest.fixture
def sqlite_deployed(sqlite_project: Project) -> Project:
    sqlite_project.write("001_a.sql", "create table a (id integer primary key);")
    sqlite_project.apply("--tag", "r1")
    sqlite_project.write("002_b.sql", "create table b (id integer primary key);")
    sqlite_project.apply("--tag", "r2")
    return sqlite_project


def test_rollback_shows_the_plan_and_asks(deployed: Project) -> None:
    exit_code, shown = on_a_terminal(deployed, "rollback", "--to", "r1", answer="y\n")
    assert exit_code == 0
    assert shown.index("DROP TABLE") < shown.index("Go back?") < shown.index("verified:")
    assert deployed.json("status").body["tag"] == "r1"


@pytest.mark.parametrize("answer", ["n\n", "\n", END_OF_INPUT, CTRL_C], ids=["no", "return", "end of input", "ctrl-c"])
def test_without_a_yes_nothing_is_touched(sqlite_deployed: Project, answer: str) -> None:
    before = sqlite_deployed.schema()
    exit_code, shown = on_a_terminal(sqlite_deployed, "rollback", "--to", "r1", answer=answer)
    assert exit_code == (130 if answer in (END_OF_INPUT, CTRL_C) else 2)
    assert "nothing was touched" in shown
    assert sqlite_deployed.schema() == before
    assert sqlite_deployed.json("status").body["tag"] == "r2"


def test_a_place_that_is_reached_already_needs_no_question(sqlite_deployed: Project) -> None:
    exit_code, shown = on_a_terminal(sqlite_deployed, "rollback", "--to", "r2")
    assert exit_code == 0
    assert "Nothing to undo" in shown


def test_there_is_colour_on_a_terminal_unless_it_is_not_wanted(sqlite_deployed: Project) -> None:
    for command in (["tags"], ["status"], ["history"], ["verify"]):
        _, coloured = on_a_terminal(sqlite_deployed, *command)
        _, plain = on_a_terminal(sqlite_deployed, *command, environment={"NO_COLOR": "1"})
        assert "\x1b[" in coloured
        assert "\x1b[" not in plain
        assert "r2" in plain


def test_no_colour_and_no_moving_line_where_it_is_not_a_terminal(deployed: Project) -> None:
    told = deployed.run("rollback", "--to", "r1", "--yes")
    assert "\x1b" not in told.out + told.err
    assert told.err == ""
    assert "= tag r1" in told.out


def test_a_long_statement_is_seen_to_go_on(sqlite_project: Project) -> None:
    columns = ", ".join(f"column_number_{n}" for n in range(20))
    sqlite_project.write("001_a.sql", f"create table a ({columns});")
    (line,) = (
        line
        for line in sqlite_project.run("apply", "--changelog", "m", "--dry-run").out.splitlines()
        if "create" in line
    )
    assert line.partition("  [")[0].endswith("…")


def test_a_line_for_each_changeset_by_wish(shop: Project) -> None:
    told = shop.run("apply", "--changelog", "m", "-v")
    assert "[1/1] 002_places" in told.err


def test_a_name_can_not_steer_the_terminal(sqlite_project: Project) -> None:
    sqlite_project.write("001_a.sql", 'create table "red \x1b[31m" (id integer primary key);')
    sqlite_project.json("tag", "r0")
    told = sqlite_project.run("apply", "--changelog", "m")
    assert told.exit == 0
    assert "\x1b" not in told.out
    for command in (["diff", "r0", "live"], ["rollback", "--to", "r0", "--dry-run"]):
        told = sqlite_project.run(*command)
        assert "\x1b" not in told.out
        assert "red \\x1b[31m" in told.out


def test_the_exit_status_tells_the_truth_when_nobody_reads_the_output(sqlite_deployed: Project) -> None:
    for arguments, status in ((["history"], 0), (["diff", "r1", "live"], 4), (["tag", "x", "--json"], 0)):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            sqlite_deployed.command(*arguments),
            cwd=sqlite_deployed.folder,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        assert done.returncode == status
        assert "Traceback" not in done.stderr
        assert "Broken" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_under_the_output_is_told(sqlite_deployed: Project) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            sqlite_deployed.command("history"),
            cwd=sqlite_deployed.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 0
    assert b"can't be written" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_output_that_knows_only_ascii_is_no_obstacle(sqlite_deployed: Project) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for arguments in (["status"], ["history"], ["verify"], ["apply", "--changelog", "m"]):
        done = subprocess.run(
            sqlite_deployed.command(*arguments),
            cwd=sqlite_deployed.folder,
            capture_output=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_defect_is_a_sentence_and_a_traceback_only_by_wish(
    sqlite_deployed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("postgresql://u:secret@h/db went wrong")

    monkeypatch.setattr("tagback.deploy.target.Target.history", broken)
    result = sqlite_deployed.json("history")
    assert (result.exit, result.error["code"]) == (1, "internal")
    assert "ValueError" in result.error["message"]
    assert "report" in result.error["hint"]
    assert "secret" not in result.out + result.err
