"""The ledger read as a stack: which changesets are in effect, and which places one can return to."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property

from tagback.errors import RefusedError, UsageError, counted
from tagback.ledger.records import (
    NO_DEPLOYMENT,
    NO_SNAPSHOT,
    AppliedChangeset,
    Deployment,
    DeploymentId,
    DeploymentKind,
    Outcome,
    SnapshotId,
    Tag,
    TagState,
)
from tagback.ledger.store import Ledger, active


@dataclass(frozen=True, slots=True)
class Point:
    """A place to return to: so many changesets in effect, and the schema recorded there. `name` is for people."""

    depth: int
    snapshot: SnapshotId
    name: str


@dataclass(frozen=True)
class History:
    """Everything the ledger says about deployments and tags, read once."""

    deployments: tuple[Deployment, ...]
    all_changesets: tuple[AppliedChangeset, ...]
    all_tags: tuple[Tag, ...]
    attested: SnapshotId

    @cached_property
    def changesets(self) -> tuple[AppliedChangeset, ...]:
        """Those in effect, in the order they were deployed."""
        return active(self.all_changesets)

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """Those that stand."""
        return tuple(t for t in self.all_tags if t.state is TagState.SET)

    @cached_property
    def by_id(self) -> dict[DeploymentId, Deployment]:
        """Deployments by their id."""
        return {d.id: d for d in self.deployments}

    @property
    def depth(self) -> int:
        """How many changesets are in effect."""
        return len(self.changesets)

    @property
    def top(self) -> DeploymentId:
        """The deployment that brought the last changeset in effect; NO_DEPLOYMENT if there is none."""
        return self.changesets[-1].deployment if self.changesets else NO_DEPLOYMENT

    @property
    def interrupted(self) -> tuple[Deployment, ...]:
        """Deployments that began and didn't end."""
        return tuple(d for d in self.deployments if d.outcome is Outcome.RUNNING)

    @property
    def current_tag(self) -> str:
        """The newest tag of the present place; empty if it has none."""
        here = [t for t in self.tags if t.depth == self.depth]
        return here[-1].name if here else ""

    @property
    def previous_tag(self) -> str:
        """The newest tag that stands, wherever it is; empty if there is none."""
        return max(self.tags, key=lambda t: (t.depth, t.position)).name if self.tags else ""

    def tag(self, name: str) -> Tag:
        """The tag; UsageError with the nearest names if it isn't set."""
        for t in self.tags:
            if t.name == name:
                return t
        names = [t.name for t in self.tags]
        near = difflib.get_close_matches(name, names, 3, 0.5)
        known = ", ".join(near or names[-5:])
        raise UsageError(
            f"There is no tag {name!r}.",
            code="unknown_tag",
            hint=(
                f"Did you mean {known}?" if near else f"Tags that are set: {known}." if known else "No tag is set yet."
            ),
        )

    @property
    def reordered(self) -> frozenset[SnapshotId]:
        """Schemas that rollbacks left with columns in another order than the recorded one, by wish."""
        return frozenset(d.snapshot_after for d in self.deployments if d.kind is DeploymentKind.ROLLBACK and d.reasons)

    # ------------------------------------------------------------------ places

    def at_tag(self, name: str) -> Point:
        """The place that a tag names."""
        t = self.tag(name)
        return Point(t.depth, t.snapshot, f"tag {name}")

    def at_deployment(self, deployment: int) -> Point:
        """The place right after a deployment."""
        positions = [n for n, c in enumerate(self.changesets) if c.deployment == deployment]
        if not positions:
            known = ", ".join(str(d) for d in dict.fromkeys(c.deployment for c in self.changesets)) or "none"
            raise UsageError(
                f"Deployment {deployment} is not in effect.",
                code="unknown_deployment",
                hint=f"Deployments in effect: {known}. `tagback history` lists all.",
            )
        return self._at_depth(positions[-1] + 1, f"the end of deployment {deployment}")

    def at_changeset(self, changeset: str) -> Point:
        """The place right after a changeset."""
        positions = [n for n, c in enumerate(self.changesets) if c.id == changeset]
        if not positions:
            names = [c.id for c in self.changesets]
            near = difflib.get_close_matches(changeset, names, 3, 0.5)
            raise UsageError(
                f"Changeset {changeset!r} is not in effect.",
                code="unknown_changeset",
                hint=f"Did you mean {', '.join(near)}?" if near else "`tagback status` lists those that are.",
            )
        return self._at_depth(positions[-1] + 1, f"the end of changeset {changeset}")

    def before_last(self, count: int) -> Point:
        """The place before the last `count` changesets."""
        if count > self.depth:
            raise UsageError(
                f"There are not {count} changesets in effect, only {self.depth}.",
                code="count",
                hint="Give a smaller --count, or a tag with --to.",
            )
        return self._at_depth(self.depth - count, f"{counted(count, 'changeset')} back")

    def _at_depth(self, depth: int, name: str) -> Point:
        snapshot = self._snapshot_at(depth)
        if snapshot == NO_SNAPSHOT:
            raise self._inside(depth, name)
        return Point(depth, snapshot, name)

    def _snapshot_at(self, depth: int) -> SnapshotId:
        """The schema recorded when so many changesets were in effect; NO_SNAPSHOT if none was."""
        if depth == self.depth:
            return self.attested
        if depth and self.changesets[depth - 1].snapshot != NO_SNAPSHOT:
            return self.changesets[depth - 1].snapshot
        following = self.changesets[depth]
        if depth and self.changesets[depth - 1].deployment == following.deployment:
            return NO_SNAPSHOT
        return self.by_id[following.deployment].snapshot_before

    def _inside(self, depth: int, name: str) -> RefusedError:
        deployment = self.changesets[depth].deployment
        first = min(n for n, c in enumerate(self.changesets) if c.deployment == deployment)
        near = [t.name for t in self.tags if t.depth <= first] or [t.name for t in self.tags]
        nearest = (
            f"the nearest tag before it is {near[-1]}: `tagback rollback --to {near[-1]}`" if near else "no tag is near"
        )
        return RefusedError(
            f"{name[0].upper()}{name[1:]} is inside deployment {deployment}, which did not record the places in between.",
            code="not_granular",
            hint=f"Nothing was touched; {nearest}. Deployments made with `apply --granular` can be returned into.",
        )

    # ------------------------------------------------------------------ what lies after a place

    def undone(self, depth: int) -> tuple[AppliedChangeset, ...]:
        """The changesets that returning there takes back."""
        return self.changesets[depth:]

    def tags_after(self, depth: int) -> tuple[Tag, ...]:
        """Tags that returning there releases."""
        return tuple(t for t in self.tags if t.depth > depth)

    def gaps(self, point: Point) -> tuple[tuple[SnapshotId, SnapshotId], ...]:
        """Pairs of recorded schemas between that place and now which should be one: changes made by hand in between."""
        pairs = []
        ends = {c.deployment: c.snapshot for c in self.changesets}  # of what is left of each
        at = point.snapshot
        for deployment in dict.fromkeys(c.deployment for c in self.undone(point.depth)):
            d = self.by_id[deployment]
            inside = point.depth and self.changesets[point.depth - 1].deployment == deployment
            pairs.append((at, at if inside else d.snapshot_before))
            at = ends[deployment] if ends[deployment] != NO_SNAPSHOT else d.snapshot_after
        pairs.append((at, self.attested))
        return tuple(p for p in pairs if p[0] != p[1])


def read_history(ledger: Ledger) -> History:
    """Reads deployments, changesets and tags."""
    return History(
        deployments=ledger.deployments(),
        all_changesets=ledger.changesets(),
        all_tags=ledger.tags(),
        attested=ledger.attested(),
    )
