"""What is said to be done about a failure is done: inner before outer, by the failure's real type."""

from __future__ import annotations

import sqlite3
import subprocess
import time

import pytest

from tests.pipeline.conftest import AFTER, BEFORE, Folder
from tests.support.postgres import PostgresServer

BASE = """
name: shop
targets:
  shop: {url: "sqlite:///shop.db", lock_timeout: 1s}
  stock: {url: "sqlite:///stock.db"}
%(pipeline)s
stages:
  - name: first
    steps:
      - {name: stock, apply: {target: stock, changelog: stock}}
  - name: second
    %(stage)s
    steps:
      - name: group
        %(group)s
        steps:
          - {name: schema, apply: {target: shop, changelog: shop}}
          - name: fails
            %(step)s
            run: {command: "%(command)s"}
      - {name: behind, run: {command: "touch behind"}}
"""


@pytest.fixture
def two(folder: Folder) -> Folder:
    folder.database("shop")
    folder.database("stock")
    return folder


def pipeline(
    folder: Folder, *, step: str = "", group: str = "", stage: str = "", of_all: str = "", command: str = "false"
) -> None:
    parts = {"step": step, "group": group, "stage": stage, "pipeline": of_all}
    told = {k: f"on_failure: [{v}]" if v else "" for k, v in parts.items()}
    folder.write("pipeline.yaml", BASE % {**told, "command": command})


@pytest.mark.parametrize(
    ("strategy", "state", "shop", "stock", "behind"),
    [
        ("{do: ignore}", "done", "changed", "changed", True),
        ("{do: mark_success}", "done", "changed", "changed", True),
        ("{do: mark_failure}", "failed", "changed", "changed", False),
        ("{do: abort}", "aborted", "changed", "changed", False),
        ("{do: rollback_group}", "rolled back", "back", "changed", False),
        ("{do: rollback_stage}", "rolled back", "back", "changed", False),
        ("{do: rollback_pipeline}", "rolled back", "back", "back", False),
        ("{do: retry, times: 2, every: 10ms}", "rolled back", "back", "back", False),
        ("{do: retry_group, times: 2, every: 10ms}", "rolled back", "back", "back", False),
        ("{do: ignore, errors: [health, lock_timeout]}", "rolled back", "back", "back", False),
        ("{do: manual, timeout: 1s, then: ignore}", "done", "changed", "changed", True),
        ("{do: manual, timeout: 1s, then: abort}", "aborted", "changed", "changed", False),
    ],
)
@pytest.mark.parametrize("level", ["step", "stage"])
def test_a_strategy_does_what_it_says(
    two: Folder, strategy: str, state: str, shop: str, stock: str, behind: bool, level: str
) -> None:
    pipeline(two, **{level: strategy})
    done = two.run()
    assert done.body["state"] == state, done.err
    assert done.exit == (0 if state == "done" else 1)
    assert done.databases() == {"stock": stock, "shop": shop}
    assert two.rows("shop") == (BEFORE if shop == "back" else AFTER)
    assert two.rows("stock") == (BEFORE if stock == "back" else AFTER)
    assert (two.path / "behind").exists() is behind


def test_the_inner_one_comes_before_the_outer_one(two: Folder) -> None:
    pipeline(two, step="{do: retry, times: 1, every: 1ms}, {do: ignore, errors: [command]}", stage="{do: abort}")
    assert two.run().body["state"] == "done"
    pipeline(two, step="{do: ignore, errors: [http]}", group="{do: mark_success}", of_all="{do: abort}")
    assert two.run().body["state"] == "done"


def test_what_is_used_up_makes_way_for_the_next(two: Folder) -> None:
    again = "{do: retry_group, times: 2, every: 1ms}"
    pipeline(two, step=f"{again}, {{do: ignore}}", command="echo x >> tries; exit 1")
    done = two.run()
    assert done.body["state"] == "done", done.err
    assert len((two.path / "tries").read_text().splitlines()) == 3
    pipeline(two, step=again, stage="{do: mark_success}")
    assert two.run().body["state"] == "done"


def test_a_step_in_no_group_runs_its_stage_again(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml",
        """
name: again
stages:
  - name: one
    steps:
      - {name: first, run: {command: "echo x >> firsts"}}
      - {name: second, run: {command: "test $(wc -l < firsts) -ge 3"}, on_failure: [{do: retry_group, times: %s, every: 1ms}]}
""".replace("%s", "2"),
    )
    assert folder.run().body["state"] == "done"
    assert len((folder.path / "firsts").read_text().splitlines()) == 3
    folder.write("pipeline.yaml", (folder.path / "pipeline.yaml").read_text().replace("-ge 3", "-ge 9"))
    assert folder.run().body["state"] == "failed"


