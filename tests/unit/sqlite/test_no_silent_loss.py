"""Nothing is lost in silence: it comes back, or is on the shelf, or is refused by name; whatever columns are called."""

from __future__ import annotations

import sqlite3

import pytest

from tagback.errors import FailedError, RefusedError
from tests.unit.sqlite.conftest import Shop, same


@pytest.mark.parametrize("column", ["n", "w", "weight", "side", "v0", "v1", "rowid", "a b", 'q"'])
@pytest.mark.parametrize("value", ["0", "NULL", "-1"])
@pytest.mark.parametrize("key", ["", " PRIMARY KEY"], ids=["no key", "a key"])
def test_removed_rows_come_back_whatever_a_column_is_called(shop: Shop, column: str, value: str, key: str) -> None:
    name = '"' + column.replace('"', '""') + '"'
    base = shop.start(f"CREATE TABLE t (id INTEGER{key}, {name}); INSERT INTO t VALUES (1, {value}), (2, {value})")
    applied = shop.apply("DELETE FROM t")
    assert applied.reversibility == "captured"
    assert [(s.table, s.rows) for s in applied.shelved] == [("t", 2)]
    assert shop.stored("t") == []
    shop.sql(f"INSERT INTO t VALUES (3, {value})")
    result = shop.back()
    assert [(r.table, r.rows) for r in result.restored] == [("t", 2)]
    assert result.conflicts_total == 0
    kept = "null NULL" if value == "NULL" else f"integer {value}"
    assert shop.stored("t") == [(f"integer {n}", kept) for n in (1, 2, 3)]
    shop.sql("DELETE FROM t WHERE id = 3")
    same(base, shop.state())


REBUILT = "CREATE TABLE n ({}); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"


@pytest.mark.parametrize(
    ("declared", "loosened", "written"),
    [
        ("id INTEGER PRIMARY KEY, e TEXT UNIQUE ON CONFLICT REPLACE", "id INTEGER PRIMARY KEY, e TEXT", "3, 'a'"),
        ("id INTEGER PRIMARY KEY, e TEXT UNIQUE ON CONFLICT IGNORE", "id INTEGER PRIMARY KEY, e TEXT", "3, 'a'"),
        (
            "id INTEGER PRIMARY KEY, e TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'z'",
            "id INTEGER PRIMARY KEY, e TEXT",
            "3, NULL",
        ),
        ("id INTEGER PRIMARY KEY, e TEXT", "id INTEGER, e TEXT", "NULL, 'c'"),
    ],
)
def test_rows_that_a_table_would_change_or_swallow_as_it_comes_back_are_refused(
    shop: Shop, declared: str, loosened: str, written: str
) -> None:
    shop.start(f"CREATE TABLE t ({declared}); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    applied = shop.apply(REBUILT.format(loosened))
    assert applied.reversibility == "conditional"
    assert "table t" in applied.reasons[0]
    assert applied.shelved == ()
    shop.sql(f"INSERT INTO t VALUES ({written})")
    held = shop.rows("SELECT * FROM t ORDER BY id")
    with pytest.raises(RefusedError, match="Today's rows don't fit"):
        shop.back()
    assert shop.rows("SELECT * FROM t ORDER BY id") == held


def test_a_descending_integer_key_may_hold_null_and_keeps_it(shop: Shop) -> None:
    shop.sql("CREATE TABLE t (id INTEGER PRIMARY KEY DESC, e TEXT); INSERT INTO t VALUES (NULL, 'a'), (2, 'b')")
    shop.tag()
    shop.apply(REBUILT.format("id INTEGER, e TEXT"))
    shop.back()
    assert shop.rows("SELECT id, e FROM t ORDER BY e") == [(None, "a"), (2, "b")]


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT tables came with 3.37")
def test_text_digits_in_a_strict_any_column_are_not_turned_into_a_number(shop: Shop) -> None:
    shop.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY); INSERT INTO t VALUES (1, 5)")
    shop.tag()
    shop.apply(REBUILT.format("id INTEGER PRIMARY KEY, v ANY").replace("ANY)", "ANY) STRICT"))
    shop.sql("INSERT INTO t VALUES (2, '007')")
    with pytest.raises(RefusedError, match="values of column v of table t"):
        shop.back()
    assert shop.rows("SELECT v FROM t ORDER BY id") == [(5,), ("007",)]


