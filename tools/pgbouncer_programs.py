"""Finds the pooler PgBouncer for the tests that go through one, and installs it where it is missing.

    python tools/pgbouncer_programs.py            prints where it is, or says what is missing
    python tools/pgbouncer_programs.py --install  installs first where it isn't found

TAGBACK_PGBOUNCER names the program and ends the search. Debian's package would set a service up: only the libraries that it
needs are installed, as root, and the program itself is unpacked into the environment that runs this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDERS = ("/usr/sbin", "/usr/local/sbin")


class ProgramMissing(Exception):
    """No PgBouncer; the text says how to get it."""


def find(environment: Mapping[str, str] = os.environ) -> Path:
    """The program; raises ProgramMissing."""
    chosen = environment.get("TAGBACK_PGBOUNCER")
    path = os.pathsep.join((environment.get("PATH", os.defpath), *FOLDERS, str(unpacked() / "usr/sbin")))
    found = shutil.which(chosen or "pgbouncer", path=path)
    if found is None:
        raise ProgramMissing(
            f"No {chosen or 'pgbouncer'} on PATH or in the usual folders.\n"
            "Get it in one of these ways:\n"
            "    Debian, Ubuntu (root):  .venv/bin/python tools/pgbouncer_programs.py --install\n"
            "    anywhere else:          install it and set TAGBACK_PGBOUNCER to the program"
        )
    return Path(found)


def unpacked() -> Path:
    """Where `install` puts Debian's package."""
    return Path(sys.prefix) / "pgbouncer"


def install() -> None:
    """The libraries by apt-get, the program beside the environment; does what it can."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    run("apt-get", "update", "-qq")
    needed = subprocess.run(["apt-cache", "depends", "pgbouncer"], check=False, capture_output=True, text=True).stdout
    libraries = [line.split()[-1] for line in needed.splitlines() if line.strip().startswith("Depends: lib")]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        os.chmod(made, 0o777)  # for apt's own user
        if run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *libraries) and run(
            "apt-get", "download", "-qq", "pgbouncer", folder=made
        ):
            for package in Path(made).glob("*.deb"):
                run("dpkg-deb", "-x", str(package), str(unpacked()))


def run(*command: str, folder: str | None = None) -> bool:
    sys.stderr.write(f"setup: {' '.join(command)}\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, check=False, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    return done.returncode == 0


def main(arguments: Sequence[str]) -> int:
    try:
        program = find()
    except ProgramMissing:
        if "--install" in arguments:
            install()
    try:
        program = find()
    except ProgramMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.write(f"{program}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
