"""A changelog's text is cut where the server reads it so, whatever its session's SQL mode is."""

from __future__ import annotations

import pytest

from tagback.changelog import StatementKind, split
from tagback.changelog.dialect import mysql_in
from tests.unit.mariadb.conftest import Schema


@pytest.mark.parametrize(
    ("mode", "script", "values"),
    [
        ("", r"""SELECT 'a\';b', "c\";d", 'e'';f'; SELECT 2""", [("a';b", 'c";d', "e';f"), (2,)]),
        ("NO_BACKSLASH_ESCAPES", r"""SELECT 'a\', "b\", 'c'';d'; SELECT 2""", [("a\\", "b\\", "c';d"), (2,)]),
        ("ANSI_QUOTES", r"""SELECT "b\" FROM (SELECT 7 AS "b\") AS "x;"; SELECT 'c\';'""", [(7,), ("c';",)]),
        ("ANSI", 'SELECT "b"";" FROM (SELECT 7 AS "b"";") x; SELECT 3', [(7,), (3,)]),
        ("", "SELECT 1 # it's\n; SELECT 2 -- it's\n; SELECT 3--1; /* ; */ SELECT 5", [(1,), (2,), (4,), (5,)]),
        ("", "/*!40101 SELECT 4 */; /*M!100100 SELECT 5 */", [(4,), (5,)]),
    ],
)
def test_the_server_takes_each_part_as_one_statement(
    schema: Schema, mode: str, script: str, values: list[tuple[object, ...]]
) -> None:
    schema.connection.ask("SET SESSION sql_mode = %s", (mode,))
    found = [s.sql for s in split(script, mysql_in(mode)) if s.kind is not StatementKind.EMPTY]
    assert [schema.connection.ask(sql) for sql in found] == [[row] for row in values]
