"""Which file a URL names, and that first runs at one missing file don't take it from each other."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tagback.deploy.target import Target
from tagback.engines import connect
from tagback.errors import TagbackError, UnreachableError, UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no file is yet."""
    return tmp_path / "shop.db"


def tables(path: Path) -> list[str]:
    with sqlite3.connect(path) as mine:
        found = [str(name) for (name,) in mine.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    mine.close()
    return found


# ---------------------------------------------------------------------- first runs


def test_a_file_made_for_nothing_stays_empty_for_whoever_has_it_open(path: Path) -> None:
    failing, working = (connect(f"sqlite:///{path}", create=True) for _ in range(2))
    failing.close()
    assert path.stat().st_size == 0
    working.begin()
    working.run("CREATE TABLE a (i INTEGER)")
    working.commit()
    working.close()
    assert tables(path) == ["a"]


def test_a_file_that_another_first_run_is_writing_to_stays(path: Path) -> None:
    failing, working = (connect(f"sqlite:///{path}", create=True) for _ in range(2))
    working.begin()
    working.run("CREATE TABLE a (i INTEGER)")
    failing.close()
    working.commit()
    working.close()
    assert tables(path) == ["a"]


def test_a_file_that_somebody_else_put_in_place_stays(path: Path) -> None:
    session = connect(f"sqlite:///{path}", create=True)
    path.unlink()
    path.touch()
    session.close()
    assert path.exists()


def test_a_database_restored_from_a_copy_is_the_one_that_is_looked_at(path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        copy.execute("CREATE TABLE restored (i INTEGER)")
    copy.close()
    with Target.open(f"sqlite:///{path}", create=True) as target:
        target.tag("first")
        assert target.verify().equal
        os.replace(tmp_path / "copy.db", path)
        assert target.status().message == "This database was never deployed to."


@pytest.mark.slow
def test_of_first_runs_at_once_those_that_fail_take_nothing_from_the_one_that_works(path: Path, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "001_a.sql").write_text("CREATE TABLE a (i INTEGER);")
    (tmp_path / "bad" / "002_b.sql").write_text("CREATE TABL b;")
    for _ in range(4):
        runs = [
            subprocess.Popen(
                [sys.executable, "-m", "tagback", "--url", f"sqlite:///{path}", "apply", "--changelog", name, "--json"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for name in ("bad", "good", "bad")
        ]
        outputs = [run.communicate(timeout=60) for run in runs]
        assert [run.returncode for run in runs] == [1, 0, 1], outputs
        with Target.open(f"sqlite:///{path}") as target:
            assert target.verify().equal
            assert target.status().applied == ("001_a",)
        path.unlink()


# ---------------------------------------------------------------------- URLs


def test_a_file_opened_read_only_can_be_looked_at_and_not_deployed_to(path: Path, tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("CREATE TABLE a (i INTEGER);")
    with Target.open(f"sqlite:///{path}", create=True) as target:
        target.tag("first")
    before = path.read_bytes()
    with Target.open(f"sqlite:///{path}?mode=ro", create=True) as target:
        assert target.verify().equal
        with pytest.raises(UsageError, match="mode=ro"):
            target.apply(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_mode_that_makes_no_file_makes_none(path: Path, mode: str) -> None:
    with pytest.raises(UnreachableError, match="does not exist"):
        connect(f"sqlite:///{path}?mode={mode}", create=True)
    assert not path.exists()


@pytest.mark.parametrize("query", ["cache=shared", "mode=memory", "timeout=5", "mode=ro&vfs=unix-none"])
def test_a_parameter_that_would_be_ignored_is_refused_by_name(path: Path, query: str) -> None:
    with pytest.raises(UsageError) as refusal:
        connect(f"sqlite:///{path}?{query}", create=True)
    assert query.rpartition("&")[2].partition("=")[0] in refusal.value.message
    assert not path.exists()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("100%.db", "100%.db"),
        ("100%25.db", "100%.db"),
        ("a%20b.db", "a b.db"),
        ("what%3F.db", "what?.db"),
        ("a#b.db", "a#b.db"),
        ("caf%C3%A9.db", "café.db"),
        ("caf%E9.db", os.fsdecode(b"caf\xe9.db")),
    ],
)
def test_a_name_is_taken_as_a_url_says_it(tmp_path: Path, written: str, name: str) -> None:
    with Target.open(f"sqlite:///{tmp_path}/{written}", create=True) as target:
        target.tag("first")
    assert os.listdir(tmp_path) == [name]


def test_a_percent_sign_that_was_meant_as_such_makes_no_second_file(tmp_path: Path) -> None:
    (tmp_path / "a%41.db").touch()
    with pytest.raises(UsageError, match="a%41") as refusal:
        connect(f"sqlite:///{tmp_path}/a%41.db", create=True)
    assert "%25" in refusal.value.hint
    connect(f"sqlite:///{tmp_path}/a%2541.db").close()
    assert os.listdir(tmp_path) == ["a%41.db"]


def test_what_can_not_be_a_database_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "loop.db").symlink_to("loop.db")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.db")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    for place, message, hint in (
        ("loop.db", "loop.db can't be opened", "in a circle"),
        ("n" * 256, "can't be opened: File name too long", "255 bytes"),
        ("file/x.db", "file is not a folder", ""),
        ("nowhere/x.db", "nowhere does not exist", "relative"),
        ("pipe.db", "not a regular file", "Name a file"),
        (os.devnull, "not a regular file", "Name a file"),
        (".", "is a folder", ""),
    ):
        with pytest.raises(TagbackError) as refusal:
            connect(f"sqlite:///{tmp_path / place}", create=True)
        assert (refusal.value.exit_code, refusal.value.code) == (6, "unreachable")
        assert message in refusal.value.message
        assert hint in refusal.value.hint
    with pytest.raises(UsageError, match="NUL"):
        connect(f"sqlite:///{tmp_path}/a%00.db", create=True)


def test_a_link_to_a_file_that_is_not_there_yet_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to("real.db")
    connect(f"sqlite:///{link}", create=True).close()
    assert link.is_symlink()
    assert (tmp_path / "real.db").stat().st_size == 0
