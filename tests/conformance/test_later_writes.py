"""What the application writes into a new column after its deployment is never taken away in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

import tagback
from tagback.errors import RefusedError

SETUP = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);"
WRITES = {
    "values that two rows swapped": (
        "ALTER TABLE t ADD COLUMN c TEXT; UPDATE t SET c = 'v' || id;",
        "UPDATE t SET c = 'v' || (3 - id) WHERE id < 3",
    ),
    "a value that moved to another row": (
        "ALTER TABLE t ADD COLUMN c TEXT; UPDATE t SET c = 'x' WHERE id = 1;",
        "UPDATE t SET c = CASE id WHEN 2 THEN 'x' END",
    ),
    "NULL where the default stood": (
        "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'on';",
        "UPDATE t SET c = NULL WHERE id = 2",
    ),
    "another value than the default": (
        "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'on';",
        "UPDATE t SET c = 'off' WHERE id = 2",
    ),
}


@pytest.mark.parametrize("written", WRITES)
def test_later_writes_to_a_new_column_are_not_lost(target_url: str, tmp_path: Path, written: str) -> None:
    change, write = WRITES[written]
    _deploy(target_url, tmp_path, change)
    _write(target_url, write)
    with tagback.open(target_url) as target:
        assert not target.tags()[0].reachable
        with pytest.raises(RefusedError, match="column c of table") as refused:
            target.rollback(tagback.RollbackOptions(to="before"))
    assert refused.value.code == "data_loss"


@pytest.mark.parametrize("written", WRITES)
def test_without_later_writes_the_same_column_goes(target_url: str, tmp_path: Path, written: str) -> None:
    _deploy(target_url, tmp_path, WRITES[written][0])
    _write(target_url, "UPDATE t SET a = a + 1")
    with tagback.open(target_url) as target:
        assert target.tags()[0].reachable
        assert target.rollback(tagback.RollbackOptions(to="before")).verified


def _deploy(url: str, folder: Path, change: str) -> None:
    (folder / "001_setup.sql").write_text(SETUP)
    with tagback.open(url, create=True) as target:
        target.apply(folder, tagback.ApplyOptions(tag="before"))
        (folder / "002_change.sql").write_text(change)
        target.apply(folder, tagback.ApplyOptions(tag="after"))


def _write(url: str, sql: str) -> None:
    if url.startswith("sqlite"):
        import sqlite3

        with sqlite3.connect(url.removeprefix("sqlite:///")) as lite:
            lite.execute(sql)
        lite.close()
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())
