# ruff: noqa: E501 - pipeline files, a line for each step
"""Commands and services may behave as they like: odd output, too much of it, redirects, bytes that trickle."""

from __future__ import annotations

import http.server
import json
import threading
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from typing import Any

import pytest

from tagback.pipeline.failures import TimeLimitError
from tagback.pipeline.request import ask
from tests.pipeline.conftest import Folder

ANSWERS = {
    "/half": b'{"a": "\\ud800\\uffff\\u0001"}',
    "/deep": b"[" * 100_000,
    "/nan": b'{"a": NaN}',
    "/nothing/api/v1/query": b'{"status": "success", "data": null}',
    "/list/api/v1/query": b'{"status": "success", "data": []}',
    "/text/api/v1/query": b'{"status": "success", "data": {"resultType": "string", "result": [1, "up"]}}',
    "/range/api/v1/query": b'{"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[1, "1"]]}]}}',
    "/value/api/v1/query": b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "NaN"]}}',
}


class Odd(http.server.BaseHTTPRequestHandler):
    """`/away` sends elsewhere, `/trickle` a byte now and then, `/cut` less than it said, `/bytes` no text."""

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/well")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = b"\xff\xfe" if self.path == "/bytes" else ANSWERS.get(self.path.partition("?")[0], b"well")
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


ODD_STEPS = """
name: odd
variables: {url: ""}
on_failure: [{do: ignore, errors: [health, http, command]}]
stages:
  - name: a
    steps:
      - {name: half, http: {method: GET, url: "${{ variables.url }}/half"}}
      - {name: again, run: {command: "echo ${{ steps.half.json.a }}"}}
      - {name: sees, check: {http: {url: "${{ variables.url }}/half", json: {"$.a": "x"}}}}
      - {name: deep, http: {method: GET, url: "${{ variables.url }}/deep"}}
      - {name: nan, http: {method: GET, url: "${{ variables.url }}/nan"}}
      - {name: nothing, check: {prometheus: {url: "${{ variables.url }}/nothing", query: up, expect: value > 1}}}
      - {name: list, check: {prometheus: {url: "${{ variables.url }}/list", query: up, expect: value > 1}}}
      - {name: text, check: {prometheus: {url: "${{ variables.url }}/text", query: up, expect: value > 1}}}
      - {name: range, check: {prometheus: {url: "${{ variables.url }}/range", query: up, expect: value > 1}}}
      - {name: value, check: {prometheus: {url: "${{ variables.url }}/value", query: up, expect: not value > 1}}}
      - {name: host, check: {tcp: {host: "a..b", port: 1}}}
      - {name: waits, timeout: 1s, approve: {message: "${{ steps.half.json.a }}"}, on_failure: [{do: ignore}]}
      - {name: last, run: {command: "true"}}
"""


def test_an_odd_answer_is_an_answer_and_reports_stay_readable(folder: Folder, odd: str) -> None:
    folder.write("pipeline.yaml", ODD_STEPS)
    done = folder.run("--var", f"url={odd}", "--junit", "j.xml", "--markdown", "m.md", "--events", "events")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err

    def no_number(name: str) -> None:
        raise AssertionError(name)

    steps = {s["path"][2:]: s for s in json.loads(done.out, parse_constant=no_number)["steps"]}
    assert steps["deep"]["outputs"]["json"] is None
    assert steps["nan"]["outputs"]["json"] is None
    assert {n: steps[n]["state"] for n in ("nothing", "list", "text", "range", "value")} == {
        "nothing": "ignored", "list": "ignored", "text": "ignored", "range": "ignored", "value": "done",
    }  # fmt: skip
    assert steps["range"]["error"]["message"] == "up: gives no value, but matrix"
    assert steps["host"]["error"]["type"] == "health"
    xml.parse(folder.path / "j.xml")
    last = json.loads((folder.path / "events").read_text().splitlines()[-1])
    assert last["event"] == "run_ended"


def test_slow_looks_are_judged_by_how_many_there_were(folder: Folder) -> None:
    """Time for 40 looks, of which 10 % may fail; but each takes half a second, and every other one fails."""
    folder.write("look", "sleep 0.5; test -e bad && rm bad || { touch bad; false; }")
    folder.write(
        "pipeline.yaml",
        "name: x\nstages: [{name: a, steps: [{name: b, check: {command: {run: sh look}, for: 2s, every: 50ms, fail_after: 10 %}}]}]\n",
    )
    done = folder.run()
    assert done.exit == 1, done.err
    assert "looks failed, more than 10 %" in done.body["error"]["message"]
