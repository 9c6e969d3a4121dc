"""A small share of `make kills`: the runner of the two-database example killed at random moments, and gone on with."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.pipeline.kills import Ground, ground, kill


@pytest.fixture(scope="module")
def made(postgres_programs_found: object) -> Iterator[Ground]:
    with ground() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_run_whose_runner_is_killed_anywhere_ends_as_if_undisturbed(made: Ground, seed: int) -> None:
    assert kill(made, random.Random(seed))
