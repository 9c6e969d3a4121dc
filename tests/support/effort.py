"""How much work the slow suites do: a small share in `make test`, all of it in their own make targets.

The variables are set by the Makefile; a test asks for the `effort` fixture.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes of the slow suites. The defaults are the share that `make test` runs."""

    stateful_steps: int = 200
    """Steps of the random state machine, per engine."""

    fault_stride: int = 7
    """Inject a fault at every n-th place; 1 is every place."""

    cause_stride: int = 4
    """Try every n-th pair of a failure's cause and a pipeline's strategy; 1 is every pair."""

    pairs: int = 12
    """Random pairs of schemas, from each of which there must be a plan to the other."""

    corpora: Path | None = None
    """Folder of migration histories, PROJECT/ENGINE/NNNN_name/up.sql; without it the small ones that are shipped."""

    stateful_kept: Path | None = None
    """File that keeps how far the state machine came, so that a run that was ended goes on."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Effort:
        """Read TAGBACK_TEST_STEPS, …_KEPT, …_FAULT_STRIDE, …_CAUSE_STRIDE, …_PAIRS, …_CORPORA; unset or empty: the default."""
        folder = environment.get("TAGBACK_TEST_CORPORA", "")
        kept = environment.get("TAGBACK_TEST_KEPT", "")
        if folder and not Path(folder).is_dir():
            raise ValueError(f"TAGBACK_TEST_CORPORA={folder}: no such folder")
        return cls(
            _positive(environment, "TAGBACK_TEST_STEPS", cls().stateful_steps),
            _positive(environment, "TAGBACK_TEST_FAULT_STRIDE", cls().fault_stride),
            _positive(environment, "TAGBACK_TEST_CAUSE_STRIDE", cls().cause_stride),
            _positive(environment, "TAGBACK_TEST_PAIRS", cls().pairs),
            Path(folder) if folder else None,
            Path(kept) if kept else None,
        )


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{name}={text}: a whole number above 0 is needed")
    return int(text)
