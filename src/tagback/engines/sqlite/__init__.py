"""SQLite 3.35 or newer, through the standard library."""

from __future__ import annotations

from tagback.engines.sqlite.session import connect

__all__ = ["connect"]
