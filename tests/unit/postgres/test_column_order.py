"""A column that comes back stands in its place, or by wish behind the others; the difference is told, and is no drift."""

from __future__ import annotations

import tagback
from tagback import ColumnOrder, RollbackOptions
from tests.support.oracle import differences
from tests.support.trial import Trial

SETUP = """
CREATE TABLE a (id int PRIMARY KEY, b text, c int NOT NULL DEFAULT 7, d text);
CREATE TABLE b (x int, s int GENERATED ALWAYS AS (x + 1) STORED, y int);
CREATE VIEW shown AS SELECT b, d FROM a;
INSERT INTO a VALUES (1, 'x', 1, 'y'), (2, NULL, 2, 'z');
INSERT INTO b VALUES (1, DEFAULT, 3);
"""
DROPS = "DROP VIEW shown; ALTER TABLE a DROP b; ALTER TABLE b DROP s;"


def order(trial: Trial, table: str) -> list[str]:
    ((names,),) = trial.rows(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute"
        f" WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    return str(names).split()


def back(trial: Trial, column_order: ColumnOrder, *, to: str = "before", dry_run: bool = False) -> tagback.RolledBack:
    with tagback.open(trial.url) as target:
        return target.rollback(RollbackOptions(to=to, column_order=column_order, dry_run=dry_run))


def test_a_column_comes_back_in_its_place_unless_otherwise_wished(trial: Trial) -> None:
    trial.setup(SETUP)
    before = trial.state()
    trial.deploy(DROPS)
    done = back(trial, ColumnOrder.EXACT)
    assert done.reordered == ()
    assert differences(before, trial.state()) == []


def test_by_wish_it_is_appended_without_a_rewrite_and_the_difference_is_told(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy(DROPS)
    done = back(trial, ColumnOrder.LOGICAL)
    assert done.verified
    assert done.fingerprint_after == done.fingerprint_expected
    assert done.reordered == ("table public.a", "table public.b")
    assert done.message.endswith("but for column order (table public.a, table public.b).")
    assert order(trial, "a") == ["id", "c", "d", "b"]
    assert order(trial, "b") == ["x", "y", "s"]
    assert trial.rows("SELECT id, b, c, d FROM a ORDER BY id") == [(1, "x", 1, "y"), (2, None, 2, "z")]
    assert trial.rows("SELECT * FROM shown ORDER BY 2") == [("x", "y"), (None, "z")]
    verdicts = trial.rows("SELECT verdict FROM tagback.receipt")
    assert verdicts == [("equal but for column order (table public.a, table public.b)",)]


def test_what_was_appended_by_wish_is_no_drift(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy(DROPS, tag="r1")
    back(trial, ColumnOrder.LOGICAL)
    with tagback.open(trial.url) as target:
        assert target.verify().equal
        assert target.status().drift == ()
        assert [(t.tag, t.reachable) for t in target.tags()] == [("before", True)]
    again = back(trial, ColumnOrder.LOGICAL)
    assert again.deployments == ()
    assert again.message.startswith("Nothing to undo")
    assert "column order" in again.message
    # What is deployed on top of it goes back over it, too.
    trial.deploy("CREATE TABLE more (i int);", tag="r2")
    assert back(trial, ColumnOrder.LOGICAL).verified


def test_the_order_is_made_exact_later(trial: Trial) -> None:
    trial.setup(SETUP)
    before = trial.state()
    trial.deploy(DROPS)
    back(trial, ColumnOrder.LOGICAL)
    trial.write("INSERT INTO a VALUES (3, 5, 'since', 'w')")
    done = back(trial, ColumnOrder.EXACT)
    assert done.reordered == ()
    assert done.deployments == ()
    trial.write("DELETE FROM a WHERE id = 3")
    assert differences(before, trial.state()) == []


def test_a_change_by_hand_is_drift_whatever_the_order(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy(DROPS, tag="r1")
    back(trial, ColumnOrder.LOGICAL)
    trial.write("ALTER TABLE a ADD by_hand int")
    with tagback.open(trial.url) as target:
        assert not target.verify().equal
        assert [t.reachable for t in target.tags()] == [False]


def test_the_dry_run_tells_the_cost_of_the_exact_order(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy(DROPS)
    exact = back(trial, ColumnOrder.EXACT, dry_run=True).plan or ()
    logical = back(trial, ColumnOrder.LOGICAL, dry_run=True).plan or ()
    rewrites = [s for s in exact if 'GENERATED ALWAYS AS ("' in s.sql]
    assert rewrites
    assert all(s.lock == "ACCESS EXCLUSIVE" and s.seconds_estimate is not None for s in rewrites)
    assert len(logical) < len(exact)
    assert not any("tagback_" in s.sql for s in logical if s.action not in ("insert", "delete"))
