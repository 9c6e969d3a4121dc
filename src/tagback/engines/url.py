"""Database URLs: taken apart, shown without the password."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlsplit

from tagback.errors import UsageError


@dataclass(frozen=True, slots=True)
class Url:
    """A target's address. `options` are what stands after `?`, in order.

    `database` of SQLite is the file's path, and `undecoded` that path as it was written, where it is another one.
    """

    scheme: str
    user: str
    password: str
    host: str
    port: int | None
    database: str
    options: tuple[tuple[str, str], ...]
    undecoded: str = ""

    def __str__(self) -> str:
        """The URL without its password, for people."""
        if self.scheme == "sqlite":
            return f"sqlite:///{self.database.replace('%', '%25').replace('?', '%3F')}"
        user = f"{quote(self.user)}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        shown = "&".join(f"{k}={v}" for k, v in self.options if "password" not in k.lower())
        return f"{self.scheme}://{user}{host}{port}/{self.database}" + (f"?{shown}" if shown else "")

    def __repr__(self) -> str:
        return f"Url({self})"


def parse(text: str) -> Url:
    """Takes a URL apart. UsageError, without the password in its message, when it isn't one.

    A `jdbc:` prefix and a driver suffix (`postgresql+psycopg`) are accepted and ignored.
    """
    text = text.strip().removeprefix("jdbc:")
    match = re.match(r"([A-Za-z][A-Za-z0-9]*)(\+\w+)?:", text)
    if not match:
        raise UsageError(
            "The target is not a database URL.",
            hint="Write sqlite:///file.db, sqlite:////absolute/file.db, postgresql://user@host:port/database or mariadb://….",
        )
    scheme = match[1].lower()
    rest = text[match.end() :]
    if scheme == "sqlite":
        return _file(rest)
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        port = parts.port
    except ValueError:
        raise UsageError(
            f"The {scheme} URL can't be read: its host or port is malformed.",
            hint="Special characters in a user name or password are written in percent-encoding, @ as %40.",
        ) from None
    if not rest.startswith("//"):
        raise UsageError(
            f"The {scheme} URL lacks the // after the scheme.", hint=f"Write {scheme}://user@host/database."
        )
    return Url(
        scheme=scheme,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=unquote(parts.hostname or ""),
        port=port,
        database=unquote(parts.path.lstrip("/")),
        options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
    )


def _file(rest: str) -> Url:
    path, _, query = rest.partition("?")
    if not path.startswith("///") or path == "///":
        raise UsageError(
            "The sqlite URL names no file.",
            hint="Three slashes before a relative path (sqlite:///shop.db), four for an absolute one (sqlite:////var/shop.db).",
        )
    database = os.fsdecode(unquote_to_bytes(os.fsencode(path[3:])))
    if database == ":memory:":
        raise UsageError(
            "A database in memory can't be deployed to: it would be gone with this process.",
            hint="Name a file: sqlite:///shop.db.",
        )
    return Url(
        scheme="sqlite",
        user="",
        password="",
        host="",
        port=None,
        database=database,
        options=tuple(parse_qsl(query, keep_blank_values=True)),
        undecoded=path[3:] if path[3:] != database else "",
    )
