"""Snapshots are kept as differences, and come out of the ledger as they went in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagback.catalog import Catalog, ObjectId
from tagback.engines import connect
from tagback.engines.session import Session
from tagback.engines.sqlite.objects import View, table_id
from tagback.errors import UsageError
from tagback.ledger.records import SnapshotId
from tagback.ledger.store import Ledger


@pytest.fixture
def session(sqlite_url: str) -> Iterator[Session]:
    opened = connect(sqlite_url, create=True)
    opened.begin()
    yield opened
    opened.rollback()
    opened.close()


def ledger_in(session: Session) -> Ledger:
    ledger = Ledger(session)
    ledger.create()
    return ledger


def catalog(views: dict[str, tuple[str, frozenset[str]]]) -> Catalog:
    """Views by name: the text, and the tables that are needed."""
    objects = {name: View(id=ObjectId("view", (name,)), sql=text) for name, (text, _) in views.items()}
    return Catalog(
        engine="sqlite",
        major="3",
        objects={v.id: v for v in objects.values()},
        dependencies={objects[n].id: frozenset(map(table_id, on)) for n, (_, on) in views.items() if on},
    )


definitions = st.tuples(st.sampled_from(("a", "b", "c;'\"é")), st.frozensets(st.sampled_from("tu"), max_size=2))
schemas = st.dictionaries(st.sampled_from(("v", "w", "Ü x")), definitions)


@given(st.lists(st.tuples(schemas, st.integers(0, 9)), min_size=1, max_size=8))
def test_every_snapshot_comes_back_as_it_was_saved(
    history: list[tuple[dict[str, tuple[str, frozenset[str]]], int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = connect(f"sqlite:///{Path(folder) / 'ledger.db'}", create=True)
        try:
            session.begin()
            ledger = ledger_in(session)
            saved: list[tuple[SnapshotId, Catalog]] = []
            for views, parent in history:
                found = catalog(views)
                start = saved[parent % len(saved)] if saved and parent else None
                saved.append((ledger.save_snapshot(found, start), found))
            for snapshot, was in saved:
                loaded = ledger.load_snapshot(snapshot)
                assert loaded.objects == was.objects
                assert loaded.dependencies == was.dependencies
                assert loaded.fingerprint == was.fingerprint
        finally:
            session.rollback()
            session.close()


def test_an_object_that_comes_back_as_it_once_was_is_there(session: Session) -> None:
    ledger = ledger_in(session)
    there, changed = catalog({"v": ("a", frozenset())}), catalog({"v": ("b", frozenset())})
    first = ledger.save_snapshot(there)
    second = ledger.save_snapshot(changed, (first, there))
    third = ledger.save_snapshot(catalog({}), (second, changed))
    fourth = ledger.save_snapshot(there, (third, catalog({})))
    assert [len(ledger.load_snapshot(s).objects) for s in (first, second, third, fourth)] == [1, 1, 0, 1]
    assert ledger.load_snapshot(fourth).objects == there.objects


def test_a_definition_is_kept_once_however_often_it_is_recorded(session: Session) -> None:
    ledger = ledger_in(session)
    for _ in range(5):
        ledger.save_snapshot(catalog({"v": ("a", frozenset()), "w": ("a", frozenset())}))
    assert session.execute("SELECT count(*) FROM {object}") == [(2,)]


def test_a_snapshot_equal_to_its_parent_is_its_parent(session: Session) -> None:
    ledger = ledger_in(session)
    found = catalog({"v": ("a", frozenset())})
    first = ledger.save_snapshot(found)
    assert ledger.save_snapshot(catalog({"v": ("a", frozenset())}), (first, found)) == first


def test_a_damaged_snapshot_is_an_error_and_not_a_schema(session: Session) -> None:
    ledger = ledger_in(session)
    snapshot = ledger.save_snapshot(catalog({"v": ("a", frozenset())}))
    session.execute("UPDATE {object} SET definition = replace(definition, '\"a\"', '\"b\"')")
    with pytest.raises(UsageError) as caught:
        ledger.load_snapshot(snapshot)
    assert caught.value.code == "ledger_damaged"


def test_an_unknown_snapshot_is_not_found(session: Session) -> None:
    with pytest.raises(LookupError):
        ledger_in(session).load_snapshot(SnapshotId(7))


def test_a_newer_ledger_is_refused(session: Session) -> None:
    ledger_in(session)
    session.execute("UPDATE {meta} SET value = '999' WHERE name = 'version'")
    with pytest.raises(UsageError) as caught:
        Ledger(session)
    assert caught.value.code == "ledger_newer"
