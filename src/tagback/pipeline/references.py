"""What the expressions of a file name has to be there: they are read, and not evaluated, before anything runs."""

from __future__ import annotations

import ast
import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    placed = {p.step.name: p for p in _all_steps(pipeline)}
    steps = {name: p.step for name, p in placed.items()}
    known: dict[str, Mapping[str, Any]] = {
        "variables": pipeline.variables,
        "secrets": pipeline.secrets,
        "targets": pipeline.targets,
        "steps": steps,
        "run": dict.fromkeys(_OF_RUN),
    }
    for at, text, condition in _texts(msgspec.to_builtins(pipeline), ()):
        if text.count("${{") > len(expressions_in(text)):
            raise mistake(file, at, "`${{` has no `}}` behind it.")
        for expression in [text] if condition else expressions_in(text):
            tree = _check(expression, known, at, file, any_name=at[-1] == "expect")
            for name in (_part(node) for node in ast.walk(tree)):
                if name is not None and name[0] == "steps" and at[0] == "stages":
                    _check_matrix(name[1], at, placed, file)
    for p in placed.values():
        baseline = p.step.check.baseline if p.step.check is not None else None
        if baseline is not None:
            at = (*p.at, "check", "baseline")
            of = steps.get(baseline.partition("[")[0])
            if of is None or of.check is None:
                raise mistake(file, at, f"There is no check {baseline} whose values could be the baseline.")
            _check_matrix(baseline, at, placed, file)


@dataclass(frozen=True, slots=True)
class _Around:
    """A matrix's key with its values, and the place of the step that has it."""

    at: Path_
    key: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step, where it stands, and the matrices that make it many, from the outside in."""

    at: Path_
    step: Step
    around: tuple[_Around, ...]

    @property
    def names(self) -> set[str]:
        """With the values of all matrices, or of its own alone."""
        own = [a.values for a in self.around if a.at == self.at]
        tables = [[a.values for a in self.around], own]
        return {f"{self.step.name}[{','.join(map(str, v))}]" for table in tables for v in itertools.product(*table)}


def _all_steps(pipeline: Pipeline) -> Iterator[_Placed]:
    def below(steps: Sequence[Step], at: Path_, outer: tuple[_Around, ...]) -> Iterator[_Placed]:
        for n, step in enumerate(steps):
            around = (*outer, *(_Around((*at, n), key, values) for key, values in step.matrix.items()))
            yield _Placed((*at, n), step, around)
            yield from below(step.steps or (), (*at, n, "steps"), around)

    for n, stage in enumerate(pipeline.stages):
        yield from below(stage.steps, ("stages", n, "steps"), ())


def _check_matrix(name: str, at: Path_, placed: Mapping[str, _Placed], file: Path) -> None:
    """A step that a matrix makes many has its plain name only where the same values are."""
    found = placed[name.partition("[")[0]]
    here = {a.key for p in placed.values() for a in p.around if at[: len(a.at)] == a.at}
    missing = [a.key for a in found.around if a.key not in here]
    if (missing and "[" not in name) or ("[" in name and name not in found.names):
        keys = " and ".join(dict.fromkeys(a.key for a in found.around))
        told = f"There is no step {name} here" if "[" in name else f"There are several steps {name} here"
        possible = [f"steps['{n}']" for n in sorted(found.names)] if found.around else [f"steps.{found.step.name}"]
        raise mistake(
            file,
            at,
            f"{told}{f': there is one for each {keys}' if keys else ''}.",
            f"Possible: {', '.join(possible[:6])}{', …' if len(possible) > 6 else ''}.",
        )


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


def _check(
    expression: str, known: Mapping[str, Mapping[str, Any]], at: Path_, file: Path, *, any_name: bool
) -> ast.Expression:
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
        if name is not None and name[0] in known and _of_file(*name) not in known[name[0]]:
            near = difflib.get_close_matches(name[1], known[name[0]], 1, 0.6)
            hint = f"Did you mean {near[0]}?" if near else _named(known[name[0]])
            raise mistake(file, at, f"`{text}` names {name[0]}.{name[1]}, which is not in the file.", hint)
    return tree


def _part(node: ast.AST) -> tuple[str, str] | None:
    """`steps` and `schema` of `steps.schema` or `steps['schema']`."""
    match node:
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return root, name
        case ast.Subscript(value=ast.Name(id=root), slice=ast.Constant(value=str(name))):
            return root, name
    return None


def _of_file(root: str, name: str) -> str:
    """As the file has it: of a matrix's step the name before its values."""
    return name.partition("[")[0] if root == "steps" else name


def _named(known: Mapping[str, Any] | set[str]) -> str:
    return f"Known: {', '.join(sorted(known)) or 'none'}."
