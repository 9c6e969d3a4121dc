"""Names and literals survive their quotes; expressions are written in the form that the server gives back."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagback.engines.postgres.privileges import Grant, parse, statements
from tagback.engines.postgres.sqltext import ident, literal, stable

EXPRESSIONS = (
    "v IN ('x', 'y')",
    "v NOT IN ('x', 'y''[')",
    "v = ANY (ARRAY['a', 'b'])",
    "n = ANY (ARRAY[1, 2])",
    "n IN (1, 2.5)",
    "b IN (1, 2)",
    "b = ANY (ARRAY[1::smallint, 2::smallint])",
    "v IN ('(ARRAY[''x''])::text[]', 'b') AND t IN ('c', 'd')",
    "v::varchar(3) IN ('x', 'y')",
    "t LIKE ANY (ARRAY['a%', 'b%'])",
    "v ~~ ANY (ARRAY['a%'::varchar, 'b%'])",
    "d > now() - interval '1 day'",
    "CASE WHEN v IN ('a', 'b') THEN n > 1 ELSE b < 2 END",
    "(v || 'x') = t AND NOT (n IS DISTINCT FROM 5)",
    "d BETWEEN '2020-01-01' AND '2021-01-01'",
    "j ->> 'a' = 'b' AND j @> '{\"a\": [1]}'",
    "v SIMILAR TO 'a|b' OR t ~* E'\\\\d'",
    "coalesce(v, 'x') IN ('x', 'y') AND ROW(n, b) > ROW(1, 2)",
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_check_made_from_its_own_text_has_the_same_text(expression: str, pg_url: str) -> None:
    columns = "(v varchar(20), t text, n numeric, b bigint, d timestamptz, j jsonb)"
    query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'k' AND conrelid = %s::regclass"
    with psycopg.connect(pg_url) as connection:
        connection.execute(f"CREATE TABLE a {columns}; ALTER TABLE a ADD CONSTRAINT k CHECK ({expression})".encode())
        ((first,),) = connection.execute(query, ("a",)).fetchall()
        connection.execute(f"CREATE TABLE z {columns}; ALTER TABLE z ADD CONSTRAINT k {stable(first)}".encode())
        ((again,),) = connection.execute(query, ("z",)).fetchall()
    assert again == first


def test_literals_and_names_come_back_from_the_server(pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as connection:

        @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=15))
        def come_back(text: str) -> None:
            for scanner in ("on", "off"):
                connection.execute(f"SET standard_conforming_strings = {scanner}".encode())
                cursor = connection.execute(f"SELECT {literal(text)} AS {ident(text)}".encode())
                assert cursor.fetchone() == (text,)
                assert cursor.description is not None
                assert cursor.description[0].name == text

        come_back()


def test_privileges_are_read_from_the_servers_notation() -> None:
    assert parse(['"odd ""role="=r*w/me', "=U/me"]) == (Grant("", "me", "U"), Grant('odd "role=', "me", "rw", "r"))


def test_what_was_passed_on_goes_first_and_comes_last() -> None:
    none: tuple[Grant, ...] = ()
    some = (Grant("a", "me", "r", "r"), Grant("b", "a", "r"))
    assert statements(none, some, "me", "TABLE t") == [
        'GRANT SELECT ON TABLE t TO "a" WITH GRANT OPTION',
        'SET LOCAL ROLE "a"',
        'GRANT SELECT ON TABLE t TO "b"',
        "RESET ROLE",
    ]
    assert statements(some, none, "me", "TABLE t")[-1] == 'REVOKE SELECT ON TABLE t FROM "a"'
