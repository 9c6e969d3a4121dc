"""What the expressions of a file name has to be there: they are read, and not evaluated, before anything runs."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tagback.pipeline.document import Path_, mistake
from tagback.pipeline.expressions import FUNCTIONS, bare, expressions_in
from tagback.pipeline.specification import Pipeline, Step

_CONSTANTS = {"true", "false", "null", "none"}
_ALWAYS = {"variables", "secrets", "env", "steps", "matrix", "targets", "run"}
_OF_RUN = {"id", "pipeline", "initiator", "state"}


def check_references(pipeline: Pipeline, file: Path) -> None:
    """UsageError, with its place, for the first expression that is none or names what the file hasn't."""
    steps = dict(_steps([s for stage in pipeline.stages for s in stage.steps]))
    known: dict[str, Mapping[str, Any]] = {
        "variables": pipeline.variables,
        "secrets": pipeline.secrets,
        "targets": pipeline.targets,
        "steps": steps,
        "run": dict.fromkeys(_OF_RUN),
    }
    for at, text, condition in _texts(msgspec.to_builtins(pipeline), ()):
        for expression in [text] if condition else expressions_in(text):
            _check(expression, known, at, file, any_name=at[-1] == "expect")
    for at, baseline in _baselines(pipeline):
        if baseline not in steps or steps[baseline].check is None:
            raise mistake(file, at, f"There is no check {baseline} whose values could be the baseline.")


def _steps(steps: Sequence[Step]) -> Iterator[tuple[str, Step]]:
    for step in steps:
        yield step.name, step
        yield from _steps(step.steps or ())


def _texts(content: Any, at: Path_) -> Iterator[tuple[Path_, str, bool]]:
    """All texts with their places; True for those that are expressions as a whole."""
    if isinstance(content, str):
        yield at, content, False
    elif isinstance(content, dict):
        for key, value in content.items():
            condition = isinstance(value, str) and (key == "when" or (key == "expect" and "query" in content))
            if condition:
                yield (*at, key), value, True
            else:
                yield from _texts(value, (*at, key))
    elif isinstance(content, list):
        for n, value in enumerate(content):
            yield from _texts(value, (*at, n))


def _check(expression: str, known: Mapping[str, Mapping[str, Any]], at: Path_, file: Path, *, any_name: bool) -> None:
    text = bare(expression, known)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as e:
        why = e.msg if isinstance(e, SyntaxError) else str(e)
        raise mistake(file, at, f"`{text}` is no expression: {why}.") from None
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
            raise mistake(
                file, at, f"`{ast.unparse(node)}` calls no function that expressions know.", _named(FUNCTIONS)
            )
        free = isinstance(node, ast.Name) and node not in called and not any_name
        if isinstance(node, ast.Name) and free and node.id not in _ALWAYS | _CONSTANTS | own:
            raise mistake(file, at, f"`{text}` names {node.id}, which expressions don't know.", _named(_ALWAYS))
        name = _part(node)
        if name is not None and name[0] in known and name[1] not in known[name[0]]:
            near = difflib.get_close_matches(name[1], known[name[0]], 1, 0.6)
            hint = f"Did you mean {near[0]}?" if near else _named(known[name[0]])
            raise mistake(file, at, f"`{text}` names {name[0]}.{name[1]}, which is not in the file.", hint)


def _part(node: ast.AST) -> tuple[str, str] | None:
    """`steps` and `schema` of `steps.schema` or `steps['schema']`; of a matrix's step the name before its values."""
    match node:
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return root, name
        case ast.Subscript(value=ast.Name(id=root), slice=ast.Constant(value=str(name))):
            return root, name.partition("[")[0] if root == "steps" else name
    return None


def _baselines(pipeline: Pipeline) -> Iterator[tuple[Path_, str]]:
    def below(steps: Sequence[Step], at: Path_) -> Iterator[tuple[Path_, str]]:
        for n, step in enumerate(steps):
            if step.check is not None and step.check.baseline is not None:
                yield (*at, n, "check", "baseline"), step.check.baseline
            yield from below(step.steps or (), (*at, n, "steps"))

    for n, stage in enumerate(pipeline.stages):
        yield from below(stage.steps, ("stages", n, "steps"))


def _named(known: Mapping[str, Any] | set[str]) -> str:
    return f"Known: {', '.join(sorted(known)) or 'none'}."
