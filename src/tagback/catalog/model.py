"""What a schema is: named objects of some kind, what they depend on, and their fingerprint.

The model knows no engine. Each engine's kinds are subclasses of `SchemaObject` whose fields are the definition: two
objects are the same exactly when their fields are. Nothing here does I/O.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NewType

import msgspec

if TYPE_CHECKING:
    from tagback.catalog.step import Alteration, Carry, Step

Fingerprint = NewType("Fingerprint", str)
"""SHA-256 in lower-case hexadecimal, 64 characters."""

_PLAIN = re.compile(r"[^\W\d]\w*\Z")
_encode = msgspec.json.Encoder(order="deterministic").encode


class ObjectId(NamedTuple):
    """Names one object: its kind and its path, outermost first: `("index", ("public", "t_a_idx"))`."""

    kind: str
    name: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"

    @property
    def path(self) -> str:
        """The name as a person reads it; parts that aren't plain words are put in double quotes."""
        return ".".join(n if _PLAIN.match(n) else '"' + n.replace('"', '""') + '"' for n in self.name)


class SchemaObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a schema. Subclasses add the definition as fields, and say how it is made and unmade.

    What an object depends on isn't part of it (`Catalog.dependencies` has that): it follows from the definition.
    """

    id: ObjectId

    @property
    def part_of(self) -> ObjectId | None:
        """The object that takes this one with it when it is dropped: the table of an index."""
        return None

    @property
    def parts(self) -> Iterable[ObjectId]:
        """Names for what is inside this object and can be depended on: a table's columns."""
        return ()

    @property
    def carries_data(self) -> bool:
        """Whether dropping and creating it again would lose more than the definition."""
        return False

    @property
    def is_held(self) -> bool:
        """Whether what carries data may be made of it: a type. It changes in place, if it can do without what goes."""
        return False

    @property
    def filled_anew(self) -> bool:
        """Whether it has rows that a query of its own gives whenever it is made."""
        return False

    @property
    def refill(self) -> tuple[Step, ...]:
        """The steps that fill it anew from where it has its rows, while it stays: a search index."""
        return ()

    @property
    def rows_go_with_it(self) -> bool:
        """Whether the rows that it may have can't be kept, as nothing tells what they were."""
        return False

    @property
    def holds_nothing(self) -> bool:
        """Whether nothing is lost with it although things of its kind carry data: its rows are all in other tables."""
        return False

    @property
    def holds_rows_in_parts(self) -> bool:
        """Whether rows that are put into it go to those tables that are parts of it."""
        return False

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        """Tables whose rows can't be put back in silence while it is there: a trigger, a foreign key."""
        return ()

    @property
    def attaches(self) -> tuple[tuple[ObjectId, ObjectId], ...]:
        """Tables whose rows are another one's too, with that other one: a partition and what it is a partition of."""
        return ()

    @property
    def shaped_by(self) -> ObjectId | None:
        """What its columns are given by, and renamed with: the type of a typed table."""
        return None

    def tinges(self, maker: str) -> bool:
        """Whether what this role makes is another thing while it is there: default privileges."""
        return False

    @property
    def acts_by_columns(self) -> bool:
        """Whether it acts on rows only where the columns that it depends on get other values: a foreign key."""
        return False

    @property
    def tells_rows_apart(self) -> bool:
        """Whether no two rows may be alike for it: a key. Values of its columns can't be exchanged one after the other."""
        return False

    @property
    def limits_rows(self) -> bool:
        """Whether it can only be made while the rows that are there satisfy it: a constraint, a unique index."""
        return False

    def required(self, catalog: Catalog) -> Mapping[str, bool]:
        """Columns that must have a value in every row, and whether a new row gets one by itself."""
        return {}

    def limits_beyond(self, after: SchemaObject | None) -> bool:
        """Whether it allows fewer rows than what stands in its place afterwards."""
        return self.limits_rows and self != after

    def limits_others(self, catalog: Catalog) -> bool:
        """Whether it allows fewer rows in other tables of this catalog too, even while its own table isn't there."""
        return False

    def appended(self, live: SchemaObject) -> SchemaObject:
        """The same with its parts in the order they have when those that `live` lacks are put behind the others.

        Itself where an engine puts parts anywhere.
        """
        return self

    def as_found(self, live: SchemaObject) -> SchemaObject:
        """The same in the state that `live` is in where that is the application's own affair."""
        return self

    @property
    def can_be_made(self) -> bool:
        """Whether `create` gives exactly this. What an engine left half done can only go."""
        return True

    def create(self) -> tuple[Step, ...]:
        """The steps that make it, given that what it depends on exists."""
        raise NotImplementedError

    def create_in(self, target: Catalog) -> tuple[Step, ...]:
        """The same in a plan to `target`, of which some may come with what is made afterwards."""
        return self.create()

    def drop(self) -> tuple[Step, ...]:
        """The steps that take it away, given that nothing depends on it any more."""
        raise NotImplementedError

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        """How it becomes `after` in place; None when it has to be dropped and created."""
        return None

    def interchangeable(self, other: SchemaObject) -> bool:
        """Whether one statement on one schema may make either: the server decides by what it alone knows."""
        return False

    def freed(self, of: frozenset[ObjectId]) -> SchemaObject | None:
        """The same, for a while, with what follows from other values as plain values, so that it doesn't need `of`.

        None where it can't be without these.
        """
        return None

    def without_columns_of(self, types: frozenset[ObjectId]) -> SchemaObject | None:
        """The same, for a while, without the columns of these types and what is computed from them; None where it can't be."""
        return None

    def carried(self, after: SchemaObject, live: Catalog, target: Catalog) -> Carry | None:
        """How its rows outlast that it is dropped and made anew as `after`; None where they can't."""
        return None

    def lets_rows_stay(self, after: SchemaObject, columns: frozenset[str]) -> bool:
        """Whether a table becomes `after` in place with rows in it that get values for these columns only afterwards."""
        return False

    def take_down(self) -> tuple[Step, ...]:
        """Frees what it hangs on while that is being changed; its own definition stays the same."""
        return self.drop()

    def put_back(self) -> tuple[Step, ...]:
        """The other half of `take_down`."""
        return self.create()

    def fingerprint(self) -> Fingerprint:
        """SHA-256 over the canonical form of the definition, the name included."""
        return Fingerprint(hashlib.sha256(_encode(self)).hexdigest())

    def canonical(self) -> bytes:
        """The definition as canonical JSON: what the ledger keeps and `Session.decode` reads."""
        return _encode(self)


