"""What was changed by hand since a deployment stays by wish, values and all, or is refused in words before anything happens."""

from __future__ import annotations

from pathlib import Path

import pytest

import tagback
from tagback.errors import RefusedError
from tests.support import client

SHOP = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20), (3, 'z', 30);
"""

KEPT = {
    "a new column keeps its values in rows that change": (
        "UPDATE t SET a = 'new'",
        "ALTER TABLE t ADD COLUMN h TEXT; UPDATE t SET h = 'mine' WHERE id < 3",
        [(1, "x", 10, "mine"), (2, None, 20, "mine"), (3, "z", 30, None)],
    ),
    "a new column gives rows that come back its default": (
        "DELETE FROM t WHERE id = 3; UPDATE t SET b = 0 WHERE id = 1",
        "ALTER TABLE t ADD COLUMN h TEXT NOT NULL DEFAULT 'usual'; UPDATE t SET h = 'mine'",
        [(1, "x", 10, "mine"), (2, None, 20, "mine"), (3, "z", 30, "usual")],
    ),
}

REFUSED = {
    "a table with the name of a renamed one": (
        "ALTER TABLE t RENAME TO u",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER)",
        "t, which was added by hand, has a name that",
    ),
    "a table with the name of a dropped index": (
        "DROP INDEX i",
        "CREATE TABLE i (x INTEGER)",
        "i, which was added by hand, has a name that",
    ),
    "a view with the name of a dropped table": (
        "DROP TABLE t",
        "CREATE VIEW t AS SELECT 1 AS one",
        "t, which was added by hand, has a name that",
    ),
    "a dropped table of which rows are kept": (
        "UPDATE t SET b = 0",
        "DROP TABLE t",
        "t was removed or renamed by hand",
    ),
    "a renamed column of rows that are kept": (
        "UPDATE t SET b = 0",
        "ALTER TABLE t RENAME COLUMN a TO c",
        "t.a was removed or renamed by hand",
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_was_added_by_hand_stays_with_its_values(target_url: str, tmp_path: Path, name: str) -> None:
    change, by_hand, wanted = KEPT[name]
    _deploy(target_url, tmp_path, change, by_hand)
    with tagback.open(target_url) as target:
        done = target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP))
        assert done.verified
        assert client.rows(target_url, "SELECT * FROM t") == wanted
        target.apply(tmp_path / "changelog")
        target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP))
    assert client.rows(target_url, "SELECT * FROM t") == wanted


@pytest.mark.parametrize("name", REFUSED)
def test_what_stands_in_the_way_is_refused_and_nothing_is_touched(target_url: str, tmp_path: Path, name: str) -> None:
    change, by_hand, told = REFUSED[name]
    if target_url.startswith("mariadb"):
        if "index" in name:
            pytest.skip("indexes have names of their own in each table")
        told = f"{told}|changed by hand and by a deployment"  # which table is which is known only while one runs
    _deploy(target_url, tmp_path, change, by_hand)
    before = {t: client.rows(target_url, f"SELECT * FROM {t}") for t in client.tables(target_url)}
    with tagback.open(target_url) as target, pytest.raises(RefusedError, match=told) as refused:
        target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP))
    assert refused.value.code == "drift"
    assert before == {t: client.rows(target_url, f"SELECT * FROM {t}") for t in client.tables(target_url)}


def test_a_constraint_by_hand_beside_the_returning_one_is_refused_in_words(pg_url: str, tmp_path: Path) -> None:
    _deploy(
        pg_url,
        tmp_path,
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ADD CONSTRAINT other PRIMARY KEY (id)",
    )
    with tagback.open(pg_url) as target, pytest.raises(RefusedError, match="can't be kept beside") as refused:
        target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP))
    assert refused.value.code == "drift"


def _deploy(url: str, folder: Path, change: str, by_hand: str) -> None:
    changelog = folder / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(SHOP + "CREATE INDEX i ON t (a);")
    with tagback.open(url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_change.sql").write_text(change + ";")
        target.apply(changelog)
    client.write(url, by_hand)
