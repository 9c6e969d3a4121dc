"""The rows of a campaign as Markdown."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tests.faults.campaign import Row
from tests.faults.kept import Group
from tests.faults.scenarios import scenario

_HEAD = ("engine", "scenario", "fault", "places", "tried", "at the start", "at the end", "stuck")
_ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

INTRODUCTION = """# Faults

What is left when a deployment, a rollback or a tag is hurt in the middle. One line is one kind of fault, tried at the
places of one scenario, each time on a fresh copy of the same database; errors and `kill -9` at every place, other faults
on PostgreSQL at every fifth. `make faults` makes this page.

After each fault the database is opened anew. In turns, `recover` is called or simply the same is done once more. Then
the schema (`sqlite_schema` and pragmas, `pg_dump --schema-only`) and all rows must be exactly those of the start or of
the end, the ledger must tell the same story, no lock, open session, invalid index or temporary thing may be left, and a
run without faults must reach the end within the 5 seconds it waits for the lock. What the hurt run said must be true:
success means the end, a failure with exit 1, 2, 3 or 130 means the start, before any recovering. Anything else counts
as stuck.

On PostgreSQL, where the server gave up every transaction that wrote anything since the copy was made, and no session
and no lock is left, that is the start; of such faults every seventh is looked at like the others.

- **call**: what deploying asks of its connection: begin, run a statement, write to the ledger, compare, commit, …
- **statement**: what goes to the database, as the driver sends it; reading the catalog counts as one.
- *error* is one of the server's own; *statement on its way* means that the server got it and the client is dead.
- *disk full* is a file that may grow by so many pages; *any moment* are moments spread over the run's time.
"""


def markdown(rows: Sequence[Row], missing: Sequence[Group], commit: str, postgres: str) -> str:
    """The page: introduction, sums, what wasn't tried, table."""
    points, stuck = sum(r.points for r in rows), sum(len(r.stuck) for r in rows)
    versions = f"SQLite {sqlite3.sqlite_version}" + (f" and PostgreSQL {postgres}" if postgres else "")
    summary = (
        f"{points:,} faults on {versions}, commit {commit}: {sum(r.at_start for r in rows):,} ended at the start,"
        f" {sum(r.at_end for r in rows):,} at the end, {stuck} stuck."
        f" {sum(r.seconds for r in rows) / 60:.0f} minutes of one process."
    )
    return "\n\n".join([INTRODUCTION.rstrip("\n"), summary, *_not_tried(missing), table(rows)])


def _not_tried(missing: Sequence[Group]) -> list[str]:
    if not missing:
        return []
    lines = [f"- {_ENGINES[g.engine]}, {scenario(g.scenario).title}: {g.how.title}" for g in missing]
    return ["Not tried in this run:", "\n".join(lines)]


def table(rows: Sequence[Row]) -> str:
    """Engine × scenario × fault."""
    lines = [_line(_HEAD), _line(["---", "---", "---", *["---:"] * 5])]
    for r in rows:
        numbers = (r.places, r.points, r.at_start, r.at_end, len(r.stuck))
        lines.append(_line([_ENGINES[r.engine], r.title, r.how.title, *map(str, numbers)]))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
