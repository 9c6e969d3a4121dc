"""The application: writes to a target and reads from it, without tagback, the same on both engines."""

from __future__ import annotations

import re
import sqlite3

Row = tuple[object, ...]


def write(url: str, script: str) -> None:
    """Runs statements, each by itself, as an application does."""
    for sql in filter(str.strip, re.split(r";\s*", script)):
        _run(url, sql)


def rows(url: str, query: str) -> list[Row]:
    """The query's rows, in an order of their own."""
    return sorted(_run(url, query), key=repr)


def tables(url: str) -> list[str]:
    """The application's own."""
    if url.startswith("sqlite"):
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'tagback_%' AND name NOT LIKE 'sqlite_%'"
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return sorted(str(name) for (name,) in _run(url, query))


def _run(url: str, sql: str) -> list[Row]:
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            found = lite.execute(sql).fetchall()
            lite.commit()
        finally:
            lite.close()
        return found
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []
