"""The shelf's own tables on SQLite: when they are made, who may touch them, and what else must not change about the file."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.drift import OnDrift
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import FailedError, RefusedError
from tests.unit.sqlite.conftest import Shop, same

PEOPLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y')"
CHANGE = "UPDATE t SET a = upper(a); ALTER TABLE t ADD COLUMN n DEFAULT 7"


def everything(shop: Shop) -> list[str]:
    """The whole file as text, tagback's tables included."""
    with contextlib.closing(sqlite3.connect(shop.file)) as connection:
        return list(connection.iterdump())


def test_a_dry_run_keeps_nothing_and_tells_what_it_would(shop: Shop) -> None:
    shop.start(PEOPLE)
    before = everything(shop)
    shop.write(CHANGE)
    with Target.open(f"sqlite:///{shop.file}") as target:
        applied = target.apply(shop.log, ApplyOptions(dry_run=True))
    assert applied.reversibility == "captured"
    assert [(s.table, s.rows) for s in applied.shelved] == [("t", 2)]
    assert everything(shop) == before


def test_a_dry_run_of_the_way_back_tells_what_would_come_back_and_changes_nothing(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply(CHANGE)
    shop.sql("UPDATE t SET a = 'app' WHERE id = 2; UPDATE t SET n = 'app'")
    before = everything(shop)
    with Target.open(f"sqlite:///{shop.file}") as target:
        tried = target.rollback(RollbackOptions(to="base", dry_run=True))
    assert [(r.table, r.rows) for r in tried.restored] == [("t", 1)]
    assert [(c.key, c.column) for c in tried.conflicts] == [("id=2", "a")]
    assert [s.table for s in tried.shelved] == ["t"]
    assert everything(shop) == before


def test_a_deployment_that_fails_leaves_nothing_on_the_shelf(shop: Shop) -> None:
    shop.start(PEOPLE)
    before = everything(shop)
    with pytest.raises(FailedError):
        shop.apply(f"{CHANGE}; INSERT INTO t VALUES (1, 'twice', 1)")
    assert everything(shop) == before


def test_a_way_back_that_fails_leaves_nothing_on_the_shelf(shop: Shop) -> None:
    shop.start(f"{PEOPLE}; CREATE UNIQUE INDEX i ON t (a)")
    shop.apply("DROP INDEX i; UPDATE t SET a = upper(a); CREATE TABLE u (v)")
    shop.sql("INSERT INTO t VALUES (3, 'z'), (4, 'z'); INSERT INTO u VALUES (1)")
    before = everything(shop)
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert refused.value.code == "constraint"
    assert everything(shop) == before


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE tagback_shelf_2_1_1",
        "DELETE FROM tagback_shelf_2_1_1",
        "UPDATE tagback_shelf SET state = 'purged'",
        "ALTER TABLE tagback_shelf_2_1_1 RENAME TO mine",
        "CREATE TRIGGER g AFTER INSERT ON tagback_shelf_2_1_1 BEGIN SELECT 1; END",
    ],
)
def test_a_changeset_does_not_touch_the_shelf(shop: Shop, sql: str) -> None:
    base = shop.start(PEOPLE)
    shop.apply("CREATE TABLE first (a)", tag="r1")
    shop.apply(CHANGE)
    assert list(shop.shelf().values()) == [2]
    with pytest.raises(FailedError):
        shop.apply(sql.replace("_2_1_1", "_" + next(iter(shop.shelf())).partition("shelf_")[2]))
    shop.back()
    same(base, shop.state())


def test_the_shelf_is_plain_tables_without_ties_to_the_living(shop: Shop) -> None:
    shop.start(PEOPLE)
    shop.apply("CREATE TABLE c (t REFERENCES t); INSERT INTO c VALUES (1); UPDATE t SET a = 'z'; DELETE FROM c")
    for place in shop.shelf():
        ((sql,),) = shop.rows(f"SELECT sql FROM sqlite_schema WHERE name = '{place}'")
        assert "REFERENCES" not in str(sql)
        assert shop.rows(f"SELECT name FROM sqlite_schema WHERE tbl_name = '{place}' AND type <> 'table'") == []
    values = [row for place in shop.shelf() for row in shop.rows(f"SELECT change, v0, v1 FROM {place} ORDER BY 1, 3")]
    assert values == [("changed", None, "x"), ("changed", None, "y")]


