"""Through a pooler that keeps sessions all goes as usual; through one that doesn't nothing is begun."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.errors import RefusedError
from tests.support import client
from tests.support.pgbouncer import running_pooler
from tests.support.postgres import PostgresServer
from tools import pgbouncer_programs


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return pgbouncer_programs.find()
    except pgbouncer_programs.ProgramMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def changelog(tmp_path: Path) -> Path:
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "1_t.sql").write_text("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a');")
    (folder / "2_concurrently.sql").write_text("CREATE INDEX CONCURRENTLY by_v ON t (v);")
    return folder


@pytest.mark.parametrize("size", [1, 5])
def test_a_session_pooler_is_as_good_as_none(
    program: Path, postgres_server: PostgresServer, pg_url: str, changelog: Path, size: int
) -> None:
    with running_pooler(program, postgres_server, "session", size) as port:
        url = pg_url.replace(str(postgres_server.port), str(port))
        with tagback.open(url) as target:
            target.tag("before")
            target.apply(changelog, tagback.ApplyOptions(tag="after"))
            (changelog / "3_drop.sql").write_text("ALTER TABLE t DROP v;")
            target.apply(changelog)
            assert target.rollback(tagback.RollbackOptions(to="after")).verified
            assert client.rows(pg_url, "SELECT * FROM t") == [(1, "a")]
            assert target.rollback(tagback.RollbackOptions(to="before")).verified


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("size", [1, 5])
def test_a_pooler_without_sessions_is_refused_before_anything_happens(
    program: Path, postgres_server: PostgresServer, pg_url: str, mode: str, size: int
) -> None:
    with running_pooler(program, postgres_server, mode, size) as port:
        with pytest.raises(RefusedError, match="A pooler is between here and the server") as caught:
            tagback.open(pg_url.replace(str(postgres_server.port), str(port)))
        assert caught.value.code == "pooler"
    assert client.rows(pg_url, "SELECT nspname FROM pg_namespace WHERE nspname = 'tagback'") == []


def test_a_busy_pooler_without_sessions_is_refused_too(
    program: Path, postgres_server: PostgresServer, pg_url: str
) -> None:
    with running_pooler(program, postgres_server, "transaction") as port:
        url = pg_url.replace(str(postgres_server.port), str(port))
        with _others_at_work(url):
            for _ in range(10):
                with pytest.raises(RefusedError, match="A pooler is between here and the server"):
                    tagback.open(url)


@contextlib.contextmanager
def _others_at_work(url: str) -> Iterator[None]:
    """Three clients, each always about to begin or to end a transaction."""
    done = threading.Event()

    def work() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            while not done.is_set():
                connection.execute("SELECT pg_sleep(0.002)")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
