"""Thousands of random steps on each engine; after every one, an oracle that knows nothing of tagback agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.database import Database
from tests.stateful.kept import Kept
from tests.stateful.machine import Histories
from tests.stateful.postgres import PostgresDatabase
from tests.stateful.sqlite import SqliteDatabase
from tests.support.effort import Effort
from tests.support.postgres import PostgresServer

STEPS_OF_ONE = 40
EXAMPLES_A_RUN = 25

pytestmark = pytest.mark.slow


def test_random_histories_on_sqlite(effort: Effort, record_property: Callable[[str, object], None]) -> None:
    run("sqlite", SqliteDatabase, effort, record_property)


def test_random_histories_on_postgres(
    effort: Effort, postgres_server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    run("postgres", lambda _: PostgresDatabase(postgres_server), effort, record_property)


def test_a_run_that_was_ended_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    for seed_, steps in ((0, 70), (1, 50)):
        Kept(file, "sqlite").add(seed_, Counter({"verified": steps}))
    Kept(file, "postgres").add(0, Counter({"verified": 9}))
    kept = Kept(file, "sqlite")
    assert (kept.next_seed, kept.outcomes) == (2, Counter({"verified": 120}))
    assert Kept(None, "sqlite").next_seed == 0


def run(
    engine: str, make: Callable[[Path], Database], effort: Effort, record_property: Callable[[str, object], None]
) -> None:
    """Runs machine after machine, each with its own seed, until there were so many steps.

    The first example of every run is the shortest there is and may take no step at all: a run has more than that one.
    """
    kept = Kept(effort.stateful_kept, engine)
    while (left := effort.stateful_steps - kept.outcomes.total()) > 0:
        outcomes: Counter[str] = Counter()
        machine = type("Histories", (Histories,), {"make": staticmethod(make), "outcomes": outcomes})
        run_state_machine_as_test(
            seed(kept.next_seed)(machine),
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
        assert outcomes, "a run without a step"
        kept.add(kept.next_seed, outcomes)
    record_property(f"stateful {engine}", dict(kept.outcomes))
    assert any(name.startswith("rolled back exactly") for name in kept.outcomes), kept.outcomes
