# ruff: noqa: E501 - changesets, a line each
"""Deployments that did something to rows: several at once, changeset by changeset, in parts, by wish, and again."""

from __future__ import annotations

import pytest

import tagback
from tagback.errors import FailedError, RefusedError
from tests.support.oracle import State, differences
from tests.support.trial import OnConflict, Trial

SHOP = """
CREATE TABLE t (id int PRIMARY KEY, a text, b int); INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20), (3, 'z', 30);
CREATE TABLE k (v int); INSERT INTO k VALUES (1), (1), (NULL);
"""
STEPS = (
    "UPDATE t SET a = 'one'; DELETE FROM k WHERE v IS NULL;",
    "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO c; UPDATE u SET c = c || ' two', b = b + 1; INSERT INTO k VALUES (7);",
    "ALTER TABLE u DROP c; DELETE FROM u WHERE id = 3; ALTER TABLE k ADD w text DEFAULT 'w';",
    "CREATE TABLE n AS SELECT * FROM u; DROP TABLE u; UPDATE k SET w = v::text;",
    "CREATE TABLE u (id int PRIMARY KEY, a date); INSERT INTO u VALUES (1, 'epoch'); TRUNCATE k; INSERT INTO n VALUES (9, 9);",
)


def _states(trial: Trial) -> list[State]:
    """Deploys each step by itself; the state before each and after the last."""
    trial.setup(SHOP)
    states = [trial.state()]
    for n, sql in enumerate(STEPS, 1):
        trial.deploy(sql, tag=f"s{n}")
        states.append(trial.state())
    return states


@pytest.mark.parametrize("to", range(5))
def test_many_deployments_go_back_in_one_call(trial: Trial, to: int) -> None:
    states = _states(trial)
    trial.back(f"s{to}" if to else "before", OnConflict.FAIL)
    assert differences(states[to], trial.state()) == []
    trial.deploy(tag="again")
    assert differences(states[-1], trial.state()) == []
    trial.back(on_conflict=OnConflict.FAIL)
    assert differences(states[0], trial.state()) == []


def test_deployments_go_back_one_by_one_and_come_again(trial: Trial) -> None:
    states = _states(trial)
    for n in (4, 3, 2, 1):
        trial.back(f"s{n}", OnConflict.FAIL)
        assert differences(states[n], trial.state()) == []
    trial.back(on_conflict=OnConflict.FAIL)
    assert differences(states[0], trial.state()) == []


def test_each_changeset_of_a_granular_deployment_is_a_place_to_return_to(trial: Trial) -> None:
    trial.setup(SHOP)
    before = trial.state()
    trial.deploy(*STEPS, granular=True)
    after = trial.state()
    shown = []
    for n in (4, 3, 2, 1):
        trial.back(to_changeset=f"00{n}_change", on_conflict=OnConflict.FAIL)
        shown.append(trial.state())
    trial.back(on_conflict=OnConflict.FAIL)
    assert differences(before, trial.state()) == []
    for n, state in enumerate(reversed(shown), 1):
        with tagback.open(trial.url) as target:
            target.apply(trial.changelog, tagback.ApplyOptions(to=f"00{n}_change"))
        assert differences(state, trial.state()) == []
    trial.deploy()
    assert differences(after, trial.state()) == []


def test_what_was_written_between_deployments_stays_on_the_way_over_all_of_them(trial: Trial) -> None:
    trial.setup(SHOP)
    trial.deploy("UPDATE t SET a = 'one';", tag="s1")
    trial.write("UPDATE t SET b = 11 WHERE id = 1; INSERT INTO t VALUES (4, 'mine', 40)")
    trial.deploy("UPDATE t SET a = a || ' two', b = b + 100;", tag="s2")
    trial.write("UPDATE t SET b = 0 WHERE id = 2; INSERT INTO t VALUES (5, 'late', 50); DELETE FROM t WHERE id = 3")
    done = trial.back()
    assert trial.rows("SELECT * FROM t") == [(1, "x", 11), (2, None, 0), (4, "mine", 40), (5, "late", 50)]
    assert [(c.key, c.column) for c in done.conflicts] == [("id=2", "b")]