@pytest.mark.parametrize(
    "setting", ["encoding = 'UTF-16le'", "encoding = 'UTF-16be'", "journal_mode = WAL", "auto_vacuum = 1"]
)
def test_files_of_every_make_are_kept_as_they_are(shop: Shop, setting: str) -> None:
    shop.sql(f"PRAGMA {setting}; CREATE TABLE first (a)")
    name = setting.partition(" ")[0]
    made = shop.rows(f"PRAGMA {name}")
    base = shop.start(f"{PEOPLE}; INSERT INTO t VALUES (3, printf('%.*c', 40, 'é')), (4, char(0) || '\U0001f600')")
    shop.apply("UPDATE t SET a = a || '!'; ALTER TABLE t ADD COLUMN n")
    shop.sql("UPDATE t SET n = a; UPDATE t SET a = a || 'app' WHERE id = 3")
    end = shop.state()
    assert [c.key for c in shop.back(on_conflict=OnConflict.RESTORE).conflicts] == ["id=3"]
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())
    assert shop.rows(f"PRAGMA {name}") == made


def test_a_column_added_by_hand_goes_by_wish_and_stays_on_the_shelf(shop: Shop) -> None:
    base = shop.start(PEOPLE)
    shop.apply(CHANGE)
    shop.sql("ALTER TABLE t ADD COLUMN byhand; UPDATE t SET byhand = 'by hand'")
    with Target.open(f"sqlite:///{shop.file}") as target:
        assert target.rollback(RollbackOptions(to="base", on_drift=OnDrift.UNDO)).verified
    same(base, shop.state())
    assert any("by hand" in row for place in shop.shelf() for row in shop.rows(f"SELECT * FROM {place}"))


def test_another_column_under_the_name_of_one_that_went_is_told_from_it(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    shop.apply("ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a INTEGER DEFAULT 5")
    end = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())
    shop.sql("UPDATE t SET a = 6 WHERE id = 1")
    end = shop.state()
    result = shop.back(on_conflict=OnConflict.RESTORE)
    assert [(c.key, c.column) for c in result.conflicts] == [("id=1", "a")]
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


NO_NUMBER = "CREATE TABLE t (rowid{}, _rowid_, oid); INSERT INTO t VALUES (1, 2, 3), (4, 5, 6), (7, 8, 9)"


def test_a_table_whose_columns_take_all_names_of_the_row_number_is_known_by_its_key(shop: Shop) -> None:
    base = shop.start(NO_NUMBER.format(" INTEGER PRIMARY KEY"))
    shop.apply(
        "UPDATE t SET oid = 'new' WHERE rowid < 5; DELETE FROM t WHERE rowid = 7; ALTER TABLE t DROP COLUMN _rowid_"
    )
    end = shop.state()
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_a_table_whose_rows_nothing_tells_apart_is_refused(shop: Shop) -> None:
    before = shop.start(NO_NUMBER.format(""))
    with pytest.raises(RefusedError) as refused:
        shop.apply("UPDATE t SET oid = 'new'")
    assert refused.value.code == "no_row_address"
    same(before, shop.state())


def test_redo_removes_no_children_of_the_rows_it_corrects(shop: Shop) -> None:
    shop.start(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'x'), (2, 'y'); INSERT INTO c VALUES (1), (2)"
    )
    shop.apply("PRAGMA foreign_keys = ON; ALTER TABLE p ADD COLUMN n; UPDATE p SET n = 1")
    shop.sql("UPDATE p SET n = 'app'")
    end = shop.state()
    shop.back()
    assert shop.rows("SELECT p FROM c ORDER BY p") == [(1,), (2,)]
    shop.apply()
    same(end, shop.state())


def test_rows_keep_their_numbers_through_a_merge(shop: Shop) -> None:
    shop.start("CREATE TABLE t (a, b); INSERT INTO t (rowid, a, b) VALUES (7, 'x', 1), (3, 'y', 2), (5, 'z', 3)")
    shop.apply("ALTER TABLE t DROP COLUMN b")
    shop.back()
    assert shop.rows("SELECT rowid, a, b FROM t ORDER BY rowid") == [(3, "y", 2), (5, "z", 3), (7, "x", 1)]


def test_a_connection_that_reads_meanwhile_is_no_obstacle(shop: Shop) -> None:
    base = shop.start(f"PRAGMA journal_mode = WAL; {PEOPLE}")
    with contextlib.closing(sqlite3.connect(shop.file)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT a FROM t ORDER BY id").fetchall() == [("x",), ("y",)]
        shop.apply(CHANGE)
        assert reader.execute("SELECT a FROM t ORDER BY id").fetchall() == [("x",), ("y",)]
        shop.back()
    same(base, shop.state())
