"""Migration histories, each migration forth, back and forth again; an outside view compares after each.

`make corpora CORPORA=DIR` plays other people's histories, which belong to them; a small one of our own is shipped. A
migration that the product refuses, or that can't be executed, is counted and left out; one that comes back otherwise
fails the test.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import TagbackError
from tests.support.effort import Effort
from tests.support.oracle import State, differences, postgres_state, sqlite_state
from tests.support.postgres import PostgresServer

SHIPPED = Path(__file__).parent / "histories"
ENGINES = {"sqlite": "sqlite", "pg": "postgres"}


def histories() -> list[Path]:
    """Folders PROJECT/ENGINE with NNNN_name/up.sql."""
    folder = Effort.from_environment().corpora or SHIPPED
    return sorted(p for p in folder.glob("*/*") if p.name in ENGINES and p.is_dir())


@pytest.mark.parametrize("history", histories(), ids=lambda p: f"{p.parent.name}-{ENGINES[p.name]}")
def test_every_migration_of_a_history_comes_back_exactly(history: Path, request: pytest.FixtureRequest) -> None:
    with _database(history.name, request) as (url, look):
        outcomes, wrong = _play(history, url, look)
    print(f"{history.parent.name}/{history.name}: {dict(outcomes)}")  # noqa: T201
    assert not wrong, "\n".join(wrong)
    assert outcomes["exact"], outcomes
    if SHIPPED in history.parents:
        assert outcomes == {"exact": 6}


@contextlib.contextmanager
def _database(engine: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], State]]]:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history.db"
            yield f"sqlite:///{path}", lambda: sqlite_state(path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    try:
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            yield server.url(name), lambda: postgres_state(server, name, connection)
    finally:
        server.drop_database(name)


def _play(history: Path, url: str, look: Callable[[], State]) -> tuple[Counter[str], list[str]]:
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        changelog = Path(folder)
        _apply_tag(url, "m0")
        tag = "m0"
        for number, migration in enumerate(sorted(p.parent for p in history.glob("*/up.sql")), 1):
            _add(changelog, migration)
            start = look()
            outcome = _one(url, changelog, (tag, f"m{number}"), look, start)
            outcomes[outcome] += 1
            if outcome == "not applied":
                shutil.rmtree(changelog / migration.name)
                wrong += [f"{migration.name}, refused: {line}" for line in differences(start, look())]
                continue
            tag = f"m{number}"
            if outcome.startswith("differs"):
                wrong.append(f"{migration.name}: {outcome}")
    return outcomes, wrong


def _one(url: str, changelog: Path, tags: tuple[str, str], look: Callable[[], State], start: State) -> str:
    """Plays one migration, which is in effect afterwards unless it was `not applied`."""
    irreversible = False
    with Target.open(url, create=True) as target:
        try:
            target.apply(changelog, ApplyOptions(tag=tags[1]))
        except TagbackError as e:
            irreversible = e.code == "irreversible"
            if not irreversible:
                return "not applied"
            target.apply(changelog, ApplyOptions(tag=tags[1], allow_irreversible=True))
        end = look()
        try:
            target.rollback(RollbackOptions(to=tags[0]))
        except TagbackError as e:
            return "irreversible" if irreversible else f"refused: {e.code}"
    if lines := differences(start, look()):
        return "differs: " + "\n".join(lines)
    with Target.open(url) as target:
        target.apply(changelog, ApplyOptions(tag=tags[1]))
    if lines := differences(end, look()):
        return "differs the second time: " + "\n".join(lines)
    return "exact"


def _apply_tag(url: str, tag: str) -> None:
    with Target.open(url, create=True) as target:
        target.tag(tag)


def _add(changelog: Path, migration: Path) -> None:
    folder = changelog / migration.name
    folder.mkdir()
    (folder / "up.sql").write_bytes((migration / "up.sql").read_bytes())
    if (migration / "NOTX_UP").exists():
        (folder / "metadata.toml").write_text("run_in_transaction = false\n")
