"""A question of the user's to a PostgreSQL database, which may write nothing."""

from __future__ import annotations

from tagback.engines.postgres.failures import refusals
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.session import Value
from tagback.engines.url import Url


def first_row(url: Url, sql: str, within: float) -> dict[str, Value]:
    """See `tagback.engines.first_row`."""
    session = PostgresSession.open(url)
    try:
        with refusals(session._connection):
            session._connection.execute("SET default_transaction_read_only = on")  # also behind a COMMIT in the query
            session._connection.execute("BEGIN READ ONLY")
            session._connection.execute(f"SET LOCAL statement_timeout = {max(1, round(within * 1000))}".encode())
            cursor = session._connection.execute(sql.encode())
            row = cursor.fetchone()
            names = [column.name for column in cursor.description or ()]
        return dict(zip(names, row, strict=True)) if row is not None else {}
    finally:
        session.close()
