"""Runs kept in PostgreSQL: the same as in a file, and for runners on several hosts."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tagback.pipeline.control import Control
from tests.pipeline.conftest import AFTER, BEFORE, Folder

PIPELINE = """
name: shop
control: CONTROL
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: schema, apply: {target: shop, changelog: shop}}
      - {name: app, run: {command: "echo x >> tries; test -e go"}, on_failure: [{do: retry, times: 2, every: 300ms, backoff: 1}]}
      - {name: consent, approve: {initiator: true}}
      - {name: last, run: {command: "LAST"}}
"""


@pytest.fixture
def shop(folder: Folder, pg_url: str) -> Folder:
    folder.database("shop")
    folder.write("pipeline.yaml", PIPELINE.replace("CONTROL", pg_url))
    return folder


@pytest.mark.parametrize("last", ["true", "false"])
def test_a_run_kept_in_postgresql_is_killed_gone_on_with_and_approved(shop: Folder, last: str) -> None:
    shop.write("pipeline.yaml", (shop.path / "pipeline.yaml").read_text().replace("LAST", last))
    process = shop.start("run", "--events", "events")
    while not (shop.path / "tries").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (shop.path / ".tagback").exists()
    (run,) = json.loads(shop.call("pipeline", "list", "--json").out)["runs"]
    shop.write("go", "")
    other = shop.start("resume", run["run"], "--json")
    while shop.call("pipeline", "approve", run["run"], "consent").exit:
        assert other.poll() is None, other.communicate()
        time.sleep(0.1)
    out, err = other.communicate(timeout=60)
    body = json.loads(out)
    assert body["state"] == ("done" if last == "true" else "rolled back"), err
    assert shop.rows("shop") == (AFTER if last == "true" else BEFORE)
    shown = json.loads(shop.call("pipeline", "show", run["run"], "--json").out)
    assert [s["path"] for s in shown["steps"]] == ["one/schema", "one/app", "one/consent", "one/last"]


def test_a_second_runner_is_refused_there_too(shop: Folder) -> None:
    shop.write("pipeline.yaml", (shop.path / "pipeline.yaml").read_text().replace("LAST", "true"))
    shop.write("go", "")
    process = shop.start("run", "--events", "events")
    while not (shop.path / "events").exists() or "waits for 1 approval" not in (shop.path / "events").read_text():
        time.sleep(0.05)
    (run,) = json.loads(shop.call("pipeline", "list", "--json").out)["runs"]
    second = shop.call("pipeline", "resume", run["run"], "--json")
    assert (second.exit, second.body["error"]["code"]) == (6, "run_taken")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert shop.call("pipeline", "abort", "--rollback", run["run"], "--json").body["state"] == "rolled back"
    assert shop.rows("shop") == BEFORE


def test_a_run_whose_notes_are_lost_says_how_the_databases_stand(folder: Folder) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml",
        """
name: lost
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: schema, apply: {target: shop, changelog: shop}}
      - {name: lose, run: {command: "test -e lost || { touch lost; mv .tagback gone; }"}}
""",
    )
    done = folder.run()
    assert (done.exit, done.body["error"]["code"]) == (6, "unreachable"), done.err
    assert "stops, for the control database fails it" in done.body["error"]["message"]
    assert "what it changed stands: shop, which stood at v1." in done.body["error"]["hint"]
    (folder.path / "gone").rename(folder.path / ".tagback")
    run = done.body["error"]["message"].split()[1]
    assert folder.call("pipeline", "resume", run, "--json").databases() == {"shop": "changed"}
    assert folder.rows("shop") == AFTER


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_control_database_of_an_earlier_version_gets_what_it_lacks(
    engine: str, request: pytest.FixtureRequest, tmp_path: object
) -> None:
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgres": "pg_url"}[engine])
    with Control.open(url, create=True) as control:
        for table in ("run_retry", "run_child", "run_chained"):
            control._session.begin()
            control._session.execute(f"DROP TABLE {{{table}}}")
            control._session.commit()
    with Control.open(url) as control:
        assert control.retries("x") == {}
        assert control.children("x") == []
        assert control.chained_text("x", "a/b") is None
