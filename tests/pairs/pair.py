"""One pair: the statements that make two schemas, drawn from a seed; and what came of the plans between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg

from tests.pairs.changing import CHANGING, MAKING, Maker
from tests.pairs.draw import NAMES, Draw, LackingError
from tests.pairs.sight import look


@dataclass(frozen=True, slots=True)
class Pair:
    """Statements that make the first schema, and those that make the second of it.

    `renamed_first`: of the two ways back the one that knows of renames is gone first, and looked at by the oracle.
    """

    making: tuple[str, ...]
    changing: tuple[str, ...]
    renamed_first: bool = False

    def told(self) -> str:
        """The statements as a script."""
        return "\n".join((*(f"{s};" for s in self.making), "-- change", *(f"{s};" for s in self.changing)))

    def without(self, start: int, count: int) -> Pair:
        """The same but for some statements, counted from the first of both parts on."""
        end, n = start + count, len(self.making)
        return Pair(
            self.making[:start] + self.making[end:],
            self.changing[: max(start - n, 0)] + self.changing[max(end - n, 0) :],
            self.renamed_first,
        )

    def __len__(self) -> int:
        return len(self.making) + len(self.changing)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a pair.

    `failed` names the first thing that went wrong, the same for failures that are alike; `details` tell it. `blocked`: why
    there is no plan one way or the other. `kinds` differ between the two schemas. `skipped` were refused by the server.
    """

    kinds: frozenset[str]
    failed: str = ""
    details: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def drawn(seed: int, connection: psycopg.Connection[Any], made: Callable[[], None]) -> Pair:
    """The pair that comes of a seed, run in an empty database; `made` is called when the first schema is there."""
    random = Random(seed)
    names = random.sample(NAMES, random.randint(4, 9))
    making = _accepted(random, names, connection, random.randint(6, 34), (MAKING,))
    made()
    changing = _accepted(random, names, connection, random.randint(1, 12), (CHANGING, CHANGING, MAKING))
    return Pair(tuple(making), tuple(changing), renamed_first=seed % 2 == 1)


def accepts(connection: psycopg.Connection[Any], sql: str) -> bool:
    """Runs the statement, if the server does."""
    try:
        connection.execute(sql.encode())
    except psycopg.Error:
        if connection.closed:
            raise
        return False
    return True


def _accepted(
    random: Random,
    names: Sequence[str],
    connection: psycopg.Connection[Any],
    count: int,
    kinds: Sequence[Sequence[tuple[int, Maker]]],
) -> list[str]:
    """So many statements, or fewer after many that were refused."""
    done: list[str] = []
    draw = Draw(random, names, look(connection))
    for _ in range(4 * count):
        if len(done) == count:
            break
        weighted = random.choice(kinds)
        (maker,) = random.choices([m for _, m in weighted], [w for w, _ in weighted])
        try:
            sql = maker(draw)
        except LackingError:
            continue
        if accepts(connection, sql):
            done.append(sql)
            draw = Draw(random, names, look(connection))
    return done
