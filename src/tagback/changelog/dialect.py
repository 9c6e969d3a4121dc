"""Which engine's SQL a changelog is written in."""

from __future__ import annotations

import enum


class Dialect(enum.StrEnum):
    """The lexical rules and the meaning of statements that splitting follows."""

    POSTGRES = "postgres"
    SQLITE = "sqlite"
    MYSQL = "mysql"
    MYSQL_ANSI_QUOTES = "mysql, ANSI_QUOTES"
    MYSQL_NO_ESCAPES = "mysql, NO_BACKSLASH_ESCAPES"
    MYSQL_ANSI_QUOTES_NO_ESCAPES = "mysql, ANSI_QUOTES, NO_BACKSLASH_ESCAPES"

    @property
    def is_mysql(self) -> bool:
        """MariaDB's and MySQL's, whatever the session's SQL mode is."""
        return self in _BY_MODE.values()

    @property
    def ansi_quotes(self) -> bool:
        """Whether `"…"` is a name there."""
        return self in (Dialect.MYSQL_ANSI_QUOTES, Dialect.MYSQL_ANSI_QUOTES_NO_ESCAPES)

    @property
    def escapes(self) -> bool:
        """Whether a backslash in a string escapes there."""
        return self in (Dialect.MYSQL, Dialect.MYSQL_ANSI_QUOTES)


def mysql_in(mode: str) -> Dialect:
    """The dialect of a session whose sql_mode this is: words with commas between."""
    words = {word.strip().upper() for word in mode.split(",")}
    return _BY_MODE[not words.isdisjoint(_WITH_ANSI_QUOTES), "NO_BACKSLASH_ESCAPES" in words]


_BY_MODE = {
    (False, False): Dialect.MYSQL,
    (True, False): Dialect.MYSQL_ANSI_QUOTES,
    (False, True): Dialect.MYSQL_NO_ESCAPES,
    (True, True): Dialect.MYSQL_ANSI_QUOTES_NO_ESCAPES,
}
_WITH_ANSI_QUOTES = frozenset({"ANSI_QUOTES", "ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"})
"""The modes that stand for several bring ANSI_QUOTES along."""
