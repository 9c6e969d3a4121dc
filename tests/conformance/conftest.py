"""The same promises on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import URLS
from tests.support.oracle import State, mariadb_state, postgres_state, sqlite_state

Look = Callable[[str], State]


@pytest.fixture(params=list(URLS))
def target_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database, once on each engine; pick one with -k sqlite, -k postgres or -k mariadb."""
    url: str = request.getfixturevalue(URLS[request.param])
    return url


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Look:
    """Asks the oracle."""

    def state(url: str) -> State:
        if url.startswith("sqlite"):
            return sqlite_state(Path(url.removeprefix("sqlite:///")))
        database = url.rpartition("/")[2]
        if url.startswith("mariadb"):
            return mariadb_state(request.getfixturevalue("mariadb_server"), database)
        server = request.getfixturevalue("postgres_server")
        with server.connect(database) as connection:
            return postgres_state(server, database, connection)

    return state


@pytest.fixture
def twin(request: pytest.FixtureRequest, target_url: str, tmp_path: Path) -> Iterator[str]:
    """The URL of another database, that tagback never sees."""
    if target_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'twin.db'}"
        return
    server = request.getfixturevalue("mariadb_server" if target_url.startswith("mariadb") else "postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)
