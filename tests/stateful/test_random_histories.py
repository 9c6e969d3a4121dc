"""Thousands of random steps on each engine; after every one, an oracle that knows nothing of tagback agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.database import Database
from tests.stateful.machine import Histories
from tests.stateful.postgres import PostgresDatabase
from tests.stateful.sqlite import SqliteDatabase
from tests.support.effort import Effort
from tests.support.postgres import PostgresServer

STEPS_OF_ONE = 40
EXAMPLES_A_RUN = 25

pytestmark = pytest.mark.slow


def test_random_histories_on_sqlite(effort: Effort, record_property: Callable[[str, object], None]) -> None:
    run("sqlite", SqliteDatabase, effort.stateful_steps, record_property)


def test_random_histories_on_postgres(
    effort: Effort, postgres_server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    run("postgres", lambda _: PostgresDatabase(postgres_server), effort.stateful_steps, record_property)


def run(
    engine: str, make: Callable[[Path], Database], steps: int, record_property: Callable[[str, object], None]
) -> None:
    """Runs machine after machine, each with its own seed, until there were so many steps.

    The first example of every run is the shortest there is and may take no step at all: a run has more than that one.
    """
    outcomes: Counter[str] = Counter()
    number = 0
    while (left := steps - outcomes.total()) > 0:
        machine = type("Histories", (Histories,), {"make": staticmethod(make), "outcomes": outcomes})
        run_state_machine_as_test(
            seed(number)(machine),
            settings=settings(
                max_examples=min(EXAMPLES_A_RUN, 2 + left // STEPS_OF_ONE),
                stateful_step_count=STEPS_OF_ONE,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert outcomes.total() > steps - left, "a run without a step"
        number += 1
    record_property(f"stateful {engine}", dict(outcomes))
    assert any(name.startswith("rolled back exactly") for name in outcomes), outcomes
