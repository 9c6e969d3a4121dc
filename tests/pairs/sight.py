"""What a database holds at a moment: as much of it as further random statements are made from."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

_SIGHT = """
WITH ns AS (SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'),
rel AS (
  SELECT c.oid, quote_ident(n.name) || '.' || quote_ident(c.relname) AS sql, c.relkind, c.relispartition, c.reloftype,
         c.relname
    FROM pg_class c JOIN ns n ON n.oid = c.relnamespace)
SELECT json_build_object(
  'schemas', (SELECT json_agg(quote_ident(name) ORDER BY name COLLATE "C") FROM ns),
  'relations', (SELECT coalesce(json_agg(json_build_object(
      'kind', relkind, 'sql', sql, 'is_partition', relispartition, 'typed', reloftype <> 0,
      'key', CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) ELSE '' END,
      'heir', EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = rel.oid),
      'parents', (SELECT coalesce(json_agg(inhparent::regclass::text ORDER BY inhseqno), '[]') FROM pg_inherits i
                   WHERE i.inhrelid = rel.oid),
      'columns', (SELECT coalesce(json_agg(json_build_object('name', quote_ident(attname),
                    'type', format_type(atttypid, atttypmod), 'not_null', attnotnull, 'generated', attgenerated <> '',
                    'identity', attidentity <> '', 'default', atthasdef) ORDER BY attnum), '[]') FROM pg_attribute
                   WHERE attrelid = rel.oid AND attnum > 0 AND NOT attisdropped)) ORDER BY sql COLLATE "C"), '[]'::json)
      FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'c')),
  'indexes', (SELECT coalesce(json_agg(json_build_array(rel.sql, t.sql,
                    EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')),
                    quote_ident(rel.relname), i.indisunique) ORDER BY rel.sql COLLATE "C"), '[]')
                FROM pg_index i JOIN rel ON rel.oid = i.indexrelid JOIN rel t ON t.oid = i.indrelid),
  'constraints', (SELECT coalesce(json_agg(json_build_array(rel.sql, quote_ident(conname), contype, convalidated,
                    (SELECT coalesce(json_agg(quote_ident(a.attname) ORDER BY k), '[]')
                       FROM unnest(conkey) WITH ORDINALITY x (n, k)
                       JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = n))
                    ORDER BY rel.sql COLLATE "C", conname COLLATE "C"), '[]')
                FROM pg_constraint JOIN rel ON rel.oid = conrelid WHERE contype IN ('p', 'u', 'f', 'c', 'x')),
  'members', (SELECT coalesce(json_agg(json_build_array(kind, sql, name) ORDER BY kind, sql COLLATE "C", name COLLATE "C"),
                    '[]') FROM (
                SELECT 'TRIGGER' AS kind, sql, quote_ident(tgname) AS name FROM pg_trigger JOIN rel ON rel.oid = tgrelid
                 WHERE NOT tgisinternal
                UNION ALL SELECT 'RULE', sql, quote_ident(rulename) FROM pg_rewrite JOIN rel ON rel.oid = ev_class
                 WHERE rulename <> '_RETURN'
                UNION ALL SELECT 'POLICY', sql, quote_ident(polname) FROM pg_policy JOIN rel ON rel.oid = polrelid) m),
  'statistics', (SELECT coalesce(json_agg(quote_ident(ns.name) || '.' || quote_ident(stxname)
                    ORDER BY ns.name COLLATE "C", stxname COLLATE "C"), '[]')
                   FROM pg_statistic_ext JOIN ns ON ns.oid = stxnamespace),
  'types', (SELECT coalesce(json_agg(json_build_object(
                    'kind', typtype, 'sql', quote_ident(ns.name) || '.' || quote_ident(typname),
                    'base', CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) ELSE '' END,
                    'labels', (SELECT coalesce(json_agg(quote_literal(enumlabel) ORDER BY enumsortorder), '[]') FROM pg_enum
                                WHERE enumtypid = t.oid),
                    'checks', (SELECT coalesce(json_agg(quote_ident(conname) ORDER BY conname COLLATE "C"), '[]')
                                 FROM pg_constraint WHERE contypid = t.oid))
                    ORDER BY ns.name COLLATE "C", typname COLLATE "C"), '[]')
              FROM pg_type t JOIN ns ON ns.oid = typnamespace LEFT JOIN pg_class c ON c.oid = typrelid
             WHERE typtype IN ('e', 'd', 'r') OR typtype = 'c' AND c.relkind = 'c'),
  'routines', (SELECT coalesce(json_agg(json_build_object(
                    'kind', prokind, 'name', quote_ident(ns.name) || '.' || quote_ident(proname),
                    'takes', ARRAY(SELECT format_type(o, NULL) FROM unnest(proargtypes) o),
                    'gives', CASE WHEN proretset THEN 'SETOF ' ELSE '' END || format_type(prorettype, NULL),
                    'arguments', pg_get_function_arguments(p.oid),
                    'pure', provolatile = 'i') ORDER BY ns.name COLLATE "C", proname COLLATE "C", proargtypes::regtype[]::text
                    COLLATE "C"), '[]')
                 FROM pg_proc p JOIN ns ON ns.oid = pronamespace
                WHERE NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype IN ('i', 'e')
                                    AND classid = 'pg_proc'::regclass)))
"""


class Column(msgspec.Struct, frozen=True):
    """A column; names are quoted as SQL needs it, here and below."""

    name: str
    type: str
    not_null: bool
    generated: bool
    identity: bool
    default: bool


class Relation(msgspec.Struct, frozen=True):
    """`kind` is the server's letter. `key`: what a partitioned table is partitioned by."""

    kind: str
    sql: str
    is_partition: bool
    typed: bool
    key: str
    heir: bool
    parents: tuple[str, ...]
    columns: tuple[Column, ...]


class Type(msgspec.Struct, frozen=True):
    """An enum, domain, composite type or range: `kind` is the server's letter."""

    kind: str
    sql: str
    base: str
    labels: tuple[str, ...]
    checks: tuple[str, ...]


class Routine(msgspec.Struct, frozen=True):
    """A function, procedure or aggregate."""

    kind: str
    name: str
    takes: tuple[str, ...]
    gives: str
    arguments: str
    pure: bool

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.takes) or ('*' if self.kind == 'a' else '')})"

    @property
    def word(self) -> str:
        return {"f": "FUNCTION", "w": "FUNCTION", "p": "PROCEDURE", "a": "AGGREGATE"}[self.kind]


class Sight(msgspec.Struct, frozen=True):
    """All of it, each list in a fixed order.

    `indexes`: name, table, whether it backs a constraint, its name without schema, whether it is unique.
    `constraints`: table, name, kind, whether it is valid, columns. `members`: kind, relation, name.
    """

    schemas: tuple[str, ...]
    relations: tuple[Relation, ...]
    indexes: tuple[tuple[str, str, bool, str, bool], ...]
    constraints: tuple[tuple[str, str, str, bool, tuple[str, ...]], ...]
    members: tuple[tuple[str, str, str], ...]
    statistics: tuple[str, ...]
    types: tuple[Type, ...]
    routines: tuple[Routine, ...]

    def of(self, kinds: str) -> list[Relation]:
        """Relations of these kinds."""
        return [r for r in self.relations if r.kind in kinds]


def look(connection: psycopg.Connection[Any]) -> Sight:
    """Asks the server."""
    ((found,),) = connection.execute(_SIGHT.encode()).fetchall()
    return msgspec.convert(found, Sight)
