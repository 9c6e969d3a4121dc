"""From an empty folder to a release that goes back by itself, with nothing but what the README says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def commands() -> str:
    """What the Quickstart has people type, but for what makes and finds the program: the tests have it."""
    quickstart = README.read_text().partition("## Quickstart")[2].partition("\n## ")[0]
    blocks = [textwrap.dedent(b) for b in re.findall(r"(?:^    .*\n|^\n(?=    ))+", quickstart, re.M)]
    return "\n".join(blocks).replace("make setup", "# make setup").replace("alias tagback", "# alias tagback")


def test_the_readmes_path_leads_to_a_release_that_goes_back(tmp_path: Path) -> None:
    script = commands()
    yaml = script.partition("<<'END'\n")[2].partition("\nEND")[0]
    assert 0 < len(yaml.splitlines()) <= 30
    with (
        socket.socket() as nobody
    ):  # bound and not listening: whatever runs on this machine doesn't answer for the shop
        nobody.bind(("127.0.0.1", 0))
        script = script.replace(":8000/", f":{nobody.getsockname()[1]}/")
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", script.replace("tagback pipeline run", 'tagback pipeline run; echo "ended with $?" #')],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 300
    assert "ended with 1" in done.stdout
    assert "shop is back, verified" in done.stderr
    assert re.search(r"shop: back +found at v1", done.stdout), done.stdout
    assert done.stdout.splitlines()[-1].endswith("= tag v1"), done.stdout
