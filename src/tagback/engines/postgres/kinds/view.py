"""Views, materialised views, and rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from tagback.catalog import Action, Alteration, Catalog, Fingerprint, ObjectId, SchemaObject, Step
from tagback.engines.postgres.kinds import column as column_kind
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, PgObject, TableMember
from tagback.engines.postgres.kinds.column import Column
from tagback.engines.postgres.reading import PG_CLASS, PG_REWRITE, Query, Rare, Reading
from tagback.engines.postgres.sqltext import ident, literal, stable

_VIEWS = Rare(
    """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relacl::text[], c.reloptions, c.relispopulated,
       am.amname,
       CASE WHEN c.reltablespace <> 0 THEN (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace) ELSE '' END,
       pg_get_viewdef(c.oid), (SELECT r.oid FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.relkind IN ('v', 'm') AND c.relnamespace IN ({ns})
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
""",
    unless="pg_class WHERE relkind IN ('v', 'm') AND oid >= 16384",
)
_RULES = Rare(
    """
SELECT r.oid, r.ev_class, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
 WHERE r.rulename <> '_RETURN' AND c.relnamespace IN ({ns})
""",
    unless="pg_rewrite WHERE rulename <> '_RETURN' AND oid >= 16384",
)


class _Query(PgObject, frozen=True, kw_only=True, omit_defaults=True):
    """What views and materialised views share. `query` is the server's text, without the semicolon."""

    query: str
    columns: tuple[Column, ...] = ()
    options: tuple[str, ...] = ()

    grant_keyword: ClassVar[str] = "TABLE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "Dadrtwx"),)

    @property
    def parts(self) -> Iterable[ObjectId]:
        return [ObjectId("column", (*self.id.name, c.name)) for c in self.columns]

    def _with(self) -> str:
        return f" WITH ({', '.join(_option(o) for o in self.options)})" if self.options else ""

    def _set_options(self, after: _Query) -> list[str]:
        if after.options == self.options:
            return []
        alter = f"ALTER {self.keyword} {self.address}"
        out = [f"{alter} RESET ({column_kind.names_of(self.options)})"] if self.options else []
        return out + ([f"{alter} SET ({', '.join(_option(o) for o in after.options)})"] if after.options else [])

    def _column_steps(self, before: dict[str, Column]) -> list[str]:
        clauses, more = [], []
        for c in self.columns:
            now = before.get(c.name, c.bare)
            clauses += column_kind.settings(now, c)
            more += column_kind.further(self.id.name, self.owner, now, c)
        return [f"ALTER {self.keyword} {self.address} {', '.join(clauses)}"] * bool(clauses) + more


class View(_Query, frozen=True, kw_only=True, omit_defaults=True, tag="view"):
    keyword: ClassVar[str] = "VIEW"

    def create(self) -> tuple[Step, ...]:
        sql = f"CREATE VIEW {self.address}{self._with()} AS {stable(self.query)}"
        return (self.step(sql, Action.CREATE), *self.settle(), *self.steps(self._column_steps({})))

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP VIEW {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        """CREATE OR REPLACE can add columns at the end and nothing else about them."""
        if not isinstance(after, View):
            return None
        shapes = [[(c.name, c.type, c.collation) for c in v.columns] for v in (self, after)]
        if shapes[1][: len(shapes[0])] != shapes[0]:
            return None
        sqls = []
        if after.query != self.query:
            sqls.append(f"CREATE OR REPLACE VIEW {self.address}{after._with()} AS {stable(after.query)}")
        else:
            sqls += self._set_options(after)
        settled = self.resettle(after)
        columns = after._column_steps({c.name: c for c in column_kind.settled(self.columns, self, after)})
        return Alteration(self.steps(sqls, lock=ACCESS_EXCLUSIVE) + settled + self.steps(columns))


class MaterializedView(_Query, frozen=True, kw_only=True, omit_defaults=True, tag="materialized view"):
    """Made with data where it had some: the data follows from the query.

    Whether it is populated is no part of what it is: the application refreshes it when it likes.
    """

    populated: bool = True
    method: str = "heap"
    tablespace: str = ""

    keyword: ClassVar[str] = "MATERIALIZED VIEW"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaterializedView):
            return NotImplemented
        return super(MaterializedView, self._plain).__eq__(other._plain)

    def __hash__(self) -> int:
        return super(MaterializedView, self._plain).__hash__()

    def fingerprint(self) -> Fingerprint:
        return super(MaterializedView, self._plain).fingerprint()

    @property
    def _plain(self) -> MaterializedView:
        return msgspec.structs.replace(self, populated=True)

    @property
    def filled_anew(self) -> bool:
        return self.populated

    def as_found(self, live: SchemaObject) -> SchemaObject:
        populated = isinstance(live, MaterializedView) and live.populated
        return msgspec.structs.replace(self, populated=True) if populated else self

    def create(self) -> tuple[Step, ...]:
        using = "" if self.method == "heap" else f" USING {ident(self.method)}"
        place = f" TABLESPACE {ident(self.tablespace)}" if self.tablespace else ""
        data = "WITH DATA" if self.populated else "WITH NO DATA"
        sql = f"CREATE MATERIALIZED VIEW {self.address}{using}{self._with()}{place} AS {stable(self.query)} {data}"
        return (self.step(sql, Action.CREATE), *self.settle(), *self.steps(self._column_steps({})))

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP MATERIALIZED VIEW {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not isinstance(after, MaterializedView):
            return None
        shapes = [[(c.name, c.type, c.collation) for c in v.columns] for v in (self, after)]
        if shapes[0] != shapes[1] or not self.only_settings_differ(after, "columns", "options", "populated"):
            return None
        sqls = self._set_options(after)
        columns = after._column_steps({c.name: c for c in column_kind.settled(self.columns, self, after)})
        return Alteration(self.steps(sqls, lock=ACCESS_EXCLUSIVE) + self.resettle(after) + self.steps(columns))


class Rule(TableMember, frozen=True, kw_only=True, omit_defaults=True, tag="rule"):
    """A rewrite rule of a table or view, as the server's own text."""

    definition: str
    on: str = "table"
    enabled: str = "O"

    keyword: ClassVar[str] = "RULE"

    @property
    def part_of(self) -> ObjectId | None:
        return ObjectId(self.on, self.id.name[:2])

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        return (ObjectId("table", self.id.name[:2]),)

    def create(self) -> tuple[Step, ...]:
        return (
            self.step(stable(self.definition), Action.CREATE, ACCESS_EXCLUSIVE),
            *self.steps([self._enable()] if self.enabled != "O" else []),
            *self.settle(),
        )

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP RULE {self.address}", Action.DROP, ACCESS_EXCLUSIVE),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        assert isinstance(after, Rule)
        if not self.only_settings_differ(after, "enabled"):
            return None
        enable = [after._enable()] if after.enabled != self.enabled else []
        return Alteration(self.steps(enable, lock=ACCESS_EXCLUSIVE) + self.resettle(after))

    def _enable(self) -> str:
        return f"ALTER TABLE {self.table} {ENABLED[self.enabled]} RULE {ident(self.id.name[2])}"


ENABLED = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def _option(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name}={literal(value)}"


def asked(major: int) -> tuple[Query, ...]:
    """What `read` and `read_rules` always ask."""
    return (_VIEWS, _RULES)


def read(r: Reading) -> None:
    for oid, schema, name, kind, owner, acl, options, populated, method, place, query, rule in r.rows(_VIEWS):
        role = r.roles[owner]
        object_id = ObjectId("view" if kind == "v" else "materialized view", (schema, name))
        r.relations[oid] = object_id
        shared = {
            "id": object_id,
            "owner": role,
            "acl": r.acl("r", role, acl),
            "comment": r.comment(PG_CLASS, oid),
            "query": query.rstrip().removesuffix(";"),
            "columns": r.columns.get(oid, ()),
            "options": tuple(options or ()),
        }
        found: View | MaterializedView
        if kind == "v":
            found = View(**shared)
        else:
            found = MaterializedView(**shared, populated=populated, method=method or "heap", tablespace=place)
        r.add(PG_CLASS, oid, found)
        r.addresses[PG_REWRITE, rule] = object_id
        r.trace_columns(oid)


def read_rules(r: Reading) -> None:
    for oid, relation, name, definition, enabled in r.rows(_RULES):
        table = r.relations.get(relation)
        if table is None:
            continue
        found: SchemaObject = Rule(
            id=ObjectId("rule", (*table.name, name)),
            on=table.kind,
            definition=definition.rstrip().removesuffix(";"),
            enabled=enabled,
            comment=r.comment(PG_REWRITE, oid),
        )
        if relation in r.watched_only:
            found = r.unmanaged(found)
        r.add(PG_REWRITE, oid, found)
