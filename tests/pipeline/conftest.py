"""A folder with pipelines, changelogs and SQLite databases, and a real HTTP service whose health can be changed."""

from __future__ import annotations

import http.server
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIRST = "create table customer (id integer primary key, name text); insert into customer values (1, 'Ada'), (2, 'Bob');"
SECOND = "alter table customer add column mail text; update customer set name = upper(name);"


@dataclass(frozen=True, slots=True)
class Result:
    """What one call gave."""

    exit: int
    out: str
    err: str

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert found["exit_code"] == self.exit
        return found

    def states(self) -> dict[str, str]:
        """How each step stands."""
        return {s["path"].rpartition("/")[2]: s["state"] for s in self.body["steps"]}

    def databases(self) -> dict[str, str]:
        """How each database stands that was changed."""
        return {d["target"]: d["state"] for d in self.body["databases"]}


class Folder:
    """`write` puts a file, `run` calls the program there as a process of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def database(self, name: str) -> None:
        """A database `NAME.db` with two customers at tag v1, and a second changeset that is pending."""
        self.write(f"{name}/001_first.sql", FIRST)
        done = self.call("--url", f"sqlite:///{name}.db", "apply", "--changelog", name, "--tag", "v1")
        assert done.exit == 0, done.err
        self.write(f"{name}/002_second.sql", SECOND)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tagback", *arguments]

    def call(self, *arguments: str, **more: Any) -> Result:
        done = subprocess.run(
            self.command(*arguments), cwd=self.path, capture_output=True, text=True, check=False, timeout=120, **more
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, **more: Any) -> Result:
        return self.call("pipeline", "run", *arguments, "--json", **more)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("pipeline", *arguments),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, name: str, query: str = "select * from customer order by id") -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path / f"{name}.db") as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found

    def sql(self, name: str, script: str) -> None:
        with sqlite3.connect(self.path / f"{name}.db") as connection:
            connection.executescript(script)
        connection.close()


BEFORE = [(1, "Ada"), (2, "Bob")]
AFTER = [(1, "ADA", None), (2, "BOB", None)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class Service:
    """An HTTP service: `/health` answers with `status` and `body`; what was asked is noted."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = {"state": "ok", "parts": [{"name": "db", "up": True}]}
        self.asked: list[tuple[str, str, str]] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                service.asked.append((self.command, self.path, self.rfile.read(length).decode()))
                content = json.dumps(service.body).encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()
