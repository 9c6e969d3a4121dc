"""Deployments with statements that can't run in a transaction keep what the options promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Project


@pytest.fixture
def concurrent(tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A deployed table, its file changed since, and an index that is to be made concurrently."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, pg_url)
    project.write("001_people.sql", "create table people (id integer primary key, name text);")
    project.apply("--tag", "r1")
    project.write("001_people.sql", "create table people (id integer primary key, name text); -- people")
    project.write("002_index.sql", "create index concurrently people_name on people (name);")
    return project


def test_a_changed_file_is_accepted_for_good(concurrent: Project) -> None:
    concurrent.apply("--accept-changed", "001_people")
    assert concurrent.apply().body["changesets"] == []


def test_granular_is_refused_where_the_places_in_between_can_not_be_recorded(concurrent: Project) -> None:
    before = concurrent.schema()
    result = concurrent.json("apply", "--changelog", "m", "--accept-changed", "001_people", "--granular")
    assert (result.exit, result.error["code"]) == (2, "granular")
    assert "002_index" in result.error["message"]
    assert concurrent.schema() == before


def test_a_dry_run_that_tries_nothing_does_not_say_so(concurrent: Project) -> None:
    told = concurrent.run("apply", "--changelog", "m", "--accept-changed", "001_people", "--dry-run")
    assert "would deploy" in told.out
    assert "tried and undone" not in told.out


def test_a_dry_run_says_what_would_be_and_not_that_it_is(concurrent: Project) -> None:
    body = concurrent.apply("--accept-changed", "001_people", "--dry-run").body
    assert body["message"].endswith("nothing was changed.")
    assert [step["object"] for step in body["plan"]] == ["002_index"]
    assert [t["tag"] for t in concurrent.json("tags").body["tags"]] == ["r1"]
