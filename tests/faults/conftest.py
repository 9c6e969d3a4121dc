"""Grounds for the share of the faults that every test run tries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import PostgresGround, SqliteGround
from tests.support.postgres import PostgresServer


@pytest.fixture
def files(tmp_path: Path) -> SqliteGround:
    """SQLite files."""
    return SqliteGround(tmp_path)


@pytest.fixture
def databases(postgres_server: PostgresServer) -> Iterator[PostgresGround]:
    """PostgreSQL databases."""
    ground = PostgresGround(postgres_server)
    yield ground
    ground.close()
