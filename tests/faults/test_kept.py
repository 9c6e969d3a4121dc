"""A campaign that was ended goes on, and its page says what was not tried."""

from __future__ import annotations

from pathlib import Path

from tests.faults.campaign import Row
from tests.faults.injection import How
from tests.faults.kept import Group, Kept
from tests.faults.table import markdown

DONE = Group("sqlite", "tag", How.KILLED, 1)
ROW = Row("sqlite", "tag", "tag", How.KILLED, places=31, points=31, at_start=30, at_end=1, stuck=["one"])


def test_rows_of_an_ended_run_are_there_again_for_the_same_commit_only(tmp_path: Path) -> None:
    Kept(tmp_path / "rows", "aaaaaaa").add(DONE, ROW)
    assert Kept(tmp_path / "rows", "aaaaaaa").rows == {DONE: ROW}
    assert Kept(tmp_path / "rows", "bbbbbbb").rows == {}


def test_the_page_names_commit_and_what_was_not_tried() -> None:
    page = markdown([ROW], [Group("postgresql", "first", How.CUT, 5)], "aaaaaaa", "15.1")
    assert "commit aaaaaaa" in page
    assert "- PostgreSQL, first deployment, ledger made: connection cut, answer lost" in page
    assert "| SQLite | tag | kill -9 before a statement | 31 | 31 | 30 | 1 | 1 |" in page
    assert "Not tried" not in markdown([ROW], [], "aaaaaaa", "")