def test_failed_rollback_of_an_older_deployment_leaves_everything(trial: Trial) -> None:
    trial.setup(SHOP + "ALTER TABLE t ADD CONSTRAINT once UNIQUE (b);")
    trial.deploy("ALTER TABLE t DROP CONSTRAINT once;", tag="s1")
    trial.deploy("DELETE FROM k;", tag="s2")
    trial.write("INSERT INTO t VALUES (4, 'twice', 10)")
    before = trial.state()
    with pytest.raises(RefusedError, match="once"):
        trial.back()
    assert differences(before, trial.state()) == []
    trial.back("s1")
    assert len(trial.rows("SELECT * FROM k")) == 3


# ---------------------------------------------------------------------- by wish

NAMES = "CREATE TABLE t (id int PRIMARY KEY, full_name text NOT NULL); INSERT INTO t VALUES (1, 'Ada Byron'), (2, 'Ben Ito'), (3, 'Cy Do');"
SPLIT = """ALTER TABLE t ADD first text, ADD last text; UPDATE t SET first = split_part(full_name, ' ', 1), last = split_part(full_name, ' ', 2);
ALTER TABLE t DROP full_name;"""
WAY = "-- tagback: back full_name = first || ' ' || last\n"
LATER = "UPDATE t SET last = 'King' WHERE id = 1; INSERT INTO t (id, first, last) VALUES (4, 'Di', 'Eu'); DELETE FROM t WHERE id = 3"


def test_a_split_column_has_a_condition_and_its_later_values_are_conflicts(trial: Trial) -> None:
    trial.setup(NAMES.replace(" NOT NULL", ""))
    applied = trial.deploy(SPLIT)
    assert applied.reversibility == "conditional"
    assert any("first" in reason and "full_name" in reason for reason in applied.reasons)
    trial.write(LATER)
    at_end = trial.every_row()
    with pytest.raises(RefusedError, match="id=1: full_name"):
        trial.back(on_conflict=OnConflict.FAIL)
    done = trial.back()
    assert trial.rows("SELECT * FROM t") == [(1, "Ada Byron"), (2, "Ben Ito"), (4, None)]
    assert [(c.key, c.column) for c in done.conflicts] == [("id=1", "full_name")]
    trial.deploy()
    assert differences(at_end, trial.every_row()) == []


def test_a_split_column_goes_back_as_the_changeset_says(trial: Trial) -> None:
    trial.setup(NAMES)
    assert trial.deploy(WAY + SPLIT).reversibility == "captured"
    trial.write(LATER)
    at_end = trial.every_row()
    done = trial.back(on_conflict=OnConflict.FAIL)
    assert done.conflicts == ()
    assert trial.rows("SELECT * FROM t") == [(1, "Ada King"), (2, "Ben Ito"), (4, "Di Eu")]
    trial.deploy()
    assert differences(at_end, trial.every_row()) == []


def test_a_way_back_gives_values_of_the_columns_type(trial: Trial) -> None:
    trial.setup(
        """CREATE TYPE size AS ENUM ('s', 'm', 'l'); CREATE TABLE t (id int PRIMARY KEY, size size NOT NULL, cents bigint NOT NULL, tags jsonb);
        INSERT INTO t VALUES (1, 's', 150, '{"a": 1}'), (2, 'l', 220, NULL)"""
    )
    trial.deploy(
        """-- tagback: back size = CASE width WHEN 1 THEN 's' WHEN 2 THEN 'm' ELSE 'l' END
        -- tagback: back cents = euros * 100
        -- tagback: back tags = jsonb_build_object('a', tag)
        ALTER TABLE t ADD width int, ADD euros numeric, ADD tag int;
        UPDATE t SET width = CASE size WHEN 's' THEN 1 ELSE 3 END, euros = cents / 100.0, tag = (tags->>'a')::int;
        ALTER TABLE t DROP size, DROP cents, DROP tags;"""
    )
    trial.write("UPDATE t SET width = 2, euros = 9.99, tag = 7 WHERE id = 1; INSERT INTO t VALUES (3, 3, 1.25, 5)")
    trial.back()
    assert trial.rows("SELECT id, size::text, cents, tags::text FROM t") == [
        (1, "m", 999, '{"a": 7}'),
        (2, "l", 220, None),
        (3, "l", 125, '{"a": 5}'),
    ]


