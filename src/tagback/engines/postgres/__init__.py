"""The PostgreSQL engine, versions 14 to 18, over psycopg 3."""

from __future__ import annotations

from tagback.engines.session import Session
from tagback.engines.url import Url
from tagback.errors import UsageError

__all__ = ["connect"]


def connect(url: Url, *, create: bool = False, lock_timeout: float | None = None) -> Session:
    """Opens one connection. UsageError without the driver, UnreachableError when the target doesn't let us in.

    `create` has no meaning here: a server's database is made by its administrator.
    """
    try:
        from tagback.engines.postgres.session import PostgresSession
    except ImportError as missing:
        if (missing.name or "").startswith("tagback"):
            raise
        raise UsageError(
            f"The PostgreSQL driver can't be loaded: {missing}.",
            code="driver_missing",
            hint="Install it: pip install 'tagback[postgres]'",
        ) from missing
    return PostgresSession.open(url) if lock_timeout is None else PostgresSession.open(url, lock_timeout)
