"""What is read can be made: a schema written from its catalog into an empty one is the same, object by object."""

from __future__ import annotations

from tagback.catalog import UnmanagedObject
from tagback.engines.mariadb.reader import decode
from tests.unit.mariadb.conftest import Schema
from tests.unit.mariadb.rich import RICH


def test_a_rich_schema_is_made_again_from_its_catalog_alone(schema: Schema, other: Schema) -> None:
    empty = other.catalog()
    schema.run(RICH)
    found = schema.catalog()
    assert not found.unmanaged
    other.go_to(found)
    assert other.dump() == schema.dump()
    other.go_to(empty)
    assert other.catalog().fingerprint == empty.fingerprint


def test_every_object_is_the_same_after_it_was_kept_as_text(schema: Schema) -> None:
    schema.run(RICH)
    for found in schema.catalog().objects.values():
        assert decode(found.canonical()) == found
        assert not isinstance(found, UnmanagedObject)
