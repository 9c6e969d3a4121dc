"""What a campaign has done so far, kept in a file, so that a run that was ended can go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from tests.faults.campaign import Row
from tests.faults.injection import How


class Group(NamedTuple):
    """One kind of fault in one scenario on one engine, at every `stride`-th place."""

    engine: str
    scenario: str
    how: How
    stride: int


class Kept:
    """Rows by group: those in the file, of this commit, and those that are added. No file, no keeping."""

    def __init__(self, path: Path | None, commit: str) -> None:
        self._path = path
        self._commit = commit
        self.rows: dict[Group, Row] = {}
        if path is not None and path.exists():
            for text in path.read_text().splitlines():
                line = json.loads(text)
                if line["commit"] == commit:
                    how = How[line["how"]]
                    row = Row(**{**line["row"], "how": how})
                    self.rows[Group(row.engine, row.scenario, how, line["stride"])] = row

    def add(self, group: Group, row: Row) -> None:
        """Keeps one, at once."""
        self.rows[group] = row
        if self._path is not None:
            told: dict[str, object] = {"commit": self._commit, "stride": group.stride, "how": group.how.name}
            told["row"] = {name: value for name, value in asdict(row).items() if name != "how"}
            with self._path.open("a") as file:
                file.write(json.dumps(told) + "\n")
