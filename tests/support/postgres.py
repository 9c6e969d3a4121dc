"""Private PostgreSQL servers: made in a temporary folder, gone with the test run, whatever way it ends.

Each pytest worker starts its own on first use. A server costs about a second; a shared one would need a lock, an owner
who outlives the other workers, and tests that never stop it.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.folders import disk_place, fast_place, temporary_folder
from tests.support.process import Account, ServerFailed, die_with_parent, free_port
from tools.postgres_programs import Programs

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "postgres"
START_TIMEOUT = 60.0  # seconds; a loaded machine with two cores has needed ten
SETTINGS: Mapping[str, str] = {
    # The tests kill servers but no machines, and the page cache outlives a killed server. synchronous_commit stays on:
    # without it a commit waits in the server's own memory, and a killed server would forget it.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",  # in the data folder: a killed server leaves nothing elsewhere
    "max_connections": "100",
    "max_wal_size": "128MB",  # the data may lie in memory
    "max_prepared_transactions": "10",
    "autovacuum": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "lc_messages": "C",
}


class PostgresServer:
    """One running server. Tests that kill it or change its settings make their own, with `running_server`."""

    def __init__(self, programs: Programs, folder: Path, settings: Mapping[str, str]) -> None:
        self.bindir = programs.bindir
        self.version = programs.version
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = 0
        self._settings = {**SETTINGS, **settings}
        self._account = Account.unprivileged("postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def pid(self) -> int:
        """The postmaster's process id; killing it with SIGKILL is a crash of the server."""
        if self._process is None:
            raise ServerFailed("the server is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The URL over TCP."""
        return f"postgresql://{quote(user, safe='')}@{self.host}:{self.port}/{quote(database, safe='')}"

    def socket_url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The URL over the Unix socket, as the command-line contract writes it."""
        place = f"host={quote(str(self.folder), safe='/')}&port={self.port}"
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?{place}"

    def create_database(self, template: str = "template0", name: str = "") -> str:
        """Make a database from a template nobody is connected to, and return its name."""
        name = name or f"t{os.getpid()}_{next(self._names)}"
        self._administer("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def drop_database(self, name: str) -> None:
        """Drop the database, ending the sessions a failed test left in it."""
        self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """An autocommit connection of the superuser."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    def restore(self, dump: str, database: str) -> None:
        """Run a dump's text. A setting that its pg_dump writes and an older server doesn't know is left out."""
        known = "" if self.major < 17 else "SET transaction_timeout = 0;"
        dump = dump.replace("SET transaction_timeout = 0;", known)
        self.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", self.url(database), text=dump)

    def run(self, program: str, *arguments: str, text: str = "", timeout: float = 60.0) -> str:
        """Run a client program such as pg_dump or psql from the server's own folder on `text`; its standard output."""
        command = [str(self.bindir / program), *arguments]
        answer = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=timeout, env=_environment(), input=text
        )
        if answer.returncode != 0:
            raise ServerFailed(f"{' '.join(command)} ended with {answer.returncode}:\n{answer.stderr}")
        return answer.stdout

    def start(self) -> None:
        """Start the server on a port of its own and wait until it answers."""
        for attempt in range(3):
            # Between the choice of a free port and its use another program can take it: then once more.
            self.port = self.port if self.port and not attempt else free_port()
            options = {**self._settings, "port": str(self.port), "listen_addresses": self.host}
            options["unix_socket_directories"] = str(self.folder)
            command = [str(self.bindir / "postgres"), "-D", str(self.folder / "data")]
            command += [f"--{name}={value}" for name, value in options.items()]
            log_size = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self._process = self._spawn(command, log)
            if self._wait_until_ready():
                return
            self.stop(signal.SIGQUIT)
            with self.log.open("rb") as log:
                log.seek(log_size)
                news = log.read().decode(errors="replace")
            if "Address already in use" not in news:
                break
        raise ServerFailed(f"PostgreSQL {self.version} from {self.bindir} did not start. Its log:\n{news or '(empty)'}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server if it runs: SIGINT is a fast shutdown, SIGQUIT and SIGKILL are crashes."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _await_orphans(self.folder / "data")

    def initialise(self) -> None:
        """Make the data folder: UTF-8, the C.UTF-8 locale, everybody trusted on this machine."""
        os.chown(self.folder, self._account.uid, self._account.gid)
        self.log.touch()
        command = [str(self.bindir / "initdb"), "-D", str(self.folder / "data"), "-U", SUPERUSER, "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        with self.log.open("ab") as log:
            code = self._spawn(command, log).wait()
        if code != 0:
            text = self.log.read_text(errors="replace")
            raise ServerFailed(f"initdb of PostgreSQL {self.version} ended with {code}. It said:\n{text}")

    def can_reach_programs(self) -> bool:
        """Whether the server's user can run them; not if they lie under a private folder, such as root's home."""
        try:
            return self._spawn([str(self.bindir / "postgres"), "--version"], subprocess.DEVNULL).wait() == 0
        except PermissionError:
            return False

    def copy_programs(self, folder: Path) -> None:
        """Run from a copy of the programs below `folder`."""
        installation = self.bindir.parent
        libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
        if libraries.is_dir():  # a wheel keeps the libraries it brings in such a folder beside the package
            shutil.copytree(libraries, folder / libraries.name)
        copy = folder / installation.parent.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        self.bindir = copy / self.bindir.name

    def _spawn(self, command: list[str], output: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then stop the server in order
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into libc, prepared before the fork
            **self._account.switch,
        )

    def _wait_until_ready(self) -> bool:
        pidfile, deadline = self.folder / "data" / "postmaster.pid", time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            # The server writes its state to the eighth line: no need to knock and fill the log with failed logins.
            with contextlib.suppress(OSError):
                lines = pidfile.read_text().splitlines()
                if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.02)
        return False

    def _administer(self, statement: str, *names: str) -> None:
        from psycopg import sql

        with self.connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextlib.contextmanager
def running_server(programs: Programs, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server of one's own, with extra settings as for `postgres --name=value`; stopped and removed at the end."""
    with contextlib.ExitStack() as undo:
        atexit.register(undo.close)  # for a run that ends without tearing its fixtures down
        undo.callback(atexit.unregister, undo.close)
        server = PostgresServer(programs, undo.enter_context(temporary_folder(fast_place())), settings or {})
        undo.callback(server.stop)
        if not server.can_reach_programs():  # not copied into memory: it is often mounted noexec
            server.copy_programs(undo.enter_context(temporary_folder(disk_place())))
        server.initialise()
        server.start()
        yield server


def _await_orphans(data: Path) -> None:
    """Wait for backends that outlive a killed postmaster: a new one refuses to start while they hold shared memory."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        segment = lines[6].split()[1]
    except (OSError, IndexError):  # a server in order removes the file
        return
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        if not any(int(row[6]) for row in rows if row[1] == segment):  # the seventh column counts who is attached
            return
        time.sleep(0.02)


def _environment() -> dict[str, str]:
    """The environment without the variables that lead PostgreSQL's programs to another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C.UTF-8"}
