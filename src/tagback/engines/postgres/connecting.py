"""Connections, and why none comes about."""

from __future__ import annotations

from typing import Any

import psycopg

from tagback.engines.postgres.failures import connection_error
from tagback.engines.url import Url


def connect(url: Url) -> psycopg.Connection[tuple[Any, ...]]:
    """A new connection. UnreachableError says what is in the way; UsageError for URLs that can't be used."""
    parameters: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "dbname": url.database,
    }
    given = {name: value for name, value in parameters.items() if value}
    defaults = {"connect_timeout": "10", "application_name": "tagback"}
    try:
        return psycopg.connect(
            "",
            autocommit=True,
            prepare_threshold=None,  # a changeset may say DISCARD ALL, and poolers lose prepared statements
            **{**defaults, **given, **dict(url.options), "client_encoding": "UTF8"},
        )
    except psycopg.Error as error:
        # "from None": the driver's error has the connection string, with the password, within reach.
        raise connection_error(error, url) from None
