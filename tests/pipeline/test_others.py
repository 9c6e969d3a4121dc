# ruff: noqa: E501 - a query in one line
"""What somebody else deployed since is not the run's to take back: it says so, and leaves it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.pipeline.conftest import BEFORE, Folder
from tests.support import client

PIPELINE = """
name: others
targets:
  shop: {url: "sqlite:///shop.db"}
  stock: {url: "sqlite:///stock.db"}
stages:
  - name: one
    steps:
      - {name: stock, apply: {target: stock, changelog: stock}}
      - {name: shop, apply: {target: shop, changelog: shop, tag: v2}}
      - {name: theirs, run: {command: "PYTHON -m tagback --url sqlite:///shop.db apply --changelog theirs --tag v3"}}
      - {name: bad, STEP}
"""


@pytest.fixture
def others(folder: Folder) -> Folder:
    folder.database("shop")
    folder.database("stock")
    for number in ("001_first", "002_second"):
        folder.write(f"theirs/{number}.sql", (folder.path / f"shop/{number}.sql").read_text())
    folder.write("theirs/003_third.sql", "create table theirs (id integer primary key);")
    return folder


def pipeline(folder: Folder, step: str) -> None:
    folder.write("pipeline.yaml", PIPELINE.replace("PYTHON", sys.executable).replace("STEP", step))


def test_a_later_deployment_of_somebody_else_is_not_taken_back(others: Folder) -> None:
    pipeline(others, 'run: {command: "false"}')
    done = others.run(env={"PATH": "/usr/bin:/bin", "TAGBACK_USER": "ann"})
    assert (done.exit, done.body["state"]) == (5, "stuck"), done.err
    assert done.databases() == {"stock": "back", "shop": "not back"}
    detail = next(d["detail"] for d in done.body["databases"] if d["target"] == "shop")
    assert "Deployment 3 of ann, tagged v3, lies on the way back" in detail
    assert "tagback rollback --to v1" in detail
    assert others.rows("shop", "select name from sqlite_schema where name = 'theirs'") == [("theirs",)]
    assert others.rows("stock") == BEFORE
    # Somebody takes that one back: then nothing is in the way any more.
    assert others.call("--url", "sqlite:///shop.db", "rollback", "--to", "v2", "--yes").exit == 0
    again = others.call("pipeline", "resume", done.body["run"], "--json")
    assert again.databases() == {"stock": "back", "shop": "back"}
    assert others.rows("shop") == BEFORE


def test_a_rollback_step_to_the_runs_own_start_refuses_it_too(others: Folder) -> None:
    pipeline(others, "rollback: {target: shop}, on_failure: [{do: mark_failure, errors: [conflict]}]")
    done = others.run()
    assert (done.exit, done.body["state"]) == (1, "failed"), done.err
    assert done.body["failure"]["error"]["code"] == "deployed_since"
    assert others.rows("shop", "select name from sqlite_schema where name = 'theirs'") == [("theirs",)]


def test_a_rollback_step_to_a_named_place_takes_back_what_is_there(others: Folder) -> None:
    pipeline(others, "rollback: {target: shop, to: v1}")
    done = others.run()
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert others.rows("shop") == BEFORE


def test_a_step_does_not_wait_longer_for_others_than_it_may_take(folder: Folder, pg_url: str) -> None:
    folder.write("slow/001_slow.sql", "select pg_sleep(60);")
    folder.write("quick/001_quick.sql", "create table t (id int primary key);")
    folder.write(
        "pipeline.yaml",
        """
name: waits
variables: {url: ""}
targets: {shop: {url: "${{ variables.url }}", lock_wait: 50s}}
stages: [{name: one, steps: [{name: quick, timeout: 1s, apply: {target: shop, changelog: quick}}]}]
""",
    )
    other = subprocess.Popen(
        folder.command("--url", pg_url, "apply", "--changelog", "slow"), cwd=folder.path, stderr=subprocess.DEVNULL
    )
    try:
        while not client.run(pg_url, "select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()"):  # fmt: skip
            time.sleep(0.05)
        began = time.monotonic()
        done = folder.run("--var", f"url={pg_url}")
        assert time.monotonic() - began < 30
    finally:
        other.terminate()
        other.wait()
    assert done.body["failure"]["error"]["type"] == "timeout", done.err
    assert "it waited: The deployment lock" in done.body["error"]["message"]
