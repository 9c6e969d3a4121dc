"""A runner may die anywhere: whoever goes on with the run ends it as if nothing had been, and deploys nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tagback.pipeline import commands
from tagback.pipeline.processes import identity, left_behind
from tests.pipeline.conftest import AFTER, BEFORE, Folder

TWO = """
name: both
targets:
  shop: {url: "sqlite:///shop.db"}
  stock: {url: "sqlite:///stock.db"}
stages:
  - name: deploy
    steps:
      - {name: shop, apply: {target: shop, changelog: shop, tag: v2}}
      - {name: stock, apply: {target: stock, changelog: stock, tag: v2}}
      - {name: app, run: {command: "echo deployed >> app.txt"}}
      - {name: soak, wait: {for: 300ms}}
      - {name: health, check: {sql: {target: shop, query: "select count(*) as n from customer", expect: "n %s"}}}
"""


def killed(folder: Folder, process: subprocess.Popen[str], when: str, also: float = 0.0) -> None:
    """Kills the runner once an event with this text was told, and some seconds later."""
    events = folder.path / "events"
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if events.exists() and when in events.read_text():
            time.sleep(also)
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def resumed(folder: Folder) -> dict[str, object]:
    """The newest run, taken to its end."""
    runs = json.loads(folder.call("pipeline", "list", "--json").out)["runs"]
    if not runs or runs[0]["state"] not in ("running", "waiting"):
        return runs[0] if runs else {}
    done = folder.call("pipeline", "resume", runs[0]["run"], "--json")
    found: dict[str, object] = done.body
    return found


MOMENTS = [
    f'"event":"{event}","path":"deploy/{step}"'
    for step in ("shop", "stock", "app", "soak", "health")
    for event in ("step_started", "step_ended")
]


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_whose_runner_was_killed_ends_as_if_undisturbed(folder: Folder, moment: str, healthy: bool) -> None:
    check_kill(folder, moment, random.Random(moment).uniform(0, 0.05), healthy=healthy)


def check_kill(folder: Folder, moment: str, later: float, *, healthy: bool) -> None:
    folder.database("shop")
    folder.database("stock")
    folder.write("pipeline.yaml", TWO % ("== 2" if healthy else "== 99"))
    killed(folder, folder.start("run", "--events", "events"), moment, later)
    body = resumed(folder)
    assert body["state"] == ("done" if healthy else "rolled back"), body
    for name in ("shop", "stock"):
        assert folder.rows(name) == (AFTER if healthy else BEFORE)
        deployed = folder.rows(
            name, "select count(*) from tagback_deployment where kind = 'apply' and outcome = 'done'"
        )
        assert deployed == [(2,)]
    assert len((folder.path / "app.txt").read_text().splitlines()) in (1, 2)  # a command that was cut off runs again


def test_a_runner_that_dies_while_taking_back_is_followed_by_one_that_does(folder: Folder) -> None:
    folder.database("shop")
    folder.database("stock")
    folder.write("pipeline.yaml", TWO % "== 99")
    killed(folder, folder.start("run", "--events", "events"), '"event":"going_back"')
    assert resumed(folder)["state"] == "rolled back"
    assert folder.rows("shop") == folder.rows("stock") == BEFORE


def test_two_runners_never_drive_one_run(folder: Folder) -> None:
    folder.write("pipeline.yaml", "name: long\nstages: [{name: one, steps: [{name: nap, wait: {for: 60s}}]}]\n")
    process = folder.start("run", "--events", "events")
    while not (folder.path / "events").exists() or "step_started" not in (folder.path / "events").read_text():
        time.sleep(0.05)
    (run,) = json.loads(folder.call("pipeline", "list", "--json").out)["runs"]
    second = folder.call("pipeline", "resume", run["run"], "--json")
    assert (second.exit, second.body["error"]["code"]) == (6, "run_taken")
    assert str(process.pid) in second.body["error"]["message"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert f"tagback pipeline resume {run['run']}" in err
    assert folder.call("pipeline", "abort", run["run"]).exit == 0
    assert folder.call("pipeline", "resume", run["run"], "--json").body["error"]["code"] == "run_over"


def test_an_aborted_run_takes_back_what_it_did_if_that_is_asked_for(folder: Folder) -> None:
    folder.database("shop")
    folder.database("stock")
    folder.write("pipeline.yaml", TWO.replace("300ms", "60s") % "== 2")
    killed(folder, folder.start("run", "--events", "events"), '"path":"deploy/soak"')
    assert folder.rows("shop") == AFTER
    (run,) = json.loads(folder.call("pipeline", "list", "--json").out)["runs"]
    done = folder.call("pipeline", "abort", "--rollback", run["run"], "--json")
    assert (done.exit, done.body["ok"]) == (0, True), done.err
    assert done.body["state"] == "rolled back"
    assert folder.rows("shop") == folder.rows("stock") == BEFORE


APPROVED = """
name: approved
variables: {third: cyd}
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: look, preview: {apply: {target: shop, changelog: shop}, file: preview.json}}
      - name: consent
        %s
        approve: {by: [ann, bob, "${{ variables.third }}"], count: 2, message: "release?"}
      - {name: schema, apply: {target: shop, changelog: shop}}
