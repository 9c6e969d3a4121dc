"""A deployment of four changesets that fails at any of its sixteen statements leaves nothing; mended, it is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tagback
from tagback.errors import Exit, TagbackError
from tests.conformance.conftest import Look
from tests.support import client
from tests.support.oracle import differences

SETUP = (
    "CREATE TABLE customer (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL, age INTEGER)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id), amount NUMERIC(8, 2))",
    "INSERT INTO customer VALUES (1, 'Ada', 36), (2, 'Ben', NULL), (3, 'Eve', 20)",
    "INSERT INTO orders VALUES (1, 1, 10), (2, 1, 20.5), (3, 3, 30)",
)
CHANGESETS = (
    (
        "ALTER TABLE customer ADD COLUMN mail VARCHAR(50)",
        "UPDATE customer SET mail = 'at home' WHERE id < 3",
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL)",
        "INSERT INTO visit SELECT id, customer FROM orders",
    ),
    (
        "DELETE FROM orders WHERE customer = 3",
        "ALTER TABLE orders DROP COLUMN amount",
        "UPDATE customer SET name = upper(name)",
        "CREATE INDEX by_name ON customer (name)",
    ),
    (
        "ALTER TABLE customer RENAME COLUMN age TO years",
        "UPDATE customer SET years = 40 WHERE years IS NULL",
        "ALTER TABLE visit RENAME TO visits",
        "INSERT INTO visits VALUES (9, 2)",
    ),
    (
        "DROP TABLE orders",
        "CREATE TABLE orders (number INTEGER PRIMARY KEY, note VARCHAR(9))",
        "INSERT INTO orders VALUES (7, 'new')",
        "CREATE VIEW names AS SELECT name, years FROM customer",
    ),
)


@pytest.mark.parametrize("place", range(16))
def test_a_failure_at_any_statement_leaves_nothing(target_url: str, look: Look, tmp_path: Path, place: int) -> None:
    for sql in SETUP:
        client.write(target_url, sql)
    start = look(target_url)
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    with tagback.open(target_url) as target:
        target.tag("start")
        _write(changelog, failing=place)
        with pytest.raises(TagbackError) as raised:
            target.apply(changelog)
        assert raised.value.exit_code is Exit.FAILED
        assert raised.value.location is not None
        assert raised.value.location.line == 1 + place % 4
        assert differences(start, look(target_url)) == []
        _write(changelog)
        assert len(target.apply(changelog, tagback.ApplyOptions(tag="end")).changesets) == len(CHANGESETS)
        end = look(target_url)
        assert target.rollback(tagback.RollbackOptions(to="start")).verified
        assert differences(start, look(target_url)) == []
        target.apply(changelog)
    assert differences(end, look(target_url)) == []


def _write(changelog: Path, failing: int | None = None) -> None:
    for n, statements in enumerate(CHANGESETS):
        lines = [
            "INSERT INTO customer (id, name) VALUES (1, 'twice')" if 4 * n + at == failing else sql
            for at, sql in enumerate(statements)
        ]
        (changelog / f"{n + 1:03}_change.sql").write_text(";\n".join(lines) + ";\n")
