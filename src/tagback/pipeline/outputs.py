"""What steps gave, by the names that expressions have for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tagback.pipeline.records import ENDED, StepRecord
from tagback.pipeline.tree import Node

_VALUES = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Values:
    """What a step's matrices give it: those around it, and its own."""

    around: Mapping[str, Any]
    own: Mapping[str, Any]

    def here(self, matrix: Mapping[str, Any]) -> tuple[bool, bool]:
        """Whether a place with these values has the same of those around, and of all."""
        around, own = (all(k in matrix and matrix[k] == v for k, v in part.items()) for part in (self.around, self.own))
        return around, around and own


_NONE = Values({}, {})


def full_name(path: str) -> str:
    """A step's name with the values of all matrices around it: `schema[eu]` of `stage/region[eu]/schema`."""
    values = ",".join(_VALUES.findall(path))
    name = path.rpartition("/")[2].partition("[")[0]
    return f"{name}[{values}]" if values else name


def values_of(nodes: Iterable[Node]) -> dict[str, Values]:
    """What matrices give to all steps below these nodes, by path."""
    found: dict[str, Values] = {}
    for node in nodes:
        own = {k: v for k, v in node.matrix.items() if k in node.step.matrix}
        found[node.path] = Values({k: v for k, v in node.matrix.items() if k not in own}, own)
        found |= values_of(node.children)
    return found


def seen_from(
    matrix: Mapping[str, Any], steps: Mapping[str, StepRecord], known: Mapping[str, Values]
) -> dict[str, dict[str, Any]]:
    """The steps as an expression at a place with these values of matrices knows them.

    Each has its full name. One that runs with the same values, as far as it has any, has its plain name, too: within
    `region[eu]`, `schema` is that of eu, and no other region's.
    """
    found: dict[str, dict[str, Any]] = {}
    for path, record in steps.items():
        outputs, name = told(record), path.rpartition("/")[2]
        found[full_name(path)] = outputs
        beside, same = known.get(path, _NONE).here(matrix)
        if beside:
            found[name] = outputs
        if same:
            found[name.partition("[")[0]] = outputs
    return found


def told(record: StepRecord) -> dict[str, Any]:
    """A step as expressions know it."""
    return {
        **record.outputs,
        "state": record.state.value,
        "ok": record.state in ENDED,
        "outputs": dict(record.outputs),
        "error": dict(record.error),
    }
