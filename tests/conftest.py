"""Fixtures for every test: a private PostgreSQL server, fresh databases, and a clean environment."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import mariadb
from tests.support.effort import Effort
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer, running_server
from tests.support.process import ServerFailed
from tools import mariadb_programs, postgres_programs

URLS = {"sqlite": "sqlite_url", "postgres": "pg_url", "mariadb": "mariadb_url"}
SKIP_POSTGRES = os.environ.get("TAGBACK_TEST_SKIP_POSTGRES", "") not in ("", "0")
SKIP_MARIADB = os.environ.get("TAGBACK_TEST_SKIP_MARIADB", "") not in ("", "0")

# Timing limits on a machine shared with other workers fail by chance; pytest-timeout catches what hangs.
# What is tried is the same in every run of continuous integration: luck fails nobody who changed something else.
settings.register_profile(
    "tagback",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("tagback")


def pytest_configure(config: pytest.Config) -> None:
    # A background job or nohup ignores signals, and what the tests start and interrupt would inherit that.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    # A developer's PGHOST, PGSERVICE or TAGBACK_URL must not lead any test to another server.
    for name in list(os.environ):
        if name.startswith(("PG", "MYSQL", "MARIADB")) or name in ("TAGBACK_URL", "TAGBACK_CONFIG", "TAGBACK_TARGET"):
            del os.environ[name]


def pytest_report_header(config: pytest.Config) -> str:
    try:
        programs = postgres_programs.find()
        postgres = f"PostgreSQL {programs.version} ({programs.bindir})"
    except postgres_programs.ProgramsMissing:
        postgres = "no PostgreSQL server programs"
    try:
        mariadb = f"MariaDB {mariadb_programs.find().version}"
    except mariadb_programs.ProgramsMissing:
        mariadb = "no MariaDB server programs"
    servers = f"{postgres}{', skipped by wish' if SKIP_POSTGRES else ''}, {mariadb}"
    return f"databases: SQLite {sqlite3.sqlite_version}, {servers}{', skipped by wish' if SKIP_MARIADB else ''}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After failures, say how to run just the first of them."""
    failures = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    if failures:
        terminalreporter.write_line(f"to run one alone: .venv/bin/python -m pytest {shlex.quote(failures[0].nodeid)}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the server by its fixtures, so that nobody has to remember the marker."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "postgres_programs_found" in getattr(item, "fixturenames", ()) or parameters.get("target_url") == "postgres":
            item.add_marker(pytest.mark.postgres)
        if SKIP_POSTGRES and item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.skip(reason="TAGBACK_TEST_SKIP_POSTGRES is set"))
        if "mariadb_programs_found" in getattr(item, "fixturenames", ()) or parameters.get("target_url") == "mariadb":
            item.add_marker(pytest.mark.mariadb)
            if SKIP_MARIADB:
                item.add_marker(pytest.mark.skip(reason="TAGBACK_TEST_SKIP_MARIADB is set"))


@pytest.fixture(scope="session")
def postgres_programs_found() -> postgres_programs.Programs:
    """The server programs, for tests that start servers of their own; fails with the way to get them."""
    try:
        return postgres_programs.find()
    except postgres_programs.ProgramsMissing as missing:
        message = str(missing)
    pytest.fail(message, pytrace=False)  # out here, so that the text isn't shown twice as cause and effect


@pytest.fixture(scope="session")
def postgres_server(postgres_programs_found: postgres_programs.Programs) -> Iterator[PostgresServer]:
    """This worker's own server, started on first use. Tests share it: whoever stops a server makes another."""
    try:
        with running_server(postgres_programs_found) as server:
            yield server
            return
    except ServerFailed as failure:
        message = str(failure)
    pytest.fail(message, pytrace=False)


@pytest.fixture
def pg_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def mariadb_programs_found() -> mariadb_programs.Programs:
    """The server programs, for tests that start servers of their own; fails with the way to get them."""
    try:
        return mariadb_programs.find()
    except mariadb_programs.ProgramsMissing as missing:
        message = str(missing)
    pytest.fail(message, pytrace=False)


@pytest.fixture(scope="session")
def mariadb_server(mariadb_programs_found: mariadb_programs.Programs) -> Iterator[MariadbServer]:
    """This worker's own server, started on first use. Tests share it: whoever stops a server makes another."""
    try:
        with mariadb.running_server(mariadb_programs_found) as server:
            yield server
            return
    except ServerFailed as failure:
        message = str(failure)
    pytest.fail(message, pytrace=False)


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """The URL of a fresh, empty MariaDB database."""
    name = mariadb_server.create_database()
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a fresh SQLite file, which doesn't exist yet."""
    return f"sqlite:///{tmp_path / 'target.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def target_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database, once on each engine; pick one with -k sqlite or -k postgres."""
    url: str = request.getfixturevalue(URLS[request.param])
    return url


@pytest.fixture(scope="session")
def effort() -> Effort:
    """How much the slow suites do in this run."""
    return Effort.from_environment()
