"""The verdict on the way back of what has just run and isn't committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tagback.catalog import SUBORDINATE, Action, Catalog, Loss, LossKind, ObjectId, Rename, UnmanagedObject, diff
from tagback.engines.session import KeptRows, Unkept
from tagback.errors import counted
from tagback.ledger.records import Reversibility
from tagback.plan import Plan

_ORDER = list(Reversibility)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the way back stands, with the reasons in words."""

    reversibility: Reversibility
    reasons: tuple[str, ...]


FREE = Verdict(Reversibility.FREE, ())


def is_worse(one: Reversibility, other: Reversibility) -> bool:
    """Whether one verdict is worse than the other."""
    return _ORDER.index(one) > _ORDER.index(other)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """All of them as one: for what can't be taken back, only the reasons of that."""
    every = list(verdicts)
    if not every:
        return FREE
    found = max((v.reversibility for v in every), key=_ORDER.index)
    said = [v for v in every if v.reversibility is found or found is not Reversibility.IRREVERSIBLE]
    return Verdict(found, tuple(dict.fromkeys(reason for v in said for reason in v.reasons)))


def judge(
    before: Catalog,
    after: Catalog,
    kept: Sequence[KeptRows],
    unkept: Sequence[Unkept],
    unwanted: Sequence[ObjectId],
    back: Plan | None,
    renamed: Sequence[Rename],
    ways: Mapping[ObjectId, Mapping[str, str]],
) -> Verdict:
    """From what was observed.

    `unwanted` are tables whose rows were not to be kept; `back` is the plan of the way back, None where renames keep it
    from being known yet; `ways` are the expressions that give columns again, by table.
    """
    final = [
        f"{counted(u.rows, 'row')} of {u.object} were changed or removed, and rows of its kind can't be kept"
        for u in unkept
    ]
    final += [f"what was done to rows of {table} is not kept, by wish" for table in unwanted]
    for object_id in sorted(diff(before, after).names):
        if isinstance(before.objects.get(object_id) or after.objects.get(object_id), UnmanagedObject):
            final.append(f"{object_id} was changed, and objects of this kind are not managed yet")
    if back is not None and not final:
        final += back.blocked
    if final:
        return Verdict(Reversibility.IRREVERSIBLE, tuple(final))
    conditions = [_narrowed(loss) for loss in back.losses if loss.kind is LossKind.VALUES] if back is not None else []
    names = _Names(renamed)
    if back is not None:
        made = sorted({step.object for step in back.steps if step.action is Action.CREATE} & before.objects.keys())
        conditions += [f"while {i} may be filled anew by its query" for i in made if before.objects[i].filled_anew]
    conditions += [_limited(i) for i in _limits(before, after, names)]
    conditions += _requirements(before, after, names, ways)
    conditions += [text for k in kept for text in _superseding(k, after, names, ways.get(k.table, {}))]
    if conditions:
        return Verdict(Reversibility.CONDITIONAL, tuple(conditions))
    return Verdict(Reversibility.CAPTURED, ()) if any(k.rows for k in kept) else FREE


def _narrowed(loss: Loss) -> str:
    return f"while {loss.type_after} can hold every value of column {loss.column} of {loss.table}"


class _Names:
    """Which name an object of before has after."""

    def __init__(self, renamed: Sequence[Rename]) -> None:
        self._after = {r.before: r.after for r in renamed}
        self._tables = {r.before.name: r.after.name for r in renamed if r.before.kind == "table"}

    def __getitem__(self, i: ObjectId) -> ObjectId:
        if i not in self._after and i.kind in SUBORDINATE and i.name[:-1] in self._tables:
            return ObjectId(i.kind, (*self._tables[i.name[:-1]], i.name[-1]))
        return self._after.get(i, i)

    def of_column(self, table: ObjectId, column: str) -> str:
        """What the column is called after."""
        return self[ObjectId("column", (*table.name, column))].name[-1]


def _limits(before: Catalog, after: Catalog, names: _Names) -> list[ObjectId]:
    """What comes back and allows fewer rows than are allowed now. What is only renamed is not among it."""
    found = []
    for i in sorted(diff(before, after).names):
        was, now = before.objects.get(i), after.objects.get(names[i])
        if was is None or (now is not None and names[i] != i) or not was.limits_beyond(now):
            continue
        there = was.part_of is None or after.owner_of(names[was.part_of]) is not None
        if there or was.limits_others(after):
            found.append(i)
    return found


def _limited(i: ObjectId) -> str:
    return f"while all rows satisfy {i}"


def _requirements(
    before: Catalog, after: Catalog, names: _Names, ways: Mapping[ObjectId, Mapping[str, str]]
) -> list[str]:
    """Columns that must have a value again, while rows can now do without."""
    found = []
    for i in sorted(diff(before, after).names & before.objects.keys()):
        was, now = before.objects[i], after.objects.get(names[i])
        if now is None:
            continue
        there, still = {p.name[-1] for p in now.parts}, now.required(after)
        for column, fills in was.required(before).items():
            today = names.of_column(i, column)
            if today in there and today not in still:
                found.append(f"while column {today} of {now.id} is NULL nowhere")
            elif today not in there and not fills and column not in ways.get(i, {}):
                found.append(
                    f"while no rows are added to {now.id}: column {column} must have a value and has no default"
                )
    return found


def _superseding(kept: KeptRows, after: Catalog, names: _Names, ways: Mapping[str, str]) -> list[str]:
    """New columns beside some that are gone may be what became of them."""
    table = after.objects.get(names[kept.table])
    if not kept.added or kept.whole or not kept.changed or table is None:
        return []
    there = {p.name[-1] for p in table.parts}
    gone = [name for name in kept.names if names.of_column(kept.table, name) not in there and name not in ways]
    if not gone:
        return []
    return [
        f"while nobody writes to {', '.join(kept.added)} of {table.id}: what is written there may be a later value of"
        f" {', '.join(gone)}, and counts as a conflict"
    ]
