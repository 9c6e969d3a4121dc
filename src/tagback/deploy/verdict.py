"""The verdict on the way back of what has just run and isn't committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tagback.catalog import SUBORDINATE, Action, Catalog, Loss, LossKind, ObjectId, Rename, UnmanagedObject, diff
from tagback.engines.session import KeptRows, Unkept
from tagback.errors import counted
from tagback.ledger.records import Reversibility
from tagback.plan import Plan

_ORDER = list(Reversibility)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the way back stands, with the reasons in words. `about`: the object of each reason that has one."""

    reversibility: Reversibility
    reasons: tuple[str, ...]
    about: Mapping[str, ObjectId] = field(default_factory=dict, compare=False)


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
    reasons = tuple(dict.fromkeys(reason for v in said for reason in v.reasons))
    return Verdict(found, reasons, {reason: i for v in said for reason, i in v.about.items()})


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
    about: dict[str, ObjectId] = {}

    def say(i: ObjectId, reason: str) -> None:
        about.setdefault(reason, i)

    for u in unkept:
        rows, what = counted(u.rows, "row"), "changed or removed" if u.object in before.objects else "put in"
        say(u.object, f"{rows} of {u.object} were {what}, and rows of its kind can't be kept")
    for table in unwanted:
        say(table, f"what was done to rows of {table} is not kept, by wish")
    for i in sorted(diff(before, after).names):
        if isinstance(before.objects.get(i) or after.objects.get(i), UnmanagedObject):
            say(i, f"{i} was changed, and objects of this kind are not managed yet")
    final = tuple(about) or (tuple(back.blocked) if back is not None else ())
    if final:
        return Verdict(Reversibility.IRREVERSIBLE, final, about)
    names = _Names(renamed)
    if back is not None:
        for loss in back.losses:
            if loss.kind is LossKind.VALUES:
                say(ObjectId("column", (*loss.table.name, loss.column)), _narrowed(loss))
            elif after.keeps_nothing_of(loss.table):
                say(loss.table, f"while {loss.table} has no rows: those of its kind can't be kept")
        for i in sorted({step.object for step in back.steps if step.action is Action.CREATE} & before.objects.keys()):
            if before.objects[i].filled_anew:
                say(i, f"while {i} may be filled anew by its query")
    for i in _limits(before, after, names):
        say(i, _limited(i))
    for i, reason in _requirements(before, after, names, ways):
        say(i, reason)
    for k in kept:
        for reason in _superseding(k, after, names, ways.get(k.table, {})):
            say(k.table, reason)
    if about:
        return Verdict(Reversibility.CONDITIONAL, tuple(about), about)
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
) -> list[tuple[ObjectId, str]]:
    """Columns that must have a value again, while rows can now do without."""
    found = []
    for i in sorted(diff(before, after).names & before.objects.keys()):
        was, now = before.objects[i], after.objects.get(names[i])
        if now is None:
            continue
        there, still = {p.name[-1] for p in now.parts}, now.required(after)
        for column, fills in was.required(before).items():
            today, part = names.of_column(i, column), ObjectId("column", (*i.name, column))
            if today in there and today not in still:
                found.append((part, f"while column {today} of {now.id} is NULL nowhere"))
            elif today not in there and not fills and column not in ways.get(i, {}):
                what = f"column {column} must have a value and has no default"
                found.append((part, f"while no rows are added to {now.id}: {what}"))
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
