"""tagback.toml: targets by name, defaults, and a mistake shown at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Project


@pytest.fixture
def configured(sqlite_project: Project) -> Project:
    sqlite_project.write("001_a.sql", "create table a (id integer primary key);")
    Path("tagback.toml").write_text(
        'changelog = "m"\nlock_wait = 5\n\n[targets.shop]\nurl = "sqlite:///${PLACE}/shop.db"\n\n'
        '[targets."the other"]\nurl = "sqlite:///other.db"\nchangelog = "elsewhere"\n'
    )
    return sqlite_project


def test_a_target_is_called_by_its_name(configured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", ".")
    assert configured.json("--target", "shop", "apply", "--tag", "r1", url="").body["changesets"] == ["001_a"]
    assert Path("shop.db").exists()
    assert configured.json("--target", "shop", "status", url="").body["pending"] == []
    told = configured.run("--target", "shop", "apply", "--tag", "r2", url="")
    assert told.exit == 0


def test_the_way_back_is_told_with_the_target(configured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", ".")
    told = configured.run("--target", "shop", "apply", url="")
    assert "tagback --target shop rollback --count 1" in told.out


def test_defaults_hold_for_a_url_too(configured: Project) -> None:
    assert configured.json("apply").body["changesets"] == ["001_a"]


def test_paths_are_relative_to_the_file(configured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert configured.json("--config", "../tagback.toml", "apply").body["changesets"] == ["001_a"]


def test_a_variable_that_is_not_set(configured: Project) -> None:
    error = configured.json("--target", "shop", "status", url="").error
    assert error["code"] == "config"
    assert "PLACE" in error["message"]
    assert error["location"] == {"file": "tagback.toml", "line": 5, "column": 1}


def test_a_target_that_is_not_there_is_told_the_nearest(configured: Project) -> None:
    result = configured.json("--target", "shopp", "status", url="")
    assert (result.exit, result.error["code"]) == (2, "unknown_target")
    assert "shop" in result.error["hint"]


def test_url_and_target_together_are_an_error(configured: Project) -> None:
    assert configured.json("--target", "shop", "status").exit == 2


def test_a_target_needs_a_file(sqlite_project: Project) -> None:
    result = sqlite_project.json("--target", "shop", "status", url="")
    assert (result.exit, result.error["code"]) == (2, "config")


def test_without_a_target_the_known_ones_are_named(configured: Project) -> None:
    assert "the other" in configured.json("status", url="").error["hint"]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('changelgo = "m"\n', 1, 1, "Did you mean changelog?"),
        ('# x\n[targets.a]\nurl = "sqlite:///a.db"\n  lock_wiat = 1\n', 4, 3, "Did you mean lock_wait?"),
        ('[targets.a]\nurl = "sqlite:///a.db"\n[targets.b]\nurl="x"\nzebra = 1\n', 5, 1, "Possible here"),
        ('[targets.a]\nurl = "sqlite:///a.db"\nlock_wait = "long"\n', 3, 1, "number of seconds"),
        ("changelog = 3\n", 1, 1, "text in quotes"),
        ('column_order = "any"\n', 1, 1, "exact, logical"),
        ('[targets.a]\nurl = "sqlite:///a.db"\nshelf_limit = "much"\n', 3, 1, "2GB"),
        ("shelf_limit = 2\nshelf_retention = 30\n", 2, 1, "30d"),
        ('status_within = "2s"\n', 1, 1, "number of seconds"),
        ('[targets.a]\nchangelog = "m"\n', 1, 10, "needs a url"),
        ("targets = 3\n", 1, 1, "table"),
        ("[targets]\na = 3\n", 2, 1, "table"),
        ('changelog = "m\n', 1, 15, ""),
        ('changelog = "m"\nchangelog = "n"\n', 2, 16, ""),
    ],
)
def test_a_mistake_is_shown_at_its_place(
    sqlite_project: Project, text: str, line: int, column: int, words: str
) -> None:
    Path("tagback.toml").write_text(text)
    result = sqlite_project.json("status")
    assert (result.exit, result.error["code"]) == (2, "config")
    assert result.error["location"] == {"file": "tagback.toml", "line": line, "column": column}
    assert words in result.error["message"] + result.error["hint"]


def test_a_file_that_is_not_utf_8(sqlite_project: Project) -> None:
    Path("tagback.toml").write_bytes(b'changelog = "m"\n# caf\xe9\n')
    assert sqlite_project.json("status").error["location"] == {"file": "tagback.toml", "line": 2, "column": 6}


def test_a_file_that_is_not_there(sqlite_project: Project) -> None:
    result = sqlite_project.json("--config", "nowhere.toml", "status")
    assert (result.exit, result.error["code"]) == (2, "config")
    assert result.error["location"]["file"] == "nowhere.toml"
