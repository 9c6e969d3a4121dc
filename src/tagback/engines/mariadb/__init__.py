"""The MariaDB and MySQL engine: MariaDB 10.6 and later, MySQL 8.0 and later, over PyMySQL."""

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
        from tagback.engines.mariadb.session import MariadbSession
    except ImportError as missing:
        if (missing.name or "").startswith("tagback"):
            raise
        raise UsageError(
            f"The MariaDB driver can't be loaded: {missing}.",
            code="driver_missing",
            hint="Install it: pip install 'tagback[mariadb]'",
        ) from missing
    return MariadbSession.open(url) if lock_timeout is None else MariadbSession.open(url, lock_timeout)
