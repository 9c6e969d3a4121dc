"""What the server and its driver report, as tagback's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pymysql
from pymysql.constants import CR

from tagback.engines.session import StatementError

_LOST = {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1053, 1927, 4031}  # shutdown, killed, and MySQL's idle timeout
_RETRYABLE = {1205, 1213, 1020}  # lock wait timeout, deadlock, record has changed since last read
_CODES = {
    1205: "lock_timeout",
    1213: "deadlock",
    1020: "serialization",
    1064: "syntax",
    1149: "syntax",
    1317: "cancelled",
    1969: "cancelled",  # max_statement_time
    3024: "cancelled",  # max_execution_time
    1021: "disk_full",
    1114: "disk_full",
    1044: "permission",
    1142: "permission",
    1143: "permission",
    1227: "permission",
    1370: "permission",
    1062: "constraint",
    1451: "constraint",
    1452: "constraint",
    1216: "constraint",
    1217: "constraint",
    1048: "constraint",
    4025: "constraint",  # MariaDB: CHECK
    3819: "constraint",  # MySQL: CHECK
}


@contextlib.contextmanager
def refusals(driver: pymysql.Connection[Any]) -> Iterator[None]:
    """Turns the driver's errors into StatementError."""
    try:
        yield
    except pymysql.Error as error:
        raise statement_error(error, driver) from error


def statement_error(error: pymysql.Error, driver: pymysql.Connection[Any]) -> StatementError:
    """The server's refusal of a statement, or the loss of the connection while it ran."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    lost = number in _LOST or isinstance(error, pymysql.err.InterfaceError) or not driver.open
    code = _CODES.get(number) or ("data" if isinstance(error, pymysql.err.DataError) else "statement")
    return StatementError(
        text or ("The connection to the server was lost." if lost else f"The server reports error {number}."),
        code="unreachable" if lost else code,
        sqlstate=str(number),
        retryable=number in _RETRYABLE and not lost,
        lost=lost,
        hint="The connection to the server is gone." if lost else "",
    )
