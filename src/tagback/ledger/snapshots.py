"""Recorded catalogs: each as the difference to another one, so that a thousand tags on a large schema stay small.

Another major version of the server may read the same schema differently (PostgreSQL 16 writes the columns of views in another
way than 15), and so may the same one once a dump was restored (`IN ('a', 'b')` is printed in two ways). So what was recorded
on another version, or in another physical database, is given as the present one reads it, and that is recorded in turn by
whatever writes to the ledger.
"""

from __future__ import annotations

import hashlib
import sys

import msgspec

from tagback.catalog import Catalog, Fingerprint, ObjectId
from tagback.engines.session import Session, Value
from tagback.errors import UsageError
from tagback.ledger.records import NO_SNAPSHOT, SnapshotHead, SnapshotId, now


def heads(session: Session) -> dict[SnapshotId, SnapshotHead]:
    """The heads of all recorded catalogs."""
    rows = session.execute("SELECT id, parent, fingerprint, engine, major FROM {snapshot}")
    found = (
        SnapshotHead(
            id=SnapshotId(_int(r[0])),
            parent=SnapshotId(_int(r[1])),
            fingerprint=Fingerprint(str(r[2])),
            engine=str(r[3]),
            major=str(r[4]),
        )
        for r in rows
    )
    return {h.id: h for h in found}


def fingerprint(session: Session, snapshot: SnapshotId) -> Fingerprint:
    """The fingerprint of the catalog that `load` gives."""
    known = heads(session)
    if _from_elsewhere(session, _head(known, snapshot)):
        return load(session, snapshot).fingerprint
    return known[snapshot].fingerprint


def load(session: Session, snapshot: SnapshotId) -> Catalog:
    """The recorded catalog as this server reads it; LookupError if there is none."""
    known = heads(session)
    if not _from_elsewhere(session, _head(known, snapshot)):
        return _as_recorded(session, snapshot, known)
    here = _found_here(session, snapshot)
    return _as_recorded(session, here, known) if here else session.read_anew(_as_recorded(session, snapshot, known))


def here(session: Session, snapshot: SnapshotId) -> SnapshotId:
    """The same catalog recorded as this server reads it."""
    if snapshot == NO_SNAPSHOT or not _from_elsewhere(session, _head(heads(session), snapshot)):
        return snapshot
    found = _found_here(session, snapshot)
    if not found:
        catalog = load(session, snapshot)
        same = catalog.fingerprint == heads(session)[snapshot].fingerprint
        found = snapshot if same else save(session, catalog, None)
        session.execute("INSERT INTO {meta} (name, value) VALUES (?, ?)", (_note(session, snapshot), str(found)))
    return found


def save(session: Session, catalog: Catalog, parent: tuple[SnapshotId, Catalog] | None) -> SnapshotId:
    """Records a catalog, as the difference to `parent` where that is given. Equal to its parent, it is its parent."""
    if parent is not None:
        parent = (here(session, parent[0]), parent[1])
    if parent and parent[1].fingerprint == catalog.fingerprint and parent[1].dependencies == catalog.dependencies:
        return parent[0]
    keys = {} if parent is None else _keys(parent[1])
    mine = _keys(catalog)
    added = [(key, i) for i, key in mine.items() if keys.get(i) != key]
    gone = [key for i, key in keys.items() if mine.get(i) != key]
    snapshot = _next(session)
    session.execute(
        "INSERT INTO {snapshot} (id, parent, fingerprint, engine, major, taken) VALUES (?, ?, ?, ?, ?, ?)",
        (snapshot, parent[0] if parent else NO_SNAPSHOT, catalog.fingerprint, catalog.engine, catalog.major, now()),
    )
    _note_first(session, snapshot)
    known = {str(r[0]) for r in session.execute("SELECT digest FROM {object}")}
    rows = {
        key: (key, i.kind, _json(i.name), catalog.objects[i].canonical().decode(), _dependencies(catalog, i))
        for key, i in added
        if key not in known
    }
    session.execute_many(
        "INSERT INTO {object} (digest, kind, name, definition, depends_on) VALUES (?, ?, ?, ?, ?)", rows.values()
    )
    changes = [(snapshot, key, 1) for key, _ in added] + [(snapshot, key, 0) for key in gone]
    session.execute_many("INSERT INTO {snapshot_change} (snapshot, object, present) VALUES (?, ?, ?)", changes)
    return snapshot


