"""What a file chains is read with it: the files are there, are right themselves, and none leads back to where it began."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagback.pipeline.document import Path_, mistake, read, text_of
from tagback.pipeline.specification import Chained, Pipeline, Step
from tagback.pipeline.tree import grow


def check_chain(pipeline: Pipeline, file: Path, above: Sequence[Path] = ()) -> dict[str, str]:
    """The text of what the file chains, however far down, by the names of the steps that do: `service/database`.

    UsageError, with its place, for the first mistake in it.
    """
    here = [*above, file]
    texts: dict[str, str] = {}
    for at, name, spec in _chained(pipeline):
        place = (*at, "pipeline", "file")
        if "${{" in spec.file:
            raise mistake(
                file, place, "The file of a chained pipeline is a plain path: it is read before anything runs."
            )
        path = file.parent / spec.file
        if not path.is_file():
            raise mistake(file, place, f"There is no pipeline file {path}.")
        if any(os.path.samefile(path, known) for known in here):
            told = " -> ".join(str(p) for p in (*here, path))
            raise mistake(file, place, f"These pipelines chain each other in a circle: {told}.")
        texts[name] = text_of(path)
        found = read(path, texts[name])
        grow(found, path)
        _check_variables(spec, found, file, (*at, "pipeline", "variables"))
        texts |= {f"{name}/{below}": text for below, text in check_chain(found, path, here).items()}
    return texts


def _check_variables(spec: Chained, found: Pipeline, file: Path, at: Path_) -> None:
    for name, value in spec.variables.items():
        if name not in found.variables:
            known = ", ".join(found.variables) or "none"
            raise mistake(file, (*at, name), f"{spec.file} has no variable {name}.", f"Its variables: {known}.")
        if isinstance(value, str) and "secrets" in value:
            hint = "Variables are kept with the run, secrets never are: name the secret in the chained file, too."
            raise mistake(file, (*at, name), f"The variable {name} would keep a secret.", hint)


def _chained(pipeline: Pipeline) -> Iterator[tuple[Path_, str, Chained]]:
    def below(steps: Sequence[Step], at: Path_) -> Iterator[tuple[Path_, str, Chained]]:
        for n, step in enumerate(steps):
            if step.pipeline is not None:
                yield (*at, n), step.name, step.pipeline
            yield from below(step.steps or (), (*at, n, "steps"))

    for n, stage in enumerate(pipeline.stages):
        yield from below(stage.steps, ("stages", n, "steps"))
