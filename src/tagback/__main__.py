"""`python -m tagback` is the same program as `tagback`."""

from __future__ import annotations

import sys

from tagback.cli import main

if __name__ == "__main__":
    sys.exit(main())
