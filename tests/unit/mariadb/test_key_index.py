"""What is kept is indexed by its keys, whatever types they have: an index that a server refuses would fail a deployment."""

from __future__ import annotations

import pytest

from tagback.engines.mariadb.sqltext import key_index
from tests.support import client

TYPES = [
    "int(11)", "bigint(20) unsigned", "varchar(20)", "varchar(500)", "char(0)", "binary(16)", "varbinary(300)", "longtext",
    "enum('a','b')", "decimal(10,2)", "date", "datetime(6)", "timestamp", "time", "year(4)", "double", "bit(3)", "point",
    "uuid", "inet6", "set('a')", "tinyint(1)", "mediumblob",
]  # fmt: skip


@pytest.mark.parametrize("type_", TYPES)
def test_a_table_of_keys_of_any_type_is_made(mariadb_url: str, type_: str) -> None:
    types = [f"{type_} NULL DEFAULT NULL", "int(11) NULL DEFAULT NULL"]
    columns = [f"k{n} {t}" for n, t in enumerate(types)]
    client.run(mariadb_url, f"CREATE TABLE kept ({', '.join([*columns, *key_index(types)])}) ENGINE=InnoDB")


def test_numbers_and_short_texts_are_indexed() -> None:
    assert key_index(["int(11) NULL", "varchar(500) NULL", "char(8)"]) == ["KEY (k0, k1(64), k2(8))"]
    assert key_index(["date NULL", "enum('a')", "int"]) == ["KEY (k0)"]
    assert key_index(["point"]) == []
