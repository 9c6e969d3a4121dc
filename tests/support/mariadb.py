"""Private MariaDB servers: made in a temporary folder, gone with the test run, whatever way it ends.

Each pytest worker starts its own on first use, like the PostgreSQL ones.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.folders import fast_place, temporary_folder
from tests.support.process import Account, ServerFailed, die_with_parent, free_port
from tools.mariadb_programs import Programs

if TYPE_CHECKING:
    import pymysql

SUPERUSER = "root"
START_TIMEOUT = 60.0  # seconds
SETTINGS: Mapping[str, str] = {
    # The tests kill servers but no machines, and what was handed to the kernel outlives a killed server.
    "innodb_flush_log_at_trx_commit": "2",
    "innodb_buffer_pool_size": "32M",
    "innodb_log_file_size": "16M",
    "log_bin": "binlog",  # as production has it: it forbids what needs SUPER then
    "server_id": "1",
    "max_connections": "100",
    "performance_schema": "OFF",
    "character_set_server": "utf8mb4",
    "default_time_zone": "+00:00",
    "event_scheduler": "OFF",  # what tests put on a schedule must not run by chance
}


class MariadbServer:
    """One running server. Tests that kill it or change its settings make their own, with `running_server`."""

    def __init__(self, programs: Programs, folder: Path, settings: Mapping[str, str]) -> None:
        self.programs = programs
        self.version = programs.version
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = 0
        self._settings = {**SETTINGS, **settings}
        self._account = Account.unprivileged("mysql")
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)

    @property
    def pid(self) -> int:
        """The server's process id; killing it with SIGKILL is a crash of the server."""
        if self._process is None:
            raise ServerFailed("the server is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def url(self, database: str = "", user: str = SUPERUSER, password: str = "") -> str:
        """The URL over TCP."""
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"mariadb://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    def socket_url(self, database: str = "", user: str = SUPERUSER) -> str:
        """The URL over the Unix socket, as the command-line contract writes it."""
        place = quote(str(self.socket), safe="/")
        return f"mariadb://{quote(user, safe='')}@/{quote(database, safe='')}?unix_socket={place}"

    def create_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"t{os.getpid()}_{next(self._names)}"
        self._administer(f"CREATE DATABASE `{name}`")
        return name

    def drop_database(self, name: str) -> None:
        """Drop the database, ending the sessions that a failed test left in it."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (session,) in cursor.fetchall():
                with contextlib.suppress(Exception):  # it may have ended meanwhile
                    cursor.execute(f"KILL {int(session)}")
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def connect(self, database: str = "") -> pymysql.Connection[Any]:
        """An autocommit connection of the superuser."""
        import pymysql

        return pymysql.connect(
            unix_socket=str(self.socket), user=SUPERUSER, database=database or None, autocommit=True, charset="utf8mb4"
        )

    def run(self, program: str, *arguments: str, timeout: float = 60.0) -> str:
        """Run a client program such as mariadb-dump as the superuser; its standard output."""
        command = [str(self.programs.paths[program]), "--no-defaults", f"--socket={self.socket}", "-u", SUPERUSER]
        answer = subprocess.run(
            [*command, *arguments], check=False, capture_output=True, text=True, timeout=timeout, env=_environment()
        )
        if answer.returncode != 0:
            raise ServerFailed(f"{program} {' '.join(arguments)} ended with {answer.returncode}:\n{answer.stderr}")
        return answer.stdout

    def initialise(self) -> None:
        """Make the data folder; everybody on this machine may log in as the superuser."""
        os.chown(self.folder, self._account.uid, self._account.gid)
        self.log.touch()
        command = [str(self.programs.paths["mariadb-install-db"]), "--no-defaults", f"--datadir={self._data}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        command += [f"--tmpdir={self._temporary}", "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M"]
        self._temporary.mkdir(mode=0o777)
        os.chown(self._temporary, self._account.uid, self._account.gid)
        with self.log.open("ab") as log:
            code = self._spawn(command, log).wait()
        if code != 0:
            text = self.log.read_text(errors="replace")
            raise ServerFailed(f"mariadb-install-db of MariaDB {self.version} ended with {code}. It said:\n{text}")

    def start(self) -> None:
        """Start the server on a port of its own and wait until it answers."""
        for attempt in range(3):
            # Between the choice of a free port and its use another program can take it: then once more.
            self.port = self.port if self.port and not attempt else free_port()
            options = {**self._settings, "port": str(self.port), "bind_address": self.host}
            options |= {"socket": str(self.socket), "datadir": str(self._data), "tmpdir": str(self._temporary)}
            options |= {"pid_file": str(self.folder / "pid")}
            command = [str(self.programs.paths["mariadbd"]), "--no-defaults"]
            command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
            seen = self.log.stat().st_size
            with self.log.open("ab") as log:
                self._process = self._spawn(command, log)
            if self._wait_until_ready(seen):
                return
            self.stop(signal.SIGKILL)
            news = self.log.read_bytes()[seen:].decode(errors="replace")
            if not re.search(r"Address already in use|Can't start server: Bind", news):
                break
        raise ServerFailed(f"MariaDB {self.version} did not start. Its log:\n{news or '(empty)'}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server if it runs: SIGTERM is a shutdown in order, SIGKILL a crash."""
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

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _temporary(self) -> Path:
        """Its own: two servers that share one can delete each other's files at start."""
        return self.folder / "tmp"

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

    def _wait_until_ready(self, seen: int) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            # The server says so itself: no need to knock and fill the log with failed logins.
            if b"ready for connections" in self.log.read_bytes()[seen:]:
                return True
            time.sleep(0.02)
        return False

    def _administer(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)


@contextlib.contextmanager
def running_server(programs: Programs, settings: Mapping[str, str] | None = None) -> Iterator[MariadbServer]:
    """A server of one's own, with extra settings as for `mariadbd --name=value`; stopped and removed at the end."""
    with contextlib.ExitStack() as undo:
        atexit.register(undo.close)  # for a run that ends without tearing its fixtures down
        undo.callback(atexit.unregister, undo.close)
        server = MariadbServer(programs, undo.enter_context(temporary_folder(fast_place())), settings or {})
        undo.callback(server.stop)
        server.initialise()
        server.start()
        yield server


def _environment() -> dict[str, str]:
    """The environment without the variables that lead MariaDB's programs to another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL", "MARIADB"))}
    return {**kept, "LC_ALL": "C.UTF-8"}
