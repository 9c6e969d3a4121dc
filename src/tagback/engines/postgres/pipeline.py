"""Several statements on their way at once: half of a small one's time is the wait for its answer.

In libpq's pipeline mode each statement is still parsed, run and answered by itself, in order: what one of them sets is
in force when the next is parsed, errors point into its own text, and after an error the server runs none of those that
were sent behind it. One text with many statements would have none of that.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

MOST = 100  # statements on their way
MOST_TEXT = 1_000_000  # characters of them
_FEW = 20  # statements that are answered one by one, so that each one's time is known
_TOGETHER = 10  # of more than these so many are answered at once: an answer by itself costs both sides

# Neither of these can end the transaction, speak COPY with the client, or do anything but change schema and rows.
_PLAIN = re.compile(r"(?:CREATE|ALTER|DROP|COMMENT|GRANT|REVOKE|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_DROPS_TABLE = re.compile(r"DROP(?:\s|/\*.*?\*/|--[^\n]*\n)+TABLE\b", re.IGNORECASE | re.DOTALL)
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)


def in_groups(sqls: Sequence[str]) -> Iterator[list[str]]:
    """The statements in order, those together that can be on their way at once.

    Text beyond ASCII can't follow anything: how it has to be encoded is known only when all before it has run.
    DROP TABLE goes only with its like: what it takes away may be moved to the shelf instead.
    """
    group: list[str] = []
    size = 0
    for sql in sqls:
        plain = bool(_PLAIN.match(sql)) and "\0" not in sql
        alike = not group or drops_table(sql) == drops_table(group[0])
        if group and not (plain and alike and sql.isascii() and len(group) < MOST and size + len(sql) <= MOST_TEXT):
            yield group
            group, size = [], 0
        group.append(sql)
        size += len(sql)
        if not plain:
            yield group
            group, size = [], 0
    if group:
        yield group


def drops_table(sql: str) -> bool:
    """Whether a statement is a DROP TABLE."""
    return bool(_DROPS_TABLE.match(sql))


def run_pipeline(connection: psycopg.Connection[Any], texts: Sequence[bytes], done: Callable[[], None]) -> None:
    """Runs statements that `in_groups` put together; calls `done` after each. psycopg.Error of the first that fails."""
    with on_their_way(connection, texts) as answers:
        for _ in answers:
            done()


@contextlib.contextmanager
def on_their_way(connection: psycopg.Connection[Any], texts: Sequence[bytes]) -> Iterator[Iterator[PGresult]]:
    """Sends statements and gives the answers as they come; the first error is raised when it is its turn.

    At the end of the context what hasn't been taken is thrown away; after an exception what still runs is stopped.
    """
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    all_sent = stopping = False
    try:
        for number, text in enumerate(texts, 1):
            pgconn.send_query_params(text, None)
            if len(texts) <= _FEW or number % _TOGETHER == 0:
                pgconn.send_flush_request()  # or the server would keep its answers back until the end
        pgconn.pipeline_sync()
        all_sent = True
        # The driver's own generators: an interrupt finds them waiting, never half-way through a step.
        connection.wait(generators.send(pgconn))
        yield _answers(connection, len(texts))
    except psycopg.Error:
        raise
    except BaseException:
        stopping = True
        raise
    finally:
        with _stopped(connection) if stopping else contextlib.nullcontext():
            _leave(connection, all_sent=all_sent)


@contextlib.contextmanager
def _stopped(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Asks the server to stop, again and again: between two statements there is nothing to stop, and the next one begins."""
    over = threading.Event()

    def ask() -> None:
        while connection.pgconn.status == ConnStatus.OK and not over.is_set():
            with contextlib.suppress(psycopg.Error):
                connection.cancel()
            over.wait(0.2)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def _answers(connection: psycopg.Connection[Any], count: int) -> Iterator[PGresult]:
    for _ in range(count):
        (result,) = connection.wait(generators.fetch_many(connection.pgconn))
        if result.status not in _DONE:
            raise psycopg.errors.error_from_result(result, encoding=_encoding(connection))
        yield result


def _leave(connection: psycopg.Connection[Any], *, all_sent: bool) -> None:
    """Out of pipeline mode; what is still to come, after an error or an interrupt, is thrown away."""
    pgconn = connection.pgconn
    try:
        if not all_sent:
            pgconn.pipeline_sync()
            connection.wait(generators.send(pgconn))
        while pgconn.status == ConnStatus.OK:
            results = connection.wait(generators.fetch_many(pgconn))
            if results and results[-1].status == ExecStatus.PIPELINE_SYNC:
                pgconn.exit_pipeline_mode()
                return
    except psycopg.Error:
        connection.close()
    except BaseException:
        connection.close()  # nobody can say what it would answer next; the server takes everything back
        raise


def _encoding(connection: psycopg.Connection[Any]) -> str:
    try:
        return connection.info.encoding
    except psycopg.NotSupportedError:
        return "utf-8"


def encoded(connection: psycopg.Connection[Any], sql: str) -> bytes:
    """The text as the server expects it now, after whatever the user's SET client_encoding was."""
    try:
        return sql.encode(_encoding(connection))
    except UnicodeEncodeError:
        return sql.encode()


def leave_copy(connection: psycopg.Connection[Any]) -> None:
    """Ends a COPY with the client, which would wait for ever; nothing of it is wanted or given."""
    pgconn = connection.pgconn
    connection.cancel()
    with contextlib.suppress(psycopg.Error):
        pgconn.put_copy_end(b"COPY with the client is not possible here")
    with contextlib.suppress(psycopg.Error):
        while pgconn.get_copy_data(0)[0] > 0:
            continue
    while pgconn.get_result() is not None:
        continue
