"""Shows how far the random histories came, whichever worker ran them."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Steps done on each engine, and what came of them."""
    for report in terminalreporter.getreports("passed"):
        for name, outcomes in report.user_properties:
            if name.startswith("stateful ") and isinstance(outcomes, dict):
                terminalreporter.write_line(f"{name}: {sum(outcomes.values())} steps")
                for outcome, times in sorted(outcomes.items(), key=lambda pair: -pair[1]):
                    terminalreporter.write_line(f"{times:8}  {outcome}")
