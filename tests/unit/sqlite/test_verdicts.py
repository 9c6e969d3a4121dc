"""What a deployment on SQLite does to rows is seen and kept, whatever it does to names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.sqlite.conftest import Shop, same, with_rows


@pytest.mark.parametrize(
    ("setup", "change", "later", "remains"),
    [
        pytest.param(
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (5, 5)",
            "ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME b TO a",
            "INSERT INTO t VALUES (7)",
            "INSERT INTO t VALUES (NULL, 7)",
            id="a dropped column and another one under its name, with equal values",
        ),
        pytest.param(
            "CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO t VALUES (5); INSERT INTO u VALUES (5)",
            "DROP TABLE t; ALTER TABLE u RENAME TO t",
            "INSERT INTO t VALUES (6)",
            "INSERT INTO u VALUES (6)",
            id="a dropped table and another one under its name, with equal rows",
        ),
        pytest.param(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'old')",
            "REPLACE INTO t VALUES (1, 'new')",
            "INSERT INTO t VALUES (2, 'later')",
            "INSERT INTO t VALUES (2, 'later')",
            id="REPLACE, which tells only of an insert",
        ),
        pytest.param(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
            "UPDATE OR REPLACE t SET a = 'y' WHERE id = 1",
            "INSERT INTO t VALUES (3, 'z')",
            "INSERT INTO t VALUES (3, 'z')",
            id="UPDATE OR REPLACE, which removes another row",
        ),
        pytest.param(
            "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);"
            "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
            "PRAGMA foreign_keys = ON; DELETE FROM p",
            "INSERT INTO p VALUES (2); INSERT INTO c VALUES (2)",
            "INSERT INTO p VALUES (2); INSERT INTO c VALUES (2)",
            id="children that go with their parent",
        ),
        pytest.param(
            "CREATE TABLE t (a); CREATE TABLE log (a); INSERT INTO t VALUES (1); INSERT INTO log VALUES (1);"
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM log; DELETE FROM t WHERE a = 2; END",
            "INSERT INTO t VALUES (2)",
            "INSERT INTO t VALUES (3)",
            "INSERT INTO t VALUES (3); INSERT INTO log VALUES (1)",
            id="a trigger",
        ),
        pytest.param(
            "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
            "UPDATE t SET a = '1'",
            "INSERT INTO t VALUES ('1')",
            "INSERT INTO t VALUES ('1')",
            id="another type with the same look",
        ),
        pytest.param(
            "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('007')",
            "CREATE TABLE n (a INTEGER); INSERT INTO n SELECT a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
            "INSERT INTO t VALUES (8)",
            "INSERT INTO t VALUES ('8')",
            id="a text that no integer keeps",
        ),
    ],
)
def test_what_is_done_to_rows_is_kept_and_undone(
    shop: Shop, tmp_path: Path, setup: str, change: str, later: str, remains: str
) -> None:
    base = shop.start(setup)
    applied = shop.apply(change)
    assert applied.reversibility in ("captured", "conditional")
    assert sum(s.rows for s in applied.shelved) == sum(shop.shelf().values()) > 0
    changed = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(changed, shop.state())
    shop.sql(later)
    result = shop.back()
    assert result.conflicts == ()
    same(with_rows(base, tmp_path, f"{setup}; {remains}"), shop.state())


@pytest.mark.parametrize("pragma", ["PRAGMA foreign_keys = OFF;", "PRAGMA main.foreign_keys=0;", ""])
def test_the_twelve_steps_do_not_cascade_into_children(shop: Shop, pragma: str) -> None:
    before = shop.start(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'x'); INSERT INTO c VALUES (1)"
    )
    shop.apply(
        f"{pragma} CREATE TABLE n (id INTEGER PRIMARY KEY, a NOT NULL); INSERT INTO n SELECT * FROM p;"
        "DROP TABLE p; ALTER TABLE n RENAME TO p;"
    )
    assert shop.state().rows == before.rows
    shop.back()
    same(before, shop.state())


def test_a_granular_deployment_sees_rows_in_a_table_that_it_rebuilt_before(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (a); INSERT INTO t VALUES (0)")
    rebuild = "CREATE TABLE n (a); INSERT INTO n SELECT a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"
    applied = shop.apply(rebuild, "INSERT INTO t VALUES (1)", granular=True)
    assert [v.reversibility for v in applied.verdicts] == ["free", "captured"]
    shop.sql("INSERT INTO t VALUES (2)")
    shop.back(changeset="001_change")
    assert shop.stored("t") == [("integer 0",), ("integer 2",)]
    shop.back()
    assert shop.stored("t") == [("integer 0",), ("integer 2",)]
    shop.sql("DELETE FROM t WHERE a = 2")
    same(base, shop.state())


def test_what_the_deployment_wrote_into_its_own_column_goes_with_it_again(shop: Shop) -> None:
    before = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t ADD COLUMN a; UPDATE t SET a = cast(x'ff' AS text) || id")
    after = shop.state()
    shop.back()
    same(before, shop.state())
    shop.apply()
    same(after, shop.state())


def test_what_the_application_wrote_into_a_new_column_is_kept_and_comes_again(shop: Shop) -> None:
    before = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t ADD COLUMN a")
    shop.sql("UPDATE t SET a = 'by the application' WHERE id = 1; INSERT INTO t VALUES (3, 3.0)")
    after = shop.state()
    assert [s.table for s in shop.back().shelved] == ["t"]
    assert shop.stored("t") == [("integer 1",), ("integer 2",), ("integer 3",)]
    shop.sql("DELETE FROM t WHERE id = 3")
    same(before, shop.state())
    shop.sql("INSERT INTO t VALUES (3)")
    shop.apply()
    same(after, shop.state())


def test_a_new_column_under_a_name_given_up_is_a_place_of_its_own(shop: Shop) -> None:
    before = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')")
    shop.apply("ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD COLUMN a TEXT NOT NULL DEFAULT 0")
    shop.back()
    same(before, shop.state())


def test_a_row_that_broke_a_foreign_key_before_is_no_obstacle_under_its_tables_old_name(shop: Shop) -> None:
    before = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t); INSERT INTO t VALUES (1, 7)")
    shop.apply("ALTER TABLE t RENAME TO u; ALTER TABLE u ADD COLUMN c")
    shop.back()
    same(before, shop.state())
