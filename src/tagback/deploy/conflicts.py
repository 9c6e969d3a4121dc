"""What legs of a way back found in conflict, as it is told."""

from __future__ import annotations

from collections.abc import Sequence

from tagback.catalog import ObjectId
from tagback.deploy.back import Leg
from tagback.deploy.results import Conflict
from tagback.engines.session import Disagreement


def told_of(
    way: Sequence[Leg], met: Sequence[Sequence[Disagreement]], *, restore: bool
) -> tuple[tuple[Conflict, ...], int]:
    """What legs met, by the names at the end of the way; what several met is one. And how often it was met in all."""
    found: dict[tuple[ObjectId, str, str], Conflict] = {}
    listed = 0
    for n, conflicts in enumerate(met, 1):
        for c in conflicts:
            table, column = _at_the_end(c, way[n:])
            stands = "restored" if restore or c.superseded else "later"
            found[table, c.key, column] = Conflict(table.path, c.key, column, stands)
            listed += 1
    return tuple(found.values()), listed


def _at_the_end(c: Disagreement, legs: Sequence[Leg]) -> tuple[ObjectId, str]:
    """The names of the table and the column after these legs."""
    table, column = c.table, ObjectId("column", (*c.table.name, c.column))
    for leg in legs:
        earlier = {r.after: r.before for r in leg.renamed}
        there = earlier.get(table, table)
        column = earlier.get(column, ObjectId("column", (*there.name, column.name[-1])))
        table = there
    return table, column.name[-1]
