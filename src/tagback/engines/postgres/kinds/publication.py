"""Publications, and what they publish: each table and each schema of one is an object of its own."""

from __future__ import annotations

from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds.base import SHARE_UPDATE_EXCLUSIVE, PgObject
from tagback.engines.postgres.reading import (
    PG_PUBLICATION,
    PG_PUBLICATION_NAMESPACE,
    PG_PUBLICATION_REL,
    Query,
    Rare,
    Reading,
)
from tagback.engines.postgres.sqltext import columns, ident, literal, qualified, stable

_PUBLICATIONS = Rare(
    """
SELECT p.oid, p.pubname, p.pubowner, p.puballtables,
       concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                 CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
       p.pubviaroot, coalesce(to_jsonb(p) ->> 'pubgencols', '')
  FROM pg_publication p WHERE p.pubname !~ '^tagback(_|$)'
""",
    unless="pg_publication",
)
_TABLES_14 = Rare(
    """
SELECT pr.oid, p.pubname, pr.prrelid, NULL::text, NULL::text[]
  FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
""",
    unless="pg_publication_rel",
)
_TABLES = Rare(
    """
SELECT pr.oid, p.pubname, pr.prrelid, pg_get_expr(pr.prqual, pr.prrelid),
       CASE WHEN pr.prattrs IS NOT NULL THEN
         ARRAY(SELECT a.attname::text FROM unnest(pr.prattrs::int2[]) WITH ORDINALITY x (number, n)
                 JOIN pg_attribute a ON a.attrelid = pr.prrelid AND a.attnum = x.number ORDER BY x.n)
       END
  FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
""",
    unless="pg_publication_rel",
)
_SCHEMAS = Rare(
    """
SELECT pn.oid, p.pubname, pn.pnnspid FROM pg_publication_namespace pn JOIN pg_publication p ON p.oid = pn.pnpubid
""",
    unless="pg_publication",
)
_GENERATED = {"n": "none", "s": "stored"}


class Publication(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="publication"):
    """`operations` are as in the option; `generated` says which generated columns are published, empty before 18."""

    all_tables: bool = False
    operations: str
    by_root: bool = False
    generated: str = ""

    keyword: ClassVar[str] = "PUBLICATION"

    def create(self) -> tuple[Step, ...]:
        everything = " FOR ALL TABLES" if self.all_tables else ""
        sql = f"CREATE PUBLICATION {self.address}{everything} WITH ({self._options()})"
        return (self.step(sql, Action.CREATE), *self.settle())

    def _options(self) -> str:
        parts = [f"publish = {literal(self.operations)}", f"publish_via_partition_root = {str(self.by_root).lower()}"]
        parts += [f"publish_generated_columns = {self.generated}"] if self.generated else []
        return ", ".join(parts)

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP PUBLICATION {self.address}", Action.DROP),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Publication)
        if after.all_tables != self.all_tables:
            return None
        options = after._options()
        sqls = [f"ALTER PUBLICATION {self.address} SET ({options})"] if options != self._options() else []
        return Alteration(self.steps(sqls) + self.resettle(after))


class PublishedTable(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="publication of table"):
    """Named by publication, schema and table. Without `columns`, all of them are published."""

    columns: tuple[str, ...] = ()
    where: str = ""

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId("table", self.id.name[1:])

    def create(self) -> tuple[Step, ...]:
        what = f"ONLY {qualified(*self.id.name[1:])}{f' {columns(self.columns)}' if self.columns else ''}"
        what += f" WHERE ({stable(self.where)})" if self.where else ""
        sql = f"ALTER PUBLICATION {ident(self.id.name[0])} ADD TABLE {what}"
        return (self.step(sql, Action.CREATE, SHARE_UPDATE_EXCLUSIVE),)

    def drop(self) -> tuple[Step, ...]:
        sql = f"ALTER PUBLICATION {ident(self.id.name[0])} DROP TABLE ONLY {qualified(*self.id.name[1:])}"
        return (self.step(sql, Action.DROP, SHARE_UPDATE_EXCLUSIVE),)


class PublishedSchema(PgObject, frozen=True, kw_only=True, omit_defaults=True, tag="publication of schema"):
    """Named by publication and schema."""

    def create(self) -> tuple[Step, ...]:
        return self._change("ADD", Action.CREATE)

    def drop(self) -> tuple[Step, ...]:
        return self._change("DROP", Action.DROP)

    def _change(self, word: str, action: Action) -> tuple[Step, ...]:
        publication, schema = self.id.name
        return (self.step(f"ALTER PUBLICATION {ident(publication)} {word} TABLES IN SCHEMA {ident(schema)}", action),)


def asked(major: int) -> tuple[Query, ...]:
    """What `read` always asks."""
    return (_PUBLICATIONS, _TABLES, _SCHEMAS) if major >= 15 else (_PUBLICATIONS, _TABLES_14)


def read(r: Reading) -> None:
    for oid, name, owner, all_tables, operations, by_root, generated in r.rows(_PUBLICATIONS):
        if r.is_member(PG_PUBLICATION, oid):
            continue
        publication = Publication(
            id=ObjectId("publication", (name,)),
            owner=r.roles[owner],
            comment=r.comment(PG_PUBLICATION, oid),
            all_tables=all_tables,
            operations=operations,
            by_root=by_root,
            generated=_GENERATED.get(generated, ""),
        )
        r.note(PG_PUBLICATION, oid, publication)
    for oid, name, relation, where, names in r.rows(_TABLES if r.major >= 15 else _TABLES_14):
        publication_id, table = ObjectId("publication", (name,)), r.relations.get(relation)
        if table is None or publication_id not in r.objects:
            continue
        published: SchemaObject = PublishedTable(
            id=ObjectId("publication of table", (name, *table.name)), columns=tuple(names or ()), where=where or ""
        )
        r.note(PG_PUBLICATION_REL, oid, r.unmanaged(published) if relation in r.watched_only else published)
    for oid, name, schema in r.rows(_SCHEMAS) if r.major >= 15 else ():
        publication_id = ObjectId("publication", (name,))
        if schema in r.namespaces and publication_id in r.objects:
            found = PublishedSchema(id=ObjectId("publication of schema", (name, r.namespaces[schema])))
            r.note(PG_PUBLICATION_NAMESPACE, oid, found)
            r.needs[found.id] = {publication_id, ObjectId("schema", (r.namespaces[schema],))}
