"""Tries a pair: from each schema to the other by a plan, compared by the catalog and by the oracle."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from tagback.catalog import Catalog, Step, diff, explain, knowing, renames
from tagback.deploy.back import names_back
from tagback.engines.postgres.session import PostgresSession
from tagback.engines.session import StatementError
from tagback.engines.url import parse
from tagback.plan import plan
from tests.pairs.pair import Outcome, Pair, accepts, drawn
from tests.support.oracle import postgres_state, schema_differences
from tests.support.postgres import PostgresServer

_MOST_TRIES = 150  # of a shrinking
_GRANT = re.compile(r"(GRANT|REVOKE) ")
_QUOTED = re.compile(r'"(?:[^"]|"")*"|\'[^\']*\'|\d+')
_PLAIN = re.compile(r"[a-z…:,()]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A schema as tagback reads it, and as the oracle tells it."""

    catalog: Catalog
    dump: Mapping[str, str]


class WrongError(Exception):
    """A plan did not lead where it should."""

    def __init__(self, what: str, details: Sequence[str], steps: Sequence[Step]) -> None:
        super().__init__(f"{what}: {_shape(details[0])}")
        self.details = (*details, "steps:", *(f"    {s.sql}" for s in steps))


class Trying:
    """Tries pairs on one server, with a database for each."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def drawn(self, seed: int) -> tuple[Pair, Outcome]:
        """The pair that comes of a seed, and what comes of it."""
        with self._place() as place:
            firsts: list[Seen] = []
            pair = drawn(seed, place.connection, lambda: firsts.append(place.seen()))
            return pair, place.gone(pair, firsts[0], place.seen())

    def outcome(self, pair: Pair) -> Outcome:
        """What comes of a pair. Statements that the server refuses are skipped: what they need may have been left out."""
        with self._place() as place:
            skipped = [sql for sql in pair.making if not accepts(place.connection, sql)]
            first = place.seen()
            skipped += [sql for sql in pair.changing if not accepts(place.connection, sql)]
            return replace(place.gone(pair, first, place.seen()), skipped=tuple(skipped))

    def shrunk(self, pair: Pair, failed: str) -> Pair:
        """The same failure with as few statements as are found by leaving out several, and then one at a time."""
        left, size = _MOST_TRIES, 8
        while size and left:
            smaller = False
            for start in range(len(pair) - 1, -1, -size):
                tried = pair.without(start, size)
                left -= 1
                if left and self.outcome(tried).failed == failed:
                    pair, smaller = tried, True
            size = size if smaller and size == 1 else size // 2
        return pair

    @contextlib.contextmanager
    def _place(self) -> Iterator[Place]:
        name = self._server.create_database()
        try:
            with self._server.connect(name) as connection:
                session = PostgresSession.open(parse(self._server.url(name)))
                try:
                    yield Place(self._server, name, connection, session)
                finally:
                    session.close()
        finally:
            self._server.drop_database(name)


@dataclass(frozen=True, slots=True)
class Place:
    """A database of its own, and two connections to it: the statements', and tagback's."""

    server: PostgresServer
    name: str
    connection: psycopg.Connection[Any]
    session: PostgresSession

    def seen(self) -> Seen:
        return Seen(self.session.read_catalog(), self._dump())

    def gone(self, pair: Pair, first: Seen, second: Seen) -> Outcome:
        """Goes from the second schema back to the first, forth, and back again; what the dump tells is compared, too.

        Back by names alone, as after a change by hand, and with what is known to be renamed, as after a deployment.
        """
        outcome = Outcome(frozenset(i.kind for i in diff(first.catalog, second.catalog).names))
        ways = [("back", first, False), ("forth", second, False), ("back, renamed", first, True)]
        live = second.catalog
        for number, (way, goal, knows) in enumerate(reversed(ways) if pair.renamed_first else ways):
            try:
                blocked, live = self._go(live, goal.catalog, second.catalog if knows else None)
                outcome = replace(outcome, blocked=outcome.blocked + blocked)
                if blocked and goal is second:
                    break
                lines = [] if blocked or number == 2 else schema_differences(goal.dump, self._dump())
                if lines:
                    raise WrongError("dump", lines, ())
            except WrongError as wrong:
                return replace(outcome, failed=f"{way}: {wrong}", details=wrong.details)
        return outcome

    def _dump(self) -> dict[str, str]:
        schema = postgres_state(self.server, self.name, self.connection).schema
        return {name: _grants_in_order(text) for name, text in schema.items()}

    def _go(self, live: Catalog, goal: Catalog, origin: Catalog | None) -> tuple[tuple[str, ...], Catalog]:
        """Brings the database there as a rollback does, from `origin` if that is given: what is in the way, and where it is."""
        steps: list[Step] = []
        there = live
        self.session.begin()
        try:
            if origin is not None:
                renamed = renames(goal, origin)
                live = knowing(live, renamed)
                _, steps = names_back(self.session, live, goal, renamed)
                _run(self.session, steps)
                live = knowing(self.session.read_catalog(), renamed) if steps else live
            planned = plan(live, goal)
            if planned.blocked:
                if any(" in a circle" in reason for reason in planned.blocked):
                    raise WrongError("blocked", planned.blocked, steps)
                return planned.blocked, there
            steps = [*steps, *planned.steps]
            _run(self.session, planned.steps)
            found = self.session.read_catalog()
            lines = _differences(goal, found)
            if lines:
                raise WrongError("catalog", lines, steps)
            self.session.commit()
        except StatementError as error:
            raise WrongError("refused", (error.message, str(error.statement)), steps) from error
        finally:
            self.session.rollback()
        return (), found


def _run(session: PostgresSession, steps: Sequence[Step]) -> None:
    session.run_steps(steps, lambda step, seconds: None)


def _differences(wanted: Catalog, found: Catalog) -> list[str]:
    """A line for each object that isn't as wanted; if there is none, for each that needs others than it should."""
    difference = diff(wanted, found)
    lines = [*(f"left behind: {i}" for i in difference.added), *(f"missing: {i}" for i in difference.removed)]
    for i in difference.changed:
        lines += [f"{i}: {c.field}: wanted {c.before}, found {c.after}" for c in explain(wanted, found, i)]
    if lines:
        return lines
    for i in sorted({*wanted.dependencies, *found.dependencies}):
        before, after = (c.dependencies.get(i, frozenset()) for c in (wanted, found))
        if before != after and i.kind != "constraint":  # of two keys that are alike a foreign key may take either
            lines.append(f"{i} needs: wanted {sorted(before - after)}, found {sorted(after - before)}")
    return lines


def _grants_in_order(text: str) -> str:
    """The order of grants to one object is the order they were given in."""
    lines: list[str] = []
    for is_grant, run in itertools.groupby(text.splitlines(), lambda line: bool(_GRANT.match(line))):
        lines += sorted(run, key=lambda line: line if is_grant else "")
    return "\n".join(lines)


def _shape(message: str) -> str:
    """A message without the names in it."""
    words = _QUOTED.sub("…", message.partition("\n")[0]).split()
    told = [word if _PLAIN.fullmatch(word) else "…" for word in words]
    return " ".join(word for word, _ in itertools.groupby(told))[:110]
