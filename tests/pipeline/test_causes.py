"""Every strategy meets every type of failure, each from its real cause: a lock, a deadlock, a refused password, a cut line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tagback.cli.run import run as program
from tests.pipeline.conftest import AFTER, BEFORE, Folder, Service
from tests.support.effort import Effort
from tests.support.postgres import PostgresServer
from tests.support.process import free_port

PIPELINE = """
name: causes
variables: {url: "", service: "", wait: 300ms}
targets:
  shop: {url: "sqlite:///shop.db"}
  stock: {url: "sqlite:///stock.db"}
  other: {url: "sqlite:///other.db", lock_timeout: 50ms, lock_wait: 200ms}
  server: {url: "${{ variables.url }}", lock_timeout: "${{ variables.wait }}"}
  strict: {url: "${{ variables.url }}", at_worst: free}
stages:
  - name: first
    steps:
      - {name: stock, apply: {target: stock, changelog: stock}}
  - name: second
    steps:
      - name: group
        steps:
          - {name: schema, apply: {target: shop, changelog: shop}}
          - {name: fails, on_failure: [%s], %s}
      - {name: behind, run: {command: "touch behind"}}
"""
APPLIED = "apply: {target: server, changelog: m}"
OTHER = "insert into customer values (9, 'Zoe')"


@dataclass
class Scene:
    """A folder with databases, and what makes the step fail until `heal` is called."""

    folder: Folder
    url: str
    database: str
    server: PostgresServer
    service: Service
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    heal: Callable[[], Any] = lambda: None
    wait: str = "300ms"

    def changelog(self, bad: str, good: str = "select 1;") -> str:
        self.folder.write("m/001_it.sql", bad)
        self.heal = lambda: self.folder.write("m/001_it.sql", good)
        return APPLIED

    def runs_that_wait(self) -> list[str]:
        try:
            with contextlib.closing(sqlite3.connect(self.folder.path / ".tagback" / "runs.db")) as runs:
                return [run for (run,) in runs.execute("select id from tagback_run where state = 'waiting'")]
        except sqlite3.OperationalError:  # not made yet
            return []

    def on_server(self, sql: str, database: str = "postgres") -> None:
        with self.server.connect(database) as connection:
            connection.execute(sql.encode())


def syntax(scene: Scene) -> str:
    return scene.changelog("create tabel t (id int);")


def constraint(scene: Scene) -> str:
    return scene.changelog("create table t (id int primary key); insert into t values (1), (1);")


def checksum(scene: Scene) -> str:
    scene.folder.write("m/001_it.sql", "create table t (id int);")
    assert scene.folder.call("--url", scene.url, "apply", "--changelog", "m").exit == 0
    return scene.changelog("create table t (id bigint);", "create table t (id int);")


def data_loss(scene: Scene) -> str:
    scene.folder.write("m/000_t.sql", "create table t (id int primary key); insert into t values (1);")
    assert scene.folder.call("--url", scene.url, "apply", "--changelog", "m").exit == 0
    return scene.changelog("-- tagback: no-keep\ndelete from t;")


def policy(scene: Scene) -> str:
    """A column of the target that may only be deployed to where nothing has to be kept."""
    scene.folder.write("m/000_t.sql", "create table t (id int primary key, a int); insert into t values (1, 1);")
    assert scene.folder.call("--url", scene.url, "apply", "--changelog", "m").exit == 0
    return scene.changelog("alter table t drop column a;").replace("server", "strict")


def lock_timeout(scene: Scene) -> str:
    scene.on_server("create table t (id int)", scene.database)
    other = scene.undo.enter_context(scene.server.connect(scene.database))
    other.execute("begin")
    other.execute("lock table t")
    scene.folder.write("m/001_it.sql", "alter table t add a int;")
    scene.heal = lambda: other.execute("rollback")
    return APPLIED


def lock_timeout_of_a_file(scene: Scene) -> str:
    holder = sqlite3.connect(scene.folder.path / "other.db", check_same_thread=False)
    scene.undo.callback(holder.close)
    holder.execute("begin immediate")
    scene.heal = holder.rollback
    return "tag: {target: other, name: marked}"


def deadlock(scene: Scene) -> str:
    """Whoever waits last finds the circle and is the victim: the deployment, for the other one is in its way already."""
    scene.on_server("create table a (id int); create table b (id int)", scene.database)
    over = threading.Event()

    def partner() -> None:
        with scene.server.connect(scene.database) as other:
            other.execute("set deadlock_timeout = '60s'")
            while not over.is_set():
                other.execute("begin")
                other.execute("lock table b in exclusive mode")
                while (
                    not over.is_set()
                    and not other.execute(
                        "select 1 from pg_locks where relation = 'a'::regclass and granted and mode = 'ExclusiveLock'"
                    ).fetchall()
                ):
                    time.sleep(0.01)
                if not over.is_set():
                    other.execute("lock table a in exclusive mode")
                other.execute("rollback")

    thread = threading.Thread(target=partner)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    scene.undo.callback(end)
    scene.heal = end
    scene.folder.write(
        "m/001_it.sql",
        "set local deadlock_timeout = '10ms'; lock table a in exclusive mode;"
        " select pg_sleep(0.2); lock table b in exclusive mode;",
    )
    scene.wait = "10s"
    return APPLIED


def connection(scene: Scene) -> str:
    return scene.changelog("select pg_terminate_backend(pg_backend_pid());")


def connection_refused(scene: Scene) -> str:
    """Nobody listens there, until somebody passes on what comes."""
    port = free_port()
    scene.url = scene.url.replace(f":{scene.server.port}/", f":{port}/")
    scene.folder.write("m/001_it.sql", "select 1;")

    def listen() -> None:
        line = socket.create_server(("127.0.0.1", port))
        scene.undo.callback(line.close)
        threading.Thread(target=pass_on, args=(line, scene.server.port), daemon=True).start()

    scene.heal = listen
    return APPLIED


def pass_on(line: socket.socket, port: int) -> None:
    """Connects whoever comes to the server's port, in both directions."""

    def one_way(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    with contextlib.ExitStack() as undo, contextlib.suppress(OSError):
        while True:
            near = undo.enter_context(line.accept()[0])
            far = undo.enter_context(socket.create_connection(("127.0.0.1", port)))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=one_way, args=pair, daemon=True).start()


