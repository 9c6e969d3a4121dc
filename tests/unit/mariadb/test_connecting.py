"""Connecting to MariaDB: where it leads, and each thing that can be in the way by its name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagback.engines.mariadb.connecting import open_connection
from tagback.engines.session import StatementError
from tagback.engines.url import parse
from tagback.errors import Exit, TagbackError
from tests.support.mariadb import MariadbServer


def refusal(url: str) -> TagbackError:
    """What stands in the way; nothing in it may tell the password."""
    with pytest.raises(TagbackError) as raised:
        open_connection(parse(url))
    error = raised.value
    assert "s3cret" not in f"{error.message}{error.hint}{error.__cause__}"
    return error


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "mysql+pymysql", "jdbc:mariadb"])
def test_every_spelling_of_the_url_leads_to_the_database(mariadb_url: str, scheme: str) -> None:
    connection = open_connection(parse(mariadb_url.replace("mariadb", scheme, 1)))
    assert connection.flavour == "mariadb"
    assert connection.ask("SELECT database(), 1 + %s", (2,)) == [(connection.database, 3)]
    connection.close()


def test_the_socket_leads_to_the_same_server(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    name = mariadb_url.rpartition("/")[2]
    connection = open_connection(parse(mariadb_server.socket_url(name)))
    assert connection.ask("SELECT database(), @@port") == [(name, mariadb_server.port)]
    assert connection.server == f"MariaDB {mariadb_server.version}"
    connection.close()


@pytest.fixture
def guarded(mariadb_server: MariadbServer) -> Iterator[str]:
    """A user with a password and no rights."""
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER 'guarded'@'127.0.0.1' IDENTIFIED BY 's3cret'")
        yield "guarded"
        cursor.execute("DROP USER 'guarded'@'127.0.0.1'")


def test_each_reason_for_no_connection_has_its_words(
    mariadb_server: MariadbServer, mariadb_url: str, guarded: str, tmp_path: Path
) -> None:
    name = mariadb_url.rpartition("/")[2]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        refused = refusal(f"mariadb://root:s3cret@127.0.0.1:{port}/x")
    cases = {
        "No MariaDB or MySQL server listens at 127.0.0.1": refused,
        f"No MariaDB or MySQL server listens at {tmp_path}/none": refusal(
            f"mariadb://root@/x?unix_socket={tmp_path}/none"
        ),
        "The host no-such-host.invalid is not known": refusal("mariadb://root:s3cret@no-such-host.invalid/x"),
        "The database nowhere does not exist": refusal(mariadb_server.url("nowhere")),
        "The server refuses the password of guarded": refusal(mariadb_server.url(name, guarded, "s3cret2")),
        "The server wants a password for guarded": refusal(mariadb_server.url(name, guarded)),
        f"The server does not let guarded into the database {name}": refusal(
            mariadb_server.url(name, guarded, "s3cret")
        ),
    }
    for words, error in cases.items():
        assert words in error.message
        assert error.hint
        assert error.exit_code is Exit.UNREACHABLE
    codes = [error.code for error in cases.values()]
    assert codes == [*["unreachable"] * 4, "authentication", "authentication", "permission"]


def test_something_else_at_the_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = refusal(f"mariadb://root:s3cret@127.0.0.1:{port}/x?connect_timeout=1")
    assert error.exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize("rest", ["", "x?charset=latin1", "x?connect_timeout=soon", "x?ssl_ca=/no/such/file"])
def test_a_url_that_can_not_be_used_is_a_wrong_call(mariadb_server: MariadbServer, rest: str) -> None:
    assert refusal(f"{mariadb_server.url()}{rest}").exit_code is Exit.USAGE


def test_a_killed_session_is_a_lost_connection(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    connection = open_connection(parse(mariadb_url))
    ((session,),) = connection.ask("SELECT connection_id()")
    with mariadb_server.connect() as administrator, administrator.cursor() as cursor:
        cursor.execute(f"KILL {session}")
    with pytest.raises(StatementError) as raised:
        connection.ask("SELECT 1")
    assert raised.value.lost
    connection.driver._force_close()  # type: ignore[attr-defined]  # as PyMySQL does: it then has no words for it
    with pytest.raises(StatementError, match="connection to the server was lost"):
        connection.ask("SELECT 1")
    assert raised.value.exit_code is Exit.UNREACHABLE
    connection.close()
