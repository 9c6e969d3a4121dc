"""Single moments in which a write of the application could be lost: its transaction is open while tagback comes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.deploy.events import Event, Retrying
from tests.support import client
from tests.writers.connections import Connection, connect

Joined = Callable[[str], Connection]
SETUP = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, 'x', 'one'), (2, 'y', 'two');"
)


class Behind:
    """tagback at work in a thread of its own, behind a transaction of the application's."""

    def __init__(self, url: str, call: Callable[[tagback.Target], object], lock_timeout: float = 30) -> None:
        self.events: list[Event] = []
        self.error: tagback.TagbackError | None = None
        self._url = url
        self._call = call
        self._lock_timeout = lock_timeout
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        self._until_it_waits()

    def done(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        with tagback.open(self._url, listen=self.events.append, lock_timeout=self._lock_timeout) as target:
            try:
                self._call(target)
            except tagback.TagbackError as e:
                self.error = e

    def _until_it_waits(self) -> None:
        deadline = time.monotonic() + 30
        if self._url.startswith("sqlite"):
            time.sleep(0.3)
            return
        with psycopg.connect(self._url, autocommit=True) as connection:
            while connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert time.monotonic() < deadline
                time.sleep(0.01)


@pytest.fixture
def joined() -> Iterator[Joined]:
    """Makes connections of the application's, which end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(contextlib.closing(connect(url)))


@pytest.fixture
def changelog(target_url: str, tmp_path: Path) -> Path:
    """Deployed up to the tag `before`; the next changeset is the test's."""
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "001_setup.sql").write_text(SETUP)
    with tagback.open(target_url, create=True) as target:
        target.apply(folder, tagback.ApplyOptions(tag="before"))
    return folder


def deploy(url: str, changelog: Path, change: str) -> None:
    (changelog / "002_change.sql").write_text(change)
    with tagback.open(url) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="after"))


def back(target: tagback.Target) -> tagback.RolledBack:
    return target.rollback(tagback.RollbackOptions(to="before", on_conflict=tagback.OnConflict.FAIL))


def test_a_row_deleted_while_a_rollback_waits_does_not_come_back(
    target_url: str, changelog: Path, joined: Joined
) -> None:
    deploy(target_url, changelog, "ALTER TABLE t DROP COLUMN b")
    application = joined(target_url)
    application.begin(snapshot=False)
    application.run("DELETE FROM t WHERE id = 1")
    rollback = Behind(target_url, back)
    application.commit()
    rollback.done()
    assert rollback.error is None
    assert client.rows(target_url, "SELECT * FROM t") == [(2, "y", "two")]


def test_a_row_written_while_a_rollback_waits_is_what_was_written(
    target_url: str, changelog: Path, joined: Joined
) -> None:
    deploy(target_url, changelog, "ALTER TABLE t DROP COLUMN b")
    application = joined(target_url)
    application.begin(snapshot=False)
    application.run("UPDATE t SET a = 'mine' WHERE id = 1")
    application.run("INSERT INTO t VALUES (3, 'mine')")
    rollback = Behind(target_url, back)
    application.commit()
    rollback.done()
    assert rollback.error is None
    assert client.rows(target_url, "SELECT * FROM t") == [(1, "mine", "one"), (2, "y", "two"), (3, "mine", None)]


def test_a_value_written_to_a_new_column_while_a_rollback_waits_is_kept(
    target_url: str, changelog: Path, joined: Joined
) -> None:
    deploy(target_url, changelog, "ALTER TABLE t ADD COLUMN c TEXT")
    application = joined(target_url)
    application.begin(snapshot=False)
    application.run("UPDATE t SET c = 'mine' WHERE id = 1")
    rollback = Behind(target_url, back)
    application.commit()
    rollback.done()
    assert rollback.error is None
    with tagback.open(target_url) as target:
        target.apply(changelog)
    assert client.rows(target_url, "SELECT * FROM t") == [(1, "x", "one", "mine"), (2, "y", "two", None)]