class UnmanagedObject(SchemaObject, frozen=True, kw_only=True, tag="unmanaged"):
    """An object that is seen and watched, but whose kind can't be made or unmade yet. `digest` covers its definition."""

    digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """A whole schema at one moment.

    `dependencies` maps an object to the objects *or parts* it needs. `lineage` maps objects and columns to what
    identifies them physically for as long as one transaction: it tells a rename from a drop and a create, and isn't
    part of the fingerprint. Nor is `maker`: the role that whatever a plan makes is made by; nor are `former` names of what
    is renamed only when its owner changes, known for a plan: by owner, the name now and the one at the target.
    """

    engine: str
    major: str
    objects: Mapping[ObjectId, SchemaObject]
    dependencies: Mapping[ObjectId, frozenset[ObjectId]] = field(default_factory=dict)
    lineage: Mapping[ObjectId, str] = field(default_factory=dict)
    maker: str = ""
    former: Mapping[ObjectId, Mapping[str, str]] = field(default_factory=dict)
    _cache: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def fingerprints(self) -> Mapping[ObjectId, Fingerprint]:
        """The fingerprint of every object."""
        if "each" not in self._cache:
            self._cache["each"] = {i: o.fingerprint() for i, o in self.objects.items()}
        return self._cache["each"]  # type: ignore[return-value]

    @property
    def fingerprint(self) -> Fingerprint:
        """One SHA-256 for the whole: over every object, the engine and the server's major, in a fixed order."""
        if "whole" not in self._cache:
            whole = hashlib.sha256(f"tagback 1\n{self.engine} {self.major}\n".encode())
            for object_id in sorted(self.fingerprints):
                whole.update(f"{self.fingerprints[object_id]}\n".encode())
            self._cache["whole"] = whole.hexdigest()
        return self._cache["whole"]  # type: ignore[return-value]

    @property
    def unmanaged(self) -> tuple[UnmanagedObject, ...]:
        """What was seen but can't be made or unmade."""
        return tuple(o for o in self.objects.values() if isinstance(o, UnmanagedObject))

    def keeps_nothing_of(self, i: ObjectId) -> bool:
        """Whether this is an object whose rows are lost with it, see `SchemaObject.rows_go_with_it`."""
        return i in self.objects and self.objects[i].rows_go_with_it

    def wholes_of(self, table: ObjectId) -> tuple[ObjectId, ...]:
        """The tables that this one's rows are in too, the nearest first."""
        direct = self._attached
        wholes: dict[ObjectId, None] = {}
        queue = list(direct.get(table, ()))
        while queue:
            whole = queue.pop(0)
            if whole not in wholes:
                wholes[whole] = None
                queue += direct.get(whole, ())
        return tuple(wholes)

    def has_parts(self, table: ObjectId) -> bool:
        """Whether rows of other tables are this one's too."""
        return any(table in wholes for wholes in self._attached.values())

    def parts_of(self, table: ObjectId) -> tuple[ObjectId, ...]:
        """The tables whose rows are this one's too, but for the parts of its parts."""
        return tuple(part for part, wholes in self._attached.items() if table in wholes)

    def dependents_of(self, needed: ObjectId) -> frozenset[ObjectId]:
        """What needs this very object or part."""
        if "dependents" not in self._cache:
            found: dict[ObjectId, set[ObjectId]] = {}
            for dependent, needs in self.dependencies.items():
                for i in needs:
                    found.setdefault(i, set()).add(dependent)
            self._cache["dependents"] = {i: frozenset(d) for i, d in found.items()}
        return self._cache["dependents"].get(needed, frozenset())  # type: ignore[attr-defined, no-any-return]

    @property
    def _attached(self) -> Mapping[ObjectId, list[ObjectId]]:
        if "attached" not in self._cache:
            found: dict[ObjectId, list[ObjectId]] = {}
            for o in self.objects.values():
                for part, whole in o.attaches:
                    found.setdefault(part, []).append(whole)
            self._cache["attached"] = found
        return self._cache["attached"]  # type: ignore[return-value]

    def owner_of(self, object_or_part: ObjectId) -> ObjectId | None:
        """The object itself, or the one that the part is in; None for a name that isn't in this catalog."""
        return object_or_part if object_or_part in self.objects else self._owners.get(object_or_part)

    @property
    def _owners(self) -> Mapping[ObjectId, ObjectId]:
        if "owners" not in self._cache:
            self._cache["owners"] = {part: o.id for o in self.objects.values() for part in o.parts}
        return self._cache["owners"]  # type: ignore[return-value]


@functools.cache
def nothing(engine: str, major: str) -> Catalog:
    """The empty schema."""
    return Catalog(engine=engine, major=major, objects={})
