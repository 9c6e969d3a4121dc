"""Several statements of a plan in one round trip, and which of them was refused."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus

from tagback.catalog import Step
from tagback.engines.postgres.failures import refusals, statement_error


def run_together(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> None:
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