def test_a_value_equal_to_the_default_but_for_case_is_the_applications(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    change = "ALTER TABLE t ADD c TEXT COLLATE NOCASE DEFAULT 'abc'"
    shop.apply(change)
    shop.sql("UPDATE t SET c = 'ABC' WHERE id = 1")
    assert [s.table for s in shop.back().shelved] == ["t"]
    same(base, shop.state())
    shop.apply()
    assert shop.stored("t") == [("integer 1", "text 'ABC'"), ("integer 2", "text 'abc'")]


def test_values_that_moved_to_other_rows_are_the_applications(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t ADD c; UPDATE t SET c = 'x' WHERE id = 1")
    shop.sql("UPDATE t SET c = iif(id = 2, 'x', NULL)")
    shop.back()
    same(base, shop.state())
    shop.apply()
    assert shop.stored("t") == [("integer 1", "null NULL"), ("integer 2", "text 'x'")]


def test_case_sensitive_like_does_not_hide_foreign_keys(shop: Shop) -> None:
    shop.sql("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER, p REFERENCES p)")
    shop.tag()
    shop.apply("PRAGMA case_sensitive_like = ON; CREATE TABLE z (a)")
    shop.back()


@pytest.mark.parametrize("written", ["by the application", "by the deployment"])
def test_a_column_added_later_to_a_new_table_is_looked_at_too(shop: Shop, written: str) -> None:
    base = shop.start("CREATE TABLE b (a)")
    shop.apply("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t ADD c; UPDATE t SET c = 'by the deployment'")
    shop.sql(f"UPDATE t SET c = '{written}'")
    shop.back()
    same(base, shop.state())
    shop.apply()
    assert shop.stored("t") == [("integer 1", f"text '{written}'"), ("integer 2", f"text '{written}'")]


def test_a_column_made_generated_does_not_fill_what_was_empty(shop: Shop) -> None:
    base = shop.start(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, g TEXT); INSERT INTO t VALUES (1, NULL), (2, 'own'), (3, '3x')"
    )
    shop.apply(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, g TEXT AS (id || 'x'));"
        "INSERT INTO n (id) SELECT id FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"
    )
    shop.back()
    same(base, shop.state())


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO f (rowid, a) VALUES (3, 'x')", "DELETE FROM f_docsize", "INSERT INTO t VALUES (1)"],
)
def test_writes_to_what_virtual_tables_hold_are_noticed(shop: Shop, sql: str) -> None:
    shop.sql(
        "CREATE VIRTUAL TABLE f USING fts5(a, content=''); INSERT INTO f (rowid, a) VALUES (1, 'hello'), (2, 'world');"
        "CREATE TABLE t (a); CREATE TRIGGER more AFTER INSERT ON t BEGIN INSERT INTO f (rowid, a) VALUES (4, 'y'); END"
    )
    shop.tag()
    with pytest.raises(RefusedError, match="2 rows of virtual table f were changed or removed"):
        shop.apply(sql)


def test_virtual_tables_that_are_only_read_stand_in_nobodys_way(shop: Shop) -> None:
    base = shop.start("CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('hello'); CREATE TABLE f_mine (a)")
    applied = shop.apply("CREATE TABLE f_z (a); INSERT INTO f_z SELECT a FROM f; ALTER TABLE f_mine ADD b")
    assert applied.reversibility == "free"
    shop.back()
    same(base, shop.state())


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM tagback_tag",
        "DROP TABLE tagback_object",
        "ALTER TABLE tagback_tag ADD x",
        "CREATE TABLE tagback_z (a)",
        "CREATE VIEW tagback_v AS SELECT 1",
        "CREATE INDEX tagback_i ON t (a)",
        "CREATE TRIGGER tagback_t AFTER INSERT ON t BEGIN SELECT 1; END",
    ],
)
def test_a_changeset_does_not_touch_what_is_tagbacks_own(shop: Shop, sql: str) -> None:
    shop.sql("CREATE TABLE t (a)")
    shop.tag()
    with pytest.raises(FailedError, match="are tagback's own"):
        shop.apply(sql)


def test_renames_undone_by_a_savepoint_of_the_changeset_were_none(shop: Shop) -> None:
    shop.sql("CREATE TABLE t (x INTEGER, y INTEGER)")
    shop.tag()
    shop.apply(
        'SAVEPOINT "Outer"; SAVEPOINT s; ALTER TABLE t RENAME x TO z; ALTER TABLE t RENAME y TO x;'
        "ALTER TABLE t RENAME z TO y; ROLLBACK TRANSACTION TO SAVEPOINT S; RELEASE s; RELEASE outer; CREATE VIEW v AS SELECT 1"
    )
    shop.sql("INSERT INTO t (x, y) VALUES (1, 2)")
    shop.back()
    assert shop.rows("SELECT x, y FROM t") == [(1, 2)]


def test_renames_since_a_released_savepoint_stand(shop: Shop) -> None:
    shop.sql("CREATE TABLE t (x INTEGER, y INTEGER); INSERT INTO t VALUES (1, 2)")
    shop.tag()
    shop.apply(
        "ALTER TABLE t RENAME x TO a; SAVEPOINT s; ALTER TABLE t RENAME y TO b; RELEASE SAVEPOINT s;"
        "SAVEPOINT s; ALTER TABLE t RENAME TO u; ROLLBACK TO s; RELEASE s"
    )
    shop.sql("INSERT INTO t (a, b) VALUES (3, 4)")
    shop.back()
    assert shop.rows("SELECT x, y FROM t ORDER BY x") == [(1, 2), (3, 4)]


@pytest.mark.parametrize("default", ["CURRENT_TIMESTAMP", "1e5", "x'00'", "(1 + 1)"])
def test_null_in_a_dropped_column_comes_back_as_null_whatever_its_default(shop: Shop, default: str) -> None:
    shop.sql(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c DEFAULT {default}); INSERT INTO t VALUES (1, NULL)")
    shop.tag()
    shop.apply("ALTER TABLE t DROP COLUMN c")
    shop.back()
    assert shop.rows("SELECT * FROM t") == [(1, None)]


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema;",
        "DELETE FROM t; ROLLBACK TO tagback_start;",
        "SAVEPOINT tagback_start;",
        'ALTER TABLE t RENAME TO "tagback_t";',
    ],
)
def test_a_changeset_keeps_out_of_what_is_tagbacks(shop: Shop, sql: str) -> None:
    shop.sql("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    shop.tag()
    with pytest.raises(FailedError) as refused:
        shop.apply(sql)
    assert refused.value.code == "reserved"
    assert shop.rows("SELECT a FROM t") == [(1,)]
