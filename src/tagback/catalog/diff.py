"""What is different between two catalogs."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tagback.catalog.model import Catalog, ObjectId


@dataclass(frozen=True, slots=True)
class Diff:
    """Names, each in a fixed order: only in the second catalog, only in the first, and in both with other definitions."""

    added: tuple[ObjectId, ...]
    removed: tuple[ObjectId, ...]
    changed: tuple[ObjectId, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    @property
    def names(self) -> frozenset[ObjectId]:
        """All that differs, whichever way."""
        return frozenset((*self.added, *self.removed, *self.changed))


def diff(before: Catalog, after: Catalog) -> Diff:
    """Compares object by object, by name and definition."""
    a, b = before.objects, after.objects
    return Diff(
        added=tuple(sorted(b.keys() - a.keys())),
        removed=tuple(sorted(a.keys() - b.keys())),
        changed=tuple(sorted(i for i in a.keys() & b.keys() if a[i] != b[i])),
    )


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an object that differs; values as a person reads them."""

    field: str
    before: str
    after: str


def explain(before: Catalog, after: Catalog, object_id: ObjectId) -> tuple[FieldChange, ...]:
    """Which fields of an object that is in both differ, down to the column."""
    a = msgspec.to_builtins(before.objects[object_id])
    b = msgspec.to_builtins(after.objects[object_id])
    return tuple(_changes("", a, b))


def _changes(path: str, a: object, b: object) -> list[FieldChange]:
    if a == b:
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        found = []
        for key in dict.fromkeys((*a, *b)):
            found += _changes(f"{path}.{key}" if path else str(key), a.get(key), b.get(key))
        return found
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and _named(a) and _named(b):
        found = []
        by_name_a, by_name_b = ({x["name"]: x for x in side} for side in (a, b))
        for name in dict.fromkeys((*by_name_a, *by_name_b)):
            found += _changes(f"{path}.{name}", by_name_a.get(name), by_name_b.get(name))
        if not found:
            found.append(FieldChange(f"{path} order", ", ".join(by_name_a), ", ".join(by_name_b)))
        return found
    return [FieldChange(path, _shown(a), _shown(b))]


def _named(items: list[object] | tuple[object, ...]) -> bool:
    return bool(items) and all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in items)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "(none)"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
