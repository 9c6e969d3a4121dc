"""The steps of a pipeline with their places in it: names that are unique, matrices written out, needs in order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagback.engines.url import parse
from tagback.errors import UsageError
from tagback.pipeline.document import Path_, mistake
from tagback.pipeline.references import check_references
from tagback.pipeline.specification import Pipeline, Stage, Step, Strategy

_WRITABLE = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, slots=True)
class Node:
    """A step or a group. `path` names it in the run: `stage/group/step`, with the matrix's values behind it.

    `levels` are the strategies for its failures from the inside out.
    """

    path: str
    step: Step
    matrix: Mapping[str, Any]
    levels: tuple[Sequence[Strategy], ...]
    children: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        """As expressions and `needs` have it."""
        return self.step.name


@dataclass(frozen=True, slots=True)
class Branch:
    """A stage with its nodes."""

    stage: Stage
    nodes: tuple[Node, ...]
    needs: tuple[str, ...] = field(default=())


def grow(pipeline: Pipeline, file: Path) -> tuple[Branch, ...]:
    """The stages in the order in which they run. UsageError for names that are there twice and needs that aren't met."""
    _check_names(pipeline, file)
    _check_targets(pipeline, file)
    check_references(pipeline, file)
    branches = []
    for n, stage in enumerate(pipeline.stages):
        needs = tuple(stage.needs) if stage.needs is not None else (pipeline.stages[n - 1].name,) if n else ()
        levels = (stage.on_failure, pipeline.on_failure)
        nodes = tuple(node for step in stage.steps for node in _nodes(step, stage.name, {}, levels))
        branches.append(Branch(stage, nodes, needs))
    return _in_order(branches, file)


def _nodes(step: Step, above: str, matrix: Mapping[str, Any], levels: tuple[Sequence[Strategy], ...]) -> list[Node]:
    found = []
    for values in itertools.product(*step.matrix.values()):
        mine = dict(zip(step.matrix, values, strict=True))
        suffix = f"[{','.join(str(v) for v in values)}]" if mine else ""
        path = f"{above}/{step.name}{suffix}"
        within = {**matrix, **mine}
        own = (step.on_failure, *levels)
        children = tuple(node for child in step.steps or () for node in _nodes(child, path, within, own))
        found.append(Node(path, step, within, own, children))
    return found


def _check_targets(pipeline: Pipeline, file: Path) -> None:
    for name, target in pipeline.targets.items():
        if "${{" not in target.url:
            try:
                parse(target.url)
            except UsageError as e:
                raise mistake(file, ("targets", name, "url"), e.message, e.hint) from None


def _check_names(pipeline: Pipeline, file: Path) -> None:
    seen: dict[str, Path_] = {}
    stages: set[str] = set()
    for n, stage in enumerate(pipeline.stages):
        if stage.name in stages:
            raise mistake(file, ("stages", n, "name"), f"There are two stages {stage.name}.")
        stages.add(stage.name)
        _check_steps(stage.steps, ("stages", n, "steps"), seen, pipeline, file)


def _check_steps(steps: Sequence[Step], at: Path_, seen: dict[str, Path_], pipeline: Pipeline, file: Path) -> None:
    names = [s.name for s in steps]
    for n, step in enumerate(steps):
        place = (*at, n)
        if step.name in seen:
            raise mistake(
                file, (*place, "name"), f"There are two steps {step.name}.", "Names are unique in a pipeline."
            )
        seen[step.name] = place
        for key, values in step.matrix.items():
            shown = [str(v) for v in values]
            if not values or len(set(shown)) < len(shown) or any(not _WRITABLE.fullmatch(v) for v in shown):
                raise mistake(
                    file,
                    (*place, "matrix", key),
                    f"The values of {key} can't stand in names, or not side by side.",
                    "At least one, each once, of letters, digits and . _ - +",
                )
        for m, needed in enumerate(step.needs):
            if needed not in names or needed == step.name:
                raise mistake(file, (*place, "needs", m), f"{needed} is no step beside {step.name}.")
        target = _target(step)
        if target is not None and "${{" not in target and target not in pipeline.targets:
            known = ", ".join(pipeline.targets) or "none"
            raise mistake(file, (*place, step.kind), f"There is no target {target}.", f"The file's targets: {known}.")
        if step.steps is not None:
            _check_steps(step.steps, (*place, "steps"), seen, pipeline, file)
    free = {s.name for s in steps if not s.needs}
    while more := {s.name for s in steps if s.name not in free and set(s.needs) <= free}:
        free |= more
    if free < set(names):
        circle = ", ".join(n for n in names if n not in free)
        raise mistake(file, at, f"These steps need each other in a circle: {circle}.")


def _target(step: Step) -> str | None:
    part = getattr(step, step.kind)
    if step.preview is not None:
        part = step.preview.apply or step.preview.rollback
    if step.check is not None:
        part = step.check.sql
    return getattr(part, "target", None)


def _in_order(branches: Sequence[Branch], file: Path) -> tuple[Branch, ...]:
    names = {b.stage.name for b in branches}
    for n, b in enumerate(branches):
        for m, needed in enumerate(b.needs):
            if needed not in names:
                raise mistake(file, ("stages", n, "needs", m), f"There is no stage {needed}.")
    ordered: list[Branch] = []
    left = list(branches)
    while left:
        done = {b.stage.name for b in ordered}
        free = [b for b in left if set(b.needs) <= done]
        if not free:
            told = ", ".join(b.stage.name for b in left)
            raise mistake(file, ("stages",), f"These stages need each other in a circle: {told}.")
        ordered.append(free[0])
        left.remove(free[0])
    return tuple(ordered)
