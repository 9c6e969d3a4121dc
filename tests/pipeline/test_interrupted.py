# ruff: noqa: E501 - pipeline files, a line for each step
"""Whatever comes in between - people, signals, failures side by side - a run ends in order, and can be gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.pipeline.conftest import AFTER, BEFORE, Folder

SLOW = "create table big (n); with recursive c(n) as (select 1 union all select n + 1 from c where n < 1e10) insert into big select max(n) from c;"


def steps(folder: Folder, *lines: str, group: str = "parallel: 2") -> None:
    """A pipeline that deploys to two databases; then a group of these steps."""
    folder.database("shop")
    text = 'name: both\ntargets:\n  shop: {url: "sqlite:///shop.db"}\n  stock: {url: "sqlite:///stock.db"}\nstages:\n'
    text += "  - {name: deploy, steps: [{name: schema, apply: {target: shop, changelog: shop}}]}\n"
    text += f"  - name: then\n    steps:\n      - name: group\n        {group}\n        steps:\n"
    folder.write("pipeline.yaml", text + "".join(f"          - {line}\n" for line in lines))


def until(folder: Folder, process: subprocess.Popen[str], event: str) -> str:
    """The run's id, once this was told."""
    path = folder.path / "events"
    while not path.exists() or event not in path.read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    found: str = json.loads(path.read_text().splitlines()[0])["run"]
    return found


def ended(process: subprocess.Popen[str], within: float = 60) -> dict[str, object]:
    out, err = process.communicate(timeout=within)
    assert "Traceback" not in err, err
    found: dict[str, object] = json.loads(out)
    return found


def test_what_ends_the_run_comes_before_trying_a_group_again(folder: Folder) -> None:
    steps(
        folder,
        '{name: again, run: {command: "false"}, on_failure: [{do: retry_group, times: 9, every: 1ms}]}',
        '{name: ends, run: {command: "sleep 1; false"}}',
    )
    done = folder.run()
    assert done.body["state"] == "rolled back", done.err
    assert folder.rows("shop") == BEFORE


