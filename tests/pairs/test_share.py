"""The share of `make pairs` that every test run does; always the same pairs."""

from __future__ import annotations

import pytest

from tests.pairs.account import Account
from tests.pairs.trying import Trying
from tests.support.effort import Effort
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow


def test_plans_lead_from_one_random_schema_to_another_and_back(postgres_server: PostgresServer, effort: Effort) -> None:
    account = Account(Trying(postgres_server))
    said = [account.tried(seed) for seed in range(effort.pairs)]
    assert not account.failures, "".join(said)
