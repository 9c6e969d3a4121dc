"""Collations. The version that a library gave one isn't schema: dumps don't show it."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import PG_COLLATION, Query, Rare, Reading
from tagback.engines.postgres.sqltext import literal

# The columns' names have changed with versions 15, 16 and 17: they are looked up in JSON.
_COLLATIONS = Rare(
    """
SELECT c.oid, n.nspname, c.collname, c.collowner, c.collprovider, c.collisdeterministic,
       coalesce(c.collcollate, ''), coalesce(c.collctype, ''),
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate, ''),
       coalesce(to_jsonb(c) ->> 'collicurules', '')
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.collnamespace IN ({ns})
""",
    unless="pg_collation WHERE oid >= 16384",
)
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "default"}


class Collation(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="collation"):
    """`sorting` and `characters` are a library's names of locales; the other providers have one `locale` for both."""

    provider: str
    deterministic: bool = True
    sorting: str = ""
    characters: str = ""
    locale: str = ""
    rules: str = ""

    keyword: ClassVar[str] = "COLLATION"

    def create(self) -> tuple[Step, ...]:
        parts = [f"provider = {self.provider}"]
        if self.provider == "libc":
            parts += [f"lc_collate = {literal(self.sorting)}", f"lc_ctype = {literal(self.characters)}"]
        else:
            parts.append(f"locale = {literal(self.locale)}")
        parts += ["deterministic = false"] * (not self.deterministic)
        parts += [f"rules = {literal(self.rules)}"] * bool(self.rules)
        return (self.step(f"CREATE COLLATION {self.address} ({', '.join(parts)})", Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP COLLATION {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Collation)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_COLLATIONS,)


def read(r: Reading) -> None:
    for (
        oid, schema, name, owner, provider, deterministic, sorting, characters, locale, rules,
    ) in r.rows(_COLLATIONS):  # fmt: skip
        if r.is_member(PG_COLLATION, oid):
            continue
        library = provider == "c"
        found = Collation(
            id=ObjectId("collation", (schema, name)),
            owner=r.roles[owner],
            comment=r.comment(PG_COLLATION, oid),
            provider=_PROVIDERS[provider],
            deterministic=deterministic,
            sorting=sorting if library else "",
            characters=characters if library else "",
            locale="" if library else locale,
            rules=rules,
        )
        r.add(PG_COLLATION, oid, found)
