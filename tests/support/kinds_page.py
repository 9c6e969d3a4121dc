"""The page that says, for each kind of PostgreSQL object, what is done with it and which test shows it.

The page is made by running every case of test_kinds.py: `make kinds-page`. The tests then hold it to its word: each case
has to do what the page says it does, and the page has to name every kind.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tagback.catalog import Action, Catalog, ObjectId, UnmanagedObject, diff
from tagback.engines.postgres.catalog import KINDS
from tagback.plan import Plan

PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"
DOINGS = ("created", "dropped", "altered", "rebuilt", "with dependents")
MANAGED = tuple(sorted(str(k.__struct_config__.tag) for k in KINDS if not issubclass(k, UnmanagedObject)))
"""The kinds by name, as definitions are tagged with them."""

Evidence = Mapping[tuple[str, str], str]
"""By kind and doing the name of the case that shows it."""

_HEAD = """# Kinds of objects on PostgreSQL

Made by `make kinds-page` from what the cases of
[test_kinds.py](../tests/unit/postgres/test_kinds.py) do; don't edit it by hand.

Each kind is `read` with its owner, privileges and comment: one test makes something of every kind, writes what it has
read into an empty database, and compares the dumps of both. The other cells name the case that shows the kind
`created`, `dropped`, `altered` in place, `rebuilt` (dropped and created again, where the server has no way to alter it),
and rebuilt or altered `with dependents`, which are taken down before and put back after. A dash: no case does it. Each
case goes there and back with `pg_dump` saying the same at both ends.

"""
_TAIL = """
## Not managed

These are seen and watched. A deployment that changes one counts as irreversible, and says which.

- **Base types** (`CREATE TYPE` with functions in C) and shell types: they and their functions need each other.
- **Subscriptions**: what they stand for, a slot on another server and the state of copying, can't be put back from here.
- **User mappings with a password**: passwords are never read, so such a mapping could not be made again.
- **Security labels**: their providers are modules of the server.
- **Tables that inherit beside foreign tables**, or whose computed columns stand before those they are computed from; and
  before 16 partitions that compute a column in another way than what they are partitions of.
- **Foreign keys whose own triggers are switched off** (`DISABLE TRIGGER ALL`), and partitions with two indexes alike, of
  which the server could attach the other one.
"""


def doings(live: Catalog, target: Catalog, planned: Plan) -> set[tuple[str, str]]:
    """What the plan does with which kinds."""
    difference = diff(live, target)
    down = {s.object for s in planned.steps if s.action is Action.DROP}
    up = {s.object for s in planned.steps if s.action is Action.CREATE}
    found: set[tuple[str, str]] = {(_kind(target, i), "created") for i in difference.added}
    found |= {(_kind(live, i), "dropped") for i in difference.removed}
    rebuilt = {i for i in difference.changed if i in down & up}
    found |= {(_kind(live, i), "altered") for i in difference.changed if i not in down}
    found |= {(_kind(live, i), "rebuilt") for i in rebuilt}
    differing = difference.names
    for i in up - differing:  # put back as it was, taken down before or gone along
        needed = {live.owner_of(n) for n in live.dependencies.get(i, ())} | {live.objects[i].part_of}
        found |= {(_kind(live, n), "with dependents") for n in needed if n in differing}
    return found


def _kind(catalog: Catalog, i: ObjectId | None) -> str:
    assert i is not None
    return str(catalog.objects[i].__struct_config__.tag)


def render(evidence: Evidence) -> str:
    """The page."""
    lines = [f"| kind | read | {' | '.join(DOINGS)} |", f"| --- | --- |{' --- |' * len(DOINGS)}"]
    for kind in MANAGED:
        cells = [evidence.get((kind, doing), "–") for doing in DOINGS]
        lines.append(f"| {kind} | yes | {' | '.join(cells)} |")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def parse(page: str) -> dict[tuple[str, str], str]:
    """What a page says."""
    found: dict[tuple[str, str], str] = {}
    for line in re.findall(r"^\| (?!kind|---)(.*) \|$", page, re.M):
        kind, _, *cells = (cell.strip() for cell in line.split("|"))
        found |= {(kind, doing): cell for doing, cell in zip(DOINGS, cells, strict=True) if cell != "–"}
    return found


def promised(case: str, evidence: Evidence) -> set[tuple[str, str]]:
    """What a case is said to show."""
    return {key for key, name in evidence.items() if name == case}


def gather(done: Iterable[tuple[str, set[tuple[str, str]]]]) -> dict[tuple[str, str], str]:
    """For each doing with each kind a case: the first that does it and is named for the kind, else the first."""
    found: dict[tuple[str, str], str] = {}
    for case, things in done:
        for key in things:
            if key not in found or (_named_for(key[0], case) and not _named_for(key[0], found[key])):
                found[key] = case
    return found


def _named_for(kind: str, case: str) -> bool:
    return kind.rsplit(maxsplit=1)[-1].rstrip("s")[:6] in case


def main() -> None:
    """Runs all cases on a server of its own and writes the page."""
    import psycopg

    from tests.support.postgres import running_server
    from tests.unit.postgres.test_kinds import CASES, plans_of
    from tools import postgres_programs

    done = []
    with running_server(postgres_programs.find()) as server:
        for case in CASES:
            with psycopg.connect(server.url(server.create_database()), autocommit=True) as connection:
                done.append((case, plans_of(connection, *CASES[case])))
            sys.stderr.write(f"{case}\n")
    PAGE.write_text(render(gather(done)))


if __name__ == "__main__":
    main()
