"""Changes made by hand: found as differences between recorded schemas that should be one, and kept or undone."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from tagback.catalog import Catalog, ObjectId, Rename, SchemaObject, diff, explain, same_but_for_order
from tagback.errors import FailedError, RefusedError, counted
from tagback.ledger.history import History
from tagback.ledger.records import SnapshotHead, SnapshotId
from tagback.ledger.store import Ledger

_NAMED_LIKE_TABLES = {"table", "virtual table", "foreign table", "view", "materialized view", "index", "sequence"}
_NAMED_LIKE_TABLES |= {"composite type", "domain", "enum", "range"}


class OnDrift(enum.StrEnum):
    """What a rollback does about changes made by hand."""

    REFUSE = "refuse"
    KEEP = "keep"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Gap:
    """Two schemas that should be one, and aren't."""

    left: Catalog
    found: Catalog


def describe(before: Catalog, after: Catalog, limit: int = 20) -> tuple[str, ...]:
    """The differences in words, one a line: `+ added`, `- removed`, `~ changed: what`."""
    difference = diff(before, after)
    lines = [f"+ {i}" for i in difference.added] + [f"- {i}" for i in difference.removed]
    for i in difference.changed:
        details = "; ".join(f"{c.field}: {c.before} -> {c.after}" for c in explain(before, after, i)[:3])
        lines.append(f"~ {i}: {details}")
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more"]
    return tuple(lines)


def refuse(gaps: Sequence[Gap]) -> RefusedError:
    """The error for drift that nobody has decided about."""
    lines = [line for gap in gaps for line in describe(gap.left, gap.found)]
    return RefusedError(
        "The schema was changed outside tagback since the place to return to:\n  " + "\n  ".join(lines),
        code="drift",
        hint="--on-drift keep leaves what was added by hand, --on-drift undo takes it back too. Nothing was touched.",
    )


def is_drift(
    ledger: Ledger,
    history: History,
    heads: Mapping[SnapshotId, SnapshotHead],
    left: SnapshotId,
    found: SnapshotId,
) -> bool:
    """Whether two recorded schemas that should be one aren't. Where a rollback was to append columns, order is no matter."""
    known = [heads[s] for s in (left, found) if s in heads]
    if len(known) == 2 and (
        len({h.fingerprint for h in known}) == 1 or len({ledger.fingerprint(h.id) for h in known}) == 1
    ):
        return False
    if found not in history.reordered:
        return True
    return not same_but_for_order(ledger.load_snapshot(left), ledger.load_snapshot(found))


def keep(
    target: Catalog, live: Catalog, gaps: Sequence[Gap], renamed: Sequence[Rename] = ()
) -> tuple[Catalog, tuple[str, ...]]:
    """The target with what was changed by hand put into it, and what that is in words. `renamed`: since the target.

    RefusedError where a change by hand and one by a deployment meet in the same object, or in one name.
    """
    objects = dict(target.objects)
    dependencies = dict(target.dependencies)
    kept: list[str] = []
    added: set[ObjectId] = set()
    for gap in gaps:
        for object_id in sorted(diff(gap.left, gap.found).names):
            was, now = gap.left.objects.get(object_id), live.objects.get(object_id)
            if was is None and now is not None:
                added.add(object_id)
            if now == target.objects.get(object_id):
                continue
            if target.objects.get(object_id) != was or now != gap.found.objects.get(object_id):
                raise RefusedError(
                    f"{object_id} was changed by hand and by a deployment; the two can't be told apart.",
                    code="drift",
                    hint="--on-drift undo takes both back. Nothing was touched.",
                )
            _put(objects, dependencies, live, object_id)
            kept.append(_kept(object_id, was is None, now is None))
    whole = replace(target, objects=objects, dependencies=dependencies, lineage={}, _cache={})
    _check_support(whole)
    _check_names(whole, live, added, renamed)
    return whole, tuple(kept)