def test_a_wrong_way_back_fails_the_deployment(trial: Trial) -> None:
    trial.setup(NAMES)
    before = trial.state()
    with pytest.raises(tagback.TagbackError):
        trial.deploy("-- tagback: back full_name = firts || last\n" + SPLIT)
    assert differences(before, trial.state()) == []


def test_what_is_not_to_be_kept_is_nowhere_and_has_no_way_back(trial: Trial) -> None:
    trial.setup(NAMES)
    secret = "-- tagback: no-keep\nALTER TABLE t DROP full_name;"
    with pytest.raises(RefusedError, match="by wish") as refused:
        trial.deploy(secret)
    assert refused.value.code == "irreversible"
    assert trial.deploy(anyway=True).reversibility == "irreversible"
    shelf = trial.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'tagback' AND tablename ~ '^shelf_[0-9]'")
    assert all("Byron" not in str(trial.rows(f"SELECT * FROM tagback.{name}")) for (name,) in shelf)
    with pytest.raises(RefusedError):
        trial.back()


# ---------------------------------------------------------------------- in parts

FAILING = "CREATE UNIQUE INDEX CONCURRENTLY once ON t (b);"


def _in_parts(trial: Trial, *changesets: str, write: str = "") -> None:
    """Deploys what fails at its last changeset; the application writes just before that one."""
    trial.add(*changesets)

    def listen(event: object) -> None:
        if write and isinstance(event, tagback.events.ChangesetStarted) and event.number == len(changesets):
            trial.write(write)

    with tagback.open(trial.url, listen=listen) as target, pytest.raises(FailedError):
        target.apply(trial.changelog)


