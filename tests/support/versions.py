"""What older versions of PostgreSQL don't know yet, for cases that are about it or only touch it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from tagback.engines.session import StatementError

_LEFT_OUT = {" NULLS NOT DISTINCT": 15, " ON DELETE SET NULL (customer)": 15}
_NEEDED = {
    "FOR TABLES IN SCHEMA": 15,
    "WHERE (id > 5) WITH (publish": 15,
    "MERGE INTO": 15,
    "SET ACCESS METHOD": 15,
}


@contextlib.contextmanager
def without_icu_skipped() -> Iterator[None]:
    """The test is skipped where the server is built without ICU and is asked for a collation of it."""
    try:
        yield
    except (psycopg.errors.FeatureNotSupported, StatementError) as error:
        if "ICU is not supported" not in str(error):
            raise
        pytest.skip("this server is built without ICU")


def fitting(sql: str, major: int) -> str:
    """The SQL without what may be left out where it isn't known; the test is skipped where the rest isn't known either."""
    for phrase, since in _LEFT_OUT.items():
        if major < since:
            sql = sql.replace(phrase, "")
    missing = [phrase for phrase, since in _NEEDED.items() if phrase in sql and major < since]
    if missing:
        pytest.skip(f"PostgreSQL {major} doesn't know {', '.join(missing)}")
    return sql
