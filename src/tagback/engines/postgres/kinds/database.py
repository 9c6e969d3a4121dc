"""What is said of the database itself: its settings, for all roles or for one, and its comment."""

from __future__ import annotations

import re
from itertools import takewhile

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal

_SETTINGS = Rare(
    """
SELECT coalesce((SELECT rolname FROM pg_roles r WHERE r.oid = setrole), ''), setconfig FROM pg_db_role_setting
 WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
""",
    unless="pg_db_role_setting",
)
_COMMENT = Rare(
    """
SELECT description FROM pg_shdescription
 WHERE classoid = 'pg_database'::regclass AND objoid = (SELECT oid FROM pg_database WHERE datname = current_database())
""",
    unless="pg_shdescription WHERE classoid = 'pg_database'::regclass",
)
# Settings whose values are lists of names (GUC_LIST_QUOTE, src/bin/pg_dump/dumputils.c): each is quoted by itself.
_LISTS = frozenset(
    "local_preload_libraries search_path session_preload_libraries shared_preload_libraries temp_tablespaces"
    " unix_socket_directories".split()
)
_NAME = re.compile(r'\s*("(?:[^"]|"")*"|[^,]*)\s*(?:,|\Z)')


class DatabaseSettings(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="database settings"):
    """Named by role, empty for all of them. The database is the one that one is connected to.

    `values` are `name=value`, in the order in which dumps show them.
    """

    values: tuple[str, ...]

    def create(self) -> tuple[Step, ...]:
        return self.steps(self._change((), self.values), Action.CREATE)

    def drop(self) -> tuple[Step, ...]:
        return self.steps(self._change(self.values, ()), Action.DROP)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, DatabaseSettings)
        return Alteration(self.steps(self._change(self.values, after.values)))

    def _change(self, before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
        """New ones are put at the end: all behind the first that differs are set anew."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        resets = [f"RESET {_dotted(v.partition('=')[0])}" for v in before[same:]]
        return [self._alter(clause) for clause in (*resets, *map(_setting, after[same:]))]

    def _alter(self, what: str) -> str:
        role = self.id.name[0]
        return here(f"ALTER ROLE {_for_format(ident(role))} IN DATABASE %I " if role else "ALTER DATABASE %I ", what)


class DatabaseComment(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="database comment"):
    text: str

    def create(self) -> tuple[Step, ...]:
        return (self.step(here("COMMENT ON DATABASE %I ", f"IS {literal(self.text)}"), Action.CREATE),)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(here("COMMENT ON DATABASE %I ", "IS NULL"), Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        return Alteration(after.create())


def here(statement: str, rest: str) -> str:
    """A statement about this database, whatever it is called. `statement` is for `format`, `rest` stands as it is."""
    command = f"pg_catalog.format({literal(statement)}, pg_catalog.current_database()) || {literal(rest)}"
    return f"DO {literal(f'BEGIN EXECUTE {command}; END')}"


def _for_format(text: str) -> str:
    return text.replace("%", "%%")


def _setting(text: str) -> str:
    name, _, plain = text.partition("=")
    value = literal(plain)
    if name.lower() in _LISTS:
        value = ", ".join(literal(n) for n in _names(plain)) or "''"
    return f"SET {_dotted(name)} TO {value}"


def _dotted(name: str) -> str:
    """An extension's settings have names of two parts."""
    return ".".join(ident(part) for part in name.split("."))


def _names(value: str) -> list[str]:
    found = []
    place = 0
    while place < len(value):
        match = _NAME.match(value, place)
        if match is None or match.end() == place:
            break
        text, place = match[1].strip(), match.end()
        found.append(text[1:-1].replace('""', '"') if text.startswith('"') else text)
    return found


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_SETTINGS, _COMMENT)


def read(r: Reading) -> None:
    for role, values in r.rows(_SETTINGS):
        settings = DatabaseSettings(id=ObjectId("database settings", (role,)), values=tuple(values))
        r.objects[settings.id] = settings
    for (text,) in r.rows(_COMMENT):
        found = DatabaseComment(id=ObjectId("database comment", ("database",)), text=text)
        r.objects[found.id] = found