def check_rows(recorded: Catalog, target: Catalog, tables: Iterable[ObjectId]) -> None:
    """RefusedError where rows of these tables come back and somebody took the table or a column away by hand.

    `recorded` is the schema to return to, `target` the same with what is kept of the changes by hand.
    """
    for table in sorted(set(tables) & recorded.objects.keys()):
        there = {_folded(p) for p in target.objects[table].parts} if table in target.objects else set()
        missing = sorted(p for p in recorded.objects[table].parts if _folded(p) not in there)
        if missing or table not in target.objects:
            raise RefusedError(
                f"{missing[0] if there else table} was removed or renamed by hand, and rows of {table} are to come back.",
                code="drift",
                hint="--on-drift undo brings it back with them. Nothing was touched.",
            )


def not_together(error: FailedError) -> RefusedError:
    """The error for what was changed by hand and stands in the way of what comes back."""
    return RefusedError(
        f"What was changed by hand can't be kept beside what comes back: {error.message}",
        code="drift",
        hint=f"{error.hint}\n--on-drift undo takes back what was changed by hand, too.",
    )


def told(
    changesets: int, deployments: int, place: str, *, kept: bool, dry_run: bool, reordered: Sequence[ObjectId] = ()
) -> str:
    """What a rollback says that it did: of no changesets at all there are changes by hand, taken back or kept."""
    is_, are = ("would be", "would be") if dry_run else ("is", "are")
    if changesets:
        done = f"{counted(changesets, 'changeset')} of {counted(deployments, 'deployment')} {are} undone"
    elif kept:
        done = f"What was changed by hand {is_} kept, and no deployment undone"
    else:
        done = f"What was changed by hand {is_} taken back, and no deployment undone"
    but = [*(["what was kept"] if kept else []), *([column_order(reordered)] if reordered else [])]
    return f"{done}; the schema is that of {place}{', but for ' + ' and '.join(but) if but else ''}."


def column_order(tables: Sequence[ObjectId], limit: int = 5) -> str:
    """`column order (table a, table b)`."""
    more = f" and {len(tables) - limit} more" if len(tables) > limit else ""
    return f"column order ({', '.join(str(t) for t in tables[:limit])}{more})"


def _put(
    objects: dict[ObjectId, SchemaObject],
    dependencies: dict[ObjectId, frozenset[ObjectId]],
    live: Catalog,
    name: ObjectId,
) -> None:
    if name in live.objects:
        objects[name] = live.objects[name]
        dependencies[name] = live.dependencies.get(name, frozenset())
    else:
        objects.pop(name, None)
        dependencies.pop(name, None)


def _kept(object_id: ObjectId, added: bool, removed: bool) -> str:
    return f"{object_id}, {'added' if added else 'removed' if removed else 'changed'} by hand"


def _check_names(whole: Catalog, live: Catalog, added: Set[ObjectId], renamed: Sequence[Rename]) -> None:
    """What was added by hand must not bear a name that something else returns to."""
    returning = {r.before: r.after for r in renamed if live.owner_of(r.after) is not None}
    names: dict[tuple[str, ...], list[ObjectId]] = {}
    for object_id in whole.objects:
        if object_id.kind in _NAMED_LIKE_TABLES:
            names.setdefault(object_id.name, []).append(object_id)
    for object_id in sorted(added & whole.objects.keys()):
        others = [i for i in names.get(object_id.name, ()) if i not in added]
        other = returning.get(object_id) or (others[0] if others else None)
        if other is not None:
            raise RefusedError(
                f"{object_id}, which was added by hand, has a name that {other} returns to.",
                code="drift",
                hint=f"Rename {object_id}, or use --on-drift undo. Nothing was touched.",
            )


def _folded(name: ObjectId) -> tuple[str, ...]:
    return tuple(part.casefold() for part in name.name)


def _check_support(catalog: Catalog) -> None:
    """What is kept must not stand on something that goes."""
    for object_id, needs in catalog.dependencies.items():
        for needed in needs:
            if catalog.owner_of(needed) is None:
                raise RefusedError(
                    f"{object_id}, which was added by hand, needs {needed}, which would go.",
                    code="drift",
                    hint=f"Drop {object_id} yourself, or use --on-drift undo. Nothing was touched.",
                )
