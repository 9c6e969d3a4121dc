"""What PostgreSQL and its driver report, as tagback's errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import psycopg

from tagback.engines.postgres.rights import missing
from tagback.engines.session import StatementError
from tagback.engines.url import Url
from tagback.errors import RefusedError, TagbackError, UnreachableError, UsageError

OLDEST = 140000  # as in server_version_num
_RETRYABLE = {"55P03", "40P01", "40001"}  # lock_timeout is 55P03, unlike statement_timeout and cancelling: 57014
_CODES = {
    "55P03": "lock_timeout",
    "40P01": "deadlock",
    "40001": "serialization",
    "42601": "syntax",
    "42501": "permission",
    "57014": "cancelled",
    "53100": "disk_full",
}
_CLASSES = {"23": "constraint", "53": "resources", "22": "data"}


def statement_error(error: psycopg.Error, connection: psycopg.Connection[Any]) -> StatementError:
    """The server's refusal of a statement, or the loss of the connection while it ran."""
    diagnostics, state = error.diag, error.sqlstate or ""
    lost = connection.closed or state.startswith("08") or state in ("57P01", "57P02", "57P03")
    parts = [diagnostics.message_primary or str(error).strip()]
    for label, text in (
        ("DETAIL", diagnostics.message_detail),
        ("HINT", diagnostics.message_hint),
        ("CONTEXT", diagnostics.context),
    ):
        if text:
            parts.append(f"{label}: {text}")
    position = diagnostics.statement_position
    hint = "The connection to the server is gone." if lost else ""
    if state == "42501":
        hint = missing(parts[0], connection.info.parameter_status("session_authorization") or connection.info.user)
    if state == "55P04" and "enum" in parts[0]:
        hint = (
            "Deploy what adds the value by itself first, with `tagback apply --to CHANGESET`; or begin its file with the"
            " comment `-- no-transaction`, so that it is committed before what follows."
        )
    return StatementError(
        "\n".join(parts),
        code="unreachable" if lost else _CODES.get(state) or _CLASSES.get(state[:2], "statement"),
        sqlstate=state,
        position=int(position) - 1 if position else None,
        retryable=state in _RETRYABLE and not lost,
        lost=lost,
        hint=hint,
    )


@contextlib.contextmanager
def refusals(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Turns the driver's errors into StatementError."""
    try:
        yield
    except psycopg.Error as error:
        raise statement_error(error, connection) from error


_CAUSES: tuple[tuple[str, str, str, str], ...] = (
    # A pattern in the driver's text (libpq tells no SQLSTATE here), message, hint and code.
    (
        r"failed to resolve host|could not translate host name",
        "The host {host} is not known.",
        "Check the host name in the URL.",
        "unreachable",
    ),
    (
        r"timeout expired|[Tt]imed out",
        "{host} did not answer in time.",
        "Check host, port and firewall; ?connect_timeout=SECONDS in the URL waits longer.",
        "unreachable",
    ),
    (
        r"Connection refused|on socket .*No such file",
        "No PostgreSQL server listens at {host}, port {port}.",
        "Check that the server runs, and the host and port in the URL.",
        "unreachable",
    ),
    (
        r"password authentication failed|auth\w* failed for user",
        "The server refuses the password of {user}.",
        "Check the user and the password; special characters in a URL are percent-encoded.",
        "authentication",
    ),
    (
        r"no password supplied",
        "The server wants a password for {user}.",
        "Put it in the URL, in the variable PGPASSWORD or in ~/.pgpass.",
        "authentication",
    ),
    (
        r'role "(?P<name>.*)" does not exist',
        "The role {name} does not exist on the server.",
        "Check the user in the URL, or create the role.",
        "authentication",
    ),
    (
        r'role "(?P<name>.*)" is not permitted to log in',
        "The role {name} is not allowed to log in.",
        "Use another user, or ALTER ROLE … LOGIN.",
        "authentication",
    ),
    (
        r'database "(?P<name>.*)" does not exist',
        "The database {name} does not exist on the server.",
        "Check the name after the last / of the URL, or create it: createdb NAME.",
        "unreachable",
    ),
    (
        r'database ".*" is not currently accepting connections|permission denied for database',
        "The server lets {user} not into this database.",
        "Ask for GRANT CONNECT ON DATABASE, or for connections to be allowed.",
        "permission",
    ),
    (
        r"no pg_hba.conf entry|pg_hba.conf rejects",
        "The server's pg_hba.conf does not let {user} in from here.",
        "Add an entry there, or try another sslmode.",
        "authentication",
    ),
    (
        r"\bSSL\b|certificate|sslmode|root\.crt",
        "No encrypted connection to {host} came about as the URL demands it.",
        "Check sslmode and sslrootcert after the ? of the URL, and whether the server has SSL on.",
        "unreachable",
    ),
    (
        r"too many clients|too many connections|remaining connection slots",
        "The server has no free connection for {user}.",
        "Try again later, or raise max_connections.",
        "unreachable",
    ),
    (
        r"the database system is (?P<name>starting up|shutting down|in recovery mode|not yet accepting connections)",
        "The server at {host} is there, but {name}.",
        "Try again in a moment.",
        "unreachable",
    ),
)


def connection_error(error: psycopg.Error, url: Url) -> TagbackError:
    """Why no connection came about, in tagback's own words. The password is in none of them."""
    text = str(error)
    if isinstance(error, psycopg.ProgrammingError):  # an option libpq doesn't know
        return UsageError(
            f"The options of the URL are wrong: {_without_password(text, url)}.",
            hint="What stands after ? are libpq's connection parameters, such as host, sslmode or connect_timeout.",
        )
    if re.search(r"invalid \S+ value|invalid integer value", text):
        return UsageError(f"The options of the URL are wrong: {_without_password(text, url)}.")
    options = dict(url.options)
    place = {
        "host": options.get("host") or url.host or "this machine",
        "port": options.get("port") or str(url.port or 5432),
        "user": options.get("user") or url.user or "the present user",
    }
    for pattern, message, hint, code in _CAUSES:
        found = re.search(pattern, text)
        if found:
            named = {name: value for name, value in found.groupdict().items() if value}
            return UnreachableError(message.format_map({**place, **named}), hint=hint, code=code)
    return UnreachableError(
        f"No connection to {url}: {_without_password(text, url)}",
        hint="Check the URL, and that the server runs and is reachable from here.",
    )


def _without_password(text: str, url: Url) -> str:
    """One line of the driver's text. It has never been seen to contain the password; this makes sure."""
    secrets = [url.password, *(value for name, value in url.options if "password" in name.lower())]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return " ".join(text.split()).rstrip(".")


def standby() -> RefusedError:
    """A server that can only be read."""
    return RefusedError(
        "The server is a standby: it takes no changes.",
        code="standby",
        hint="Connect to the primary; ?target_session_attrs=read-write finds it among several hosts.",
    )


def other_transaction() -> StatementError:
    """A statement of the user's that changed whether a transaction is open."""
    return StatementError(
        "The statement began or ended a transaction, which is the deployment's own.",
        code="transaction",
        hint="Take BEGIN, COMMIT and ROLLBACK out of the changeset.",
    )


def refuse_version(number: int) -> None:
    """UsageError for servers older than PostgreSQL 14; `number` as in server_version_num."""
    if number < OLDEST:
        raise UsageError(
            f"The server is PostgreSQL {number // 10000}; tagback needs 14 or later.",
            code="server_too_old",
            hint="Upgrade the server.",
        )
