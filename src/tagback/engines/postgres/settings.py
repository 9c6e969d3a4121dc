"""Two sets of session settings on one connection: those the user's statements made, and those tagback's own need.

A changeset may say SET ROLE, `SET search_path = ''` or `SET session_replication_role = replica`, and later changesets
of the deployment count on it, as they would in one psql session. What tagback itself reads and writes must not depend
on any of it. So before statements of its own the user's values are noted and replaced, and put back before the user's
next one. In a transaction this is done with SET LOCAL, which leaves what a COMMIT makes of the user's SET as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagback.engines.postgres.sqltext import literal

IDENTITY = ("session_authorization", "role")
"""First to be replaced and last to be put back: the other values may need the rights of the login role."""

OWN: Mapping[str, str] = {
    # pg_temp last, or a user's temporary table named pg_class would be read instead of the catalog.
    "search_path": "pg_catalog, pg_temp",
    # One text for each value: what is compared and digested is the output of types.
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "xmloption": "content",
    "client_encoding": "UTF8",
    "quote_all_identifiers": "off",
    # The meaning of tagback's own statements.
    "standard_conforming_strings": "on",
    "escape_string_warning": "off",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "row_security": "off",  # an error instead of hidden rows
    "check_function_bodies": "off",  # functions can be created before what they mention
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "client_min_messages": "warning",
    "jit": "off",  # compiling a query of the catalog takes longer than all of them run
    "work_mem": "64MB",  # for the comparison of rows, which spills to disk beyond it
}

PRIVILEGED: Mapping[str, str] = {"session_replication_role": "origin"}
"""Setting these, even to what they are, takes a superuser: replaced only where the user's value differs."""

IDLE_TIMEOUTS = ("idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout")
"""Limits on how long tagback may take between statements, or over all of them: none, unless a changeset sets one.

`transaction_timeout` came with PostgreSQL 17.
"""

TIMEOUTS = ("lock_timeout", "statement_timeout", *IDLE_TIMEOUTS)
"""`lock_timeout` is the deployment's. For the others the role's values would end what is long by nature: none."""

_NAMES = (*OWN, *PRIVILEGED, *TIMEOUTS, *IDENTITY)


@dataclass(frozen=True, slots=True)
class Settings:
    """Values by name, complete for those of `_NAMES` that the server knows."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, row: tuple[object, ...]) -> Settings:
        """From the answer to `NOTED`."""
        return cls({name: str(value) for name, value in zip(_NAMES, row, strict=True) if value is not None})

    def unhurried(self) -> str:
        """The statement that lifts limits on tagback's own time for the whole session."""
        return _all({name: "0" for name in IDLE_TIMEOUTS if name in self.values}, local=False)


NOTED = "SELECT " + ", ".join(f"pg_catalog.current_setting({literal(name)}, true)" for name in _NAMES)
"""The query for the values now in force."""


def own_instead(at_login: Settings, lock_timeout: float, *, local: bool) -> str:
    """The statements that put tagback's own settings in force. `lock_timeout` in seconds, 0 for none."""
    timeouts = {name: "0" for name in TIMEOUTS if name in at_login.values} | {
        "lock_timeout": milliseconds(lock_timeout)
    }
    identity = {name: at_login.values[name] for name in IDENTITY}
    differing = ", ".join(
        f"CASE WHEN pg_catalog.current_setting({literal(name)}) <> {literal(value)} THEN {_set(name, value, local)} END"
        for name, value in PRIVILEGED.items()
    )
    return f"{_all(identity, local)}; {_all({**OWN, **timeouts}, local)}; SELECT {differing}"


def theirs_again(theirs: Settings, *, local: bool) -> str:
    """The statements that put the user's settings in force again."""
    own = {**OWN, **PRIVILEGED}
    plain = {name: value for name, value in theirs.values.items() if name not in IDENTITY and value != own.get(name)}
    return f"{_all(plain, local)}; {_all({name: theirs.values[name] for name in IDENTITY}, local)}"


def milliseconds(seconds: float) -> str:
    """As lock_timeout takes it. A wait that was asked for never becomes 0, which would mean no limit."""
    return str(max(1, round(seconds * 1000)) if seconds > 0 else 0)


def _all(values: Mapping[str, str], local: bool) -> str:
    return "SELECT " + ", ".join(_set(name, value, local) for name, value in values.items())


def _set(name: str, value: str, local: bool) -> str:
    return f"pg_catalog.set_config({literal(name)}, {literal(value)}, {'true' if local else 'false'})"
