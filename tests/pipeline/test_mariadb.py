"""MariaDB commits statement by statement: what a step's end cuts off has to come back whole, whatever was said of failures."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from tests.pipeline.conftest import Folder
from tests.support import client
from tests.support.mariadb import MariadbServer

PIPELINE = """
name: late
variables: {url: ""}
targets: {shop: {url: "${{ variables.url }}", lock_timeout: 1s}}
stages:
  - name: one
    steps:
      - {name: schema, TIMEOUT, on_failure: [{do: ignore}], apply: {target: shop, changelog: m}}
      - {name: end, run: {command: "true"}}
"""
MANY = (
    "CREATE TABLE many (id INT PRIMARY KEY, a VARCHAR(50));"
    "INSERT INTO many SELECT seq, concat('some text of row ', seq) FROM seq_1_to_30000;"
)


@pytest.fixture
def shop(folder: Folder, mariadb_url: str) -> Folder:
    folder.write("m/001_first.sql", MANY)
    assert folder.call("--url", mariadb_url, "apply", "--changelog", "m", "--tag", "v1").exit == 0
    return folder


def test_the_end_of_a_steps_time_leaves_the_way_back_alone(shop: Folder, mariadb_url: str) -> None:
    shop.write(
        "m/002_late.sql",
        "ALTER TABLE many DROP COLUMN a, ADD COLUMN c INT; UPDATE many SET c = id; INSERT INTO many SELECT sleep(60), 0;",
    )
    shop.write("pipeline.yaml", PIPELINE.replace("TIMEOUT", "timeout: 6s"))
    done = shop.run("--var", f"url={mariadb_url}")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert done.body["steps"][0]["error"]["type"] == "timeout", done.err
    assert done.databases() == {"shop": "unchanged"}
    assert shop.call("--url", mariadb_url, "verify", "--tag", "v1").exit == 0
    assert client.rows(mariadb_url, "SELECT count(*), count(a) FROM many") == [(30000, 30000)]


@contextlib.contextmanager
def held(server: MariadbServer, url: str) -> Iterator[None]:
    """A connection that reads the table in a transaction once the column is there: nobody can alter it until it ends."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {url.rpartition('/')[2]}")
        while not cursor.execute("SHOW COLUMNS FROM many LIKE 'c'"):
            time.sleep(0.05)
        connection.begin()
        cursor.execute("SELECT count(*) FROM many")
        yield
        connection.rollback()


@pytest.mark.slow
def test_a_database_between_start_and_end_can_not_be_ignored(
    shop: Folder, mariadb_server: MariadbServer, mariadb_url: str
) -> None:
    shop.write(
        "m/002_late.sql",
        "ALTER TABLE many ADD COLUMN c INT; CREATE TABLE n AS SELECT sleep(3) AS s; SELECT * FROM none;",
    )
    shop.write("pipeline.yaml", PIPELINE.replace("TIMEOUT, ", ""))
    process = shop.start("run", "--var", f"url={mariadb_url}", "--json", "--events", "events")
    with held(mariadb_server, mariadb_url):
        while not (shop.path / "events").exists() or "strategy_chosen" not in (shop.path / "events").read_text():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
    out, err = process.communicate(timeout=120)
    body = json.loads(out)
    assert (body["exit_code"], body["state"]) == (1, "rolled back"), err
    assert "neither at its start nor at its end" in err
    assert shop.call("--url", mariadb_url, "verify", "--tag", "v1").exit == 0
