"""What a deployment on SQLite does to rows is seen, whatever it does to names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import RefusedError
from tests.support.oracle import differences, sqlite_state


class Shop:
    """A database with a changelog that grows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "target.db"
        self.changelog = folder / "changelog"
        self.changelog.mkdir()
        self.target = Target.open(f"sqlite:///{self.path}", create=True)
        self.number = 0

    def write(self, *changesets: str) -> None:
        for sql in changesets:
            self.number += 1
            (self.changelog / f"{self.number:03}_change.sql").write_text(sql)

    def apply(self, *changesets: str, tag: str | None = None, granular: bool = False) -> None:
        self.write(*changesets)
        self.target.apply(self.changelog, ApplyOptions(tag=tag, granular=granular))

    def run(self, sql: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.executescript(sql)
        connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.target.close()


@pytest.mark.parametrize(
    ("setup", "change"),
    [
        pytest.param(
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (5, 5)",
            "ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME b TO a",
            id="a dropped column and another one under its name, with equal values",
        ),
        pytest.param(
            "CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO t VALUES (5); INSERT INTO u VALUES (5)",
            "DROP TABLE t; ALTER TABLE u RENAME TO t",
            id="a dropped table and another one under its name, with equal rows",
        ),
        pytest.param(
            "CREATE TABLE t (a TEXT NOT NULL DEFAULT 'x')",
            "INSERT INTO t VALUES ('y'); CREATE TABLE n (b); INSERT INTO n SELECT NULL FROM t;"
            "DROP TABLE t; ALTER TABLE n RENAME TO t",
            id="a row in a table of which no column is left",
        ),
        pytest.param(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'old')",
            "REPLACE INTO t VALUES (1, 'new')",
            id="REPLACE, which tells only of an insert",
        ),
        pytest.param(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
            "UPDATE OR REPLACE t SET a = 'y' WHERE id = 1",
            id="UPDATE OR REPLACE, which removes another row",
        ),
        pytest.param(
            "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);"
            "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
            "PRAGMA foreign_keys = ON; DELETE FROM p",
            id="children that go with their parent",
        ),
        pytest.param(
            "CREATE TABLE t (a); CREATE TABLE log (a); INSERT INTO t VALUES (1); INSERT INTO log VALUES (1);"
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM log; DELETE FROM t WHERE a = 2; END",
            "INSERT INTO t VALUES (2)",
            id="a trigger",
        ),
        pytest.param(
            "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
            "UPDATE t SET a = '1'",
            id="another type with the same look",
        ),
        pytest.param(
            "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('007')",
            "CREATE TABLE n (a INTEGER); INSERT INTO n SELECT a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
            id="a text that no integer keeps",
        ),
    ],
)
def test_lost_rows_are_refused_before_anything_happens(shop: Shop, setup: str, change: str) -> None:
    shop.apply(setup)
    before = sqlite_state(shop.path)
    with pytest.raises(RefusedError) as caught:
        shop.apply(change)
    assert caught.value.code == "irreversible"
    assert differences(before, sqlite_state(shop.path)) == []


@pytest.mark.parametrize("pragma", ["PRAGMA foreign_keys = OFF;", "PRAGMA main.foreign_keys=0;", ""])
def test_the_twelve_steps_do_not_cascade_into_children(shop: Shop, pragma: str) -> None:
    shop.apply(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'x'); INSERT INTO c VALUES (1)",
        tag="r1",
    )
    before = sqlite_state(shop.path)
    shop.apply(
        f"{pragma} CREATE TABLE n (id INTEGER PRIMARY KEY, a NOT NULL); INSERT INTO n SELECT * FROM p;"
        "DROP TABLE p; ALTER TABLE n RENAME TO p;"
    )
    assert sqlite_state(shop.path).rows == before.rows
    assert shop.target.rollback(RollbackOptions(to="r1")).verified
    assert differences(before, sqlite_state(shop.path)) == []


def test_a_granular_deployment_sees_rows_in_a_table_that_it_rebuilt_before(shop: Shop) -> None:
    shop.apply("CREATE TABLE t (a)")
    rebuild = "CREATE TABLE n (a); INSERT INTO n SELECT a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"
    with pytest.raises(RefusedError) as caught:
        shop.apply(rebuild, "INSERT INTO t VALUES (1)", granular=True)
    assert "1 rows were added to table t" in caught.value.message


def test_what_the_deployment_wrote_into_its_own_column_goes_with_it_again(shop: Shop) -> None:
    shop.apply("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)", tag="r1")
    before = sqlite_state(shop.path)
    shop.apply("ALTER TABLE t ADD COLUMN a; UPDATE t SET a = cast(x'ff' AS text) || id")
    assert shop.target.rollback(RollbackOptions(to="r1")).verified
    assert differences(before, sqlite_state(shop.path)) == []


def test_what_the_application_wrote_into_a_new_column_is_not_lost_in_silence(shop: Shop) -> None:
    shop.apply("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)", tag="r1")
    shop.apply("ALTER TABLE t ADD COLUMN a")
    shop.run("UPDATE t SET a = 'by the application'")
    before = sqlite_state(shop.path)
    with pytest.raises(RefusedError) as caught:
        shop.target.rollback(RollbackOptions(to="r1"))
    assert caught.value.code == "data_loss"
    assert differences(before, sqlite_state(shop.path)) == []


def test_a_new_column_under_a_name_given_up_is_a_place_of_its_own(shop: Shop) -> None:
    shop.apply("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')", tag="r1")
    before = sqlite_state(shop.path)
    shop.apply("ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD COLUMN a TEXT NOT NULL DEFAULT 0")
    assert shop.target.rollback(RollbackOptions(to="r1")).verified
    assert differences(before, sqlite_state(shop.path)) == []


def test_a_row_that_broke_a_foreign_key_before_is_no_obstacle_under_its_tables_old_name(shop: Shop) -> None:
    shop.apply("CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t); INSERT INTO t VALUES (1, 7)", tag="r1")
    shop.apply("ALTER TABLE t RENAME TO u; ALTER TABLE u ADD COLUMN c")
    assert shop.target.rollback(RollbackOptions(to="r1")).verified
