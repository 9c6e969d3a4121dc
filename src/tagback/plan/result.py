"""What a plan is."""

from __future__ import annotations

from dataclasses import dataclass

from tagback.catalog import Loss, Step


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order they are to run. `blocked` says in words what no plan can do; then the steps must not run."""

    steps: tuple[Step, ...]
    blocked: tuple[str, ...] = ()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Everything that the steps would destroy if there is any, each named once."""
        return tuple(dict.fromkeys(loss for step in self.steps for loss in step.destroys))
