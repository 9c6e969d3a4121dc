"""The sizes of the slow suites come from variables, and a wrong one is an error, not a shorter run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.effort import Effort


def test_without_variables_the_small_share_runs() -> None:
    assert Effort.from_environment({"TAGBACK_TEST_STEPS": ""}) == Effort()


def test_variables_set_the_sizes(tmp_path: Path) -> None:
    variables = {
        "TAGBACK_TEST_STEPS": "10000",
        "TAGBACK_TEST_FAULT_STRIDE": "1",
        "TAGBACK_TEST_CAUSE_STRIDE": "2",
        "TAGBACK_TEST_PAIRS": "9",
        "TAGBACK_TEST_CORPORA": str(tmp_path),
        "TAGBACK_TEST_KEPT": str(tmp_path / "kept"),
    }
    assert Effort.from_environment(variables) == Effort(10_000, 1, 2, 9, tmp_path, tmp_path / "kept")


@pytest.mark.parametrize(
    ("name", "value"),
    [("TAGBACK_TEST_STEPS", "0"), ("TAGBACK_TEST_FAULT_STRIDE", "all"), ("TAGBACK_TEST_CORPORA", "/no/such/folder")],
)
def test_a_wrong_size_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Effort.from_environment({name: value})
