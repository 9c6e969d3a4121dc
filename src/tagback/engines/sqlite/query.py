"""A question of the user's to an SQLite file, which may write nothing."""

from __future__ import annotations

import time

from tagback.engines.session import Value
from tagback.engines.sqlite.failures import refusals
from tagback.engines.sqlite.file import open_file
from tagback.engines.url import Url


def first_row(url: Url, sql: str, within: float) -> dict[str, Value]:
    """See `tagback.engines.first_row`."""
    connection = open_file(url, create=False).connection
    until = time.monotonic() + within
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(lambda: int(time.monotonic() > until), 10_000)
        with refusals(sql):
            cursor = connection.execute(sql)
            row = cursor.fetchone()
            names = [column[0] for column in cursor.description or ()]
        return dict(zip(names, row, strict=True)) if row is not None else {}
    finally:
        connection.close()
