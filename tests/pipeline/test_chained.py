# ruff: noqa: E501 - pipeline files, a line for each step
"""A pipeline chains another one: its run is a part of the run, goes back with it, and goes on with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tagback.pipeline.processes import identity, left_behind
from tests.pipeline.conftest import AFTER, BEFORE, Folder

PARENT = """
name: release
variables: {version: v2}
targets: {stock: {url: "sqlite:///stock.db"}}
stages:
  - name: one
    steps:
      - {name: stock, apply: {target: stock, changelog: stock}}
      - name: service
        %(step)s
        pipeline: {file: service/pipeline.yaml, variables: {version: "${{ variables.version }}", soak: 50ms}}
      - {name: told, run: {command: "echo ${{ steps.service.steps.schema.tag }} > told"}}
      - {name: last, run: {command: "%(last)s"}}
"""
CHILD = """
name: service
variables: {version: none, soak: 1s}
secrets: {TOKEN: {file: token}}
targets: {db: {url: "sqlite:///shop.db"}}
stages:
  - name: deploy
    steps:
      - {name: schema, apply: {target: db, changelog: shop, tag: "${{ variables.version }}"}}
      - {name: app, run: {command: "echo ${{ secrets.TOKEN }} > app.txt; cat app.txt; %(app)s"}}
      - {name: soak, wait: {for: "${{ variables.soak }}"}}
      %(more)s
"""


@pytest.fixture
def both(folder: Folder) -> Folder:
    folder.database("stock")
    (folder.path / "service").mkdir()
    Folder(folder.path / "service").database("shop")
    folder.write("service/token", "s3cr3t-word")
    return folder


def pipelines(folder: Folder, *, app: str = "true", last: str = "true", step: str = "", more: str = "") -> None:
    folder.write("pipeline.yaml", PARENT % {"last": last, "step": step})
    folder.write("service/pipeline.yaml", CHILD % {"app": app, "more": more})


def shop(folder: Folder) -> list[tuple[object, ...]]:
    return folder.rows("service/shop")


def test_what_is_chained_runs_in_its_own_folder(both: Folder) -> None:
    pipelines(both)
    done = both.run("--junit", "out.xml", "--events", "events")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert shop(both) == both.rows("stock") == AFTER
    assert (both.path / "service/app.txt").exists()
    assert (both.path / "told").read_text() == "v2\n"
    assert [s["path"] for s in done.body["steps"]][:4] == [
        "one/stock",
        "one/service",
        "one/service/deploy/schema",
        "one/service/deploy/app",
    ]
    assert done.databases() == {"stock": "changed", "db": "changed"}
    stored = (both.path / ".tagback" / "runs.db").read_bytes().decode(errors="replace")
    for text in (done.out, done.err, stored, (both.path / "events").read_text()):
        assert "s3cr3t-word" not in text
    (run,) = json.loads(both.call("pipeline", "list", "--json").out)["runs"]
    assert "one/service/deploy/schema" in both.call("pipeline", "show", run["run"]).out


def test_what_fails_later_takes_it_back_too(both: Folder) -> None:
    pipelines(both, last="false")
    done = both.run()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    assert done.databases() == {"stock": "back", "db": "back"}
    assert shop(both) == both.rows("stock") == BEFORE


def test_what_fails_in_it_is_the_steps_failure_of_the_same_type(both: Folder) -> None:
    pipelines(both, app="false", step="on_failure: [{do: ignore, errors: [command]}]")
    done = both.run()
    assert done.body["state"] == "rolled back", done.err  # `told` has no value: the run of the service is not there
    pipelines(both, app="false", step="on_failure: [{do: abort, errors: [command]}]")
    done = both.run()
    assert (done.exit, done.body["state"]) == (1, "aborted"), done.err
    assert done.databases() == {"stock": "changed", "db": "back"}
    assert (shop(both), both.rows("stock")) == (BEFORE, AFTER)


def test_one_that_is_tried_again_has_a_run_of_its_own(both: Folder) -> None:
    again = "on_failure: [{do: retry, times: 3, every: 1ms}]"
    pipelines(both, app="echo x >> tries; test $(wc -l < tries) -ge 3", step=again)
    done = both.run()
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert shop(both) == AFTER
    assert len((both.path / "service/tries").read_text().splitlines()) == 3


def test_one_that_takes_too_long_goes_back(both: Folder) -> None:
    pipelines(both, app="sleep 60", step="timeout: 3s")
    began = time.monotonic()
    done = both.run()
    assert done.body["failure"]["error"]["type"] == "timeout", done.err
    assert done.databases() == {"stock": "back", "db": "back"}
    assert shop(both) == BEFORE
    assert time.monotonic() - began < 40


def until(folder: Folder, process: subprocess.Popen[str], event: str) -> str:
    path = folder.path / "events"
    while not path.exists() or event not in path.read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    found: str = json.loads(path.read_text().splitlines()[0])["run"]
    return found


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("moment", ["schema", "app", "soak", "service"])
def test_a_killed_runner_is_followed_by_one_that_goes_on_within_it(both: Folder, moment: str, good: bool) -> None:
    pipelines(both, last="true" if good else "false")
    process = both.start("run", "--events", "events")
    event = "step_ended" if moment == "service" else "step_started"
    path = "one/service" if moment == "service" else f"one/service/deploy/{moment}"
    run = until(both, process, f'"event":"{event}","path":"{path}"')
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = both.call("pipeline", "resume", run, "--json")
    if moment == "service" and done.exit == 2:  # it was faster than the signal
        assert done.body["error"]["code"] == "run_over"
        ((state,),) = both.rows(".tagback/runs", f"select state from tagback_run where id = '{run}'")
        assert state == ("done" if good else "rolled back")
    else:
        assert done.body["state"] == ("done" if good else "rolled back"), done.err
    assert shop(both) == both.rows("stock") == (AFTER if good else BEFORE)
    deployed = "select count(*) from tagback_deployment where kind = 'apply' and outcome = 'done'"
    assert both.rows("service/shop", deployed) == both.rows("stock", deployed) == [(2,)]


def test_it_is_gone_on_with_and_aborted_as_a_whole(both: Folder) -> None:
    pipelines(both, app="sleep 60")
    process = both.start("run", "--events", "events")
    run = until(both, process, '"event":"step_started","path":"one/service/deploy/app"')
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ids = both.rows(".tagback/runs", "select run from tagback_run_child")
    ((child,),) = ids
    refused = both.call("pipeline", "resume", child, "--json")
    assert (refused.exit, refused.body["error"]["code"]) == (2, "chained")
    done = both.call("pipeline", "abort", "--rollback", run, "--json")
    assert done.databases() == {"stock": "back", "db": "back"}, done.err
    assert shop(both) == both.rows("stock") == BEFORE
    assert both.rows(".tagback/runs", "select distinct state from tagback_run") == [("rolled back",)]


def test_a_step_in_it_is_approved_by_the_runs_own_name(both: Folder) -> None:
    pipelines(both, more="- {name: consent, approve: {by: [bob]}}")
    process = both.start("run", "--json", "--events", "events")
    run = until(both, process, '"path":"one/service/deploy/consent","text":"waits')
    said = both.call("pipeline", "approve", run, "consent", env={**os.environ, "TAGBACK_USER": "bob"})
    assert said.exit == 0, said.err
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["state"] == "done", err


def test_one_database_under_two_names_goes_back_once(both: Folder) -> None:
    pipelines(both, last="false")
    same = f"sqlite:///{both.path}/service/shop.db"
    text = (both.path / "pipeline.yaml").read_text()
    both.write("pipeline.yaml", text.replace("sqlite:///stock.db", same).replace("changelog: stock", "changelog: more"))
    for name in ("001_first", "002_second"):
        both.write(f"more/{name}.sql", (both.path / f"service/shop/{name}.sql").read_text())
    both.write("more/001_first.sql", (both.path / "service/shop/001_first.sql").read_text())
    both.write("service/shop/003_third.sql", "create table third (id integer primary key);")
    done = both.run()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    assert shop(both) == BEFORE


MISTAKES = [
    ("file: service/pipeline.yaml", "file: nowhere.yaml", "11:20", "There is no pipeline file nowhere.yaml"),
    ("file: service/pipeline.yaml", "file: pipeline.yaml", "11:20", "in a circle: pipeline.yaml -> pipeline.yaml"),
    ("file: service/pipeline.yaml", 'file: "${{ variables.version }}"', "11:20", "is a plain path"),
    ("soak: 50ms", "soaks: 50ms", "11:98", "has no variable soaks"),
    ("soak: 50ms", 'soak: "${{ secrets.K }}"', "11:98", "would keep a secret"),
]


@pytest.mark.parametrize(("old", "new", "place", "message"), MISTAKES)
def test_mistakes_in_the_chain_have_a_place(both: Folder, old: str, new: str, place: str, message: str) -> None:
    pipelines(both)
    text = (both.path / "pipeline.yaml").read_text().replace(old, new)
    both.write("pipeline.yaml", text + "secrets: {K: {env: K}}\n")
    error = both.call("pipeline", "validate", "--json").body["error"]
    assert message in error["message"], error
    assert f"{error['location']['line']}:{error['location']['column']}" == place


def test_a_longer_circle_and_a_mistake_further_down_are_found(both: Folder) -> None:
    pipelines(both, more="- {name: back, pipeline: {file: ../pipeline.yaml}}")
    error = both.call("pipeline", "validate", "--json").body["error"]
    assert "pipeline.yaml -> service/pipeline.yaml -> service/../pipeline.yaml" in error["message"]
    assert error["location"]["file"] == "service/pipeline.yaml"
    pipelines(both, more="- {name: bad, wait: {for: soon}}")
    error = both.call("pipeline", "validate", "--json").body["error"]
    assert (error["location"]["file"], error["location"]["line"]) == ("service/pipeline.yaml", 12)


CHANGES = [
    "echo 'name: [' > service/pipeline.yaml",
    "rm service/pipeline.yaml",
    "sed -i s/shop.db/other.db/ service/pipeline.yaml service/inner.yaml",
    "sed 's#file: inner.yaml#file: ../pipeline.yaml#' -i service/pipeline.yaml",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_chained_is_what_it_was_when_the_run_began(both: Folder, change: str) -> None:
    pipelines(both, more="- {name: inner, pipeline: {file: inner.yaml}}")
    text = (both.path / "pipeline.yaml").read_text()
    both.write("pipeline.yaml", text.replace("      - name: service\n", f'      - {{name: change, run: {{command: "{change}"}}}}\n      - name: service\n'))  # fmt: skip
    inner = 'name: inner\ntargets: {shop: {url: "sqlite:///shop.db"}}\nstages: [{name: a, steps: [{name: proof, verify: {target: shop, tag: v2}}]}]\n'
    both.write("service/inner.yaml", inner)
    done = both.run()
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert shop(both) == both.rows("stock") == AFTER
    assert not (both.path / "service/other.db").exists()


def test_a_plan_shows_what_is_chained(both: Folder) -> None:
    pipelines(both)
    told = both.call("pipeline", "plan")
    assert told.exit == 0, told.err
    assert told.out.count("alter table customer add column mail text") == 2
    assert both.rows("service/shop") == BEFORE


def test_a_signal_ends_what_is_at_work_in_it_and_leaves_a_run_that_goes_on(both: Folder) -> None:
    pipelines(both, app="test -e mended || { echo $$ > pid; exec sleep 300; }")
    process = both.start("run", "--json", "--events", "events")
    run = until(both, process, '"event":"step_started","path":"one/service/deploy/app"')
    while not (both.path / "service/pid").exists() or not (both.path / "service/pid").read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not left_behind(identity(int((both.path / "service/pid").read_text())))
    both.write("service/mended", "")
    done = both.call("pipeline", "resume", run, "--json")
    assert done.body["state"] == "done", done.err
    assert shop(both) == both.rows("stock") == AFTER


@pytest.mark.parametrize("options", [(), ("--rollback",)])
def test_a_living_runner_is_told_to_abort_all_of_it(both: Folder, options: tuple[str, ...]) -> None:
    pipelines(both, app="sleep 300")
    process = both.start("run", "--json", "--events", "events")
    run = until(both, process, '"event":"step_started","path":"one/service/deploy/app"')
    assert both.call("pipeline", "abort", run, *options).exit == 0
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["state"] == ("rolled back" if options else "aborted"), err
    assert shop(both) == both.rows("stock") == (BEFORE if options else AFTER)
    states = both.rows(".tagback/runs", "select distinct state from tagback_run")
    assert states == [("rolled back" if options else "aborted",)]


def test_a_part_that_is_stuck_is_hidden_by_no_strategy(both: Folder) -> None:
    pipelines(both, app="mv shop.db away.db; false", step="on_failure: [{do: ignore}]")
    done = both.run()
    assert (done.exit, done.body["state"]) == (5, "stuck"), done.err
    assert done.databases() == {"stock": "back", "db": "not back"}
    (both.path / "service/away.db").rename(both.path / "service/shop.db")
    again = both.call("pipeline", "resume", done.body["run"], "--json")
    assert again.databases() == {"stock": "back", "db": "back"}, again.err
    assert shop(both) == both.rows("stock") == BEFORE
