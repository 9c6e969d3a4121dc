"""The verdict on each changeset, where several were observed together or one in several parts."""

from __future__ import annotations

from collections.abc import Sequence

from tagback.deploy.effects import Tried, locked, lost, who_changed, writers
from tagback.deploy.results import ChangesetVerdict
from tagback.deploy.shelves import shelved
from tagback.deploy.verdict import FREE, Verdict, worst
from tagback.engines.session import KeptRows
from tagback.ledger.records import Reversibility


def verdicts(tried: Sequence[Tried]) -> tuple[ChangesetVerdict, ...]:
    """The verdict on each changeset, in order.

    Where several were observed together, what they did is told of the likeliest one, and what one of them made and
    another took away again is told of none.
    """
    found: dict[str, list[ChangesetVerdict]] = {}
    for stage in tried:
        for verdict in _alone(stage) if len(stage.works) == 1 else _shares(stage):
            found.setdefault(verdict.id, []).append(verdict)
    return tuple(_together(parts) for parts in found.values())


def _alone(tried: Tried) -> list[ChangesetVerdict]:
    observed = tried.observed
    return [_verdict(tried.works[0].changeset.id, observed.verdict, observed.kept, observed.seconds, locked(tried))]


def _shares(tried: Tried) -> list[ChangesetVerdict]:
    """What each changeset of a stage has to do with the verdict on it."""
    works = tried.works
    owners = [n for n, work in enumerate(works) for _ in work.statements]
    kept: list[dict[str, KeptRows]] = [{} for _ in works]
    judged: list[list[Verdict]] = [[] for _ in works]
    if owners:
        for at, rows, _, _ in lost(tried):
            kept[owners[at]][rows.place] = rows
            for n in (at, *writers(tried, rows.table)) if rows.rows else ():
                judged[owners[n]].append(Verdict(Reversibility.CAPTURED, ()))
        whole = tried.observed.verdict
        for reason in whole.reasons:
            about = whole.about.get(reason)
            judged[owners[who_changed(tried, about)]].append(Verdict(whole.reversibility, (reason,)))
    found, done = [], 0
    for work, rows_kept, parts in zip(works, kept, judged, strict=True):
        seconds = tried.observed.seconds[done : done + len(work.statements)]
        done += len(work.statements)
        found.append(_verdict(work.changeset.id, worst([FREE, *parts]), list(rows_kept.values()), seconds, ()))
    return found


def _verdict(
    id: str, verdict: Verdict, kept: Sequence[KeptRows], seconds: Sequence[float], locks: tuple[str, ...]
) -> ChangesetVerdict:
    return ChangesetVerdict(
        id=id,
        reversibility=verdict.reversibility,
        reasons=verdict.reasons,
        shelved=shelved(kept),
        rows=sum(k.rows for k in kept),
        bytes=sum(k.bytes for k in kept if k.rows),
        seconds=round(sum(seconds), 4),
        locks=locks,
    )


def _together(parts: Sequence[ChangesetVerdict]) -> ChangesetVerdict:
    """The parts of one changeset."""
    if len(parts) == 1:
        return parts[0]
    whole = worst(Verdict(p.reversibility, p.reasons) for p in parts)
    return ChangesetVerdict(
        id=parts[0].id,
        reversibility=whole.reversibility,
        reasons=whole.reasons,
        shelved=tuple(s for p in parts for s in p.shelved),
        rows=sum(p.rows for p in parts),
        bytes=sum(p.bytes for p in parts),
        seconds=round(sum(p.seconds for p in parts), 4),
        locks=tuple(dict.fromkeys(lock for p in parts for lock in p.locks)),
    )
