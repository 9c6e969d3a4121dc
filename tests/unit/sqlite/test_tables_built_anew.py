"""Columns keep their identity where a table is built anew under its name, renamed before, between or after."""

from __future__ import annotations

import pytest

from tests.unit.sqlite.conftest import Shop, same

_ANEW = "CREATE TABLE n ({0}); INSERT INTO n SELECT {1} FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"
CASES = {
    "renamed after": f"{_ANEW.format('k INTEGER PRIMARY KEY, a', 'k, a')}; ALTER TABLE t RENAME k TO id",
    "renamed before": f"ALTER TABLE t RENAME k TO id; {_ANEW.format('id INTEGER PRIMARY KEY, a', 'id, a')}",
    "all renamed": f"{_ANEW.format('k INTEGER PRIMARY KEY, a', 'k, a')}; ALTER TABLE t RENAME k TO id;"
    "ALTER TABLE t RENAME a TO name",
    "twice": f"{_ANEW.format('k INTEGER PRIMARY KEY, a', 'k, a')}; ALTER TABLE t RENAME k TO m;"
    f"{_ANEW.format('m INTEGER PRIMARY KEY, a', 'm, a')}; ALTER TABLE t RENAME m TO id",
    "made under its name": "CREATE TABLE old AS SELECT * FROM t; DROP TABLE t;"
    "CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t SELECT * FROM old; DROP TABLE old;"
    "ALTER TABLE t RENAME k TO id",
    "past a savepoint that was rolled back": f"SAVEPOINT s; DROP TABLE t; ROLLBACK TO s; RELEASE s;"
    f"{_ANEW.format('k INTEGER PRIMARY KEY, a', 'k, a')}; ALTER TABLE t RENAME k TO id",
}


@pytest.mark.parametrize("change", CASES.values(), ids=CASES)
def test_what_was_written_since_stays(shop: Shop, change: str) -> None:
    shop.start("CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    shop.apply(change)
    shop.sql("INSERT INTO t VALUES (3, 'later')")
    shop.sql("DELETE FROM t WHERE id = 2")
    end = shop.state()
    shop.back()
    assert shop.rows("SELECT k, a FROM t ORDER BY k") == [(1, "x"), (3, "later")]
    shop.apply()
    same(end, shop.state())


def test_columns_that_changed_names_before_are_told_apart_after(shop: Shop) -> None:
    shop.start("CREATE TABLE t (k INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'a', 'b')")
    shop.apply(
        "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b;"
        f"{_ANEW.format('k INTEGER PRIMARY KEY, b, a', 'k, b, a')}"
    )
    shop.sql("INSERT INTO t (k, b, a) VALUES (2, 'was a', 'was b')")
    shop.back()
    assert shop.rows("SELECT * FROM t ORDER BY k") == [(1, "a", "b"), (2, "was a", "was b")]


def test_an_old_table_that_takes_a_dropped_one_s_name_stays_itself(shop: Shop) -> None:
    base = shop.start(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x');"
        "CREATE TABLE u (k INTEGER PRIMARY KEY, b); INSERT INTO u VALUES (9, 'y')"
    )
    shop.apply("DROP TABLE t; ALTER TABLE u RENAME TO t; ALTER TABLE t RENAME k TO id")
    shop.sql("INSERT INTO t VALUES (10, 'later')")
    shop.back()
    assert shop.rows("SELECT * FROM u ORDER BY k") == [(9, "y"), (10, "later")]
    shop.sql("DELETE FROM u WHERE k = 10")
    same(base, shop.state())
