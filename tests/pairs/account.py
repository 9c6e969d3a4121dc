"""What came of many pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.pairs.trying import Trying


@dataclass
class Account:
    """Tries one pair after the other and counts. Of failures that are alike only the first is shrunk and told in full."""

    trying: Trying
    tried_pairs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    blocked: int = 0

    def tried(self, seed: int) -> str:
        """What there is to say of the pair of this seed; nothing if all went well."""
        pair, outcome = self.trying.drawn(seed)
        self.tried_pairs += 1
        self.kinds.update(outcome.kinds)
        self.blocked += bool(outcome.blocked)
        lines = [f"seed {seed}, no plan: {reason}\n" for reason in dict.fromkeys(outcome.blocked)]
        if outcome.failed:
            self.failures[outcome.failed] += 1
            if self.failures[outcome.failed] > 1:
                lines.append(f"seed {seed}, again: {outcome.failed}\n")
            else:
                small = self.trying.shrunk(pair, outcome.failed)
                told = "\n".join(self.trying.outcome(small).details)
                lines.append(f"\n== seed {seed}, {outcome.failed}\n{small.told()}\n-- so:\n{told}\n\n")
        return "".join(lines)

    def told(self) -> str:
        """How many there were, in how many of them each kind of object differed, and the failures."""
        lines = [f"{self.tried_pairs} pairs: {sum(self.failures.values())} failed, {self.blocked} without a plan"]
        lines += [f"{times:8}  {kind}" for kind, times in self.kinds.most_common()]
        lines += [f"{times:8}  FAILED {failed}" for failed, times in self.failures.most_common()]
        return "\n".join(lines) + "\n"
