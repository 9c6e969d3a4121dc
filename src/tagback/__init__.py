"""tagback: automated rollback for database schemas."""

from __future__ import annotations

__version__ = "0.1.0"
