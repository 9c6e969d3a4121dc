"""A schema as it can be had without moving what is there: where parts of an object are only ever appended."""

from __future__ import annotations

from dataclasses import replace

from tagback.catalog.diff import diff
from tagback.catalog.model import Catalog, ObjectId


def by_appending(live: Catalog, target: Catalog) -> Catalog:
    """The target with columns in the order that they get when missing ones are put behind those of `live`."""
    objects = {
        i: appended
        for i in diff(live, target).changed
        if (appended := target.objects[i].appended(live.objects[i])) != target.objects[i]
    }
    return replace(target, objects={**target.objects, **objects}, _cache={}) if objects else target


def reordered(wanted: Catalog, found: Catalog) -> tuple[ObjectId, ...]:
    """What is the same in both but for the order of its parts."""
    return tuple(
        i for i in diff(found, wanted).changed if wanted.objects[i].appended(found.objects[i]) == found.objects[i]
    )


def same_but_for_order(wanted: Catalog, found: Catalog) -> bool:
    """Whether nothing differs but the order of parts."""
    return by_appending(found, wanted).fingerprint == found.fingerprint
