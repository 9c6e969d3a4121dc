"""A private PgBouncer before a private server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.folders import disk_place, temporary_folder
from tests.support.postgres import SUPERUSER, PostgresServer
from tests.support.process import Account, ServerFailed, die_with_parent, free_port

_SETTINGS = """
[databases]
* = host={host} port={server} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/pgbouncer.log
pidfile =
"""


@contextlib.contextmanager
def running_pooler(program: Path, server: PostgresServer, mode: str, size: int = 5) -> Iterator[int]:
    """The port where it listens. `mode` is session, transaction or statement; `size` how many server processes it has."""
    account = Account.unprivileged("postgres")
    with temporary_folder(disk_place()) as folder:
        os.chown(folder, account.uid, account.gid)
        port = free_port()
        settings = folder / "pgbouncer.ini"
        values = {"host": server.host, "server": server.port, "user": SUPERUSER}
        settings.write_text(_SETTINGS.format(**values, port=port, mode=mode, size=size, folder=folder))
        process = subprocess.Popen(
            [str(program), "--quiet", str(settings)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into libc, prepared before the fork
            **account.switch,
        )
        try:
            _await(process, port, folder / "pgbouncer.log")
            yield port
        finally:
            process.terminate()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://{SUPERUSER}@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return
        time.sleep(0.05)
    raise ServerFailed(f"PgBouncer did not start: {log.read_text() if log.exists() else 'no log'}")
