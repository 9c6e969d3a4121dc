"""The command line: a thin listener over the use-cases, one small module a command, loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status; nothing is raised, whatever happens."""
    from tagback.cli.run import run

    return run(list(sys.argv[1:] if arguments is None else arguments))
