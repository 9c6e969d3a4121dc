"""The command line in a process that kills itself, as `kill -9` does, before the n-th statement that it would send."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from pymysql.connections import Connection

from tagback.cli.run import run


def main(at: int, arguments: list[str]) -> int:
    """Exit status of the command if it ends before that statement."""
    numbers = itertools.count(1)
    sent = Connection.query

    def query(connection: Any, *statement: Any, **named: Any) -> Any:
        if next(numbers) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return sent(connection, *statement, **named)

    Connection.query = query  # type: ignore[method-assign,assignment]
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