"""


def says(folder: Folder, who: str, word: str, run: str) -> int:
    return folder.call("pipeline", word, run, "consent", "--json", env={**os.environ, "TAGBACK_USER": who}).exit


def waiting(folder: Folder, process: subprocess.Popen[str]) -> str:
    """The run, once it waits."""
    while process.poll() is None:
        runs = json.loads(folder.call("pipeline", "list", "--json").out).get("runs")
        if runs and runs[0]["state"] == "waiting":
            return str(runs[0]["run"])
        time.sleep(0.1)
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("end", ["approve", "reject", "nobody"])
def test_nothing_is_deployed_before_enough_people_said_yes(
    folder: Folder, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGBACK_USER", "ann")
    folder.database("shop")
    folder.write("pipeline.yaml", APPROVED % ("timeout: 4s" if end == "nobody" else ""))
    process = folder.start("run", "--json")
    run = waiting(folder, process)
    assert json.loads((Path(folder.path) / "preview.json").read_text())["reversibility"] == "captured"
    if end != "nobody":
        assert says(folder, "eve", "approve", run) == 3
        assert says(folder, "ann", "approve", run) == 3  # started it
        assert says(folder, "bob", "approve", run) == 0
        assert says(folder, "bob", "approve", run) == 0  # counts once
        assert folder.rows("shop") == BEFORE
        assert says(folder, "cyd", end, run) == 0
    out, err = process.communicate(timeout=60)
    body = json.loads(out)
    if end == "approve":
        assert body["state"] == "done", err
        assert folder.rows("shop") == AFTER
    else:
        assert body["error"]["code"] == "approval_rejected", err
        assert folder.rows("shop") == BEFORE
    assert says(folder, "cyd", "approve", run) == 2


def test_a_person_decides_about_a_failure(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml",
        "name: odd\nstages: [{name: one, steps: [{name: bad, run: {command: 'test -e mended'}, on_failure: [{do: manual}]}]}]\n",
    )
    process = folder.start("run", "--json")
    run = waiting(folder, process)
    folder.write("mended", "")
    assert folder.call("pipeline", "decide", run, "bad", "retry").exit == 0
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["state"] == "done", err


def test_a_command_that_outlives_its_killed_runner_is_ended_before_it_runs_again(folder: Folder) -> None:
    text = "name: long\nstages: [{name: one, steps: [{name: app, run: {command: [sh, app.sh]}}]}]\n"
    folder.write("pipeline.yaml", text)
    # A second one beside it would find the lock and say so; ending takes it a moment.
    folder.write(
        "app.sh",
        "exec >/dev/null 2>&1  # nobody reads it any more, and a word would end it\n"
        "mkdir lock || { echo BESIDE >> app.txt; exit 0; }\n"
        "trap 'sleep 0.5; rmdir lock; echo ended >> app.txt; exit 1' TERM\n"
        "echo began >> app.txt\ntest -e quick && { rmdir lock; exit 0; }\nwhile :; do sleep 0.1; done\n",
    )
    process = folder.start("run", "--events", "events")
    while not (folder.path / "app.txt").exists():
        time.sleep(0.02)
    process.kill()
    process.communicate()
    folder.write("quick", "")
    body = resumed(folder)
    assert body["state"] == "done"
    assert (folder.path / "app.txt").read_text().split() == ["began", "ended", "began"]


def test_a_command_does_not_begin_without_its_runner(folder: Folder) -> None:
    """What was started and not yet noted waits for a word that never comes."""
    held = subprocess.run([*commands._HELD, "touch", "begun"], stdin=subprocess.DEVNULL, cwd=folder.path, check=False)
    assert held.returncode != 0
    assert not (folder.path / "begun").exists()


def test_an_aborted_run_leaves_no_command_at_work(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml", "name: x\nstages: [{name: a, steps: [{name: b, run: {command: echo $$ > pid; sleep 99}}]}]\n"
    )
    process = folder.start("run")
    while not (folder.path / "pid").exists() or not (folder.path / "pid").read_text():
        time.sleep(0.02)
    process.kill()
    process.communicate()
    (run,) = json.loads(folder.call("pipeline", "list", "--json").out)["runs"]
    pid = int((folder.path / "pid").read_text())
    assert left_behind(identity(pid))
    assert folder.call("pipeline", "abort", run["run"]).exit == 0
    assert not left_behind({**identity(pid), "pid": pid})


@pytest.mark.parametrize("do", ["retry", "retry_group"])
def test_retries_count_on_when_the_run_does(folder: Folder, do: str) -> None:
    folder.write(
        "pipeline.yaml",
        "name: x\nstages: [{name: a, steps: [{name: g, steps: [{name: b, run: {command: 'echo x >> tries; exit 1'},"
        f" on_failure: [{{do: {do}, times: 3, every: 700ms, backoff: 1, jitter: 0}}]}}]}}]}}]\n",
    )
    killed(folder, folder.start("run", "--events", "events"), "(2 of 3)")
    assert resumed(folder)["state"] == "failed"
    # The first and three more; the attempt that was cut off while it waited is made once.
    assert len((folder.path / "tries").read_text().splitlines()) == 4