def _as_recorded(session: Session, snapshot: SnapshotId, known: dict[SnapshotId, SnapshotHead]) -> Catalog:
    chain: list[SnapshotId] = []
    at = snapshot
    while at != NO_SNAPSHOT:
        chain.append(at)
        at = known[at].parent
    rows = session.execute(
        "WITH RECURSIVE chain (id, parent) AS (SELECT id, parent FROM {snapshot} WHERE id = ?"
        " UNION ALL SELECT s.id, s.parent FROM {snapshot} s JOIN chain c ON s.id = c.parent)"
        " SELECT d.snapshot, d.present, o.digest, o.definition, o.depends_on FROM {snapshot_change} d"
        " JOIN chain c ON c.id = d.snapshot JOIN {object} o ON o.digest = d.object",
        (snapshot,),
    )
    age = {s: n for n, s in enumerate(chain)}
    present: dict[str, tuple[Value, Value]] = {}
    # Within one snapshot, what went comes before what came: an object may come back as it once was.
    for row in sorted(rows, key=lambda r: (-age[SnapshotId(_int(r[0]))], _int(r[1]))):
        if _int(row[1]):
            present[str(row[2])] = (row[3], row[4])
        else:
            present.pop(str(row[2]), None)
    objects = {}
    dependencies = {}
    for definition, depends_on in present.values():
        o = session.decode(str(definition).encode())
        objects[o.id] = o
        needs = msgspec.json.decode(str(depends_on), type=list[ObjectId])
        if needs:
            dependencies[o.id] = frozenset(needs)
    head = known[snapshot]
    catalog = Catalog(engine=head.engine, major=head.major, objects=objects, dependencies=dependencies)
    if catalog.fingerprint != head.fingerprint:
        raise UsageError(
            f"Snapshot {snapshot} in the ledger is damaged: its objects don't add up to its fingerprint.",
            code="ledger_damaged",
            hint="Restore the ledger from a backup; nothing was touched.",
        )
    return catalog


def _found_here(session: Session, snapshot: SnapshotId) -> SnapshotId:
    """The snapshot that holds what this server read of that one; NO_SNAPSHOT before it was recorded."""
    rows = session.execute("SELECT value FROM {meta} WHERE name = ?", (_note(session, snapshot),))
    return SnapshotId(_int(rows[0][0])) if rows else NO_SNAPSHOT


def _note(session: Session, snapshot: SnapshotId) -> str:
    return f"snapshot {snapshot} on {session.major} in {session.epoch}"


def _from_elsewhere(session: Session, head: SnapshotHead) -> bool:
    """Whether it was recorded on another major version, or before the ledger came into this physical database."""
    return head.major != session.major or head.id < _first_here(session)


def _first_here(session: Session) -> int:
    """The first snapshot that was recorded in this physical database; none has a number as high before there is one."""
    firsts = _firsts(session)
    return firsts.get(f"epoch {session.epoch}", sys.maxsize if firsts else 0)


def _note_first(session: Session, snapshot: SnapshotId) -> None:
    """Notes that this is the first one here, unless there was one. The ledger's own first stands for all without a note."""
    firsts, epoch = _firsts(session), f"epoch {session.epoch}"
    if epoch not in firsts:
        first = snapshot if firsts else NO_SNAPSHOT
        session.execute("INSERT INTO {meta} (name, value) VALUES (?, ?)", (epoch, str(first)))


def _firsts(session: Session) -> dict[str, int]:
    rows = session.execute("SELECT name, value FROM {meta} WHERE name LIKE ?", ("epoch %",))
    return {str(name): _int(value) for name, value in rows}


def _head(known: dict[SnapshotId, SnapshotHead], snapshot: SnapshotId) -> SnapshotHead:
    if snapshot not in known:
        raise LookupError(f"the ledger has no snapshot {snapshot}")
    return known[snapshot]


def _next(session: Session) -> SnapshotId:
    return SnapshotId(_int(session.execute("SELECT coalesce(max(id), 0) + 1 FROM {snapshot}")[0][0]))


def _keys(catalog: Catalog) -> dict[ObjectId, str]:
    """Content addresses: definition and dependencies together."""
    prints = catalog.fingerprints
    return {i: hashlib.sha256(f"{prints[i]} {_dependencies(catalog, i)}".encode()).hexdigest() for i in catalog.objects}


def _dependencies(catalog: Catalog, object_id: ObjectId) -> str:
    return _json(sorted(catalog.dependencies.get(object_id, ())))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _int(value: Value) -> int:
    return int(str(value))
