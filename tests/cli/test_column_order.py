"""Where a column that comes back stands, as the configuration or the command line says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Project


@pytest.fixture
def dropped(tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A column before others is gone since the tag r1."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, pg_url)
    project.write("001_a.sql", "create table a (id integer primary key, name text, city text);")
    project.apply("--tag", "r1")
    project.write("002_drop.sql", "alter table a drop name;")
    project.apply("--tag", "r2")
    return project


def test_the_configuration_says_it_and_the_option_goes_before(dropped: Project) -> None:
    Path("tagback.toml").write_text('column_order = "logical"\n')
    told = dropped.run("rollback", "--to", "r1", "--yes")
    assert told.exit == 0
    assert "equal but for column order" in told.out
    assert "columns in another order: table public.a" in told.out
    assert dropped.json("verify").exit == 0
    body = dropped.json("rollback", "--to", "r1", "--yes", "--column-order", "exact").body
    assert body["reordered"] == []
    assert body["verified"]
    assert dropped.json("verify", "--tag", "r1").exit == 0


def test_the_dry_run_tells_what_the_exact_order_costs(dropped: Project) -> None:
    told = dropped.run("rollback", "--to", "r1", "--dry-run")
    assert "GENERATED ALWAYS AS" in told.out
    assert "ACCESS EXCLUSIVE" in told.out
    (rewrite,) = [s for s in dropped.json("rollback", "--to", "r1", "--dry-run").body["plan"] if "STORED" in s["sql"]]
    assert rewrite["seconds_estimate"] > 0


def test_on_sqlite_every_column_comes_back_in_its_place(sqlite_project: Project) -> None:
    sqlite_project.write("001_a.sql", "create table a (id integer primary key, name text, city text);")
    sqlite_project.apply("--tag", "r1")
    before = sqlite_project.schema()
    sqlite_project.write("002_drop.sql", "alter table a drop name;")
    sqlite_project.apply("--tag", "r2")
    body = sqlite_project.json("rollback", "--to", "r1", "--yes", "--column-order", "logical").body
    assert (body["verified"], body["reordered"]) == (True, [])
    assert sqlite_project.schema() == before
