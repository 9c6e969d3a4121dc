"""From a difference to ordered steps. Pure: no session, no clock, no environment."""

from __future__ import annotations

from tagback.plan.result import Plan
from tagback.plan.route import plan

__all__ = ["Plan", "plan"]
