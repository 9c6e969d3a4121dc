"""The application: writes to a target and reads from it, without tagback, the same on each engine."""

from __future__ import annotations

import re
import sqlite3
from urllib.parse import unquote, urlsplit

Row = tuple[object, ...]


def write(url: str, script: str) -> None:
    """Runs statements, each by itself, as an application does."""
    for sql in filter(str.strip, re.split(r";\s*", script)):
        run(url, sql)


def rows(url: str, query: str) -> list[Row]:
    """The query's rows, in an order of their own."""
    return sorted(run(url, query), key=repr)


def tables(url: str) -> list[str]:
    """The application's own."""
    if url.startswith("sqlite"):
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'tagback_%' AND name NOT LIKE 'sqlite_%'"
    elif url.startswith("mariadb"):
        query = (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = database()"
            " AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'tagback\\_%'"
        )
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return sorted(str(name) for (name,) in run(url, query))


def run(url: str, sql: str) -> list[Row]:
    """One statement, committed, and its rows."""
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            found = lite.execute(sql).fetchall()
            lite.commit()
        finally:
            lite.close()
        return found
    if url.startswith("mariadb"):
        import pymysql

        place = urlsplit(url)
        with (
            pymysql.connect(
                host=place.hostname or "",
                port=place.port or 0,
                user=place.username or "",
                password=unquote(place.password or ""),
                database=unquote(place.path[1:]),
                autocommit=True,
            ) as maria,
            maria.cursor() as talk,
        ):
            talk.execute(sql)
            return list(talk.fetchall())
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []
