"""The verdict on the way back of what has just run and isn't committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    narrowed = [loss for loss in back.losses if loss.kind is LossKind.VALUES] if back is not None else []
    conditions = tuple(_condition(loss) for loss in (*added_places(before, after, renamed), *narrowed))
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
    there = [place for place in dict.fromkeys(places) if _is_there(after, place)]
    counts = session.count_each(there)
    held = {place_name(place): (place.table, _content_columns(after, place)) for place in there if counts[place]}
    contents = session.contents(list(held.values()))
    return tuple(
        RecordedContent(name, columns, content.rows, content.digest)
        for (name, (_, columns)), content in zip(held.items(), contents, strict=True)
    )


def _is_there(catalog: Catalog, place: Loss) -> bool:
    table = catalog.objects.get(place.table)
    return table is not None and (not place.column or any(p.name[-1] == place.column for p in table.parts))


def written_since(
    session: Session,
    live: Catalog,
    counts: Mapping[Loss, int],
    noted: Mapping[Loss, Loss],
    recorded: Iterable[RecordedContent],
) -> dict[Loss, int]:
    """Of the tables and columns that hold something, those that don't hold exactly what their deployment left in them.

    `noted` is a place under the name that its deployment noted; of many notes the first counts. A column that a new
    table got later is a place of its own: the table's note doesn't know it.
    """
    left: dict[str, RecordedContent] = {}
    for r in recorded:
        left.setdefault(r.place, r)
    later: dict[Loss, Loss] = {}
    for p, n in counts.items():
        note = left.get(place_name(noted[p])) if n and p.kind is LossKind.TABLE else None
        if note is not None:
            more = [c for c in _content_columns(live, p) if c not in note.columns]
            later |= {Loss(LossKind.COLUMN, p.table, c): Loss(LossKind.COLUMN, noted[p].table, c) for c in more}
    counts = {**counts, **session.count_each(list(later))}
    noted = {**noted, **later}
    known = [
        (p, left[name])
        for p, n in counts.items()
        if n and (name := place_name(noted[p])) in left and _still_has(live, p, left[name])
    ]
    found = session.contents([(p.table, (p.column,) if p.column else r.columns) for p, r in known])
    same = {p for (p, r), content in zip(known, found, strict=True) if content == Content(r.rows, r.digest)}
    return {p: n for p, n in counts.items() if n and p not in same}


def _still_has(live: Catalog, place: Loss, note: RecordedContent) -> bool:
    return bool(place.column) or set(note.columns) <= set(_content_columns(live, place))


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
    if loss.kind is LossKind.VALUES:
        return f"while {loss.type_after} can hold every value of column {loss.column} of {loss.table}"
    if loss.kind is LossKind.TABLE:
        return f"while {loss.table} holds only what the deployment left in it"
    return f"while column {loss.column} of {loss.table} holds only what the deployment left in it"
