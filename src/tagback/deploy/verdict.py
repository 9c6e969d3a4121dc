"""The verdict on the way back of what has just run and isn't committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, Rename, UnmanagedObject, diff
from tagback.engines.session import Content, Session, TableChange
from tagback.ledger.records import RecordedContent, Reversibility
from tagback.plan import Plan, plan

_ORDER = list(Reversibility)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the way back stands, with the reasons in words."""

    reversibility: Reversibility
    reasons: tuple[str, ...]


FREE = Verdict(Reversibility.FREE, ())


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """All of them as one."""
    every = list(verdicts)
    if not every:
        return FREE
    return Verdict(
        max((v.reversibility for v in every), key=_ORDER.index),
        tuple(dict.fromkeys(reason for v in every for reason in v.reasons)),
    )


def judge(
    before: Catalog, after: Catalog, changes: Sequence[TableChange], renamed: Sequence[Rename], back: Plan | None
) -> Verdict:
    """From what was observed. `back` is the plan of the way back; None where renames keep it from being known yet."""
    final = [_rows_gone(c) for c in changes]
    for object_id in sorted(diff(before, after).names):
        if isinstance(before.objects.get(object_id) or after.objects.get(object_id), UnmanagedObject):
            final.append(f"{object_id} was changed, and objects of this kind are not managed yet")
    if back is not None and not final:
        final += back.blocked
    if final:
        return Verdict(Reversibility.IRREVERSIBLE, tuple(final))
    conditions = tuple(_condition(loss) for loss in added_places(before, after, renamed))
    return Verdict(Reversibility.CONDITIONAL, conditions) if conditions else FREE


def way_back(before: Catalog, after: Catalog, renamed: Sequence[Rename]) -> Plan | None:
    """The plan from `after` to `before`, where it can be told without renaming first."""
    return None if renamed else plan(after, before)


def added_places(before: Catalog, after: Catalog, renamed: Sequence[Rename]) -> tuple[Loss, ...]:
    """New tables and columns, as what the way back would take away."""
    names = {r.after for r in renamed}
    moved_away = {r.before for r in renamed}
    stayed = [p for o in before.objects.values() if o.carries_data for p in o.parts if p not in moved_away]
    old_columns = {_carried(part, renamed) for part in stayed}
    found = []
    for o in after.objects.values():
        columns = [p for p in o.parts if p.kind == "column"]
        if not o.carries_data or not columns:
            continue
        if o.id not in names and (o.id not in before.objects or o.id in moved_away):
            found.append(Loss(LossKind.TABLE, o.id))
        elif o != before.objects.get(o.id):
            found += [
                Loss(LossKind.COLUMN, o.id, c.name[-1]) for c in columns if c not in old_columns and c not in names
            ]
    return tuple(found)


def _carried(column: ObjectId, renamed: Sequence[Rename]) -> ObjectId:
    """The column under the name that its table has now."""
    for r in renamed:
        if r.before.kind == "table" and r.before.name == column.name[:-1]:
            return ObjectId("column", (*r.after.name, column.name[-1]))
    return column


def record_content(session: Session, after: Catalog, places: Sequence[Loss]) -> tuple[RecordedContent, ...]:
    """What the new tables and columns hold now, to know later whether the application wrote to them.

    Places that are gone again hold nothing.
    """
    found = []
    for place in dict.fromkeys(places):
        if not _is_there(after, place) or session.count_lost(place) == 0:
            continue
        columns = _content_columns(after, place)
        content = session.content(place.table, columns)
        found.append(RecordedContent(place_name(place), columns, content.rows, content.digest))
    return tuple(found)


def _is_there(catalog: Catalog, place: Loss) -> bool:
    table = catalog.objects.get(place.table)
    return table is not None and (not place.column or any(p.name[-1] == place.column for p in table.parts))


def still_as_left(session: Session, place: Loss, as_recorded: Loss, recorded: Iterable[RecordedContent]) -> bool:
    """Whether the table or column holds exactly what its deployment left in it, which noted it as `as_recorded`."""
    name = place_name(as_recorded)
    for r in recorded:
        if r.place == name:
            columns = (place.column,) if place.column else r.columns
            return session.content(place.table, columns) == Content(r.rows, r.digest)
    return False


def place_name(place: Loss) -> str:
    """The table or column in one text, as the ledger keeps it."""
    return str(ObjectId(place.kind, (*place.table.name, place.column) if place.column else place.table.name))


def _content_columns(catalog: Catalog, place: Loss) -> tuple[str, ...]:
    columns = tuple(p.name[-1] for p in catalog.objects[place.table].parts if p.kind == "column")
    if place.kind is LossKind.TABLE:
        return columns
    return (place.column,)


def _rows_gone(change: TableChange) -> str:
    if change.lost and change.extra:
        return f"{change.lost} rows of {change.table} were changed or removed, and their old values are not kept"
    if change.lost:
        return f"{change.lost} rows or values of {change.table} were removed, and they are not kept"
    return f"{change.extra} rows were added to {change.table}, which the way back would not take out again"


def _condition(loss: Loss) -> str:
    if loss.kind is LossKind.TABLE:
        return f"while {loss.table} holds only what the deployment left in it"
    return f"while column {loss.column} of {loss.table} holds only what the deployment left in it"