def authentication(scene: Scene) -> str:
    """A role whose password is another one: the server's own rules ask for it."""
    role = f"guest_{scene.database}"
    rules = scene.server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    scene.on_server(f"create role {role} superuser login password 'another one'")
    rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
    scene.on_server("select pg_reload_conf()")

    def back() -> None:
        rules.write_text(before)
        scene.on_server("select pg_reload_conf()")

    scene.undo.callback(back)
    scene.url = scene.url.replace("postgres@", f"{role}:wrong-one@")
    scene.folder.write("m/001_it.sql", "select 1;")
    scene.heal = lambda: scene.on_server(f"alter role {role} password 'wrong-one'")
    return APPLIED


def authorization(scene: Scene) -> str:
    role = f"poor_{scene.database}"
    scene.on_server(f"create role {role} login")
    scene.url = scene.url.replace("postgres@", f"{role}@")
    scene.folder.write("m/001_it.sql", "select 1;")
    scene.heal = lambda: scene.on_server(f"alter role {role} superuser")
    return APPLIED


def drift(scene: Scene) -> str:
    scene.folder.sql("other", "create index by_hand on customer (name)")
    scene.heal = lambda: scene.folder.sql("other", "drop index by_hand")
    return "rollback: {target: other, to: v1}"


def conflict(scene: Scene) -> str:
    scene.folder.sql("other", "update customer set name = 'Later' where id = 1")
    scene.heal = lambda: scene.folder.sql("other", "update customer set name = 'ADA' where id = 1")
    return "rollback: {target: other, to: v1, on_conflict: fail}"


def verification(scene: Scene) -> str:
    scene.folder.sql("other", "create index by_hand on customer (name)")
    scene.heal = lambda: scene.folder.sql("other", "drop index by_hand")
    return "verify: {target: other}"


def health(scene: Scene) -> str:
    scene.service.status = 503
    scene.heal = lambda: setattr(scene.service, "status", 200)
    return 'check: {http: {url: "${{ variables.service }}/health"}}'


def http(scene: Scene) -> str:
    scene.service.status = 500
    scene.heal = lambda: setattr(scene.service, "status", 200)
    return 'http: {url: "${{ variables.service }}/hook"}'


def command(scene: Scene) -> str:
    scene.heal = lambda: scene.folder.write("mended", "")
    return 'run: {command: "test -e mended"}'


def timeout(scene: Scene) -> str:
    scene.heal = lambda: scene.folder.write("mended", "")
    return 'timeout: 300ms, run: {command: "test -e mended || exec sleep 60"}'


def timeout_of_a_statement(scene: Scene) -> str:
    return f"timeout: 1s, {scene.changelog('select pg_sleep(60);')}"


def interrupted(scene: Scene) -> str:
    return scene.changelog("select pg_cancel_backend(pg_backend_pid()); select pg_sleep(60);")


def approval_rejected(scene: Scene) -> str:
    """Somebody else says no; and yes once the cause is healed."""
    word = ["reject"]
    over = threading.Event()

    def person() -> None:
        while not over.wait(0.05):
            for run in scene.runs_that_wait():
                scene.folder.call("pipeline", word[0], run, "fails", env={**os.environ, "TAGBACK_USER": "bob"})

    thread = threading.Thread(target=person)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    scene.undo.callback(end)
    scene.heal = lambda: word.__setitem__(0, "approve")
    return "approve: {by: [bob]}"


def usage(scene: Scene) -> str:
    scene.heal = lambda: scene.folder.write("m/001_it.sql", "select 1;")
    return APPLIED  # there is no changelog m


def other(scene: Scene) -> str:
    return scene.changelog("select * from nowhere;")


