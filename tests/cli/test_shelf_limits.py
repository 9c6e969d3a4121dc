"""How large the shelf may become and how long things stay on it, as the user has set it; and disks that are full."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.support.postgres import PostgresServer


def _values(keys: range, length: int) -> str:
    """Rows for an INSERT whose texts no server makes smaller."""
    texts = ((n, hashlib.shake_256(str(n).encode()).hexdigest(length // 2)) for n in keys)
    return ", ".join(f"({n}, '{text}')" for n, text in texts)


@pytest.fixture
def large(project: Project) -> Project:
    """A table with half a megabyte in it, tagged r1; the changeset that empties it is pending."""
    project.write("001_a.sql", "create table a (id integer primary key, body text);")
    project.apply("--tag", "r1")
    project.sql("insert into a (id, body) values " + _values(range(100), 5000))
    project.write("002_empty.sql", "create table b (id integer primary key); delete from a where id >= 0;")
    return project


def _is_as_before(project: Project) -> bool:
    status = project.json("status").body
    return (
        project.sql("select count(*), sum(length(body)) from a") == [(100, 500_000)]
        and (status["tag"], status["drift"], status["shelf"]["rows"]) == ("r1", [], 0)
        and not any("b" in row[1:3] for row in project.schema())
    )


def test_keeping_more_than_the_limit_fails_the_whole_deployment(large: Project) -> None:
    result = large.json("apply", "--changelog", "m", "--shelf-limit", "100kB")
    assert (result.exit, result.error["code"]) == (1, "shelf_limit")
    assert "table a" in result.error["message"].replace("public.", "")
    assert "--shelf-limit" in result.error["hint"]
    assert _is_as_before(large)
    assert large.apply("--shelf-limit", "5MB").body["shelved"][0]["rows"] == 100


def test_the_limit_counts_what_is_on_the_shelf_already(large: Project) -> None:
    Path("tagback.toml").write_text('shelf_limit = "1MB"\n')
    large.apply("--tag", "r2")
    large.sql("insert into a (id, body) values " + _values(range(100, 200), 5000))
    large.write("003_again.sql", "delete from a where id >= 0;")
    result = large.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (1, "shelf_limit")
    large.apply("--shelf-limit", "5MB")


def test_a_rollback_that_would_keep_more_fails_as_a_whole(large: Project) -> None:
    large.apply("--tag", "r2")
    large.sql("insert into b (id) values (1)")
    large.write("003_more.sql", "create table c (id integer primary key, body text);")
    large.apply("--tag", "r3")
    large.sql("insert into c (id, body) values " + _values(range(100), 5000))
    result = large.json("rollback", "--to", "r2", "--yes", "--shelf-limit", "600kB")
    assert (result.exit, result.error["code"]) == (1, "shelf_limit")
    assert large.sql("select count(*) from c") == [(100,)]
    assert large.json("rollback", "--to", "r2", "--yes", "--shelf-limit", "9MB").body["verified"]


def test_what_is_not_to_be_kept_does_not_count(large: Project) -> None:
    large.write("002_empty.sql", "-- tagback: no-keep\ndelete from a where id >= 0;")
    body = large.apply("--shelf-limit", "100kB", "--allow-irreversible").body
    assert (body["reversibility"], body["shelved"]) == ("irreversible", [])


def test_a_size_that_is_none_is_a_usage_error(sqlite_project: Project) -> None:
    result = sqlite_project.json("apply", "--changelog", "m", "--shelf-limit", "lots")
    assert result.exit == 2
    assert "2GB" in result.error["hint"]


def test_status_tells_the_size_of_the_shelf(large: Project) -> None:
    assert large.json("status").body["shelf"] == {"tables": 0, "rows": 0, "bytes": 0, "needed": 0, "oldest": ""}
    assert "shelf:" not in large.run("status").out
    large.apply("--tag", "r2")
    shelf = large.json("status").body["shelf"]
    assert (shelf["tables"], shelf["rows"]) == (1, 100)
    assert shelf["bytes"] == shelf["needed"] >= 500_000
    assert shelf["oldest"] == large.json("shelf", "ls").body["shelf"][0]["kept_at"]
    assert "shelf: 100 rows of 1 table, " in large.run("status").out


def test_what_is_older_than_the_retention_goes_with_the_next_change_and_is_named(large: Project) -> None:
    large.apply("--tag", "r2")
    Path("tagback.toml").write_text('shelf_retention = "30d"\n')
    assert large.apply().body["purged"] == []
    ledger = "tagback_deployment" if large.is_sqlite else "tagback.deployment"
    large.sql(f"update {ledger} set started = '2020-01-01T00:00:00+00:00', ended = '2020-01-01T00:00:01+00:00'")
    large.write("003_more.sql", "create table c (id integer primary key);")
    tried = large.apply("--dry-run").body
    assert [(p["table"].rpartition(".")[2], p["rows"]) for p in tried["purged"]] == [("a", 100)]
    assert large.json("shelf", "ls").body["rows"] == 100
    told = large.run("apply", "--changelog", "m", "--tag", "r3")
    assert "dropped from the shelf by shelf_retention: 100 rows of" in told.out
    assert "there is no way back over deployment 2 any more" in told.out
    assert large.json("shelf", "ls").body["shelf"] == []
    reachable = {t["tag"]: (t["reachable"], t["reasons"]) for t in large.json("tags").body["tags"]}
    assert reachable["r2"] == (True, [])
    assert reachable["r1"][0] is False
    assert "purged" in reachable["r1"][1][0]
    result = large.json("rollback", "--to", "r1", "--yes")
    assert (result.exit, result.error["code"]) == (3, "irreversible")


# ---------------------------------------------------------------------- disks that are full


@contextlib.contextmanager
def _small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """A disk of this size, where whoever runs the tests may mount one."""
    place.mkdir()
    size = f"size={megabytes}m"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def _fails_for_want_of_space(project: Project) -> None:
    project.write("001_a.sql", "create table a (id integer primary key, body text);")
    project.apply("--tag", "r1")
    project.sql("insert into a (id, body) values " + _values(range(100), 5000))
    project.write("002_fill.sql", "create table f (id integer primary key, body text);")
    project.apply("--tag", "r2")
    before = project.schema()
    project.sql("insert into f (id, body) values " + _values(range(80), 100_000))
    project.write("003_more.sql", "create table b (id integer primary key); update f set body = 'x' where id >= 0;")
    result = project.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (1, "disk_full"), result.out
    assert "as it was before" in result.error["hint"]
    assert project.schema() == before
    assert project.sql("select count(*), sum(length(body)) from f") == [(80, 8_000_000)]
    status = project.json("status").body
    assert (status["tag"], status["drift"], status["shelf"]["rows"]) == ("r2", [], 0)
    assert project.json("verify").exit == 0


def test_a_full_disk_under_sqlite_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    disk = tmp_path / "disk"
    with _small_disk(disk, 16):
        _fails_for_want_of_space(Project(tmp_path, f"sqlite:///{disk / 'target.db'}"))


def test_a_full_disk_under_postgresql_leaves_everything_as_it_was(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    disk = postgres_server.folder / "small"
    with _small_disk(disk, 20), postgres_server.connect() as connection:
        connection.autocommit = True
        owner = (postgres_server.folder / "data").stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
        connection.execute(b"CREATE DATABASE on_small TEMPLATE template0 TABLESPACE small")
        try:
            _fails_for_want_of_space(Project(tmp_path, postgres_server.url("on_small")))
        finally:
            postgres_server.drop_database("on_small")
            connection.execute(b"DROP TABLESPACE small")
