"""Commands and services may behave as they like: odd output, too much of it, redirects, bytes that trickle."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tagback.pipeline.failures import TimeLimitError
from tagback.pipeline.request import ask
from tests.pipeline.conftest import Folder


class Odd(http.server.BaseHTTPRequestHandler):
    """`/away` sends elsewhere, `/trickle` a byte now and then, `/cut` less than it said, `/bytes` no text."""

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/well")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = b"\xff\xfe" if self.path == "/bytes" else b"well"
        self.send_response(503 if self.path == "/cut" else 200)
        self.send_header("Content-Length", "9" if self.path in ("/trickle", "/cut") else str(len(content)))
        self.end_headers()
        if self.path == "/trickle":
            for _ in range(9):
                self.wfile.write(b".")
                time.sleep(0.3)
        elif self.path == "/cut":
            self.wfile.write(b"sorry")
            self.close_connection = True
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def odd() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_redirect_is_not_health(odd: str) -> None:
    assert ask("GET", f"{odd}/away", {}, None, 5).status == 302


def test_an_answer_that_trickles_in_is_too_late(odd: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimeLimitError):
        ask("GET", f"{odd}/trickle", {}, None, 1)
    assert time.monotonic() - started < 2


def test_a_status_is_an_answer_though_its_body_is_cut(odd: str) -> None:
    assert ask("GET", f"{odd}/cut", {}, None, 5).status == 503
    assert ask("GET", f"{odd}/bytes", {}, None, 5).text == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("command", "last"),
    [
        (r"printf 'caf\351\n'", r"caf\xe9"),
        ("head -c 20000000 /dev/zero | tr '\\\\0' x; echo; echo end", "end"),
        ("seq 3000", "3000"),
        (r"printf 'a\0b\033[31m'", "a\0b\033[31m"),
        ("(sleep 60 &) ; echo started", "started"),
    ],
)
def test_output_of_any_kind_is_no_failure(folder: Folder, command: str, last: str) -> None:
    folder.write("command.sh", command.replace("\\\\", "\\"))
    folder.write(
        "pipeline.yaml", "name: x\nstages: [{name: a, steps: [{name: b, run: {command: [sh, command.sh]}}]}]\n"
    )
    started = time.monotonic()
    done = folder.run("--junit", "out.xml", "--events", "events")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    outputs = done.body["steps"][0]["outputs"]
    assert outputs["last_line"] == last
    assert len(outputs["output"]) < 1_000_000
    assert "\033" not in done.err
    assert time.monotonic() - started < 50
