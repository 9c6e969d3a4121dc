"""A file that asks for one snapshot of all that it reads gets it by locks, and others as they stand."""

from __future__ import annotations

import pytest

from tests.support.trial import Trial

SETUP = """
CREATE TABLE "A b" (id int PRIMARY KEY);
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE untouched (id int PRIMARY KEY);
CREATE VIEW v AS SELECT * FROM other;
INSERT INTO "A b" VALUES (1), (2);
"""
BACKFILL = """
CREATE TABLE c AS SELECT * FROM "A b" UNION ALL SELECT * FROM v;
CREATE TABLE seen AS SELECT relation::regclass::text AS name FROM pg_locks
    WHERE pid = pg_backend_pid() AND mode = 'ShareLock' AND granted AND relation::regclass::text NOT LIKE 'pg_toast%';
"""


@pytest.mark.parametrize(
    "beginning",
    [
        "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;",
        "BEGIN ISOLATION LEVEL SERIALIZABLE;",
        "start transaction isolation level repeatable read, read write;",
        "BEGIN; SELECT 1; COMMIT; BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ;",
    ],
)
def test_what_it_names_is_locked_against_writers(trial: Trial, beginning: str) -> None:
    trial.setup(SETUP)
    trial.deploy(f"{beginning}{BACKFILL}COMMIT;")
    assert trial.rows("SELECT name FROM seen ORDER BY 1") == [('"A b"',), ("other",)]
    assert trial.rows("SELECT count(*) FROM c") == [(2,)]
    trial.back()


@pytest.mark.parametrize("beginning", ["BEGIN;", "BEGIN; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"])
def test_nothing_is_locked_for_what_a_deployment_does_anyway(trial: Trial, beginning: str) -> None:
    trial.setup(SETUP)
    trial.deploy(f"{beginning}{BACKFILL}COMMIT;")
    assert trial.rows("SELECT count(*) FROM seen") == [(0,)]


def test_one_deployment_s_wish_is_not_the_next_one_s(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy("BEGIN ISOLATION LEVEL SERIALIZABLE; CREATE TABLE c (id int); COMMIT;")
    trial.deploy(BACKFILL.replace("TABLE c ", "TABLE d "))
    assert trial.rows("SELECT count(*) FROM seen") == [(0,)]
