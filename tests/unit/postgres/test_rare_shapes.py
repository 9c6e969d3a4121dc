"""Shapes that few schemas have, which random pairs came upon (`make pairs`): there is a plan there and back."""

from __future__ import annotations

import pytest

from tests.pairs.pair import Outcome, Pair
from tests.pairs.trying import Trying
from tests.support.postgres import PostgresServer

CASES = {
    "sequence beside a type of its name": (
        "CREATE SEQUENCE s; CREATE TYPE s AS ENUM ('a')",
        "DROP SEQUENCE s",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case: str, postgres_server: PostgresServer) -> None:
    outcome = tried(postgres_server, *CASES[case])
    assert not outcome.failed, "\n".join(outcome.details)
    assert outcome.kinds, "the case changes nothing"
    assert outcome.blocked == ()


def tried(server: PostgresServer, before: str, change: str) -> Outcome:
    """What came of it; all that is said was accepted."""
    outcome = Trying(server).outcome(Pair((before,), (change,)))
    assert outcome.skipped == ()
    return outcome
