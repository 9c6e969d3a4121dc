"""Whether a materialised view is populated is the application's affair, like the rows in it."""

from __future__ import annotations

import pytest

from tests.support.trial import Trial

UNFILLED = """
CREATE TABLE t (id int PRIMARY KEY, a int, b int);
INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);
CREATE MATERIALIZED VIEW m AS SELECT id, a FROM t WITH NO DATA;
"""


@pytest.mark.parametrize(
    "change", ["ALTER TABLE t ADD c int", "ALTER TABLE t DROP b", "ALTER TABLE t ALTER a TYPE bigint"]
)
def test_refreshed_view_is_no_drift_and_stays_populated(trial: Trial, change: str) -> None:
    trial.setup(UNFILLED)
    trial.deploy(
        change
        if "TYPE" not in change
        else f"DROP MATERIALIZED VIEW m; {change}; CREATE MATERIALIZED VIEW m AS SELECT id, a FROM t WITH NO DATA"
    )
    trial.write("REFRESH MATERIALIZED VIEW m")
    trial.back()
    assert trial.rows("SELECT id, a FROM m ORDER BY id") == [(1, 1), (2, 2)]


def test_refreshed_before_the_deployment_is_no_drift(trial: Trial) -> None:
    trial.setup(UNFILLED)
    trial.write("REFRESH MATERIALIZED VIEW m")
    trial.deploy("ALTER TABLE t DROP b")
    trial.back()
    assert trial.rows("SELECT count(*) FROM m") == [(2,)]


def test_a_dropped_view_comes_back_as_it_was(trial: Trial) -> None:
    trial.setup(UNFILLED + "CREATE MATERIALIZED VIEW full_one AS SELECT a FROM t")
    trial.goes_there_and_back("DROP MATERIALIZED VIEW m; DROP MATERIALIZED VIEW full_one")
