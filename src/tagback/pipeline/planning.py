"""What a run would do, without doing it: every step in order, and of deployments the SQL and the verdict."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.target import Target
from tagback.deploy.verdict import is_worse
from tagback.errors import TagbackError
from tagback.ledger.records import Reversibility
from tagback.pipeline.document import read
from tagback.pipeline.expressions import filled_in
from tagback.pipeline.specification import Chained, Pipeline
from tagback.pipeline.tree import Branch, Node, grow

_MOST = 20  # statements that are shown of a deployment


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of the plan. `details` are what is known of it: SQL, verdict, conditions."""

    path: str
    name: str
    kind: str
    what: str
    depth: int
    details: tuple[str, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"path": self.path, "kind": self.kind, "what": self.what, "details": list(self.details)}


def planned(pipeline: Pipeline, branches: Sequence[Branch], variables: Mapping[str, Any]) -> list[PlannedStep]:
    """All steps as they stand, each apply tried and undone. Outputs of steps aren't known yet, and stay as they are written."""
    from tagback.pipeline.secrets import Secrets

    secrets = Secrets(pipeline.secrets)
    names = {"variables": {**pipeline.variables, **variables}, "secrets": secrets, "env": dict(os.environ)}
    found: list[PlannedStep] = []
    for branch in branches:
        when = f"when {branch.stage.when}" if branch.stage.when else ""
        found.append(PlannedStep(branch.stage.name, branch.stage.name, "stage", when, 0, ()))
        for node in branch.nodes:
            _add(node, pipeline, names, 1, found)
    return [
        PlannedStep(s.path, s.name, s.kind, secrets.blotted(s.what), s.depth, tuple(map(secrets.blotted, s.details)))
        for s in found
    ]


def _add(node: Node, pipeline: Pipeline, names: dict[str, Any], depth: int, found: list[PlannedStep]) -> None:
    step = node.step
    conditions = [f"when {step.when}"] if step.when else []
    conditions += [f"on {', '.join(s.errors) or 'any failure'}: {s.do}" for s in step.on_failure]
    if step.steps is not None:
        what = f"{step.parallel} at once" if step.parallel > 1 else "in order"
        found.append(PlannedStep(node.path, node.path.rpartition("/")[2], "group", what, depth, tuple(conditions)))
        for child in node.children:
            _add(child, pipeline, names, depth + 1, found)
        return
    part = getattr(step, step.kind)
    if step.pipeline is not None:
        found.append(
            PlannedStep(node.path, node.path.rpartition("/")[2], step.kind, part.file, depth, tuple(conditions))
        )
        found.extend(_chained(step.pipeline, node.path, depth))
        return
    try:
        part = filled_in(part, {**names, "matrix": dict(node.matrix)})
        details = [*conditions, *(_tried(part, pipeline, names) if step.apply is not None else [])]
    except TagbackError as e:
        details = [*conditions, f"not known before it runs: {e.message}"]
    what = ", ".join(
        f"{k}: {v}" for k, v in msgspec.to_builtins(part).items() if isinstance(v, (str, int)) and v not in ("", False)
    )
    found.append(PlannedStep(node.path, node.path.rpartition("/")[2], step.kind, what, depth, tuple(details)))


def _chained(spec: Chained, path: str, depth: int) -> Iterator[PlannedStep]:
    """What it would do, in its own folder. Variables that only the run knows are those of its file."""
    file = Path(spec.file)
    pipeline = read(file)
    given = {k: v for k, v in spec.variables.items() if "${{" not in str(v)}
    with contextlib.chdir(file.parent):
        steps = planned(pipeline, grow(pipeline, Path(file.name)), given)
    for s in steps:
        yield PlannedStep(f"{path}/{s.path}", s.name, s.kind, s.what, depth + 1 + s.depth, s.details)


def _tried(spec: Any, pipeline: Pipeline, names: dict[str, Any]) -> list[str]:
    from tagback.pipeline.expressions import filled

    url = str(filled(pipeline.targets[spec.target].url, names))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(unquote(url.removeprefix("sqlite:///").partition("?")[0]))
        if url.startswith("sqlite:///") and not path.exists():  # an empty one elsewhere: nothing is made by looking
            url = f"sqlite:///{quote(folder)}/{quote(path.name)}"
        with Target.open(url, create=True) as target:
            done = target.apply(
                spec.changelog,
                ApplyOptions(tag=spec.tag, to=spec.to, granular=spec.granular, dry_run=True),
            )
    steps = done.plan or ()
    limit = pipeline.targets[spec.target].at_worst
    refused = limit is not None and is_worse(done.reversibility, Reversibility(limit))
    may = "would" if done.verdicts else "may"  # those that aren't tried are conditional until then
    told = [f"it {may} be refused: at {spec.target} the way back has to be {limit}"] if refused else []
    told += [f"{len(done.changesets)} pending, way back: {done.reversibility.value}", *done.reasons]
    told += [" ".join(s.sql.split())[:120] for s in steps[:_MOST]]
    return told + ([f"… and {len(steps) - _MOST} more statements"] if len(steps) > _MOST else [])
