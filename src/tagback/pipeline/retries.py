"""How often each strategy was used: counted in the control database, so that a run that goes on doesn't count anew."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tagback.pipeline.control import Control
from tagback.pipeline.specification import Strategy


class Retries:
    """The counts of one run. A strategy counts for each step, group or stage that it makes run again."""

    def __init__(self, control: Control, run: str) -> None:
        self._control = control
        self._run = run
        self._turn = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}
        for (path, place), used in control.retries(run).items():
            self._counts.setdefault(path, {})[place] = used

    def use(self, path: str, place: str) -> int:
        """Counts one more use of the strategy there; how many they are then."""
        with self._turn:
            counts = self._counts.setdefault(path, {})
            counts[place] = counts.get(place, 0) + 1
            self._control.set_retries(self._run, path, counts)
            return counts[place]

    def used(self, path: str, place: str) -> int:
        """How many they are."""
        return self._counts.get(path, {}).get(place, 0)

    def forget(self, path: str) -> None:
        """What is there is to run again as if it never had."""
        with self._turn:
            if self._counts.pop(path, None):
                self._control.set_retries(self._run, path, {})


def place_of(strategy: Strategy, levels: Sequence[Sequence[Strategy]], path: str) -> str:
    """Where in the file a strategy stands that a step has, from the levels around the step: `stage/group#0`."""
    for depth, strategies in enumerate(reversed(levels)):
        for n, found in enumerate(strategies):
            if found is strategy:
                return f"{'/'.join(path.split('/')[:depth])}#{n}"
    raise LookupError(f"{path} has no such strategy")
