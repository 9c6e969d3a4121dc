"""The share of `make writers` that every test run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.writers.course import Course

pytestmark = pytest.mark.slow


def test_no_acknowledged_write_is_lost_or_comes_back_while_a_column_goes_and_comes(
    target_url: str, tmp_path: Path
) -> None:
    report = Course(target_url, tmp_path, rows=4_000, lock_timeout=1, obstructed=True).run(seconds=1)
    assert report.problems == [], report.told()
    assert min(report.acknowledged[kind] for kind in ("insert", "update", "delete")) > 0
    assert report.refused["no column b"] > 0
    assert {"column dropped", "column back", "column dropped, late"} & {p.name for p in report.phases}
