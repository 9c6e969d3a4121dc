"""Many at a time: statements of a plan in one round trip, and which of them was refused; rows of the ledger."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus

from tagback.catalog import Step
from tagback.engines.postgres.failures import refusals, statement_error
from tagback.engines.postgres.sqltext import SCHEMA, qualified, translated

_INSERT = re.compile(r"INSERT INTO \{(?P<table>[a-z_]+)\} (?P<columns>\([a-z_, ]+\)) VALUES \([?, ]+\)")
MOST_TOGETHER = 64  # statements of a plan in one round trip
SLOW = 0.1  # seconds


def run_in_batches(
    connection: psycopg.Connection[Any], steps: Sequence[Step], done: Callable[[Step, float], None]
) -> None:
    """Runs a plan's steps in order, many in a round trip; those of one share its time evenly."""
    start, size = 0, 1
    while start < len(steps):
        together = steps[start : start + size]
        began = time.monotonic()
        _run_together(connection, together)
        seconds = time.monotonic() - began
        for step in together:
            done(step, seconds / len(together))
        start += size
        # Half of a small statement's time is the round trip; a slow one is waited for and reported alone.
        size = min(2 * size, MOST_TOGETHER) if seconds < SLOW else 1


def _run_together(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> None:
    """Sends the steps as one text; the number of answers tells which one failed. StatementError names it."""
    texts = [step.sql + "\n;\n" for step in steps]
    with refusals(connection):
        connection.pgconn.send_query("".join(texts).encode())
        results = connection.wait(generators.execute(connection.pgconn))
    failed = next((r for r in results if r.status == ExecStatus.FATAL_ERROR), None)
    if failed is None:
        return
    error = statement_error(psycopg.errors.error_from_result(failed, encoding="utf-8"), connection)
    ends = list(itertools.accumulate(map(len, texts)))
    place = len(results) - 1
    if error.position is not None and place == 0:
        # A syntax error anywhere in the text is found before its first statement runs.
        place = next(n for n, end in enumerate(ends) if error.position < end)
    step = steps[place]
    if error.position is not None:
        error.position -= ends[place] - len(texts[place])
    error.message = f"{step.action.capitalize()} {step.object}: {error.message}"
    error.args = (error.message,)
    error.statement = step.sql
    raise error


def write_many(connection: psycopg.Connection[Any], sql: str, rows: Sequence[Sequence[object]]) -> None:
    """Runs one statement for many rows. Plain insertions, which can be thousands, go in by COPY: a tenth of the time."""
    insert = _INSERT.fullmatch(sql)
    with connection.cursor() as cursor:
        if insert is None:
            cursor.executemany(translated(sql, len(rows[0])), rows)
            return
        place = f"{qualified(SCHEMA, insert['table'])} {insert['columns']}"
        with cursor.copy(f"COPY {place} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
