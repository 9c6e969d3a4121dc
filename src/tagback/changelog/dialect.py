"""Which engine's SQL a changelog is written in."""

from __future__ import annotations

import enum


class Dialect(enum.StrEnum):
    """The lexical rules and the meaning of statements that splitting follows."""

    POSTGRES = "postgres"
    SQLITE = "sqlite"
    MYSQL = "mysql"
