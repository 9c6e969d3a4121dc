"""Which right a refusal of the server is about, and the statement that gives it."""

from __future__ import annotations

import re

from tagback.engines.postgres.sqltext import SCHEMA, ident

_NAME = r'"?(?P<name>.+?)"?'
_OWNED = (
    "aggregate|collation|conversion|database|domain|event trigger|extension|foreign table|function|index|language"
    "|large object|materialized view|operator class|operator family|operator|policy|procedure|publication|relation"
    "|routine|rule|schema|sequence|foreign server|statistics object|subscription|table|tablespace"
    "|text search configuration|text search dictionary|trigger|type|view"
)
_MEMBER = "deploy with that role, or make {user} a member of it: GRANT … TO {user}"
_MISSING: tuple[tuple[str, str], ...] = (
    # What the server's message says from its beginning to its end (src/backend/catalog/aclchk.c), and the hint.
    (
        rf"permission denied for schema {SCHEMA}",
        f"The ledger in the schema {SCHEMA} is another role's: {_MEMBER}.",
    ),
    (
        rf"permission denied for schema {_NAME}",
        "What is missing is given with GRANT USAGE, CREATE ON SCHEMA {name} TO {user}.",
    ),
    (
        rf"permission denied for database {_NAME}",
        "What is missing is given with GRANT CREATE ON DATABASE {name} TO {user}.",
    ),
    (
        rf"permission denied to create temporary tables in database {_NAME}",
        "What is missing is given with GRANT TEMPORARY ON DATABASE {name} TO {user}.",
    ),
    (
        rf"permission denied for (?:table|view|materialized view|foreign table|relation) {_NAME}",
        "To tell what changes and to take it back, the rows of {name} are read and written, with its owner's rights:"
        f" {_MEMBER}.",
    ),
    (
        rf"query would be affected by row-level security policy for table {_NAME}",
        "To tell what changes and to take it back, all rows of {name} are read: ALTER ROLE {user} BYPASSRLS, or as its owner"
        " ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY.",
    ),
    (
        rf"permission denied for sequence {_NAME}",
        "What is missing is given with GRANT USAGE, SELECT, UPDATE ON SEQUENCE {name} TO {user}.",
    ),
    (
        rf"permission denied for (?P<kind>function|procedure|aggregate) {_NAME}",
        "What is missing is given with GRANT EXECUTE ON {kind} {name} TO {user}.",
    ),
    (
        rf"permission denied for (?P<kind>type|language|foreign server|foreign-data wrapper) {_NAME}",
        "What is missing is given with GRANT USAGE ON {kind} {name} TO {user}.",
    ),
    (
        rf"permission denied for tablespace {_NAME}",
        "What is missing is given with GRANT CREATE ON TABLESPACE {name} TO {user}.",
    ),
    (
        rf"must be owner of (?:(?:{_OWNED}) )?{_NAME}",
        f"Only the owner of {{name}} may do that: {_MEMBER}.",
    ),
    (
        rf"must be (?:member of|able to SET ROLE) (?:role )?{_NAME}",
        "What is missing is given with GRANT {name} TO {user}.",
    ),
)


def missing(message: str, user: str) -> str:
    """How the right that the server's message is about can be given to the role; empty where that isn't known."""
    for pattern, hint in _MISSING:
        found = re.fullmatch(pattern, message)
        if found:
            parts = found.groupdict()
            name = ident(parts.get("name") or "")
            return hint.format(name=name, kind=(parts.get("kind") or "").upper(), user=ident(user))
    return ""
