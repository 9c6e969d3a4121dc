"""Reads and writes the ledger over the deploying connection, inside whatever transaction is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tagback.catalog import Catalog, Fingerprint, ObjectId, Rename
from tagback.engines.session import Session, Value
from tagback.errors import UsageError
from tagback.ledger import journal, shelf, snapshots
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    AppliedChangeset,
    Author,
    Deployment,
    DeploymentId,
    DeploymentKind,
    JournalEntry,
    Outcome,
    Receipt,
    Reversibility,
    Shelf,
    ShelfState,
    SnapshotHead,
    SnapshotId,
    Tag,
    TagState,
    now,
)
from tagback.ledger.schema import TABLES, VERSION


class Ledger:
    """The target's own memory. An absent ledger reads as empty; `create` makes it with the first write."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._exists = session.ledger_exists()
        if self._exists:
            self._check_version()

    @property
    def exists(self) -> bool:
        """Whether this target was ever used with tagback."""
        return self._exists

    def create(self) -> None:
        """Makes the tables if they aren't there; part of the open transaction."""
        if self._session.ledger_exists():
            self._exists = True
            return
        for table in TABLES:
            self._session.execute(table)
        self._session.execute("INSERT INTO {meta} (name, value) VALUES (?, ?)", ("version", str(VERSION)))
        self._exists = True

    def _check_version(self) -> None:
        rows = self._session.execute("SELECT value FROM {meta} WHERE name = ?", ("version",))
        found = int(str(rows[0][0])) if rows else 0
        if found > VERSION:
            raise UsageError(
                f"The ledger in this database has version {found}; this tagback knows versions up to {VERSION}.",
                code="ledger_newer",
                hint="Use the newer tagback that wrote it; nothing was touched.",
            )

    # ------------------------------------------------------------------ deployments and changesets

    def deployments(self) -> tuple[Deployment, ...]:
        """All of them, oldest first."""
        rows = self._ask(
            "SELECT id, kind, outcome, tag, previous_tag, started, ended, who, host, tool, revision, epoch,"
            " snapshot_before, snapshot_after, reversibility, reasons, granular FROM {deployment} ORDER BY id"
        )
        return tuple(
            Deployment(
                id=DeploymentId(_int(r[0])),
                kind=DeploymentKind(str(r[1])),
                outcome=Outcome(str(r[2])),
                tag=str(r[3]),
                previous_tag=str(r[4]),
                started=str(r[5]),
                ended=str(r[6]),
                author=Author(who=str(r[7]), host=str(r[8]), tool=str(r[9]), revision=str(r[10])),
                epoch=str(r[11]),
                snapshot_before=SnapshotId(_int(r[12])),
                snapshot_after=SnapshotId(_int(r[13])),
                reversibility=Reversibility(str(r[14])),
                reasons=_texts(r[15]),
                granular=_int(r[16]),
            )
            for r in rows
        )

    def next_deployment(self) -> DeploymentId:
        """The id that the next deployment gets."""
        return DeploymentId(self._next("deployment", "id"))

    def save_deployment(self, d: Deployment) -> None:
        """Writes a deployment, or writes it again with its outcome."""
        self._session.execute("DELETE FROM {deployment} WHERE id = ?", (d.id,))
        self._session.execute(
            "INSERT INTO {deployment} (id, kind, outcome, tag, previous_tag, started, ended, who, host, tool, revision,"
            " epoch, snapshot_before, snapshot_after, reversibility, reasons, granular)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                d.id,
                d.kind.value,
                d.outcome.value,
                d.tag,
                d.previous_tag,
                d.started,
                d.ended,
                d.author.who,
                d.author.host,
                d.author.tool,
                d.author.revision,
                d.epoch,
                d.snapshot_before,
                d.snapshot_after,
                d.reversibility.value,
                _json(d.reasons),
                d.granular,
            ),
        )

    def changesets(self) -> tuple[AppliedChangeset, ...]:
        """All that were ever deployed, in that order, those undone since included."""
        rows = self._ask(
            "SELECT deployment, position, id, checksum, snapshot, reversibility, reasons, undone_by"
            " FROM {changeset} ORDER BY deployment, position"
        )
        return tuple(
            AppliedChangeset(
                deployment=DeploymentId(_int(r[0])),
                position=_int(r[1]),
                id=str(r[2]),
                checksum=str(r[3]),
                snapshot=SnapshotId(_int(r[4])),
                reversibility=Reversibility(str(r[5])),
                reasons=_texts(r[6]),
                undone_by=DeploymentId(_int(r[7])),
            )
            for r in rows
        )

    def add_changesets(self, rows: Iterable[tuple[AppliedChangeset, str]]) -> None:
        """Notes changesets with their text."""
        self._session.execute_many(
            "INSERT INTO {changeset} (deployment, position, id, checksum, body, snapshot, reversibility, reasons,"
            " undone_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    c.deployment,
                    c.position,
                    c.id,
                    c.checksum,
                    body,
                    c.snapshot,
                    c.reversibility.value,
                    _json(c.reasons),
                    c.undone_by,
                )
                for c, body in rows
            ],
        )

    def mark_undone(self, changesets: Sequence[AppliedChangeset], by: DeploymentId) -> None:
        """Notes that a rollback took these back."""
        first: dict[DeploymentId, int] = {}
        for c in changesets:
            first[c.deployment] = min(first.get(c.deployment, c.position), c.position)
        self._session.execute_many(
            "UPDATE {changeset} SET undone_by = ? WHERE deployment = ? AND position >= ? AND undone_by = 0",
            [(by, deployment, position) for deployment, position in first.items()],
        )

    def set_checksum(self, changeset: AppliedChangeset, checksum: str) -> None:
        """Accepts a changed file: its checksum from now on."""
        self._session.execute(
            "UPDATE {changeset} SET checksum = ? WHERE deployment = ? AND position = ?",
            (checksum, changeset.deployment, changeset.position),
        )

    # ------------------------------------------------------------------ tags

    def tags(self) -> tuple[Tag, ...]:
        """All tags ever set, in the order they were set."""
        rows = self._ask(
            "SELECT position, name, deployment, depth, snapshot, set_at, who, state FROM {tag} ORDER BY position"
        )
        return tuple(
            Tag(
                position=_int(r[0]),
                name=str(r[1]),
                deployment=DeploymentId(_int(r[2])),
                depth=_int(r[3]),
                snapshot=SnapshotId(_int(r[4])),
                set_at=str(r[5]),
                who=str(r[6]),
                state=TagState(str(r[7])),
            )
            for r in rows
        )

    def add_tag(self, name: str, deployment: DeploymentId, depth: int, snapshot: SnapshotId, who: str) -> None:
        """Sets a tag; the caller made sure that the name is free."""
        self._session.execute(
            "INSERT INTO {tag} (position, name, deployment, depth, snapshot, set_at, who, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._next("tag", "position"), name, deployment, depth, snapshot, now(), who, TagState.SET.value),
        )

    def end_tags(self, tags: Iterable[Tag], state: TagState) -> None:
        """Frees the names of these tags; the rows stay, with the reason."""
        self._session.execute_many(
            "UPDATE {tag} SET state = ? WHERE position = ?", [(state.value, t.position) for t in tags]
        )

    # ------------------------------------------------------------------ snapshots

    def attested(self) -> SnapshotId:
        """The schema as the last deployment, rollback or tag left it; NO_SNAPSHOT before the first."""
        rows = self._session.execute("SELECT value FROM {meta} WHERE name = ?", ("attested",)) if self._exists else []
        return SnapshotId(_int(rows[0][0])) if rows else NO_SNAPSHOT

    def attest(self, snapshot: SnapshotId) -> None:
        """Notes that the schema is this one, by tagback's own doing or by a tag."""
        self._session.execute("DELETE FROM {meta} WHERE name = ?", ("attested",))
        self._session.execute("INSERT INTO {meta} (name, value) VALUES (?, ?)", ("attested", str(snapshot)))

    def snapshots(self) -> dict[SnapshotId, SnapshotHead]:
        """The heads of all recorded catalogs, as they were recorded."""
        return snapshots.heads(self._session) if self._exists else {}

    def fingerprint(self, snapshot: SnapshotId) -> Fingerprint:
        """The fingerprint of a recorded catalog; on another major version of the server, as that one reads it."""
        return snapshots.fingerprint(self._session, snapshot)

    def save_snapshot(self, catalog: Catalog, parent: tuple[SnapshotId, Catalog] | None = None) -> SnapshotId:
        """Records a catalog, as the difference to `parent` where that is given. Equal to its parent, it is its parent."""
        return snapshots.save(self._session, catalog, parent)

    def load_snapshot(self, snapshot: SnapshotId) -> Catalog:
        """The recorded catalog, as this server reads it; LookupError if the ledger doesn't have it."""
        return snapshots.load(self._session, snapshot)

    def here(self, snapshot: SnapshotId) -> SnapshotId:
        """The same catalog as this server reads it, recorded; itself where no other major version recorded it."""
        return snapshots.here(self._session, snapshot)

    # ------------------------------------------------------------------ renames, shelf, journal, receipts

    def add_renames(self, deployment: DeploymentId, rows: Sequence[tuple[int, Rename]]) -> None:
        """Notes renames; each with the position of the changeset after which it was seen."""
        self._session.execute_many(
            'INSERT INTO {rename} (deployment, position, stage, "before", "after") VALUES (?, ?, ?, ?, ?)',
            [
                (deployment, n, stage, _json(r.before), _json(r.after))
                for n, (stage, r) in enumerate(rows, self._next_position("rename", deployment))
            ],
        )

    def renames(self) -> tuple[tuple[DeploymentId, int, Rename], ...]:
        """All renames: the deployment, the stage, and the names."""
        rows = self._ask('SELECT deployment, stage, "before", "after" FROM {rename} ORDER BY deployment, position')
        return tuple(
            (
                DeploymentId(_int(r[0])),
                _int(r[1]),
                Rename(
                    msgspec.json.decode(str(r[2]), type=ObjectId),
                    msgspec.json.decode(str(r[3]), type=ObjectId),
                ),
            )
            for r in rows
        )

    def add_shelves(self, shelves: Sequence[Shelf]) -> None:
        """Notes what was kept."""
        shelf.add(self._session, shelves)

    def forget_shelves(self, deployment: DeploymentId) -> None:
        """Takes out what was noted while the deployment ran, for another form of it."""
        self._session.execute("DELETE FROM {shelf} WHERE deployment = ?", (deployment,))

    def shelves(self) -> tuple[Shelf, ...]:
        """Everything that was ever kept, oldest first."""
        return tuple(s for s in self.everything_kept() if s.kept.place)

    def everything_kept(self) -> tuple[Shelf, ...]:
        """The same with entries that have no place: see `LOOKED_AT` and `MADE`."""
        return shelf.read(self._session) if self._exists else ()

    def next_shelf(self, deployment: DeploymentId) -> int:
        """The position that the next shelf of this deployment gets."""
        return self._next_position("shelf", deployment)

    def set_shelf_state(self, shelves: Sequence[Shelf], state: ShelfState) -> None:
        """Notes what has become of them."""
        shelf.set_state(self._session, shelves, state)

    def write_journal(self, deployment: DeploymentId, entry: JournalEntry) -> None:
        """Notes a statement that runs by itself: once before it and once after."""
        journal.write(self._session, deployment, entry)

    def journal(self, deployment: DeploymentId) -> tuple[JournalEntry, ...]:
        """The statements that were noted, in order."""
        return journal.read(self._session, deployment)

    def write_way_back(self, deployment: DeploymentId, stage: int) -> None:
        """Notes to the beginning of which stage the way back has come."""
        journal.write_way_back(self._session, deployment, stage)

    def way_back(self, deployment: DeploymentId) -> int | None:
        """To the beginning of which stage the way back has come; None where there was none."""
        return journal.way_back(self._session, deployment)

    def add_receipt(self, r: Receipt) -> None:
        """Keeps what was compared."""
        self._session.execute(
            "INSERT INTO {receipt} (id, deployment, tag, expected, actual, verdict, objects, details, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (r.id, r.deployment, r.tag, r.expected, r.actual, r.verdict, r.objects, r.details, r.at),
        )

    def next_receipt(self) -> int:
        """The id that the next receipt gets."""
        return self._next("receipt", "id")

    # ------------------------------------------------------------------

    def _ask(self, sql: str) -> list[tuple[Value, ...]]:
        return self._session.execute(sql) if self._exists else []

    def _next_position(self, table: str, deployment: DeploymentId) -> int:
        """A deployment in parts adds its rows part by part."""
        rows = self._session.execute(
            f"SELECT coalesce(max(position), 0) + 1 FROM {{{table}}} WHERE deployment = ?", (deployment,)
        )
        return _int(rows[0][0])

    def _next(self, table: str, column: str) -> int:
        rows = self._ask(f"SELECT coalesce(max({column}), 0) + 1 FROM {{{table}}}")
        return _int(rows[0][0]) if rows else 1


def active(changesets: Iterable[AppliedChangeset]) -> tuple[AppliedChangeset, ...]:
    """Those that are in effect."""
    return tuple(c for c in changesets if c.undone_by == NO_DEPLOYMENT)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _texts(value: Value) -> tuple[str, ...]:
    return () if value == "[]" else msgspec.json.decode(str(value), type=tuple[str, ...])


def _int(value: Value) -> int:
    return int(str(value))