PARTS = {
    "update": "UPDATE t SET a = 'new', b = 5;",
    "delete": "UPDATE t SET b = 5; DELETE FROM t WHERE id = 1; DELETE FROM k;",
    "insert": "INSERT INTO t VALUES (4, 'new', 10); INSERT INTO k VALUES (1);",
    "column": "ALTER TABLE t DROP a; UPDATE t SET b = 5;",
    "table": "DROP TABLE k; UPDATE t SET b = 5;",
    "renames": "ALTER TABLE t RENAME a TO c; UPDATE t SET b = 5, c = 'new'; ALTER TABLE k RENAME TO j; DELETE FROM j;",
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_rows_of_an_earlier_part_come_back_when_a_later_one_fails(trial: Trial, part: str) -> None:
    trial.setup(SHOP)
    before = trial.state()
    _in_parts(trial, part, FAILING)
    assert differences(before, trial.state()) == []
    with tagback.open(trial.url) as target:
        assert target.verify("before").equal


def test_rows_of_several_parts_come_back_when_the_last_one_fails(trial: Trial) -> None:
    trial.setup(SHOP)
    before = trial.state()
    _in_parts(
        trial,
        "UPDATE t SET a = 'one', b = 5; DELETE FROM k WHERE v = 1;",
        "CREATE INDEX CONCURRENTLY i ON t (a);",
        "ALTER TABLE t RENAME a TO c; UPDATE t SET c = 'two', id = id + 10; INSERT INTO k VALUES (3);",
        "DROP INDEX CONCURRENTLY i;",
        FAILING,
    )
    assert differences(before, trial.state()) == []


def test_what_was_written_between_the_parts_stays_when_the_last_one_fails(trial: Trial) -> None:
    trial.setup(SHOP)
    _in_parts(
        trial,
        "UPDATE t SET a = 'one', b = 5; DELETE FROM k;",
        FAILING,
        write="UPDATE t SET b = 6 WHERE id = 2; INSERT INTO t VALUES (4, 'mine', 40); INSERT INTO k VALUES (8)",
    )
    assert trial.rows("SELECT * FROM t") == [(1, "x", 10), (2, None, 6), (3, "z", 30), (4, "mine", 40)]
    assert trial.rows("SELECT * FROM k") == [(1,), (1,), (8,), (None,)]


def test_a_deployment_in_parts_goes_back_with_its_rows_and_comes_again(trial: Trial) -> None:
    trial.setup(SHOP)
    before = trial.state()
    trial.deploy(
        "UPDATE t SET a = 'one'; DELETE FROM k;",
        "CREATE INDEX CONCURRENTLY i ON t (a);",
        "ALTER TABLE t DROP b; ALTER TABLE t ADD d int DEFAULT 1; UPDATE t SET a = a || id;",
        "DROP INDEX CONCURRENTLY i;",
    )
    trial.write("UPDATE t SET d = 9 WHERE id = 1; INSERT INTO t VALUES (4, 'mine', 4)")
    after = trial.state()
    trial.back()
    trial.write("DELETE FROM t WHERE id = 4")
    assert differences(before, trial.state()) == []
    trial.write("INSERT INTO t VALUES (4, 'mine', NULL)")
    trial.deploy()
    assert trial.rows("SELECT id, d FROM t") == [(1, 9), (2, 1), (3, 1), (4, 4)]
    assert differences(State(after.schema, {}), State(trial.state().schema, {})) == []


# ---------------------------------------------------------------------- again


def test_rows_that_the_application_made_by_default_numbers_come_again(trial: Trial) -> None:
    trial.setup("SELECT 1")
    trial.deploy("CREATE TABLE o (id serial PRIMARY KEY, i int GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now(), what text);"
                 " INSERT INTO o (what) VALUES ('first'), ('second');")  # fmt: skip
    trial.write("INSERT INTO o (what) VALUES ('mine'); UPDATE o SET what = 'changed' WHERE id = 1")
    rows = trial.rows("SELECT *, at::text FROM o")
    trial.back()
    trial.deploy()
    assert trial.rows("SELECT *, at::text FROM o") == rows
    trial.write("INSERT INTO o (what) VALUES ('next')")
    assert trial.rows("SELECT id, i FROM o WHERE what = 'next'") == [(4, 4)]


def test_redo_meets_what_was_written_after_the_rollback(trial: Trial) -> None:
    trial.setup(SHOP)
    trial.deploy("ALTER TABLE t ADD c text DEFAULT 'new';")
    trial.write("UPDATE t SET c = 'mine' WHERE id < 3")
    trial.back()
    trial.write(
        "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (4, 'late', 40); UPDATE t SET a = 'since' WHERE id = 2"
    )
    trial.deploy()
    assert trial.rows("SELECT * FROM t") == [(2, "since", 20, "mine"), (3, "z", 30, "new"), (4, "late", 40, "new")]


def test_another_changelog_after_a_rollback_gets_nothing_from_the_shelf(trial: Trial) -> None:
    trial.setup(SHOP)
    trial.deploy("ALTER TABLE t ADD c text DEFAULT 'new';")
    trial.write("UPDATE t SET c = 'mine'")
    trial.back()
    (trial.changelog / "001_change.sql").write_text("ALTER TABLE t ADD c text DEFAULT 'other';")
    trial.deploy()
    assert {c for (c,) in trial.rows("SELECT c FROM t")} == {"other"}


def test_over_and_over_the_same_rows_are_there(trial: Trial) -> None:
    trial.setup(SHOP)
    before = trial.state()
    trial.deploy(
        "ALTER TABLE t DROP b; ALTER TABLE t ADD c text; UPDATE t SET c = 'c' || id; CREATE TABLE n (id int PRIMARY KEY); DELETE FROM k;"
    )
    trial.write("UPDATE t SET c = 'mine' WHERE id = 1; INSERT INTO n VALUES (1)")
    after = trial.state()
    for _ in range(3):
        trial.back(on_conflict=OnConflict.KEEP)
        assert differences(before, trial.state()) == []
        trial.deploy()
        assert differences(after, trial.state()) == []


def test_a_new_label_that_is_used_at_once_is_told_the_way_and_the_way_is_one(trial: Trial) -> None:
    trial.setup("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (m mood); INSERT INTO t VALUES ('sad');")
    before = trial.state()
    with pytest.raises(tagback.TagbackError) as refused:
        trial.deploy("ALTER TYPE mood ADD VALUE 'ok';", "UPDATE t SET m = 'ok';")
    assert "`-- no-transaction`" in refused.value.hint
    first = next(path for path in sorted(trial.changelog.iterdir()) if "ADD VALUE" in path.read_text())
    first.write_text(f"-- no-transaction\n{first.read_text()}")
    trial.deploy()
    assert trial.rows("SELECT m::text FROM t") == [("ok",)]
    trial.back()
    assert differences(before, trial.state()) == []
