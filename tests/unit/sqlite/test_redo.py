"""What a rollback takes away comes again with the same changesets; rollbacks of rollbacks are quiet; stages and tags."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tagback.deploy.rollback import OnConflict
from tagback.errors import RefusedError
from tests.support.oracle import State
from tests.unit.sqlite.conftest import Shop, same, with_rows

PEOPLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')"


# ---------------------------------------------------------------------- what the application wrote


def test_rows_of_a_new_table_come_again(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply("CREATE TABLE u (id INTEGER PRIMARY KEY, v); INSERT INTO u VALUES (1, 'seed'), (2, 'seed'), (3, 'seed')")
    shop.sql("INSERT INTO u VALUES (9, 'app'); UPDATE u SET v = 'app' WHERE id = 1")
    end = shop.state()
    result = shop.back()
    assert [(s.table, s.rows) for s in result.shelved] == [("u", 4)]
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_rows_of_a_new_table_without_a_key_come_again(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply("CREATE TABLE u (v); INSERT INTO u VALUES ('seed'), ('seed'), ('other')")
    shop.sql("INSERT INTO u VALUES ('app'), ('app'), ('seed')")
    end = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_values_of_a_new_column_come_again_in_rows_that_are_still_there(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("ALTER TABLE t ADD COLUMN n DEFAULT 5; UPDATE t SET n = id")
    shop.sql("UPDATE t SET n = 'app' WHERE id < 3; INSERT INTO t VALUES (4, 'new', 'app')")
    shop.back()
    assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, "x"), (2, "y"), (3, "z"), (4, "new")]
    shop.sql("DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (5, 'since'); UPDATE t SET a = 'since' WHERE id = 1")
    shop.apply()
    assert shop.rows("SELECT * FROM t ORDER BY id") == [
        (1, "since", "app"),
        (3, "z", 3),
        (4, "new", "app"),
        (5, "since", 5),
    ]


def test_rows_that_the_deployment_changed_and_the_application_after_it_come_again_as_they_were(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply("UPDATE t SET a = upper(a)")
    shop.sql("UPDATE t SET a = 'app' WHERE id = 1")
    end = shop.state()
    shop.back(on_conflict=OnConflict.RESTORE)
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_a_value_that_the_application_kept_stands_again(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("UPDATE t SET a = a || '!'")
    shop.sql("UPDATE t SET a = 'app' WHERE id = 1")
    shop.back()
    assert shop.rows("SELECT a FROM t ORDER BY id") == [("app",), ("y",), ("z",)]
    shop.sql("UPDATE t SET a = 'since' WHERE id = 2")
    shop.apply()
    assert shop.rows("SELECT a FROM t ORDER BY id") == [("app",), ("since!",), ("z!",)]


def test_what_chance_and_the_clock_gave_the_first_time_is_what_comes_again(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply(
        "ALTER TABLE t ADD COLUMN r; UPDATE t SET r = hex(randomblob(8)); CREATE TABLE u (id INTEGER PRIMARY KEY, r);"
        "INSERT INTO u SELECT id, random() FROM t; UPDATE t SET a = hex(randomblob(8)) WHERE id = 1"
    )
    end = shop.state()
    for _ in range(2):
        shop.back()
        same(base, shop.state())
        shop.apply()
        same(end, shop.state())


def test_rows_that_are_made_with_other_keys_the_second_time_are_not_there_twice(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("INSERT INTO t SELECT abs(random() % 1000000) + 10 + id, a FROM t")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


def test_a_dropped_table_goes_again_with_what_was_written_to_it_since(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("DROP TABLE t")
    shop.back()
    shop.sql("INSERT INTO t VALUES (4, 'since')")
    at = shop.state()
    shop.apply()
    shop.back()
    same(at, shop.state())


def test_a_renamed_and_rewritten_table_comes_again_under_its_new_name(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply("ALTER TABLE t RENAME TO people; ALTER TABLE people RENAME a TO name; ALTER TABLE people ADD COLUMN n")
    shop.sql("UPDATE people SET n = id, name = name || n WHERE id < 3; UPDATE people SET n = 'app' WHERE id = 1")
    shop.sql("UPDATE people SET name = 'app' WHERE id = 3")
    end = shop.state()
    shop.back()
    assert shop.rows("SELECT a FROM t WHERE id = 3") == [("app",)]
    assert shop.state().schema == base.schema
    shop.apply()
    same(end, shop.state())


def test_what_does_not_fit_any_more_stays_on_the_shelf_and_is_told(shop: Shop) -> None:
    shop.start("CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2)")
    shop.apply("CREATE TABLE c (id INTEGER PRIMARY KEY, e UNIQUE)")
    shop.sql("INSERT INTO c VALUES (1, 'a')")
    shop.back()
    shelf = shop.shelf()
    shop.write("-- nothing")
    (shop.log / "001_change.sql").write_text(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, e UNIQUE); INSERT INTO c VALUES (2, 'a')"
    )
    shop.apply()  # another changeset: nothing of the first one's is put over it
    assert shop.rows("SELECT * FROM c") == [(2, "a")]
    assert shop.shelf() == shelf


# ---------------------------------------------------------------------- again and again


def test_a_rollback_of_a_rollback_of_a_rollback_is_quiet(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply(
        "UPDATE t SET a = upper(a); ALTER TABLE t ADD COLUMN n DEFAULT 0; DELETE FROM t WHERE id = 2;"
        "CREATE TABLE u (v); INSERT INTO u SELECT a FROM t; INSERT INTO t VALUES (7, 'seven', 7)"
    )
    shop.sql("UPDATE t SET n = 'app' WHERE id = 1; INSERT INTO u VALUES ('app')")
    end = shop.state()
    for _ in range(4):
        result = shop.back()
        assert result.conflicts_total == 0
        same(base, shop.state())
        assert shop.apply().notes == ()
        same(end, shop.state())


def test_what_is_written_between_rounds_is_never_lost(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("ALTER TABLE t ADD COLUMN n; UPDATE t SET a = a || '!'")
    for number in range(10, 16, 2):
        shop.sql(f"INSERT INTO t VALUES ({number}, 'ahead', {number}); UPDATE t SET n = {number} WHERE id = 1")
        shop.back()
        assert shop.rows("SELECT a FROM t WHERE id < 4 ORDER BY id") == [("x",), ("y",), ("z",)]
        shop.sql(f"INSERT INTO t VALUES ({number + 1}, 'behind')")
        shop.apply()
        assert shop.rows("SELECT n FROM t WHERE id IN (1, 10) ORDER BY id") == [(number,), (10,)]
        assert shop.rows("SELECT a FROM t WHERE id < 4 ORDER BY id") == [("x!",), ("y!",), ("z!",)]
    assert shop.rows("SELECT count(*) FROM t") == [(9,)]


# ---------------------------------------------------------------------- several deployments

HISTORY = (
    "UPDATE t SET a = upper(a)",
    "ALTER TABLE t ADD COLUMN n; UPDATE t SET n = id * 10; DELETE FROM t WHERE id = 2",
    "ALTER TABLE t RENAME a TO name; CREATE TABLE u AS SELECT * FROM t",
    "UPDATE t SET name = name || n; DROP TABLE u; INSERT INTO t VALUES (9, 'nine', 9)",
    "CREATE TABLE x (id INTEGER PRIMARY KEY, name, m); INSERT INTO x SELECT id, name, n + 1 FROM t; DROP TABLE t;"
    "ALTER TABLE x RENAME TO t; CREATE TABLE u (z); INSERT INTO u VALUES (1)",
)


@pytest.fixture
def states(shop: Shop) -> list[State]:
    """The states at `base`, r1, …, r5, each the end of a deployment of its own."""
    found = [shop.start(PEOPLE)]
    for number, sql in enumerate(HISTORY, 1):
        shop.apply(sql, tag=f"r{number}")
        found.append(shop.state())
    return found


@pytest.mark.parametrize("to", range(5))
def test_every_tag_behind_several_deployments_is_reached_exactly(shop: Shop, states: list[State], to: int) -> None:
    result = shop.back(f"r{to}" if to else "base")
    assert len(result.deployments) == 5 - to
    assert result.conflicts_total == 0
    same(states[to], shop.state())
    shop.apply(tag="again")
    same(states[5], shop.state())


def test_tags_are_reached_one_after_the_other_and_all_comes_again_one_by_one(shop: Shop, states: list[State]) -> None:
    for to in (4, 3, 2, 1):
        shop.back(f"r{to}")
        same(states[to], shop.state())
    shop.back()
    same(states[0], shop.state())
    shop.apply()
    same(states[5], shop.state())


def test_what_was_written_under_the_newest_schema_goes_all_the_way_back(
    shop: Shop, tmp_path: Path, states: list[State]
) -> None:
    shop.sql(
        "INSERT INTO t VALUES (20, 'late', 1); UPDATE t SET name = 'mine' WHERE id = 3; UPDATE t SET m = 0 WHERE id = 1"
    )
    result = shop.back()
    assert {(c.key, c.column) for c in result.conflicts} == {("id=1", "n"), ("id=3", "a")}  # name is a of the start
    wanted = f"{PEOPLE}; INSERT INTO t VALUES (20, 'late'); UPDATE t SET a = 'mine' WHERE id = 3"
    same(with_rows(states[0], tmp_path, wanted), shop.state())


def test_what_several_rollbacks_took_away_comes_again_in_one_deployment_or_several(
    shop: Shop, states: list[State]
) -> None:
    shop.sql("INSERT INTO u VALUES ('app'); UPDATE t SET m = 'app' WHERE id = 1")
    end = shop.state()
    shop.back("r4")
    shop.back("r2", on_conflict=OnConflict.RESTORE)
    shop.apply(tag="again")
    same(end, shop.state())
    shop.back("r1", on_conflict=OnConflict.RESTORE)
    for number in (2, 3, 4):
        shop.apply(tag=f"r{number}", to=f"{number:03}_change")
        same(states[number], shop.state())
    shop.apply()
    same(end, shop.state())


# ---------------------------------------------------------------------- granular

STAGES = (
    "UPDATE t SET a = upper(a)",
    "ALTER TABLE t ADD COLUMN n; UPDATE t SET n = id; INSERT INTO t VALUES (4, 'four', 4)",
    "UPDATE t SET a = a || n; DELETE FROM t WHERE id = 1",
    "DROP TABLE t",
)


def stage_states(folder: Path) -> list[State]:
    """What each changeset makes, without tagback."""
    found = []
    for number in range(len(STAGES) + 1):
        found.append(with_rows(State({}, {}), folder, ";".join([PEOPLE, *STAGES[:number]])))
    return found


@pytest.mark.parametrize("to", [1, 2, 3])
def test_the_end_of_every_changeset_of_a_granular_deployment_is_a_place_to_return_to(
    shop: Shop, tmp_path: Path, to: int
) -> None:
    base, wanted = shop.start(PEOPLE), stage_states(tmp_path)
    applied = shop.apply(*STAGES, granular=True)
    assert [v.reversibility for v in applied.verdicts] == ["captured"] * 4
    shop.back(changeset=f"{to:03}_change")
    same(State(shop.state().schema, wanted[to].rows), shop.state())
    shop.back()
    same(base, shop.state())


def test_a_granular_deployment_is_taken_back_changeset_by_changeset(shop: Shop, tmp_path: Path) -> None:
    base, wanted = shop.start(PEOPLE), stage_states(tmp_path)
    shop.apply(*STAGES, granular=True)
    for above, to in pairwise(range(4, 0, -1)):
        shop.back(changeset=f"{to:03}_change")
        assert to < above
        same(State(shop.state().schema, wanted[to].rows), shop.state())
    shop.back()
    same(base, shop.state())


@pytest.mark.parametrize("granular", [False, True])
def test_a_granular_deployment_comes_again_in_either_form(shop: Shop, granular: bool) -> None:
    base = shop.start(PEOPLE)
    shop.apply(*STAGES[:3], granular=True)
    shop.sql("UPDATE t SET n = 'app' WHERE id = 2")
    end = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply(granular=granular)
    same(end, shop.state())


def test_a_place_inside_a_deployment_that_was_not_granular_is_refused_with_the_nearest_tag(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply(*STAGES[:2], tag="r1")
    end = shop.state()
    with pytest.raises(RefusedError, match="inside deployment 1") as refused:
        shop.back(changeset="001_change")
    assert refused.value.exit_code == 3
    assert "base" in refused.value.hint or "r1" in refused.value.hint
    same(end, shop.state())


# ---------------------------------------------------------------------- exactly, where nobody wrote since


def test_a_row_that_the_application_removed_before_the_way_back_stays_away(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("INSERT INTO t VALUES (4, 'made')")
    shop.sql("DELETE FROM t WHERE id = 4")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


def test_without_a_key_a_row_that_was_updated_and_then_removed_stays_away(shop: Shop) -> None:
    shop.start("CREATE TABLE bag (v); INSERT INTO bag VALUES (1), (2)")
    shop.apply("UPDATE bag SET v = v * 10")
    shop.sql("DELETE FROM bag WHERE v = 10")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


def test_a_row_that_came_between_the_two_is_not_run_through_the_changeset(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, price); INSERT INTO t VALUES (1, 5)")
    shop.apply("UPDATE t SET price = price * 100")
    shop.sql("INSERT INTO t VALUES (2, 700)")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


def test_a_table_that_the_changesets_found_empty_is_as_it_was(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    shop.apply("UPDATE t SET a = 'changed'")
    shop.sql("INSERT INTO t VALUES (1, 'app')")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


def test_a_table_that_an_earlier_changeset_of_another_leg_renamed_comes_again(shop: Shop) -> None:
    shop.start("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t RENAME TO u")
    shop.apply("PRAGMA user_version = 5", "ALTER TABLE u ADD COLUMN w")
    shop.sql("UPDATE u SET w = 'app'")
    end = shop.state()
    shop.back()
    shop.apply()
    same(end, shop.state())


# ---------------------------------------------------------------------- row by row, where somebody did


def test_a_value_in_conflict_that_nobody_wrote_since_is_not_changed_again(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, price, a); INSERT INTO t VALUES (1, 5, 'x'), (2, 6, 'y')")
    shop.apply("UPDATE t SET price = price * 100")
    shop.sql("UPDATE t SET price = 7 WHERE id = 1")
    shop.back()
    shop.sql("INSERT INTO t VALUES (3, 1, 'since')")
    shop.apply()
    assert shop.rows("SELECT id, price FROM t ORDER BY id") == [(1, 7), (2, 600), (3, 100)]


def test_a_row_that_was_made_and_removed_stays_away_though_somebody_wrote_to_others(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("INSERT INTO t VALUES (4, 'made'), (5, 'made')")
    shop.sql("DELETE FROM t WHERE id = 4")
    shop.back()
    shop.sql("UPDATE t SET a = 'since' WHERE id = 1")
    shop.apply()
    assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, "since"), (2, "y"), (3, "z"), (5, "made")]


def test_a_row_that_somebody_made_since_under_a_key_that_went_is_theirs(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("INSERT OR IGNORE INTO t VALUES (4, 'made')")
    shop.back()
    shop.sql("INSERT INTO t VALUES (4, 'since')")
    shop.apply()
    assert shop.rows("SELECT a FROM t WHERE id = 4") == [("since",)]


def test_columns_that_somebody_dropped_since_are_no_defect(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 'y')")
    shop.apply("UPDATE t SET a = upper(a)")
    shop.back()
    shop.sql("ALTER TABLE t DROP COLUMN b")
    shop.apply()
    assert shop.rows("SELECT * FROM t") == [(1, "X")]


# ---------------------------------------------------------------------- ways back that were wrong


def test_a_column_that_took_the_name_of_a_renamed_one_is_not_taken_for_it(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')")
    shop.apply(
        "INSERT INTO t VALUES (2, 'made'); ALTER TABLE t ADD COLUMN n DEFAULT 0; ALTER TABLE t RENAME n TO middle;"
        "ALTER TABLE t RENAME id TO n; ALTER TABLE t RENAME middle TO id"
    )
    assert shop.back(on_conflict=OnConflict.FAIL).conflicts_total == 0
    same(base, shop.state())


def test_rows_of_another_table_under_the_name_of_a_dropped_one_don_t_stay_in_it(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply(
        "DROP TABLE t",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (9, 'other')",
        granular=True,
    )
    end = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_rows_that_don_t_fit_are_told_whatever_bytes_they_hold(shop: Shop) -> None:
    shop.start("CREATE TABLE t (a, b, UNIQUE (a, b)); INSERT INTO t VALUES (1, 1)")
    shop.apply("CREATE TABLE n (a, b); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t")
    shop.sql("INSERT INTO t VALUES (x'00ff', 2), (x'00ff', 2)")
    with pytest.raises(RefusedError, match="2 rows of today"):
        shop.back()


def test_a_value_that_the_rollback_left_alone_stands_again_beside_one_that_was_written_since(shop: Shop) -> None:
    shop.start("CREATE TABLE goods (id INTEGER PRIMARY KEY, price, stock); INSERT INTO goods VALUES (1, 10, 1)")
    shop.apply("UPDATE goods SET price = price * 2")
    shop.sql("UPDATE goods SET price = 99")
    shop.back()
    shop.sql("UPDATE goods SET stock = 0")
    shop.apply()
    assert shop.rows("SELECT * FROM goods") == [(1, 99, 0)]
