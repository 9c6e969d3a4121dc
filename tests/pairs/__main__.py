"""A long run: `python -m tests.pairs --pairs 1000 --seed 1`. Exit status 1 when a plan didn't lead where it should."""

from __future__ import annotations

import argparse
import sys

from tests.pairs.account import Account
from tests.pairs.trying import Trying
from tests.support.postgres import running_server
from tools import postgres_programs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pairs", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next one's is one more (1)")
    options = parser.parse_args()
    with running_server(postgres_programs.find()) as server:
        account = Account(Trying(server))
        for seed in range(options.seed, options.seed + options.pairs):
            sys.stdout.write(account.tried(seed))
            sys.stdout.flush()
    sys.stdout.write(account.told())
    return 1 if account.failures else 0


if __name__ == "__main__":
    sys.exit(main())
