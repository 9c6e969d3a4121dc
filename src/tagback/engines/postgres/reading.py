"""One reading of the catalog: the cursor, what all kinds look up, and what has been found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from tagback.catalog import ObjectId, SchemaObject, UnmanagedObject
from tagback.engines.postgres.ahead import Ahead, ask_each
from tagback.engines.postgres.privileges import Acl, parse
from tagback.engines.postgres.sqltext import OWN_SCHEMAS

if TYPE_CHECKING:
    from tagback.engines.postgres.kinds.column import Column
    from tagback.engines.postgres.kinds.sequence import Identity

PG_AM = 2601
PG_ATTRDEF = 2604
PG_CAST = 2605
PG_CLASS = 1259
PG_COLLATION = 3456
PG_CONSTRAINT = 2606
PG_CONVERSION = 2607
PG_EVENT_TRIGGER = 3466
PG_EXTENSION = 3079
PG_FOREIGN_DATA_WRAPPER = 2328
PG_FOREIGN_SERVER = 1417
PG_LANGUAGE = 2612
PG_NAMESPACE = 2615
PG_OPCLASS = 2616
PG_OPERATOR = 2617
PG_OPFAMILY = 2753
PG_POLICY = 3256
PG_PROC = 1255
PG_PUBLICATION = 6104
PG_PUBLICATION_NAMESPACE = 6237
PG_PUBLICATION_REL = 6106
PG_REWRITE = 2618
PG_STATISTIC_EXT = 3381
PG_TRANSFORM = 3576
PG_TRIGGER = 2620
PG_TS_CONFIG = 3602
PG_TS_DICT = 3600
PG_TS_PARSER = 3601
PG_TS_TEMPLATE = 3764
PG_TYPE = 1247
PG_USER_MAPPING = 1418
"""System catalogs' own oids, fixed in the server's source (src/include/catalog)."""

_NAMESPACES = f"""
SELECT oid, nspname FROM pg_namespace
 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspname !~ '{OWN_SCHEMAS}'
"""
_MEMBERS = """
SELECT d.classid, d.objid, e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
"""
_COMMENTS = """
SELECT classoid, objoid, objsubid, description FROM pg_description
 WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass
"""
_ROLES = """
SELECT oid, rolname, acldefault('r', oid)::text[], acldefault('s', oid)::text[],
       acldefault('n', oid)::text[], acldefault('f', oid)::text[], acldefault('T', oid)::text[],
       acldefault('l', oid)::text[], acldefault('F', oid)::text[], acldefault('S', oid)::text[],
       rolname = current_user FROM pg_roles
