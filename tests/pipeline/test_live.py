"""On a terminal a run is a tree that moves; elsewhere it is lines."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass

import pytest

from tests.pipeline.conftest import Folder, Service

UP = "\x1b[1A\x1b[2K"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a terminal was sent. `frames` are what stood there one after the other, without colours."""

    exit: int
    text: str

    @property
    def frames(self) -> list[str]:
        bare = re.sub(r"\x1b\[(?:\d+(?:;\d+)*)?m|\x1b\[\?25[lh]", "", self.text)
        return re.split(rf"\r\x1b\[2K(?:{re.escape(UP)})*", bare)


def on_a_terminal(folder: Folder, *arguments: str, rows: int = 24, interrupt: str = "") -> Seen:
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
    process = subprocess.Popen(
        folder.command("pipeline", *arguments),
        cwd=folder.path,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": str(rows)},
    )
    os.close(follower)
    shown, deadline = b"", time.monotonic() + 90
    try:
        while time.monotonic() < deadline:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    shown += os.read(leader, 65536)
                except OSError:  # Linux tells the end of a terminal so
                    break
            if interrupt and interrupt.encode() in shown:
                process.send_signal(signal.SIGINT)
                interrupt = ""
        return Seen(process.wait(timeout=10), shown.decode())
    finally:
        os.close(leader)


WATCHED = """
name: shop
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: deploy
    steps:
      - {name: schema, apply: {target: shop, changelog: shop}}
  - name: watch
    steps:
      - name: health
        check: {http: {url: "URL/health"}, for: 2s, every: 200ms}
      - {name: last, run: {command: "echo the end"}}
"""


def test_the_tree_shows_times_the_checks_last_values_and_whether_there_is_a_way_back(
    folder: Folder, service: Service
) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", WATCHED.replace("URL", service.url))
    seen = on_a_terminal(folder, "run")
    assert seen.exit == 0, seen.text
    watched = next(f for f in seen.frames if "back to the start" in f)
    assert re.search(r"deploy\r?\n  ✓ schema  apply  [\d.]+ m?s\r?\n", watched), watched
    assert re.search(r"▸ health  check  [\d.]+ m?s\r?\n +http://.*/health: 200 in .* to go; 0 of \d+ failed", watched)
    assert "back to the start without loss? shop: yes" in watched
    assert "· last  run" in watched  # what comes is there, too
    *_, last = seen.frames
    assert "✓ last  run" in last
    assert seen.text.count("\x1b[?25l") == seen.text.count("\x1b[?25h")  # the cursor is back


def test_what_is_waited_for_is_shown_and_an_interrupt_gives_the_terminal_back(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml",
        "name: x\nstages: [{name: a, steps: [{name: ok, approve: {by: [bob]}}]}]\n",
    )
    seen = on_a_terminal(folder, "run", interrupt="waits for 1 approval")
    assert seen.exit == 130, seen.text
    assert re.search(r"waits for 1 approval of bob, not \S+: tagback pipeline approve", seen.text)
    assert seen.text.count("\x1b[?25l") == seen.text.count("\x1b[?25h")
    assert "resume" in seen.text


def test_a_long_tree_keeps_to_the_terminals_height(folder: Folder) -> None:
    steps = "".join(f"      - {{name: s{n}, run: {{command: sleep 0.05}}}}\n" for n in range(30))
    folder.write("pipeline.yaml", f"name: long\nstages:\n  - name: one\n    steps:\n{steps}")
    seen = on_a_terminal(folder, "run", rows=12)
    assert seen.exit == 0, seen.text
    moving = [f for f in seen.frames if "▸" in f]
    assert moving
    assert all(len(f.strip().splitlines()) <= 12 for f in moving)
    assert "✓ s0 " in seen.frames[-1]
    assert "✓ s29 " in seen.frames[-1]  # at the end all of it


@pytest.mark.parametrize("how", ["lines", "events"])
def test_elsewhere_there_are_lines(folder: Folder, how: str) -> None:
    folder.write("pipeline.yaml", "name: x\nstages: [{name: a, steps: [{name: w, wait: {for: 0}}]}]\n")
    done = folder.call("pipeline", "run", *(("--events", "-") if how == "events" else ()))
    assert "\x1b" not in done.out + done.err
    assert ("✓ w" in done.err) == (how == "lines")
