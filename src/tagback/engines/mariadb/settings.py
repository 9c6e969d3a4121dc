"""What the session is set to: the user's statements have their own settings, tagback's statements and steps theirs."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from tagback.engines.mariadb.kinds.base import PLAIN

_MODE = "ANSI_QUOTES,PIPES_AS_CONCAT,NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES"
_COMMON = (
    "sql_mode",
    "foreign_key_checks",
    "unique_checks",
    "character_set_client",
    "character_set_results",
    "collation_connection",
    "time_zone",
    "sql_safe_updates",
    "sql_select_limit",
)
_MARIADB = ("check_constraint_checks", "system_versioning_alter_history", "max_statement_time")
_ALWAYS = (
    "foreign_key_checks = 1, unique_checks = 1, character_set_results = utf8mb4, sql_safe_updates = 0,"
    " sql_select_limit = DEFAULT"
)
_ALWAYS_MARIADB = ", check_constraint_checks = 1, max_statement_time = 0"


class Turn(enum.Enum):
    """Whose statements run."""

    THEIRS = "the user's"
    OWN = "tagback's own"
    STEPS = "steps of a plan"


class Settings:
    """The settings of one session. `ask` runs one statement and gives its rows."""

    def __init__(self, ask: Callable[..., list[tuple[Any, ...]]], flavour: str) -> None:
        self._ask = ask
        self._names = _COMMON + (_MARIADB if flavour == "mariadb" else ())
        self._always = _ALWAYS + (_ALWAYS_MARIADB if flavour == "mariadb" else "")
        self._at_login = self._read()
        self._theirs = self._at_login
        self._turn = Turn.THEIRS

    def forget(self) -> None:
        """The user's are again those of the login."""
        self._to(Turn.OWN)
        self._theirs = self._at_login

    def mode(self) -> str:
        """The user's sql_mode."""
        return str(self._theirs[0])

    def theirs(self) -> None:
        """The user's turn."""
        self._to(Turn.THEIRS)

    def own(self) -> None:
        """The turn of tagback's own statements."""
        self._to(Turn.OWN)

    def steps(self) -> None:
        """The turn of steps: they are written for this state and leave it behind."""
        self._turn = self._left()
        self._to(Turn.STEPS)

    def _left(self) -> Turn:
        """Notes what the user has set; the state is another than any that is known, so that it is set anew."""
        if self._turn is Turn.THEIRS:
            self._theirs = self._read()
        return Turn.OWN

    def _to(self, turn: Turn) -> None:
        if self._turn is turn and turn is not Turn.STEPS:
            return
        self._left()
        if turn is Turn.THEIRS:
            values = ", ".join(f"{name} = %s" for name in self._names)
            self._ask(f"SET SESSION {values}", self._theirs)
        else:
            self._ask(PLAIN)
            mode = f"sql_mode = '{_MODE}', " if turn is Turn.OWN else ""
            self._ask(f"SET SESSION {mode}{self._always}")
        self._turn = turn

    def _read(self) -> tuple[Any, ...]:
        (row,) = self._ask("SELECT " + ", ".join(f"@@SESSION.{name}" for name in self._names))
        return row
