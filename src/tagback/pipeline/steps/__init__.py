"""The kinds of steps, each a function that does the work and gives the step's outputs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from tagback.pipeline.context import Context
from tagback.pipeline.specification import Step

_HOMES = {
    "apply": "deploying",
    "rollback": "deploying",
    "preview": "looking",
    "verify": "looking",
    "tag": "looking",
    "rehearse": "looking",
    "check": "checking",
    "run": "outside",
    "http": "outside",
    "notify": "outside",
    "approve": "waiting",
    "wait": "waiting",
    "pipeline": "chaining",
}


def perform(kind: str, step: Step, context: Context) -> dict[str, Any]:
    """Does what the step says; its outputs. TagbackError when it fails."""
    module = importlib.import_module(f"tagback.pipeline.steps.{_HOMES[kind]}")
    action: Callable[[Any, Context], dict[str, Any]] = getattr(module, kind)
    return action(getattr(step, kind), context)
