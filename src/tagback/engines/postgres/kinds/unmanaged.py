"""Everything else that a dump of the schema would show: seen and watched, not made or unmade."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from tagback.catalog import ObjectId, UnmanagedObject
from tagback.engines.postgres.reading import Query, Rare, Reading

_OWNER = (
    "(SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce({acl}, acldefault('{kind}', {owner}))) x)"
)

# Kind, where it has no rows if there is none (see Rare), and the query: catalog, oid, name, definition.
_SEEN: tuple[tuple[str, str, str], ...] = (
    (
        "base type",
        "pg_type WHERE typtype IN ('b', 'p') AND typinput <> 'array_in'::regproc AND oid >= 16384",
        """SELECT 'pg_type'::regclass, t.oid, ARRAY[n.nspname, t.typname],
                  concat_ws('|', t.typtype, t.typowner::regrole, t.typinput, t.typoutput, t.typreceive, t.typsend,
                    t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage,
                    t.typcategory, t.typispreferred, t.typdelim, t.typdefault, t.typisdefined, """
        + _OWNER.format(acl="t.typacl", kind="T", owner="t.typowner")
        + """)
             FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE (t.typtype = 'p' OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e
                                                                     WHERE e.oid = t.typelem AND e.typarray = t.oid))
              AND t.typnamespace IN ({ns})""",
    ),
    (
        "subscription",
        "pg_subscription",
        """SELECT 'pg_subscription'::regclass, s.oid, ARRAY[s.subname],
                  concat_ws('|', s.subowner::regrole, s.subslotname, s.subsynccommit, s.subpublications::text, s.subbinary)
             FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    ),
    (
        "security label",
        "pg_seclabel",
        """SELECT l.classoid, 0::oid, ARRAY[l.provider, o.type, o.identity], l.label
             FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) o""",
    ),
)


def asked(major: int) -> tuple[Query, ...]:
    """What `read` asks."""
    return tuple(query for _, query in _queries())


@functools.cache
def _queries() -> tuple[tuple[str, Rare], ...]:
    """The query for each kind."""
    return tuple(
        (kind, Rare(f"SELECT c::oid, o, n::text[], md5(d) FROM ({sql}) AS x (c, o, n, d)", unless))
        for kind, unless, sql in _SEEN
    )


def read(r: Reading) -> None:
    for kind, query in _queries():
        for classid, oid, name, digest in r.rows(query):
            if oid and r.is_member(classid, oid):
                continue
            comment = r.comment(classid, oid) if oid else ""
            found = UnmanagedObject(id=ObjectId(kind, tuple(name)), digest=f"{digest} {comment}".rstrip())
            r.objects[found.id] = found
            if oid:
                r.addresses[classid, oid] = found.id


class WatchedTable(UnmanagedObject, frozen=True, kw_only=True, tag="watched table"):
    """A table of a shape that isn't managed yet; its columns can be depended on all the same."""

    columns: tuple[str, ...] = ()

    @property
    def parts(self) -> Iterable[ObjectId]:
        return [ObjectId("column", (*self.id.name, c)) for c in self.columns]

    @property
    def carries_data(self) -> bool:
        return True
