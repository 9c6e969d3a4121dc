"""The ledger's place: a schema of its own, and what can be in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tagback.engines.postgres.failures import standby
from tagback.engines.postgres.sqltext import SCHEMA, ident
from tagback.errors import FailedError, RefusedError, TagbackError

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Runs one statement and gives its rows."""


def exists(ask: Ask) -> bool:
    """Whether the ledger is there."""
    return bool(
        ask(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            f" WHERE n.nspname = '{SCHEMA}' AND c.relname = 'meta' AND c.relkind = 'r'"
        )
    )


def obstacle(ask: Ask) -> TagbackError | None:
    """Why the ledger can't be put here."""
    if ask("SELECT pg_is_in_recovery()")[0][0]:
        return standby()
    return _published(ask) or _not_allowed(ask)


def make_schema(ask: Ask) -> None:
    """Makes the schema, unless it is there."""
    if not ask(f"SELECT 1 FROM pg_namespace WHERE nspname = '{SCHEMA}'"):
        ask(f"CREATE SCHEMA {SCHEMA}")


def _published(ask: Ask) -> RefusedError | None:
    publications = ask("SELECT pubname FROM pg_publication WHERE puballtables ORDER BY pubname")
    if not publications:
        return None
    names = ", ".join(ident(name) for (name,) in publications)
    return RefusedError(
        f"The publication {names} is FOR ALL TABLES: it would replicate tagback's ledger, and subscribers that"
        " don't have its tables stop replicating at the first row.",
        code="publication",
        hint="Publish schemas or tables by name (FOR TABLES IN SCHEMA, FOR TABLE), without the schema tagback."
        " The database is as it was.",
    )


def _not_allowed(ask: Ask) -> FailedError | None:
    ((user, database, there, makes),) = ask(
        "SELECT current_user::text, current_database()::text,"
        f" EXISTS (SELECT FROM pg_namespace WHERE nspname = '{SCHEMA}'),"
        " has_database_privilege(current_database(), 'CREATE')"
    )
    if there or makes:
        return None
    return FailedError(
        f"The role {user} may not make the schema {SCHEMA}, in which tagback keeps its ledger.",
        code="permission",
        hint=f"Give it the right with GRANT CREATE ON DATABASE {ident(database)} TO {ident(user)}, or make the schema"
        f" for it: CREATE SCHEMA {SCHEMA} AUTHORIZATION {ident(user)}. Nothing was touched.",
    )


def epoch(ask: Ask) -> str:
    """Identifies the physical database: the cluster, where the role may know it, else the name."""
    ((name, oid, allowed),) = ask(
        "SELECT datname, oid::text, has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"
        " FROM pg_database WHERE datname = current_database()"
    )
    system = ask("SELECT system_identifier::text FROM pg_control_system()")[0][0] if allowed else name
    return f"{system}/{oid}"
