"""Runs statements inside the open transaction, watches what they do to rows, and judges the way back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tagback.catalog import Catalog, Loss, LossKind, ObjectId, Rename, renames
from tagback.changelog import Changeset, Statement, TokenKind, locate, tokens
from tagback.deploy.events import ChangesetDone, ChangesetStarted, Listener, RowsKept, RunAgain
from tagback.deploy.results import PlannedStep
from tagback.deploy.verdict import Verdict, added_places, judge, way_back
from tagback.engines.session import Session, StatementError
from tagback.errors import FailedError, TagbackError
from tagback.plan import Plan

_MOST_RUNS = 4
_DESTROYS = {"UPDATE", "DELETE", "INSERT", "REPLACE", "TRUNCATE", "MERGE", "COPY", "WITH"}


@dataclass(frozen=True, slots=True)
class Work:
    """One changeset with the statements of it that are to run, and its place in the deployment, from 1."""

    changeset: Changeset
    statements: tuple[Statement, ...]
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What a stage did: the schema after it, renames, new places for data, the verdict, and the plan back if known."""

    after: Catalog
    renamed: tuple[Rename, ...]
    added: tuple[Loss, ...]
    verdict: Verdict
    back: Plan | None


def run_stage(session: Session, before: Catalog, works: Sequence[Work], listen: Listener) -> Observed:
    """Runs the statements and observes; FailedError, located in the changelog, when one fails."""
    kept = _foreseen(before, works)
    for _ in range(_MOST_RUNS):
        if kept:
            session.keep_start(kept)
            listen(RowsKept(tuple(str(t) for t in sorted(kept))))
        session.savepoint()
        session.watch(before)
        for work in works:
            _run_changeset(session, work, listen)
        session.settle()
        after = session.read_catalog()
        missed = session.touched(before, after) - kept
        if not missed:
            break
        session.rollback_to_savepoint()
        kept |= missed
        listen(RunAgain(tuple(str(t) for t in sorted(missed))))
    else:
        raise FailedError(
            "The rows that this deployment touches are others on every run; what it destroys can't be told.",
            code="unobservable",
            hint="The database is as it was before.",
        )
    session.release_savepoint()
    renamed = renames(before, after)
    changes = session.compare(before, after, {r.before: r.after for r in renamed}) if kept else ()
    session.forget_start()
    back = way_back(before, after, renamed)
    verdict = judge(before, after, changes, renamed, back)
    added = added_places(before, after, renamed)
    if back is not None:
        # The way back also knows the defaults: where there is one, a NULL is something that somebody wrote.
        added += tuple(loss for loss in back.losses if loss.kind is LossKind.COLUMN)
    return Observed(after, renamed, added, verdict, back)


def planned(works: Iterable[Work]) -> tuple[PlannedStep, ...]:
    """The statements as a dry run shows them. What they lock and destroy isn't known one by one."""
    return tuple(
        PlannedStep(
            sql=s.sql,
            object=w.changeset.id,
            action=" ".join(s.words(1)).lower(),
            lock="",
            destroys=(),
            rows=0,
            seconds_estimate=None,
        )
        for w in works
        for s in w.statements
    )


def run_statement(session: Session, changeset: Changeset, statement: Statement) -> None:
    """Runs one statement of a changeset; its failure becomes an error with the place in the file."""
    try:
        session.run(statement.sql)
    except StatementError as e:
        raise located(e, changeset, statement) from None


def located(e: StatementError, changeset: Changeset, statement: Statement) -> TagbackError:
    """The server's error with the place in the changelog; errors that may pass or lost connections stay what they are."""
    where = locate(changeset, statement.start + (e.position or 0))
    if e.retryable or e.lost:
        e.location = where
        return e
    first = " ".join(statement.sql.split())
    return FailedError(
        e.message,
        code=e.code,
        location=where,
        hint=(f"{e.hint}\n" if e.hint else "")
        + f"In changeset {changeset.id}: {first[:120]}{'…' if len(first) > 120 else ''}\n"
        "The whole deployment was undone: the database is as it was before. Correct the changeset and apply again.",
    )


def _run_changeset(session: Session, work: Work, listen: Listener) -> None:
    listen(ChangesetStarted(work.changeset.id, work.number, work.total))
    started = time.perf_counter()
    for statement in work.statements:
        run_statement(session, work.changeset, statement)
    listen(ChangesetDone(work.changeset.id, work.number, work.total, time.perf_counter() - started))


def _foreseen(before: Catalog, works: Sequence[Work]) -> set[ObjectId]:
    """Tables that a glance at the statements names as written to; what it misses, observation finds."""
    tables: dict[str, list[ObjectId]] = {}
    for o in before.objects.values():
        if o.id.kind == "table":
            tables.setdefault(o.id.name[-1].casefold(), []).append(o.id)
    found: set[ObjectId] = set()
    if not tables:
        return found
    for work in works:
        for statement in work.statements:
            words = statement.words(2)
            if words[:1] and (words[0] in _DESTROYS or words == ("DROP", "TABLE") or _alters(words, statement)):
                for token in tokens(statement.sql, statement.dialect):
                    if token.kind is TokenKind.WORD or token.kind is TokenKind.QUOTED:
                        found.update(tables.get(token.text.strip('"`[]').casefold(), ()))
    return found


def _alters(words: tuple[str, ...], statement: Statement) -> bool:
    """Whether an ALTER TABLE takes values away or changes them."""
    if words != ("ALTER", "TABLE"):
        return False
    rest = statement.sql.upper()
    return " TYPE " in rest or "DROP " in rest or "USING" in rest
