"""The command line: a thin listener over the use-cases, one small module a command, loaded when it is called."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

OBJECTS_BETWEEN_COLLECTIONS = 100_000
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status; nothing is raised, whatever happens."""
    try:
        from tagback.cli.run import run
    except KeyboardInterrupt:  # while Python loads the program
        sys.stderr.write("error: Interrupted.\n  Nothing was touched.\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)

    if arguments is not None:
        return run(list(arguments))
    # This process is the command's alone, and what it makes it needs to its end: not worth looking through every 700 objects.
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    status = run(sys.argv[1:])
    gc.freeze()  # what is left goes with the process
    if status == INTERRUPTED:
        # A KeyboardInterrupt that came while a class was being made would have Python end by the signal, dealt with or not.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