"""
_GENERAL = (_MEMBERS, _COMMENTS, _ROLES)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rare:
    """A query for what most databases don't have. Where `unless` (after FROM) has no row, it has none and isn't asked.

    A database starts with objects of its own below oid 16384 (FirstNormalObjectId); none of them is ever read.
    """

    sql: str
    unless: str


Query = str | Rare
Address = tuple[int, int]
"""What pg_depend calls an object: the catalog it is in, and its oid."""


class Reading:
    """Collects objects, their addresses for the dependencies, and their lineage. `begin` comes first, `close` last."""

    def __init__(self, cursor: psycopg.Cursor[Row], major: int) -> None:
        self.cursor = cursor
        self.major = major
        self._ahead: Ahead | None = None
        self.objects: dict[ObjectId, SchemaObject] = {}
        self.addresses: dict[Address, ObjectId] = {}
        self.lineage: dict[ObjectId, str] = {}
        self.attributes: dict[int, dict[int, str]] = {}  # a relation's column names by number
        self.types_of: dict[int, dict[int, int]] = {}  # a relation's columns' types by number
        self.collated: dict[tuple[int, int], str] = {}  # columns whose collation isn't their type's, with its oid
        self.generated: set[tuple[int, int]] = set()  # columns whose expression isn't a default
        self.column_ids: dict[int, dict[int, ObjectId]] = {}  # as dependencies name them
        self.columns: dict[int, tuple[Column, ...]] = {}
        self.relations: dict[int, ObjectId] = {}
        self.identities: dict[tuple[int, int], Identity] = {}
        self.counted: dict[Address, ObjectId] = {}  # the columns that identities' sequences belong to
        self.watched_only: set[int] = set()  # relations that are seen but not managed
        self.own_not_nulls: set[tuple[int, int]] = set()  # columns that have it from a parent, too (18)
        self.partitioned = False  # whether any table is
        self.partitions: dict[ObjectId, list[ObjectId]] = {}  # attachments by what they attach to
        self.needs: dict[ObjectId, set[ObjectId]] = {}  # beside what the server notes
        self._bases: dict[int, int] | None = None
        self._collations: dict[int, str] | None = None
        self._acls: dict[tuple[str, str, str], Acl | None] = {}
        self.namespaces: dict[int, str] = {}
        self._absent: frozenset[str] = frozenset()
        self.members: dict[Address, ObjectId] = {}
        self.comments: dict[tuple[int, int, int], str] = {}
        self.roles: dict[int, str] = {}
        self.role = ""  # who is reading, and will make what a plan makes
        self._defaults: dict[tuple[str, str], Acl] = {}

    def begin(self, queries: Sequence[Query]) -> None:
        """Reads what all kinds look up. `queries` will be asked, without parameters; they are sent before."""
        rare = list(dict.fromkeys(q.unless for q in queries if isinstance(q, Rare)))
        looking = f"SELECT {', '.join(f'EXISTS (SELECT FROM {place})' for place in rare)}"
        namespaces, (found,) = ask_each(self.cursor.connection, [_NAMESPACES, looking])
        self.namespaces.update(namespaces)
        self._absent = frozenset(place for place, there in zip(rare, found, strict=True) if not there)
        if psycopg.Pipeline.is_supported():
            asked = [self._text(q) for q in (*_GENERAL, *queries) if not self._is_absent(q)]
            self._ahead = Ahead(self.cursor.connection, asked)
        for classid, objid, name in self.rows(_MEMBERS):
            self.members[classid, objid] = ObjectId("extension", (name,))
        for classoid, objoid, objsubid, text in self.rows(_COMMENTS):
            self.comments[classoid, objoid, objsubid] = text
        for oid, name, *acls, is_own in self.rows(_ROLES):
            self.roles[oid] = name
            if is_own:
                self.role = name
            for kind, acl in zip("rsnfTlFS", acls, strict=True):
                self._defaults[kind, name] = parse(acl)

    def close(self) -> None:
        """Lets go of answers that nobody wanted."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def rows(self, query: Query, parameters: Sequence[object] | None = None) -> list[Row]:
        """Runs a query; `{ns}` in it stands for the oids of the schemas that are read."""
        if self._is_absent(query):
            return []
        sql = self._text(query)
        if self._ahead is not None:
            rows = self._ahead.rows(sql) if parameters is None else None
            if rows is not None:
                return rows
            self._ahead.take_all()
        return self.cursor.execute(sql.encode(), parameters).fetchall()

    def _is_absent(self, query: Query) -> bool:
        return isinstance(query, Rare) and query.unless in self._absent

    def _text(self, query: Query) -> str:
        sql = query if isinstance(query, str) else query.sql
        return sql.replace("{ns}", ", ".join(map(str, self.namespaces)) or "0") if "{ns}" in sql else sql

    def add(self, classid: int, oid: int, found: SchemaObject) -> None:
        """Takes an object in, with what identifies it physically."""
        self.objects[found.id] = found
        self.addresses[classid, oid] = found.id
        self.lineage[found.id] = str(oid)

    def note(self, classid: int, oid: int, found: SchemaObject) -> None:
        """Takes in an object of a kind that is made anew under another name."""
        self.objects[found.id] = found
        self.addresses[classid, oid] = found.id

    def unmanaged(self, found: SchemaObject) -> UnmanagedObject:
        """The object as one that is only watched: its kind is managed, but not on what it hangs."""
        return UnmanagedObject(id=found.id, digest=found.fingerprint())

    def comment(self, classid: int, oid: int, column: int = 0) -> str:
        return self.comments.get((classid, oid, column), "")

    def base_type(self, oid: int) -> int:
        """What a domain is made of in the end; any other type is itself. Asked for only where it matters."""
        if self._bases is None:
            self._bases = dict(self.rows("SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'"))
        while oid in self._bases:
            oid = self._bases[oid]
        return oid

    def type_collation(self, oid: int) -> str:
        """The oid of the collation that a type brings along, `0` for none. Asked for only where it matters."""
        if self._collations is None:
            self._collations = dict(self.rows("SELECT oid, typcollation::text FROM pg_type WHERE typcollation <> 0"))
        return self._collations.get(oid, "0")

    def is_member(self, classid: int, oid: int) -> bool:
        """Whether an extension brought it: then the extension stands for it."""
        return (classid, oid) in self.members

    def acl(self, kind: str, owner: str, items: list[str] | None) -> Acl | None:
        """Privileges that differ from what the kind's owner and PUBLIC have from the start; None where they don't."""
        if items is None:
            return None
        key = (kind, owner, "\n".join(items))
        if key not in self._acls:
            acl = parse(items)
            self._acls[key] = None if acl == self._defaults.get((kind, owner)) else acl
        return self._acls[key]

    def trace_columns(self, relation: int) -> None:
        """Notes the columns of a relation that has been added: as what can be depended on, and their lineage."""
        new = tuple.__new__  # there are tens of thousands: a NamedTuple's own way takes twice the time
        path = self.relations[relation].name
        line = self.lineage
        ids = self.column_ids[relation] = {
            number: new(ObjectId, ("column", (*path, name)))
            for number, name in self.attributes.get(relation, {}).items()
        }
        for number, column in ids.items():
            line[column] = f"{relation}.{number}"
