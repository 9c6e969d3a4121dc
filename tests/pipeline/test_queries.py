# ruff: noqa: E501 - pipeline files, a line for each step
"""Checks ask every engine, write nothing, and compare with what was before, also when another runner goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tagback.engines import first_row
from tagback.engines.session import StatementError
from tests.pipeline.conftest import Folder
from tests.support import client

ENGINES = ["sqlite", "postgresql", "mariadb"]
TABLE = "CREATE TABLE sale (id INTEGER PRIMARY KEY, amount DECIMAL(10, 2), at TIMESTAMP DEFAULT '2024-01-01 10:00:00')"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each engine with two sales."""
    fixtures = {"postgresql": "pg_url", "mariadb": "mariadb_url"}
    name = fixtures.get(request.param)
    found = str(request.getfixturevalue(name)) if name else f"sqlite:///{tmp_path / 'shop.db'}"
    client.write(found, f"{TABLE}; INSERT INTO sale (id, amount) VALUES (1, 1.50), (2, 2.25)")
    return found


def test_a_query_sees_and_writes_nothing(url: str) -> None:
    assert first_row(url, "SELECT count(*) AS n, 'ö % %s' AS text, NULL AS void FROM sale", 5) == {
        "n": 2,
        "text": "ö % %s",
        "void": None,
    }
    assert first_row(url, "SELECT id FROM sale WHERE id > 9", 5) == {}
    for sql in (
        "DELETE FROM sale",
        "COMMIT; DELETE FROM sale; SELECT 1 AS n",
        "DROP TABLE sale",
        "CREATE TABLE other (id INTEGER)",
        "SELEC 1",
    ):
        with pytest.raises(StatementError):
            first_row(url, sql, 5)
    assert len(client.rows(url, "SELECT id FROM sale")) == 2


def test_a_query_ends_with_its_time(url: str) -> None:
    slow = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    if url.startswith("mariadb"):
        slow = "SELECT sleep(60)"
    began = time.monotonic()
    with pytest.raises(StatementError):
        first_row(url, slow, 0.5)
    assert time.monotonic() - began < 20


LATER = """
name: later
variables: {url: ""}
targets: {shop: {url: "${{ variables.url }}"}}
stages:
  - name: one
    steps:
      - {name: before, check: {sql: {target: shop, query: "SELECT sum(amount) AS s, max(at) AS m FROM sale", expect: "s == 3.75"}}}
      - {name: meanwhile, run: {command: "test -e mended || { touch begun; exec sleep 60; }"}}
      - {name: after, check: {sql: {target: shop, query: "SELECT sum(amount) AS s, max(at) AS m FROM sale", expect: "s >= before.s + 1 and m >= before.m"}, baseline: before}}
"""


def test_values_from_before_are_compared_with_by_a_later_runner(folder: Folder, url: str) -> None:
    folder.write("pipeline.yaml", LATER)
    process = folder.start("run", "--var", f"url={url}")
    while not (folder.path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder.write("mended", "")
    client.write(url, "INSERT INTO sale (id, amount) VALUES (3, 1)")
    run = json.loads(folder.call("pipeline", "list", "--json").out)["runs"][0]["run"]
    done = folder.call("pipeline", "resume", run, "--json")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert done.body["steps"][-1]["outputs"]["values"]["s"] == 4.75


def test_a_query_without_a_row_is_no_health(folder: Folder, url: str) -> None:
    folder.write(
        "pipeline.yaml",
        """
name: none
variables: {url: ""}
targets: {shop: {url: "${{ variables.url }}"}}
stages: [{name: one, steps: [{name: look, check: {sql: {target: shop, query: "SELECT id FROM sale WHERE id = 9", expect: "id == 9"}}}]}]
""",
    )
    done = folder.run("--var", f"url={url}")
    assert done.body["failure"]["error"]["type"] == "health", done.err
    assert "id == 9: the query has no row" in done.body["error"]["message"]
