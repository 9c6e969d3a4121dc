"""The examples do what their README says, with a real service."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Folder, Service

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_service_that_the_release_breaks_gets_its_database_back(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "one-service", tmp_path / "example")
    folder = Folder(tmp_path / "example")
    url = ("--url", "sqlite:///shop.db")
    folder.call(*url, "apply", "--changelog", "migrations", "--to", "001_customers", "--tag", "v1")
    service = subprocess.Popen(
        [sys.executable, "service.py", "shop.db", "0"], cwd=folder.path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert service.stdout is not None
        address = service.stdout.readline().strip()
        done = folder.run("--var", f"service={address}")
    finally:
        service.kill()
        service.communicate()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    assert "503" in done.body["error"]["message"]
    assert folder.call(*url, "verify", "--tag", "v1").exit == 0
    with sqlite3.connect(folder.path / "shop.db") as connection:
        assert connection.execute("select * from customer").fetchall() == [(1, "Ada"), (2, "Bob"), (3, "Cyd")]
    connection.close()


def test_the_schema_for_editors_is_what_the_program_writes(folder: Folder) -> None:
    assert folder.call("pipeline", "schema").out == (EXAMPLES / "pipeline.schema.json").read_text()


def example(name: str, tmp_path: Path) -> Folder:
    shutil.copytree(EXAMPLES / name, tmp_path / "example")
    return Folder(tmp_path / "example")


def deployed(folder: Folder, url: str, changelog: str, to: str) -> None:
    done = folder.call("--url", url, "apply", "--changelog", changelog, "--to", to, "--tag", "v1")
    assert done.exit == 0, done.err


def stands_at(folder: Folder, url: str, tag: str) -> bool:
    return folder.call("--url", url, "verify", "--tag", tag).exit == 0


@pytest.mark.parametrize("fault", ["check", "stock", "none"])
def test_two_databases_of_different_engines_are_released_together_or_not(
    tmp_path: Path, pg_url: str, fault: str
) -> None:
    folder = example("two-databases", tmp_path)
    deployed(folder, "sqlite:///shop.db", "shop", "001_orders")
    deployed(folder, pg_url, "stock", "001_parts")
    if fault == "stock":
        folder.write(
            "stock/002_places.sql", "ALTER TABLE part ADD COLUMN place text; INSERT INTO part VALUES (1, 'again');"
        )
    if fault == "none":
        folder.write("stock/002_places.sql", "ALTER TABLE part ADD COLUMN place text NOT NULL DEFAULT 'north';")
    done = folder.run(env={**os.environ, "STOCK_URL": pg_url})
    assert done.body["state"] == ("done" if fault == "none" else "rolled back"), done.err
    if fault != "none":
        assert done.body["failure"]["error"]["type"] == ("health" if fault == "check" else "constraint")
    for url in ("sqlite:///shop.db", pg_url):
        assert stands_at(folder, url, "v2" if fault == "none" else "v1")


@pytest.mark.parametrize("healthy", [True, False])
def test_the_rest_is_touched_only_when_the_canary_is_well(tmp_path: Path, service: Service, healthy: bool) -> None:
    folder = example("canary", tmp_path)
    for name in ("north", "south", "west"):
        deployed(folder, f"sqlite:///{name}.db", "migrations", "001_customers")
    process = folder.start("run", "--json", "--var", f"service={service.url}", "--var", "soak=3s")
    while len(service.asked) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    service.status = 200 if healthy else 503  # it was well until now
    out, err = process.communicate(timeout=100)
    body = json.loads(out)
    assert body["state"] == ("done" if healthy else "rolled back"), err
    assert {d["target"] for d in body["databases"]} == ({"north", "south", "west"} if healthy else {"north"})
    for name in ("north", "south", "west"):
        assert stands_at(folder, f"sqlite:///{name}.db", "v2" if healthy else "v1")


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_production_waits_for_somebody_else(tmp_path: Path, word: str) -> None:
    folder = example("approval", tmp_path)
    for name in ("staging", "production"):
        deployed(folder, f"sqlite:///{name}.db", "migrations", "001_customers")
    process = folder.start("run", "--json", "--events", "events")
    while not (folder.path / "events").exists() or '"text":"waits' not in (folder.path / "events").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    run = json.loads((folder.path / "events").read_text().splitlines()[0])["run"]
    assert json.loads((folder.path / "preview.json").read_text())["changesets"]
    assert folder.call("pipeline", word, run, "consent", env={**os.environ, "TAGBACK_USER": "eve"}).exit == 3
    while folder.call("pipeline", word, run, "consent", env={**os.environ, "TAGBACK_USER": "ann"}).exit:
        time.sleep(0.1)
    out, err = process.communicate(timeout=100)
    assert json.loads(out)["state"] == ("done" if word == "approve" else "rolled back"), err
    for name in ("staging", "production"):
        assert stands_at(folder, f"sqlite:///{name}.db", "v2" if word == "approve" else "v1")


@pytest.mark.parametrize("fault", ["", "a mistake", "a change by hand"])
def test_what_comes_is_rehearsed_every_night(tmp_path: Path, fault: str) -> None:
    folder = example("nightly-rehearsal", tmp_path)
    deployed(folder, "sqlite:///production.db", "migrations", "001_customers")
    if fault == "a mistake":
        folder.write("migrations/003_mistake.sql", "ALTER TABLE custmer ADD COLUMN phone TEXT;")
    if fault == "a change by hand":
        with sqlite3.connect(folder.path / "production.db") as connection:
            connection.execute("CREATE INDEX by_hand ON customer (name)")
        connection.close()
    done = folder.run()
    if not fault:
        assert done.body["state"] == "done", done.err
        return
    assert done.exit != 0
    assert done.body["failure"]["error"]["type"] == ("verification" if fault == "a change by hand" else "other")
    assert ("003_mistake.sql:1:1" in done.out) == (fault == "a mistake")
    assert stands_at(folder, "sqlite:///production.db", "v1") == (fault != "a change by hand")


def test_a_rehearsal_ends_with_its_time(folder: Folder) -> None:
    folder.write(
        "m/001_slow.sql",
        "CREATE TABLE n AS WITH RECURSIVE c(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM c) SELECT a FROM c;",
    )
    folder.call("--url", "sqlite:///a.db", "apply", "--changelog", "m", "--to", "0")
    sqlite3.connect(folder.path / "a.db").executescript("CREATE TABLE t (a)")
    folder.write(
        "pipeline.yaml",
        """
name: slow
targets: {a: {url: "sqlite:///a.db"}}
stages:
  - name: one
    steps:
      - {name: slow, timeout: 2s, rehearse: {target: a, changelog: m}}
""",
    )
    began = time.monotonic()
    done = folder.run()
    assert done.body["failure"]["error"]["type"] == "timeout"
    assert time.monotonic() - began < 30