def test_a_row_written_while_a_new_table_is_taken_back_is_kept(
    target_url: str, changelog: Path, joined: Joined
) -> None:
    deploy(target_url, changelog, "CREATE TABLE u (id INTEGER PRIMARY KEY)")
    application = joined(target_url)
    application.begin(snapshot=False)
    application.run("INSERT INTO u VALUES (7)")
    rollback = Behind(target_url, back)
    application.commit()
    rollback.done()
    assert rollback.error is None
    with tagback.open(target_url) as target:
        target.apply(changelog)
    assert client.rows(target_url, "SELECT * FROM u") == [(7,)]


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE t DROP COLUMN b", "UPDATE t SET b = 'new'; ALTER TABLE t ADD COLUMN c TEXT", "DROP TABLE t"],
)
def test_a_transaction_that_has_read_can_write_while_a_deployment_waits_for_it(
    pg_url: str, tmp_path: Path, joined: Joined, change: str
) -> None:
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "001_setup.sql").write_text(SETUP)
    with tagback.open(pg_url) as target:
        target.apply(folder, tagback.ApplyOptions(tag="before"))
    (folder / "002_change.sql").write_text(change)
    application = joined(pg_url)
    application.begin(snapshot=False)
    application.run("SELECT * FROM t")
    deployment = Behind(pg_url, lambda target: target.apply(folder))
    application.run(
        "UPDATE t SET a = 'mine' WHERE id = 1"
    )  # with a weaker lock first, one of the two would be cancelled
    application.commit()
    deployment.done()
    assert deployment.error is None
    assert not any(isinstance(e, Retrying) for e in deployment.events)
    with tagback.open(pg_url) as target:
        back(target)
    assert client.rows(pg_url, "SELECT * FROM t") == [(1, "mine", "one"), (2, "y", "two")]


def test_a_transaction_that_has_read_can_write_while_a_deployment_that_comes_again_waits_for_it(
    pg_url: str, tmp_path: Path, joined: Joined
) -> None:
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "001_setup.sql").write_text(SETUP)
    with tagback.open(pg_url) as target:
        target.apply(folder, tagback.ApplyOptions(tag="before"))
        (folder / "002_drop.sql").write_text("ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN c TEXT")
        target.apply(folder)
        client.write(pg_url, "UPDATE t SET c = 'mine' WHERE id = 2")
        target.rollback(tagback.RollbackOptions(to="before"))
    application = joined(pg_url)
    application.begin(snapshot=False)
    application.run("SELECT * FROM t")
    deployment = Behind(pg_url, lambda target: target.apply(folder))
    application.run("UPDATE t SET a = 'mine' WHERE id = 1")
    application.commit()
    deployment.done()
    assert deployment.error is None
    assert not any(isinstance(e, Retrying) for e in deployment.events)
    assert client.rows(pg_url, "SELECT * FROM t") == [(1, "mine", None), (2, "y", "mine")]


def test_lock_timeout_under_a_long_transaction_leaves_everything_and_lets_others_pass(
    pg_url: str, tmp_path: Path, joined: Joined
) -> None:
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "001_setup.sql").write_text(SETUP)
    with tagback.open(pg_url) as target:
        target.apply(folder, tagback.ApplyOptions(tag="before"))
    (folder / "002_drop.sql").write_text("ALTER TABLE t DROP COLUMN b")
    report = joined(pg_url)
    report.begin(snapshot=True)
    report.run("SELECT * FROM t")
    deployment = Behind(pg_url, lambda target: target.apply(folder, tagback.ApplyOptions(attempts=2)), lock_timeout=0.5)
    writer = joined(pg_url)
    began = time.monotonic()
    writer.run("UPDATE t SET a = 'mine' WHERE id = 1")
    assert time.monotonic() - began < 5  # until the first attempt gives up; not until the report ends, which is never
    deployment.done()
    assert deployment.error is not None
    assert deployment.error.code == "lock_timeout"
    assert [e.attempt for e in deployment.events if isinstance(e, Retrying)] == [1]
    report.rollback()
    with tagback.open(pg_url) as target:
        assert target.verify("before").equal
        target.apply(folder)
        back(target)
    assert client.rows(pg_url, "SELECT * FROM t") == [(1, "mine", "one"), (2, "y", "two")]