def test_a_retry_succeeds_at_last(two: Folder) -> None:
    pipeline(two, step="{do: retry, times: 5, every: 10ms}", command="echo x >> tries; test $(wc -l < tries) -ge 3")
    done = two.run()
    assert done.body["state"] == "done"
    assert next(s for s in done.body["steps"] if s["path"].endswith("fails"))["attempts"] == 3


def test_a_group_runs_again_and_deploys_once(two: Folder) -> None:
    pipeline(
        two, step="{do: retry_group, times: 5, every: 10ms}", command="echo x >> tries; test $(wc -l < tries) -ge 3"
    )
    done = two.run()
    assert done.body["state"] == "done", done.err
    assert two.rows("shop") == AFTER
    assert len(two.rows("shop", "select * from tagback_deployment where kind = 'apply'")) == 2


def test_a_locked_database_is_tried_again_until_it_is_free(two: Folder) -> None:
    holder = sqlite3.connect(two.path / "shop.db", check_same_thread=False)
    pipeline(two, group="{do: retry, errors: [lock_timeout], times: 20, every: 200ms, backoff: 1}", command="true")
    process = two.start("run", "--events", "events", "--json")
    holder.execute("begin immediate")
    try:
        while "lock_timeout" not in ((two.path / "events").read_text() if (two.path / "events").exists() else ""):
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        holder.rollback()
        holder.close()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert two.rows("shop") == AFTER


CAUSES = {
    "syntax": ("create tabel x (id int);", "syntax"),
    "constraint": ("insert into customer (id, name) values (1, 'again');", "constraint"),
    "data_loss": ("-- tagback: no-keep\ndelete from customer;", "data_loss"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_failures_of_changesets_have_their_types(two: Folder, cause: str) -> None:
    sql, kind = CAUSES[cause]
    two.write("shop/002_second.sql", sql)
    pipeline(two, command="true")
    done = two.run()
    assert done.body["failure"]["error"]["type"] == kind, done.err
    assert two.rows("shop") == two.rows("stock") == BEFORE


def test_a_changed_file_is_a_failure_of_its_checksum(two: Folder) -> None:
    two.write("shop/001_first.sql", "select 1;")
    pipeline(two, command="true")
    assert two.run().body["failure"]["error"]["type"] == "checksum"
    assert two.rows("stock") == BEFORE


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(two: Folder) -> None:
    pipeline(two, command="sleep 300 & echo $! > pid; wait")
    two.write(
        "pipeline.yaml",
        (two.path / "pipeline.yaml").read_text().replace("- name: fails", "- name: fails\n            timeout: 2s"),
    )
    done = two.run()
    assert (done.body["state"], done.body["failure"]["error"]["type"]) == ("rolled back", "timeout")
    pid = (two.path / "pid").read_text().strip()
    for _ in range(50):  # the kernel takes a moment
        shown = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
        if not shown.strip() or shown.strip().startswith("Z"):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} is still there: {shown}")


PG = """
name: pg
targets: {{db: {{url: "{url}"{more}}}}}
stages:
  - name: one
    steps:
      - name: schema
        {extra}
        apply: {{target: db, changelog: db}}
"""


def test_failures_of_a_server_have_their_types(folder: Folder, postgres_server: PostgresServer, pg_url: str) -> None:
    folder.write("db/001.sql", "create table t (id int primary key); insert into t values (1);")
    folder.write("pipeline.yaml", PG.format(url=pg_url, more="", extra=""))
    assert folder.run().exit == 0
    folder.write("db/002.sql", "alter table t add a int;")
    database = pg_url.rpartition("/")[2]
    with postgres_server.connect(database) as other:
        other.execute("begin")
        other.execute("lock table t")
        folder.write("pipeline.yaml", PG.format(url=pg_url, more=", lock_timeout: 100ms", extra="timeout: 60s"))
        locked = folder.run()
        assert locked.body["failure"]["error"]["type"] == "lock_timeout", locked.err
        folder.write("pipeline.yaml", PG.format(url=pg_url, more=", lock_timeout: 60s", extra="timeout: 2s"))
        assert folder.run().body["failure"]["error"]["type"] == "timeout"
        other.execute("rollback")
    folder.write("pipeline.yaml", PG.format(url=pg_url.replace(database, "no_such_db"), more="", extra=""))
    assert folder.run().body["failure"]["error"]["type"] == "connection"
    folder.write("db/002.sql", "select pg_terminate_backend(pg_backend_pid());")
    folder.write("pipeline.yaml", PG.format(url=pg_url, more="", extra=""))
    assert folder.run().body["failure"]["error"]["type"] == "connection"
