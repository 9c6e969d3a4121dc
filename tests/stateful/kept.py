"""How far the random histories of one commit have come, kept in a file, so that a run that was ended can go on."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path


class Kept:
    """What came of each seed on one engine: those in the file, of this commit, and those that are added."""

    def __init__(self, path: Path | None, engine: str) -> None:
        self._path = path
        self._of = {"commit": _commit() if path is not None else "", "engine": engine}
        self.outcomes: Counter[str] = Counter()
        self.next_seed = 0
        for text in path.read_text().splitlines() if path is not None and path.exists() else ():
            line = json.loads(text)
            if self._of.items() <= line.items():
                self._count(line["seed"], line["outcomes"])

    def add(self, seed: int, outcomes: Counter[str]) -> None:
        """Keeps one, at once."""
        self._count(seed, outcomes)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps({**self._of, "seed": seed, "outcomes": outcomes}) + "\n")

    def _count(self, seed: int, outcomes: Counter[str]) -> None:
        self.outcomes.update(outcomes)
        self.next_seed = max(self.next_seed, seed + 1)


def _commit() -> str:
    """The commit that is tried, with a plus sign where files differ from it."""
    asked = ("git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*")
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
