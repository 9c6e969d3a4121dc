"""What a rollback says about changes made by hand."""

from __future__ import annotations

import pytest

from tagback.deploy.drift import told


@pytest.mark.parametrize(
    ("changesets", "kept", "dry_run", "said"),
    [
        (2, False, False, "2 changesets of 1 deployment are undone"),
        (2, True, True, "2 changesets of 1 deployment would be undone"),
        (0, False, False, "What was changed by hand is taken back, and no deployment undone"),
        (0, False, True, "What was changed by hand would be taken back, and no deployment undone"),
        (0, True, False, "What was changed by hand is kept, and no deployment undone"),
    ],
)  # fmt: skip
def test_a_rollback_that_undid_no_deployment_says_what_it_did(
    changesets: int, kept: bool, dry_run: bool, said: str
) -> None:
    place = "; the schema is that of tag r1" + (", but for what was kept." if kept else ".")
    assert told(changesets, min(changesets, 1), "tag r1", kept=kept, dry_run=dry_run) == said + place
