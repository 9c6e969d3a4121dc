"""The ledger read as a stack: which places one can return to, and what lies after them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tagback.errors import RefusedError, UsageError
from tagback.ledger.history import History, Point
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    AppliedChangeset,
    Author,
    Deployment,
    DeploymentId,
    DeploymentKind,
    Outcome,
    Reversibility,
    SnapshotId,
    Tag,
    TagState,
)


def deployment(number: int, before: int, after: int, *, granular: bool = False) -> Deployment:
    return Deployment(
        id=DeploymentId(number),
        kind=DeploymentKind.APPLY,
        outcome=Outcome.DONE,
        tag="",
        previous_tag="",
        started="",
        ended="",
        author=Author("", "", "", ""),
        epoch="",
        snapshot_before=SnapshotId(before),
        snapshot_after=SnapshotId(after),
        reversibility=Reversibility.FREE,
        reasons=(),
        granular=int(granular),
    )


def changeset(number: int, position: int, snapshot: int = 0, undone_by: int = 0) -> AppliedChangeset:
    return AppliedChangeset(
        deployment=DeploymentId(number),
        position=position,
        id=f"{number}_{position}",
        checksum="",
        snapshot=SnapshotId(snapshot),
        reversibility=Reversibility.FREE,
        reasons=(),
        undone_by=DeploymentId(undone_by),
    )


def tag(position: int, name: str, depth: int, snapshot: int, state: TagState = TagState.SET) -> Tag:
    return Tag(position, name, NO_DEPLOYMENT, depth, SnapshotId(snapshot), "", "", state)


# Deployment 1: two changesets in one. Deployment 2: two, granular. Deployment 3 was undone. Schemas are 10, 11, 12, 13.
HISTORY = History(
    deployments=(deployment(1, 10, 11), deployment(2, 11, 13, granular=True), deployment(3, 13, 14)),
    all_changesets=(
        changeset(1, 1),
        changeset(1, 2, 11),
        changeset(2, 1, 12),
        changeset(2, 2, 13),
        changeset(3, 1, 14, undone_by=4),
    ),
    all_tags=(
        tag(1, "start", 0, 10),
        tag(2, "r1", 2, 11),
        tag(3, "gone", 5, 14, TagState.RELEASED),
        tag(4, "r2", 4, 13),
    ),
    attested=SnapshotId(13),
)


def test_what_was_undone_is_not_in_effect() -> None:
    assert [c.id for c in HISTORY.changesets] == ["1_1", "1_2", "2_1", "2_2"]
    assert (HISTORY.depth, HISTORY.top, HISTORY.current_tag) == (4, 2, "r2")


@pytest.mark.parametrize(
    ("place", "depth", "snapshot"),
    [
        (HISTORY.at_tag("start"), 0, 10),
        (HISTORY.at_tag("r1"), 2, 11),
        (HISTORY.at_deployment(1), 2, 11),
        (HISTORY.at_deployment(2), 4, 13),
        (HISTORY.at_changeset("2_1"), 3, 12),
        (HISTORY.before_last(0), 4, 13),
        (HISTORY.before_last(1), 3, 12),
        (HISTORY.before_last(4), 0, 10),
    ],
)
def test_places_know_how_many_changesets_and_which_schema(place: Point, depth: int, snapshot: int) -> None:
    assert (place.depth, place.snapshot) == (depth, snapshot)


def test_inside_a_deployment_that_recorded_nothing_there_is_no_place() -> None:
    with pytest.raises(RefusedError) as caught:
        HISTORY.at_changeset("1_1")
    assert caught.value.code == "not_granular"
    assert "start" in caught.value.hint
    with pytest.raises(RefusedError):
        HISTORY.before_last(3)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda: HISTORY.at_tag("gone"), "unknown_tag"),
        (lambda: HISTORY.at_deployment(3), "unknown_deployment"),
        (lambda: HISTORY.at_changeset("3_1"), "unknown_changeset"),
        (lambda: HISTORY.before_last(5), "count"),
    ],
)
def test_a_place_that_is_not_there_is_an_error(ask: Callable[[], Point], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask()
    assert caught.value.code == code


def test_an_unknown_tag_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        HISTORY.at_tag("strat")
    assert "start" in caught.value.hint


def test_going_back_undoes_what_lies_after_and_releases_its_tags() -> None:
    assert [c.id for c in HISTORY.undone(2)] == ["2_1", "2_2"]
    assert [t.name for t in HISTORY.tags_after(2)] == ["r2"]


def test_without_changes_by_hand_there_are_no_gaps() -> None:
    for depth in (0, 2, 3, 4):
        assert HISTORY.gaps(HISTORY.before_last(4 - depth)) == ()


def test_a_change_by_hand_between_deployments_is_a_gap() -> None:
    drifted = History(
        (deployment(1, 10, 11), deployment(2, 21, 22)),
        (changeset(1, 1, 11), changeset(2, 1, 22)),
        (),
        SnapshotId(33),
    )
    assert drifted.gaps(drifted.before_last(1)) == ((11, 21), (22, 33))
    assert drifted.gaps(drifted.before_last(0)) == ()


def test_a_deployment_taken_back_in_part_ends_where_what_is_left_of_it_does() -> None:
    partly = History(
        (deployment(1, 10, 12, granular=True),),
        (changeset(1, 1, 11), changeset(1, 2, 12, undone_by=2)),
        (),
        SnapshotId(11),
    )
    assert partly.gaps(partly.before_last(1)) == ()


def test_an_empty_ledger_has_no_places() -> None:
    empty = History((), (), (), NO_SNAPSHOT)
    assert (empty.depth, empty.top, empty.current_tag, empty.previous_tag) == (0, NO_DEPLOYMENT, "", "")
    with pytest.raises(UsageError):
        empty.before_last(1)
