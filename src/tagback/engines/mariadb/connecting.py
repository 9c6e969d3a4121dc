"""Connections, what server is at the other end, and why none comes about."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import CR, ER

from tagback.engines.mariadb.failures import refusals
from tagback.engines.url import Url
from tagback.errors import TagbackError, UnreachableError, UsageError

OLDEST = {"mariadb": (10, 6), "mysql": (8, 0)}
_NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}
_OPTIONS = {"unix_socket": str, "connect_timeout": int, "ssl_ca": str, "ssl_cert": str, "ssl_key": str}
_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection. `flavour` is `mariadb` or `mysql`, `version` its numbers, `database` the name as the server has it."""

    driver: pymysql.Connection[Any]
    flavour: str
    version: tuple[int, int, int]
    database: str

    @property
    def server(self) -> str:
        """For people: `MariaDB 10.11.19`."""
        return f"{_NAMES[self.flavour]} {'.'.join(map(str, self.version))}"

    def ask(self, sql: str, values: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        """Runs one statement and gives its rows; StatementError when the server refuses it. `%s` stands for a value."""
        with refusals(self.driver), self.driver.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Ends the connection, lost or not."""
        if self.driver.open:
            self.driver.close()


def open_connection(url: Url) -> Connection:
    """A new connection. UnreachableError says what is in the way; UsageError for URLs and servers that can't be used."""
    if not url.database:
        raise UsageError(
            f"The {url.scheme} URL names no database.", hint=f"Write {url.scheme}://user@host:port/database."
        )
    options = {"connect_timeout": _TIMEOUT, **_options(url)}
    try:
        driver = pymysql.connect(
            host=url.host or "localhost",
            port=url.port or 3306,
            user=url.user or None,
            password=url.password,
            database=url.database,
            charset="utf8mb4",
            autocommit=True,
            defer_connect=True,
            program_name="tagback",
            read_timeout=options["connect_timeout"],  # for whoever listens there and never speaks
            **options,
        )
        _connect(driver, options.get("unix_socket"))
        driver._read_timeout = None  # type: ignore[attr-defined]  # from here on a statement takes the time it takes
    except (pymysql.Error, OSError) as error:
        # "from None": the driver's error has the connection, with the password, within reach.
        raise _connection_error(error, url, options) from None
    try:
        return _identified(driver)
    except BaseException:
        driver.close()
        raise


def _connect(driver: pymysql.Connection[Any], path: str | None) -> None:
    if path is None:
        driver.connect()
        return
    with contextlib.ExitStack() as undo:
        # Made here: PyMySQL 1.2 leaves a socket open that it can't connect.
        local = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        local.settimeout(driver.connect_timeout)
        try:
            local.connect(path)
        except OSError as error:
            raise pymysql.OperationalError(CR.CR_CONN_HOST_ERROR, str(error)) from None
        driver._secure = True  # type: ignore[attr-defined]  # as PyMySQL has it where it makes the socket itself
        driver.connect(local)
        undo.pop_all()


def _options(url: Url) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in url.options:
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise UsageError(f"The URL's option {name} is not known.", hint=f"What may stand after ? is {known}.")
        try:
            found[name] = _OPTIONS[name](value)
        except ValueError:
            raise UsageError(f"The URL's option {name} must be a number.") from None
    return found


def _identified(driver: pymysql.Connection[Any]) -> Connection:
    """Looks who answers. Identifiers are quoted with backticks, whatever the mode; the database's name is the server's."""
    with refusals(driver), driver.cursor() as cursor:
        cursor.execute("SELECT version(), database()")
        text, database = cursor.fetchone() or ("", "")
    flavour = "mariadb" if "mariadb" in text.lower() else "mysql"
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    if numbers is None:
        raise UsageError(f"The server calls itself {text!r}, which is no version that tagback knows.")
    version = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
    if version[:2] < OLDEST[flavour]:
        wanted = ".".join(map(str, OLDEST[flavour]))
        raise UsageError(
            f"The server is {_NAMES[flavour]} {numbers[0]}; tagback needs {wanted} or later.",
            code="server_too_old",
            hint="Upgrade the server.",
        )
    return Connection(driver, flavour, version, database)


_CAUSES: tuple[tuple[tuple[int, ...], str, str, str], ...] = (
    # The driver's number, a pattern in its text, message and hint; the first that fits.
    (
        (CR.CR_CONN_HOST_ERROR,),
        r"Name or service not known|getaddrinfo|Temporary failure in name resolution|nodename nor servname",
        "The host {host} is not known.",
        "Check the host name in the URL.",
    ),
    (
        (CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST),
        r"timed out|took too long",
        "{host} did not answer in time.",
        "Check host, port and firewall; ?connect_timeout=SECONDS in the URL waits longer.",
    ),
    (
        (CR.CR_CONN_HOST_ERROR,),
        r"Connection refused|No such file|ECONNREFUSED",
        "No MariaDB or MySQL server listens at {where}.",
        "Check that the server runs, and the host and port, or the socket, in the URL.",
    ),
    (
        (ER.ACCESS_DENIED_ERROR, 1698),
        r"using password: NO",
        "The server wants a password for {user}, or doesn't know that user.",
        "Put the password in the URL; special characters are percent-encoded, @ as %40.",
    ),
    (
        (ER.ACCESS_DENIED_ERROR, 1698),
        r"",
        "The server refuses the password of {user}, or doesn't know that user.",
        "Check the user and the password; special characters in a URL are percent-encoded.",
    ),
    (
        (ER.BAD_DB_ERROR,),
        r"",
        "The database {database} does not exist on the server.",
        "Check the name after the last / of the URL, or create it: CREATE DATABASE.",
    ),
    (
        (ER.DBACCESS_DENIED_ERROR,),
        r"",
        "The server does not let {user} into the database {database}.",
        "It needs rights there: GRANT ALL ON {database}.* TO the user.",
    ),
    (
        (ER.HOST_NOT_PRIVILEGED, ER.HOST_IS_BLOCKED),
        r"",
        "The server lets nobody in from this host.",
        "Create the user for this host, or FLUSH HOSTS where it was blocked.",
    ),
    (
        (ER.CON_COUNT_ERROR, 1203, 1226),
        r"",
        "The server has no free connection for {user}.",
        "Try again later, or raise max_connections.",
    ),
    (
        (ER.SERVER_SHUTDOWN, CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR),
        r"",
        "The server at {host} ended the connection before it was made.",
        "It may be starting or shutting down, or be no MariaDB or MySQL server: try again in a moment, and check the port.",
    ),
    (
        (CR.CR_SSL_CONNECTION_ERROR,),
        r"",
        "No encrypted connection to {host} came about.",
        "Check ssl_ca, ssl_cert and ssl_key after the ? of the URL, and whether the server has SSL on.",
    ),
)


_CODES = {
    ER.ACCESS_DENIED_ERROR: "authentication",
    1698: "authentication",  # of a plugin that knows no password
    ER.HOST_NOT_PRIVILEGED: "authentication",
    ER.DBACCESS_DENIED_ERROR: "permission",
}
"""Of accounts that are refused; all else is unreachable."""


def _connection_error(error: Exception, url: Url, options: dict[str, Any]) -> TagbackError:
    """Why no connection came about, in tagback's own words. The password is in none of them."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error)
    host = url.host or "this machine"
    place = {
        "host": host,
        "where": options.get("unix_socket") or f"{url.host or 'localhost'}, port {url.port or 3306}",
        "user": url.user or "the present user",
        "database": url.database,
    }
    if isinstance(error, ssl.SSLError):
        number = CR.CR_SSL_CONNECTION_ERROR
    if isinstance(error, FileNotFoundError):
        return UsageError(f"A file that the URL's options name is not there: {error.filename}.")
    for numbers, pattern, message, hint in _CAUSES:
        if number in numbers and re.search(pattern, text):
            code = _CODES.get(number, "unreachable")
            return UnreachableError(message.format_map(place), hint=hint.format_map(place), code=code)
    told = " ".join(text.split())
    if url.password:
        told = told.replace(url.password, "***")
    return UnreachableError(
        f"No connection to {url}: {told}", hint="Check the URL, and that the server runs and is reachable from here."
    )
