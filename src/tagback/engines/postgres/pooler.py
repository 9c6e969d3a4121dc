"""Poolers that give each transaction another server process: the deployment lock can't be held through one.

A pooler shows in that the process which the server named at login isn't the one that answers. Whether it keeps one for as long
as the connection lasts is seen with a second connection beside the first, which is between two transactions then: where
the second gets the first one's process, or the first another one, there is no session.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tagback.errors import RefusedError, TagbackError

_PATIENCE = 3.0  # seconds; where sessions keep all of the pooler's connections, the second one waits
_ROUNDS = 12  # with others at work, one process can come back to the same client by chance

Connection = psycopg.Connection[tuple[Any, ...]]


def refuse_shared(connection: Connection, connect: Callable[[], Connection]) -> None:
    """RefusedError `pooler` when others get the connection's server process between its transactions.

    Nothing was sent on it yet. `connect` opens another one to the same place.
    """
    first = _process(connection)
    if first in (None, connection.info.backend_pid):
        return
    try:
        other = connect()
    except TagbackError:  # no more are allowed: then the first one's may be its own
        return
    with contextlib.closing(other):
        for _ in range(_ROUNDS):
            there = _process(other)
            if there is None:
                return
            if there == first or _process(connection) != first:
                raise RefusedError(
                    "A pooler is between here and the server that gives each transaction, or each statement, another"
                    " server process: the deployment lock can't be held through it.",
                    code="pooler",
                    hint="Nothing was touched. Connect to the server directly, or through a pooler in session mode.",
                )


def _process(connection: Connection) -> object:
    """The number of the server process that answers; None when none is to be had in time."""
    pgconn = connection.pgconn
    pgconn.send_query(b"SELECT pg_catalog.pg_backend_pid()")
    until = time.monotonic() + _PATIENCE
    found: object = None
    while True:
        while pgconn.flush() or pgconn.is_busy():
            left = until - time.monotonic()
            if left <= 0 or not select.select([pgconn.socket], [], [], left)[0]:
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return found
        value = result.get_value(0, 0) if result.ntuples else None
        found = int(value) if value is not None else None
