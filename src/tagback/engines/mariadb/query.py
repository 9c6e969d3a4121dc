"""A question of the user's to a MariaDB or MySQL database, which may write nothing."""

from __future__ import annotations

from tagback.engines.mariadb.connecting import open_connection
from tagback.engines.mariadb.failures import refusals
from tagback.engines.session import Value
from tagback.engines.url import Url


def first_row(url: Url, sql: str, within: float) -> dict[str, Value]:
    """See `tagback.engines.first_row`."""
    connection = open_connection(url)
    try:
        if connection.flavour == "mariadb":
            connection.ask(f"SET SESSION max_statement_time = {max(0.001, within):.3f}")
        else:
            connection.ask(f"SET SESSION max_execution_time = {max(1, round(within * 1000))}")
        connection.ask("SET SESSION sql_select_limit = 1")  # more would be read, and thrown away
        connection.ask("SET SESSION TRANSACTION READ ONLY")
        connection.ask("START TRANSACTION READ ONLY")
        with refusals(connection.driver), connection.driver.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
            names = [column[0] for column in cursor.description or ()]
        return dict(zip(names, row, strict=True)) if row is not None else {}
    finally:
        connection.close()
