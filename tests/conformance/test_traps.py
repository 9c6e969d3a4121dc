# ruff: noqa: E501 - a table: a line for each trap
"""Traps into which rollbacks fall, each with the application's writes before the way back.

After it schema and rows are those of a twin that saw the application's writes and never the deployment, told by the
oracle. Traps that concern data, and their tests, here or elsewhere:

| trap | test |
| --- | --- |
| enum ADD VALUE, NOT NULL with backfill, text to int, narrowing, widening | test_trap, by these words |
| dropped column then new rows, dropped table then another, ON DELETE CASCADE, duplicate rows without a key | test_trap |
| values of every kind, generated and identity columns, foreign-key cycles, dropped UNIQUE, partitions | test_trap |
| serial whose sequence comes back under another name, DO block with EXECUTE, names, whitespace in a body | test_trap |
| views on views, materialised views, triggers firing during a restore | test_trap |
| an unmanaged object (hot fix) | test_an_unmanaged_object_a_hot_fix_is_present_and_stays |
| out-of-order changesets | test_out_of_order_changesets_are_told_and_go_back_in_the_order_they_came |
| the shelf's table renamed | test_the_shelf_s_table_is_renamed_or_dropped_by_hand |
| a changeset that deletes tagback's own tables | tests/unit/postgres/test_shelf_protected.py::test_a_changeset_that_takes_from_the_shelf_fails |
| rollback of a rollback | tests/conformance/test_later_writes.py::test_rolling_back_a_rollback_over_and_over_is_quiet |
| tag reused | tests/cli/test_contract.py::test_apply_refuses_a_tag_that_is_set_before_anything_happens |
| tag missing | tests/cli/test_bad_input.py::test_an_unknown_tag_is_told_with_the_nearest_names |
| changelog files gone at rollback time | tests/cli/test_contract.py::test_going_back_needs_no_changelog |
| "0 undone" reported as success | tests/cli/test_contract.py::test_rollback_with_nothing_to_undo_says_so |
| disk full | tests/faults/test_share.py::test_an_error_anywhere_ends_at_the_start_or_the_end |
| lock timeout | tests/writers/test_moments.py::test_lock_timeout_under_a_long_transaction_leaves_everything_and_lets_others_pass |
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest

import tagback
from tagback.errors import RefusedError
from tests.conformance import mariadb_trap_cases
from tests.conformance.conftest import Look
from tests.conformance.trap_cases import CASES, Trap
from tests.support import client
from tests.support.oracle import State, differences, row_differences

ON_EACH = [
    pytest.param(case, engine, id=f"{case.name}-{engine}")
    for case in (*CASES, *mariadb_trap_cases.CASES)
    for engine in case.engines
]


@pytest.mark.parametrize(("case", "target_url"), ON_EACH, indirect=["target_url"])
def test_trap(case: Trap, target_url: str, twin: str, look: Look, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_change.sql").write_text(case.change)
    for url in (target_url, twin):
        _run(url, case.setup)
    with tagback.open(target_url) as target:
        target.tag("before")
        assert target.apply(changelog, tagback.ApplyOptions(tag="after")).reversibility != "irreversible"
    _run(target_url, case.write)
    _run(twin, case.wanted)
    if case.refused:
        written = look(target_url)
        with tagback.open(target_url) as target, pytest.raises(RefusedError) as refused:
            target.rollback(tagback.RollbackOptions(to="before"))
        assert refused.value.code == case.refused
        assert differences(written, look(target_url)) == []
        _run(target_url, case.correct)
    at_end = look(target_url)
    with tagback.open(target_url) as target:
        done = target.rollback(tagback.RollbackOptions(to="before"))
        assert done.verified
        assert {(c.table.removeprefix("public."), c.key, c.column) for c in done.conflicts} == case.conflicts
        assert differences(look(twin), look(target_url)) == []
        assert target.verify("before").equal
        target.apply(changelog, tagback.ApplyOptions(tag="after"))
        again = look(target_url)
        assert differences(State(at_end.schema, {}), State(again.schema, {})) == []
        assert not case.again or row_differences(at_end.rows, again.rows) == []
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
    assert differences(look(twin), look(target_url)) == []


def _run(url: str, script: str) -> None:
    """A script, without tagback."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    if url.startswith("mariadb"):
        client.write(url, script)
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(script.encode())


