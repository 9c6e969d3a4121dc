"""What a schema is. Pure: no session, no clock, no environment."""

from __future__ import annotations

from tagback.catalog.appending import by_appending, reordered, same_but_for_order
from tagback.catalog.diff import Diff, FieldChange, diff, explain
from tagback.catalog.lineage import LABEL, SUBORDINATE, Rename, follow, is_gone, knowing, name_today, renames
from tagback.catalog.model import Catalog, Fingerprint, ObjectId, SchemaObject, UnmanagedObject, nothing
from tagback.catalog.step import Action, Alteration, Carry, Correction, Loss, LossKind, Restoration, Step

__all__ = [
    "LABEL",
    "SUBORDINATE",
    "Action",
    "Alteration",
    "Carry",
    "Catalog",
    "Correction",
    "Diff",
    "FieldChange",
    "Fingerprint",
    "Loss",
    "LossKind",
    "ObjectId",
    "Rename",
    "Restoration",
    "SchemaObject",
    "Step",
    "UnmanagedObject",
    "by_appending",
    "diff",
    "explain",
    "follow",
    "is_gone",
    "knowing",
    "name_today",
    "nothing",
    "renames",
    "reordered",
    "same_but_for_order",
]
