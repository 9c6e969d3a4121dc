"""Makes .venv and installs into it what a make target needs; quick when there is nothing to do.

Runs under the system's Python, so it uses the standard library only. One folder serves all targets: each set of
packages leaves a stamp that names the folder and pyproject.toml as they were, and a change of these installs again.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SETS = {
    "run": "[postgres,mariadb,pipeline]",
    "test": "[postgres,mariadb,pipeline,notify,test,dev]",
    "bench": "[postgres,mariadb,pipeline,notify,test,dev,bench]",
}
PIP_TRIES = 3


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in SETS:
        sys.stderr.write(f"usage: tools/setup.sh {'|'.join(SETS)}\n")
        return 2
    with (ROOT / ".venv.lock").open("w") as lock:  # two make runs at once must not install over each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        return provide(arguments[0])


def provide(name: str) -> int:
    """Bring .venv to the state where the set `name` is installed."""
    stamp, wanted = VENV / f".installed-{name}", fingerprint(name)
    if is_usable() and stamp.is_file() and stamp.read_text() == wanted:
        return 0
    if not is_usable():
        problem = create()
        if problem:
            sys.stderr.write(problem)
            return 1
    if not install(name):
        return 1
    stamp.write_text(wanted)
    return 0


def fingerprint(name: str) -> str:
    """What an installation depends on, as text. The folder counts: scripts and the editable install hold its path."""
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"{VENV}\n{SETS[name]}\n{project}\n"


def is_usable() -> bool:
    """Whether .venv was made in this very folder and its interpreter still starts with a pip."""
    origin = VENV / ".made-for"
    if not origin.is_file() and not (VENV / "pyvenv.cfg").is_file():
        return False
    if origin.is_file() and origin.read_text() != str(VENV):
        return False
    try:
        probe = subprocess.run([VENV / "bin/python", "-c", "import pip"], check=False, capture_output=True)
    except OSError:
        return False
    return probe.returncode == 0


def create() -> str:
    """Make .venv anew; the text of what is missing, or nothing."""
    missing = [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"{sys.executable} (Python {version}) lacks the module {' and '.join(missing)}, which makes .venv.\n"
            f"    Debian and Ubuntu split it off:  apt-get install python3-venv   (or python{version}-venv)\n"
            "    or name another interpreter:     make setup PYTHON=/path/to/python3.11\n"
        )
    say(f"making .venv with {sys.executable}")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False)
    if made.returncode != 0:
        return f"{sys.executable} could not make {VENV}; its own message is above.\n"
    (VENV / ".made-for").write_text(str(VENV))
    return ""


def install(name: str) -> bool:
    """Install the project and the set's packages, trying again when the network hiccups."""
    command = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "5", "--editable", f".{SETS[name]}"]
    # Root on a container is not a mistake worth a warning on every run.
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    say(f"installing tagback{SETS[name]} into .venv")
    for attempt in range(1, PIP_TRIES + 1):
        if subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode == 0:
            return True
        if attempt < PIP_TRIES:
            say(f"pip failed; trying again ({attempt + 1} of {PIP_TRIES})")
            time.sleep(3 * attempt)
    sys.stderr.write(
        "pip could not install the packages named in pyproject.toml; its message is above.\n"
        "    Is a package index reachable? Behind a proxy or mirror set HTTPS_PROXY or PIP_INDEX_URL, then repeat.\n"
    )
    return False


def say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
