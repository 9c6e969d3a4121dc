"""Finds the MariaDB server programs that the tests start, and installs them where they are missing.

    python tools/mariadb_programs.py            prints where the server is, or says what is missing
    python tools/mariadb_programs.py --install  installs first where nothing is found

TAGBACK_MARIADB_BIN names a folder and ends the search; otherwise PATH and the folders for servers are looked through.
Debian's packages `mariadb-server-core` and `mariadb-client` have the programs alone: they set up no server and start none.
Standard library only; it runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb-dump", "mariadb")
OLDEST = (10, 6)
PACKAGES = ("mariadb-server-core", "mariadb-client")
SERVER_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/opt/mariadb/bin")


class ProgramsMissing(Exception):
    """No usable MariaDB server programs; the text says what was tried and how to get them."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each program is, and their version as the server itself writes it ("10.11.19")."""

    paths: Mapping[str, Path]
    version: str


def find(environment: Mapping[str, str] = os.environ) -> Programs:
    """The server programs to use; raises ProgramsMissing."""
    chosen = environment.get("TAGBACK_MARIADB_BIN")
    path = chosen or os.pathsep.join((environment.get("PATH", os.defpath), *SERVER_FOLDERS))
    found = {name: Path(place) for name in PROGRAMS if (place := shutil.which(name, path=path))}
    missing = [name for name in PROGRAMS if name not in found]
    if missing:
        where = f"TAGBACK_MARIADB_BIN={chosen}" if chosen else "PATH and the usual folders"
        raise ProgramsMissing(f"No {', '.join(missing)} in {where}.\n{advice()}")
    try:
        number = version(found["mariadbd"])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ProgramsMissing(f"mariadbd --version fails: {error}\n{advice()}") from error
    if tuple(int(part) for part in number.split(".")[:2]) < OLDEST:
        raise ProgramsMissing(f"MariaDB {number} is older than {'.'.join(map(str, OLDEST))}.\n{advice()}")
    return Programs(found, number)


def version(server: Path) -> str:
    """The server program's version."""
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=True, timeout=30)
    match = re.search(r"Ver (\d+\.\d+\.\d+)-MariaDB", answer.stdout)
    if match is None:
        raise ValueError(f"unexpected answer {answer.stdout.strip()!r}")
    return match[1]


def advice() -> str:
    return (
        "Get them in one of these ways:\n"
        f"    Debian, Ubuntu (root):  apt-get install {' '.join(PACKAGES)}\n"
        "    anywhere else:          install MariaDB 10.6 or later and set TAGBACK_MARIADB_BIN to its folders, with : between\n"
        "Tests without MariaDB:      TAGBACK_TEST_SKIP_MARIADB=1 make test"
    )


def provide(environment: Mapping[str, str] = os.environ) -> Programs:
    """Find the programs, installing them where they are missing; raises ProgramsMissing when that fails too."""
    try:
        return find(environment)
    except ProgramsMissing:
        if environment.get("TAGBACK_MARIADB_BIN") or os.geteuid() != 0 or not shutil.which("apt-get"):
            raise
    install()
    return find(environment)


def install() -> None:
    """apt-get install of the programs."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        sys.stderr.write(f"setup: apt-get {' '.join(arguments)}\n")
        sys.stderr.flush()
        # An update that fails for one foreign source may still have brought the list that is needed: go on and see.
        command = ["apt-get", *arguments]
        subprocess.run(command, check=False, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    try:
        programs = provide() if "--install" in arguments else find()
    except ProgramsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.write(f"{programs.paths['mariadbd']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