def test_two_that_wait_side_by_side_are_both_heard(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGBACK_USER", "ann")
    steps(folder, "{name: first, approve: {by: [bob]}}", "{name: second, approve: {by: [bob]}}")
    process = folder.start("run", "--json", "--events", "events")
    run = until(folder, process, '"path":"then/group/second","text":"waits')
    until(folder, process, '"path":"then/group/first","text":"waits')
    monkeypatch.setenv("TAGBACK_USER", "bob")
    assert folder.call("pipeline", "approve", run, "first").exit == 0
    until(folder, process, '"event":"step_ended","path":"then/group/first"')
    assert folder.call("pipeline", "approve", run, "second").exit == 0
    assert ended(process)["state"] == "done"


def test_a_no_counts_for_the_attempt_that_it_was_said_to(folder: Folder) -> None:
    again = "on_failure: [{do: retry, errors: [approval_rejected], times: 1, every: 1ms}]"
    steps(folder, f"{{name: consent, approve: {{initiator: true}}, {again}}}")
    process = folder.start("run", "--json", "--events", "events")
    run = until(folder, process, '"path":"then/group/consent","text":"waits')
    assert folder.call("pipeline", "reject", run, "consent").exit == 0
    until(folder, process, '"path":"then/group/consent","kind":"approve","attempt":2')
    while folder.call("pipeline", "approve", run, "consent").exit:
        time.sleep(0.1)
    assert ended(process)["state"] == "done"


@pytest.mark.parametrize("options", [(), ("--rollback",)])
def test_a_run_with_a_living_runner_is_aborted_by_it(folder: Folder, options: tuple[str, ...]) -> None:
    steps(folder, "{name: long, wait: {for: 300s}}")
    process = folder.start("run", "--json", "--events", "events")
    run = until(folder, process, '"path":"then/group/long","text":"waiting')
    done = folder.call("pipeline", "abort", run, *options, env={**os.environ, "TAGBACK_USER": "eve"})
    assert done.exit == 0, done.err
    body = ended(process)
    assert body["state"] == ("rolled back" if options else "aborted")
    assert "eve aborted the run" in str(body["error"])
    assert folder.rows("shop") == (BEFORE if options else AFTER)


def test_a_run_that_is_stuck_tries_again_when_the_obstacle_is_gone(folder: Folder) -> None:
    steps(folder, '{name: bad, run: {command: "mv shop.db away.db; false"}}')
    done = folder.run()
    assert (done.exit, done.body["state"]) == (5, "stuck")
    again = folder.call("pipeline", "resume", done.body["run"], "--json")
    assert (again.exit, again.body["state"]) == (5, "stuck")
    (folder.path / "away.db").rename(folder.path / "shop.db")
    back = folder.call("pipeline", "resume", done.body["run"], "--json")
    assert (back.exit, back.body["state"], back.databases()) == (1, "rolled back", {"shop": "back"}), back.err
    assert back.body["failure"]["step"] == "then/group/bad"
    assert folder.rows("shop") == BEFORE
    assert folder.call("pipeline", "resume", done.body["run"], "--json").body["error"]["code"] == "run_over"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_leaves_a_run_that_goes_on(folder: Folder, number: signal.Signals) -> None:
    steps(folder, '{name: long, run: {command: "test -e mended || (echo $$ > pid; sleep 300)"}}')
    process = folder.start("run", "--json", "--events", "events")
    run = until(folder, process, '"path":"then/group/long"')
    while not (folder.path / "pid").exists() or not (folder.path / "pid").read_text():
        time.sleep(0.05)
    process.send_signal(number)
    body = ended(process)
    assert (body["exit_code"], process.returncode) == (130, 130)
    session = (folder.path / "pid").read_text().strip()
    shown = subprocess.run(["ps", "-o", "stat=", "-g", session], capture_output=True, text=True, check=False).stdout
    assert not [state for state in shown.split() if not state.startswith("Z")]
    assert folder.rows("shop") == AFTER
    folder.write("mended", "")
    assert folder.call("pipeline", "resume", run, "--json").body["state"] == "done"


def test_an_interrupted_deployment_is_undone_at_once_and_done_when_the_run_goes_on(folder: Folder) -> None:
    folder.write("stock/001_slow.sql", SLOW)
    steps(folder, "{name: slow, apply: {target: stock, changelog: stock}}")
    process = folder.start("run", "--json", "--events", "events")
    run = until(folder, process, '"event":"step_started","path":"then/group/slow"')
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert ended(process, 20)["exit_code"] == 130
    assert folder.rows("stock", "select name from sqlite_schema where name = 'big'") == []
    folder.write("stock/001_slow.sql", "create table big (n);")
    done = folder.call("pipeline", "resume", run, "--json")
    assert done.body["state"] == "done", done.err
    assert folder.rows("stock", "select name from sqlite_schema where name = 'big'") == [("big",)]


def test_a_deployment_beside_one_that_fails_is_ended(folder: Folder) -> None:
    folder.write("stock/001_slow.sql", SLOW)
    steps(
        folder,
        "{name: slow, apply: {target: stock, changelog: stock}}",
        '{name: bad, run: {command: "sleep 2; false"}}',
    )
    done = folder.run()
    assert done.body["state"] == "rolled back", done.err
    assert folder.rows("shop") == BEFORE
    assert folder.rows("stock", "select name from sqlite_schema where name = 'big'") == []


def test_a_deployment_that_takes_too_long_is_a_timeout(folder: Folder) -> None:
    folder.write("stock/001_slow.sql", SLOW)
    steps(folder, "{name: slow, timeout: 2s, apply: {target: stock, changelog: stock}}")
    done = folder.run()
    assert done.body["failure"]["error"]["type"] == "timeout", done.err
    assert folder.rows("shop") == BEFORE


@pytest.mark.parametrize("option", ["--events", "--junit", "--markdown"])
def test_a_report_that_cannot_be_written_is_told_before_anything_happens(folder: Folder, option: str) -> None:
    steps(folder, "{name: quick, wait: {for: 0}}")
    done = folder.run(option, "no/such/folder")
    assert (done.exit, done.body["error"]["code"]) == (2, "output")
    assert folder.rows("shop") == BEFORE
    assert not (folder.path / ".tagback").exists()


def test_a_plan_makes_no_database(folder: Folder) -> None:
    steps(folder, "{name: other, apply: {target: stock, changelog: shop}}")
    done = folder.call("pipeline", "plan")
    assert "2 pending" in done.out, done.err
    assert not (folder.path / "stock.db").exists()
