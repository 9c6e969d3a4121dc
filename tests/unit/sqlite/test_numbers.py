"""A number that AUTOINCREMENT gave out is never given again, also where its row and then the table had gone."""

from __future__ import annotations

import pytest

from tests.unit.sqlite.conftest import Shop, same


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE t",
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, b)",
        "DELETE FROM t; DROP TABLE t",
    ],
)
def test_numbers_go_on_where_they_stood(shop: Shop, change: str, *, wal: bool) -> None:
    base = shop.start(
        f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}; CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a);"
        "INSERT INTO t (a) VALUES ('x'), ('y'), ('z'); DELETE FROM t WHERE id = 3"
    )
    shop.apply(change)
    shop.back()
    same(base, shop.state())
    shop.sql("INSERT INTO t (a) VALUES ('new')")
    assert shop.rows("SELECT id FROM t WHERE a = 'new'") == [(4,)]
