"""An empty PostgreSQL database that is gone afterwards."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import errors

from tagback.engines.postgres.connecting import connect
from tagback.engines.postgres.failures import refusals, statement_error
from tagback.engines.postgres.sqltext import ident, literal
from tagback.engines.url import Url
from tagback.errors import RefusedError

PREFIX = "tagback_rehearsal_"
FORGOTTEN = 3600  # seconds after which one that nobody is connected to was left behind by somebody who was killed

_PROPERTIES = "SELECT to_jsonb(d)::text, pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database d"
_LEFT = """
    SELECT d.datname FROM pg_catalog.pg_database d
    WHERE d.datname ~ %s AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)"""


@contextmanager
def scratch(near: Url, place: Url) -> Iterator[Url]:
    """See `tagback.engines.scratch`. Encoding and locale are those of the database that it stands in for."""
    with connect(near) as original:
        made_like = _like(original)
    with connect(place) as server:
        for name in _left_behind(server):
            _drop(server, name)
        name = f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}"
        try:
            server.execute(f"CREATE DATABASE {ident(name)} {made_like}".encode())
        except psycopg.Error as e:
            error = statement_error(e, server)
            if error.lost:
                raise error from None
            lacks = isinstance(e, errors.InsufficientPrivilege)
            raise RefusedError(
                f"A scratch database can't be made: {error.message}",
                code="privilege" if lacks else "scratch",
                hint="Give the account the right to make databases (ALTER ROLE … CREATEDB), or name another server with"
                " --scratch URL. Nothing was touched.",
            ) from None
        try:
            yield replace(place, database=name, options=tuple(o for o in place.options if o[0] != "dbname"))
        finally:
            _drop(server, name)


def _like(original: psycopg.Connection[Any]) -> str:
    """What CREATE DATABASE needs for one with the same encoding and locale."""
    row = original.execute(f"{_PROPERTIES} WHERE datname = pg_catalog.current_database()".encode()).fetchone()
    assert row is not None
    known, encoding = json.loads(row[0]), row[1]
    words = [f"TEMPLATE template0 ENCODING {literal(encoding)}"]
    words += [f"LC_COLLATE {literal(known['datcollate'])} LC_CTYPE {literal(known['datctype'])}"]
    locale = known.get("datlocale") or known.get("daticulocale")
    match known.get("datlocprovider"):
        case "i":
            words.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(locale)}")
        case "b":
            words.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(locale)}")
    return " ".join(words)


def _left_behind(server: psycopg.Connection[Any]) -> list[str]:
    found = [str(name) for (name,) in server.execute(_LEFT, [f"^{PREFIX}[0-9]+_[0-9a-f]+$"])]
    return [name for name in found if time.time() - int(re.findall(r"\d+", name)[0]) > FORGOTTEN]


def _drop(server: psycopg.Connection[Any], name: str) -> None:
    """Whoever is still connected, a server that notices late that a client is gone, is sent away."""
    with refusals(server):
        server.execute(
            b"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = %s", [name]
        )
        server.execute(f"DROP DATABASE IF EXISTS {ident(name)}".encode())
