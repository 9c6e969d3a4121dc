"""A schema that another major version recorded, as this server reads it: made in a scratch database, and read there.

What the catalog says of one and the same object differs between versions: 16 and later leave out of a view's columns which
table they are of, where there is only one. And definitions have come here as a dump has them, which isn't always a text
that is printed the same again; so they are made from that text here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from tagback.catalog import Catalog, Fingerprint, SchemaObject, UnmanagedObject, diff
from tagback.engines.postgres import privileges
from tagback.engines.postgres.kinds.default_privileges import DefaultPrivileges
from tagback.engines.postgres.kinds.foreign_table import ForeignTable
from tagback.engines.postgres.kinds.schema import Extension
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.kinds.view import MaterializedView, View
from tagback.engines.postgres.sqltext import as_printed
from tagback.engines.postgres.undressed import AS_RECORDED, dressed, without_rights
from tagback.engines.session import Session
from tagback.engines.url import Url
from tagback.engines.versions import OTHER_MAJOR
from tagback.errors import RefusedError, TagbackError

_WITH_RIGHTS_OF_TABLES = (Table, View, MaterializedView, ForeignTable)


class Anew:
    """What was read once is known for as long as the session is open. `look` reads the live schema."""

    def __init__(self, url: Url, look: Callable[[], Catalog]) -> None:
        self._url = url
        self._look = look
        self._known: dict[Fingerprint, Catalog] = {}

    def read(self, recorded: Catalog) -> Catalog:
        """See `tagback.engines.session.Session.read_anew`."""
        if recorded.fingerprint not in self._known:
            live = self._look()
            read = _read if recorded.major != live.major else _restored
            self._known[recorded.fingerprint] = read(self._url, recorded, live)
        return self._known[recorded.fingerprint]


def _restored(url: Url, recorded: Catalog, live: Catalog) -> Catalog:
    """What was recorded on this version, where a dump may have been restored since.

    Where a definition of today's is what the dump of the recorded one gives, it is that; else it is as recorded.
    """
    doubtful = {
        i
        for i, o in recorded.objects.items()
        if i in live.objects and live.objects[i] != o and not isinstance(o, UnmanagedObject) and _reads_otherwise(o)
    }
    if not doubtful:
        return recorded
    try:
        anew = _read(url, recorded, live).objects
    except RefusedError:  # without the right to make databases what differs counts as changed
        return recorded
    same = {i: live.objects[i] for i in doubtful if anew.get(i) == live.objects[i]}
    return replace(recorded, objects={**recorded.objects, **same}, _cache={})


def _reads_otherwise(o: SchemaObject) -> bool:
    """Whether its definition, made from the text that is printed, is printed as another text."""
    lasting = o.create()
    with as_printed():
        return o.create() != lasting


def _read(url: Url, recorded: Catalog, live: Catalog) -> Catalog:
    """Extensions have the versions that they have in `live`, which an upgrade may have changed.

    What no plan can make is as in `live`, if it is there: whether it is the same can't be told.
    """
    from tagback.engines.postgres import connect
    from tagback.engines.postgres.scratch import scratch

    try:
        with scratch(url, url) as place:
            session = connect(place)
            try:
                built = _build(session, recorded, live)
            finally:
                session.close()
    except TagbackError as e:
        why = e.message.removeprefix("A scratch database can't be made: ")
        raise RefusedError(
            f"The schema was recorded on PostgreSQL {recorded.major}, and this is {live.major}, which may read it differently."
            f" It has to be made in a scratch database to be read anew, and that fails: {why}",
            code=OTHER_MAJOR,
            hint="Nothing was touched. Give the account the right to make databases (ALTER ROLE … CREATEDB) until the next"
            " deployment, rollback or tag; what that reads anew is recorded."
            if e.code == "privilege"
            else "Nothing was touched.",
        ) from e
    unmanaged = {i: live.objects.get(i, o) for i, o in recorded.objects.items() if isinstance(o, UnmanagedObject)}
    needs = {i: n for i, n in recorded.dependencies.items() if i in unmanaged or i not in built.dependencies}
    return replace(
        built,
        objects={**built.objects, **unmanaged},
        dependencies={**built.dependencies, **needs},
        lineage={},
        _cache={},
    )


def _build(session: Session, recorded: Catalog, live: Catalog) -> Catalog:
    """Makes it in the empty database, and reads it there. Nobody's rights are needed but those to make it."""
    from tagback.plan import plan

    session.begin()
    empty = session.read_catalog()
    today = {i: _of_today(o, recorded, live) for i, o in recorded.objects.items() if not isinstance(o, UnmanagedObject)}
    as_recorded = {i: o for i, o in today.items() if isinstance(o, AS_RECORDED)}
    wanted = without_rights(replace(recorded, objects=today, _cache={}), empty)
    with as_printed():
        planned = plan(empty, wanted)
    if planned.blocked:
        raise RefusedError("; ".join(planned.blocked), code="unmanaged")
    session.run_steps(planned.steps, lambda step, seconds: None)
    built = session.read_catalog()
    missing = diff(built, wanted).added
    if missing:
        raise RefusedError(f"{', '.join(map(str, missing))} did not come about.", code=OTHER_MAJOR)
    found = {i: dressed(o, today.get(i)) for i, o in built.objects.items()}
    return replace(built, objects={**found, **as_recorded}, _cache={})


def _of_today(o: SchemaObject, recorded: Catalog, live: Catalog) -> SchemaObject:
    """What a dump and its restoring make of it, or pg_upgrade, which does the same."""
    if isinstance(o, Extension):
        there = live.objects.get(o.id)
        return msgspec.structs.replace(o, version=there.version) if isinstance(there, Extension) else o
    older, newer = int(recorded.major) < 17, int(live.major) >= 17
    if older != newer:
        return o
    moved = privileges.upgraded if newer else privileges.downgraded
    there = live.objects.get(o.id)
    if isinstance(o, DefaultPrivileges) and o.id.name[-1] == "r":
        has = there.granted if isinstance(there, DefaultPrivileges) else ()
        return msgspec.structs.replace(o, usual=moved(o.usual, o.id.name[0], ()), granted=moved(o.granted, "", has))
    if isinstance(o, _WITH_RIGHTS_OF_TABLES) and o.acl is not None:
        has = (isinstance(there, _WITH_RIGHTS_OF_TABLES) and there.acl) or ()
        return msgspec.structs.replace(o, acl=moved(o.acl, o.owner, has))
    return o
