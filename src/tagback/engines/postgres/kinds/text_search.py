"""Full text search: parsers, templates, dictionaries, and the configurations that put them together."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import PgObject
from tagback.engines.postgres.reading import (
    PG_TS_CONFIG,
    PG_TS_DICT,
    PG_TS_PARSER,
    PG_TS_TEMPLATE,
    Query,
    Rare,
    Reading,
)
from tagback.engines.postgres.sqltext import ident

_PARSERS = Rare(
    """
SELECT p.oid, n.nspname, p.prsname,
       concat_ws(', ', 'START = ' || prsstart::regproc, 'GETTOKEN = ' || prstoken::regproc, 'END = ' || prsend::regproc,
         CASE WHEN prsheadline <> 0 THEN 'HEADLINE = ' || prsheadline::regproc END, 'LEXTYPES = ' || prslextype::regproc)
  FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.prsnamespace IN ({ns})
""",
    unless="pg_ts_parser WHERE oid >= 16384",
)
_TEMPLATES = Rare(
    """
SELECT t.oid, n.nspname, t.tmplname,
       concat_ws(', ', CASE WHEN tmplinit <> 0 THEN 'INIT = ' || tmplinit::regproc END, 'LEXIZE = ' || tmpllexize::regproc)
  FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.tmplnamespace IN ({ns})
""",
    unless="pg_ts_template WHERE oid >= 16384",
)
_DICTIONARIES = Rare(
    """
SELECT d.oid, n.nspname, d.dictname, d.dictowner, quote_ident(tn.nspname) || '.' || quote_ident(t.tmplname),
       coalesce(d.dictinitoption, '')
  FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
  JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
 WHERE d.dictnamespace IN ({ns})
""",
    unless="pg_ts_dict WHERE oid >= 16384",
)
_CONFIGURATIONS = Rare(
    """
SELECT c.oid, n.nspname, c.cfgname, c.cfgowner, quote_ident(pn.nspname) || '.' || quote_ident(p.prsname),
       ARRAY(SELECT ARRAY[t.alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno)]
               FROM pg_ts_config_map m, ts_token_type(c.cfgparser) t
              WHERE m.mapcfg = c.oid AND t.tokid = m.maptokentype GROUP BY t.tokid, t.alias ORDER BY t.tokid)
  FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
  JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace
 WHERE c.cfgnamespace IN ({ns})
""",
    unless="pg_ts_config WHERE oid >= 16384",
)


class _Functions(PgObject, frozen=True, kw_only=True, omit_defaults=True):
    """What is nothing but the functions that it consists of, as options. Nobody owns it."""

    functions: str

    def create(self) -> tuple[Step, ...]:
        return (self.step(f"CREATE {self.keyword} {self.address} ({self.functions})", Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, _Functions)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


class TextSearchParser(_Functions, frozen=True, kw_only=True, omit_defaults=True, tag="text search parser"):
    keyword: ClassVar[str] = "TEXT SEARCH PARSER"


class TextSearchTemplate(_Functions, frozen=True, kw_only=True, omit_defaults=True, tag="text search template"):
    keyword: ClassVar[str] = "TEXT SEARCH TEMPLATE"


class TextSearchDictionary(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="text search dictionary"):
    """`options` are the server's text, which is SQL."""

    template: str
    options: str = ""

    keyword: ClassVar[str] = "TEXT SEARCH DICTIONARY"

    def create(self) -> tuple[Step, ...]:
        options = f", {self.options}" if self.options else ""
        sql = f"CREATE {self.keyword} {self.address} (TEMPLATE = {self.template}{options})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, TextSearchDictionary)
        return Alteration(self.resettle(after)) if self.only_settings_differ(after) else None


class TextSearchConfiguration(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="text search configuration"):
    """`mappings`: for each type of token the dictionaries, as SQL, in the order in which they are asked."""

    parser: str
    mappings: tuple[tuple[str, str], ...] = ()

    keyword: ClassVar[str] = "TEXT SEARCH CONFIGURATION"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE {self.keyword} {self.address} (PARSER = {self.parser})"
        return (self.step(sql, Action.CREATE), *self.steps(self._mapped({}, dict(self.mappings))), *self.settle())

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, TextSearchConfiguration)
        if not self.only_settings_differ(after, "mappings"):
            return None
        return Alteration(self.steps(self._mapped(dict(self.mappings), dict(after.mappings))) + self.resettle(after))

    def _mapped(self, before: dict[str, str], after: dict[str, str]) -> list[str]:
        alter = f"ALTER {self.keyword} {self.address}"
        out = [f"{alter} DROP MAPPING FOR {ident(token)}" for token in before if token not in after]
        for token, dictionaries in after.items():
            if before.get(token) != dictionaries:
                word = "ALTER" if token in before else "ADD"
                out.append(f"{alter} {word} MAPPING FOR {ident(token)} WITH {dictionaries}")
        return out


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_PARSERS, _TEMPLATES, _DICTIONARIES, _CONFIGURATIONS)


def read(r: Reading) -> None:
    for query, classid, make in (
        (_PARSERS, PG_TS_PARSER, TextSearchParser),
        (_TEMPLATES, PG_TS_TEMPLATE, TextSearchTemplate),
    ):
        for oid, schema, name, functions in r.rows(query):
            if not r.is_member(classid, oid):
                object_id = ObjectId(make.keyword.lower(), (schema, name))
                r.add(classid, oid, make(id=object_id, functions=functions, comment=r.comment(classid, oid)))
    for oid, schema, name, owner, template, options in r.rows(_DICTIONARIES):
        if not r.is_member(PG_TS_DICT, oid):
            dictionary = TextSearchDictionary(
                id=ObjectId("text search dictionary", (schema, name)),
                owner=r.roles[owner],
                comment=r.comment(PG_TS_DICT, oid),
                template=template,
                options=options,
            )
            r.add(PG_TS_DICT, oid, dictionary)
    for oid, schema, name, owner, parser, mappings in r.rows(_CONFIGURATIONS):
        if not r.is_member(PG_TS_CONFIG, oid):
            configuration = TextSearchConfiguration(
                id=ObjectId("text search configuration", (schema, name)),
                owner=r.roles[owner],
                comment=r.comment(PG_TS_CONFIG, oid),
                parser=parser,
                mappings=tuple((token, dictionaries) for token, dictionaries in mappings),
            )
            r.add(PG_TS_CONFIG, oid, configuration)