CAUSES: dict[Callable[[Scene], str], str] = {
    syntax: "syntax",
    constraint: "constraint",
    checksum: "checksum",
    data_loss: "data_loss",
    policy: "policy",
    lock_timeout: "lock_timeout",
    lock_timeout_of_a_file: "lock_timeout",
    deadlock: "deadlock",
    connection: "connection",
    connection_refused: "connection",
    authentication: "authentication",
    authorization: "authorization",
    drift: "drift",
    conflict: "conflict",
    verification: "verification",
    health: "health",
    http: "http",
    command: "command",
    timeout: "timeout",
    timeout_of_a_statement: "timeout",
    interrupted: "interrupted",
    approval_rejected: "approval_rejected",
    usage: "usage",
    other: "other",
}
# What is done, how the run ends, and whether shop and stock are back.
STRATEGIES = {
    "": ("rolled back", True, True),
    "do: ignore": ("done", False, False),
    "do: mark_success": ("done", False, False),
    "do: mark_failure": ("failed", False, False),
    "do: abort": ("aborted", False, False),
    "do: manual, timeout: 50ms, then: ignore": ("done", False, False),
    "do: rollback_group": ("rolled back", True, False),
    "do: rollback_stage": ("rolled back", True, False),
    "do: rollback_pipeline": ("rolled back", True, True),
    "do: retry, times: 1, every: 1ms": ("rolled back", True, True),
    "do: retry_group, times: 1, every: 1ms": ("rolled back", True, True),
}
PAIRS = [(cause, strategy) for cause in CAUSES for strategy in STRATEGIES]
AGAIN = [(cause, again) for cause in CAUSES for again in ("retry", "retry_group")]
STRIDE = Effort.from_environment().cause_stride


def named(value: Callable[[Scene], str] | str) -> str:
    """A part of a case's name."""
    return value.__name__ if callable(value) else value.replace("do: ", "") or "nothing said"


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that every case begins with."""
    folder = Folder(tmp_path_factory.mktemp("causes"))
    for name in ("shop", "stock", "other"):
        folder.database(name)
    assert folder.call("--url", "sqlite:///other.db", "apply", "--changelog", "other", "--tag", "v2").exit == 0
    return folder.path


@pytest.fixture
def scene(
    databases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: Service,
    postgres_server: PostgresServer,
    pg_url: str,
) -> Iterator[Scene]:
    shutil.copytree(databases, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGBACK_USER", "ann")
    monkeypatch.setattr("tagback.deploy.turn._LONGEST_PAUSE", 0.01)  # between the deployment's own attempts
    found = Scene(Folder(tmp_path), pg_url, pg_url.rpartition("/")[2], postgres_server, service)
    with found.undo:
        yield found


def outcome(scene: Scene, step: str, strategy: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    text = PIPELINE % (f"{{{strategy}}}" if strategy else "", step)
    scene.folder.write("pipeline.yaml", text)
    variables = ("--var", f"url={scene.url}", "--var", f"service={scene.service.url}", "--var", f"wait={scene.wait}")
    capsys.readouterr()
    program(["pipeline", "run", *variables, "--events", "events", "--json"])
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    return body


@pytest.mark.slow
@pytest.mark.parametrize(("cause", "strategy"), PAIRS[::STRIDE], ids=named)
def test_each_strategy_is_followed_for_each_cause(
    scene: Scene, cause: Callable[[Scene], str], strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = CAUSES[cause]
    state, shop_back, stock_back = STRATEGIES[strategy]
    body = outcome(scene, cause(scene), f"{strategy}, errors: [{kind}]" if strategy else "", capsys)
    events = [json.loads(line) for line in (scene.folder.path / "events").read_text().splitlines()]
    types = {e["error_type"] for e in events if e["event"] == "strategy_chosen"}
    assert types == {kind}, events
    assert body["state"] == state, body
    assert scene.folder.rows("shop") == (BEFORE if shop_back else AFTER)
    assert scene.folder.rows("stock") == (BEFORE if stock_back else AFTER)
    assert (scene.folder.path / "behind").exists() is (state == "done")
    stands = {d["target"]: d["state"] for d in body["databases"]}
    assert stands["shop"] == ("back" if shop_back else "changed")
    assert stands["stock"] == ("back" if stock_back else "changed")


@pytest.mark.slow
@pytest.mark.parametrize(("cause", "again"), AGAIN[:: max(1, STRIDE - 1)], ids=named)
def test_trying_again_helps_once_the_cause_is_gone(
    scene: Scene, cause: Callable[[Scene], str], again: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step = cause(scene)
    path = scene.folder.path / "events"

    def heal() -> None:
        while not path.exists() or f'"do":"{again}"' not in path.read_text():
            time.sleep(0.02)
        scene.heal()

    healing = threading.Thread(target=heal, daemon=True)
    healing.start()
    body = outcome(scene, step, f"do: {again}, times: 9, every: 400ms, backoff: 1, errors: [{CAUSES[cause]}]", capsys)
    assert body["state"] == "done", body
    assert scene.folder.rows("shop") == scene.folder.rows("stock") == AFTER
    deployed = "select count(*) from tagback_deployment where kind = 'apply'"
    assert scene.folder.rows("shop", deployed) == scene.folder.rows("stock", deployed) == [(2,)]