# ---------------------------------------------------------------------- traps that are no change of schema or rows

SHOP = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20);"
DROP = "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 0 WHERE id = 1"


both = pytest.mark.parametrize("target_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def changelog(target_url: str, tmp_path: Path) -> Path:
    """The shop is there, tagged `before`; one changeset is pending."""
    folder = tmp_path / "changelog"
    folder.mkdir()
    (folder / "005_drop.sql").write_text(DROP)
    _run(target_url, SHOP)
    with tagback.open(target_url) as target:
        target.tag("before")
    return folder


@both
def test_an_unmanaged_object_a_hot_fix_is_present_and_stays(
    target_url: str, changelog: Path, look: Look, twin: str
) -> None:
    _run(target_url, "CREATE TABLE early (id INTEGER); INSERT INTO early VALUES (1)")
    with tagback.open(target_url) as target:
        target.apply(changelog)
    _run(target_url, "CREATE INDEX hot ON t (b); CREATE TABLE fix (id INTEGER PRIMARY KEY); INSERT INTO fix VALUES (7)")
    with tagback.open(target_url) as target:
        with pytest.raises(RefusedError) as refused:
            target.rollback(tagback.RollbackOptions(to="before"))
        assert refused.value.code == "drift"
        assert target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP)).kept_drift
    _run(twin, SHOP + "CREATE TABLE early (id INTEGER); INSERT INTO early VALUES (1);")
    _run(twin, "CREATE INDEX hot ON t (b); CREATE TABLE fix (id INTEGER PRIMARY KEY); INSERT INTO fix VALUES (7)")
    assert differences(look(twin), look(target_url)) == []


@both
def test_out_of_order_changesets_are_told_and_go_back_in_the_order_they_came(
    target_url: str, changelog: Path, look: Look
) -> None:
    start = look(target_url)
    with tagback.open(target_url) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="five"))
        five = look(target_url)
        (changelog / "003_late.sql").write_text("UPDATE t SET b = 33; ALTER TABLE t ADD COLUMN c TEXT")
        late = target.apply(changelog, tagback.ApplyOptions(tag="three"))
        assert any("Out of order: 003_late" in note for note in late.notes)
        assert target.rollback(tagback.RollbackOptions(count=1)).changesets == ("003_late",)
        assert differences(five, look(target_url)) == []
        target.apply(changelog)
        assert target.rollback(tagback.RollbackOptions(to="before")).changesets == ("003_late", "005_drop")
    assert differences(start, look(target_url)) == []


@both
@pytest.mark.parametrize("what", ["renamed", "dropped"])
def test_the_shelf_s_table_is_renamed_or_dropped_by_hand(
    target_url: str, changelog: Path, look: Look, what: str
) -> None:
    with tagback.open(target_url) as target:
        target.apply(changelog)
        (kept,) = target.shelf()
    place = f"tagback_{kept.place}" if target_url.startswith("sqlite") else f"tagback.{kept.place}"
    _run(target_url, f"ALTER TABLE {place} RENAME TO elsewhere" if what == "renamed" else f"DROP TABLE {place}")
    schema = look(target_url).schema
    with tagback.open(target_url) as target:
        with pytest.raises(tagback.TagbackError) as failed:
            target.rollback(tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP))
        assert failed.value.code == "shelf_missing"
        assert kept.place in failed.value.message
        assert schema == look(target_url).schema
    if what == "dropped":
        return
    own = place.rpartition(".")[2]
    _run(target_url, f"ALTER TABLE {'tagback.' if '.' in place else ''}elsewhere RENAME TO {own}")
    with tagback.open(target_url) as target:
        assert target.rollback(tagback.RollbackOptions(to="before")).verified


def test_every_trap_s_test_is_there() -> None:
    assert __doc__
    named = re.findall(r"\| (?:(tests/[a-z_/]+\.py)::)?(test_\w+)", __doc__)
    assert len(named) > 10
    for file, test in named:
        text = (Path(__file__).parents[2] / file if file else Path(__file__)).read_text()
        assert f"def {test}(" in text
