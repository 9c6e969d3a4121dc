"""A database on trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.trial import Trial


@pytest.fixture
def trial(postgres_server: PostgresServer, pg_url: str, tmp_path: Path) -> Trial:
    """A fresh database and an empty changelog."""
    return Trial(postgres_server, pg_url, tmp_path)
