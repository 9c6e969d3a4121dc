"""Grounds for the share of the faults that every test run tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.ground import PostgresGround, SqliteGround
from tests.support.postgres import PostgresServer


@pytest.fixture
def files(tmp_path: Path) -> SqliteGround:
    """SQLite files."""
    return SqliteGround(tmp_path)


@pytest.fixture
def databases(postgres_server: PostgresServer) -> PostgresGround:
    """PostgreSQL databases."""
    return PostgresGround(postgres_server)
