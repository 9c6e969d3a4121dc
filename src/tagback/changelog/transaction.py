"""A file's own BEGIN … COMMIT around the whole of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tagback.changelog.statement import Statement, StatementKind
from tagback.errors import ChangelogError, Location

if TYPE_CHECKING:
    from tagback.changelog.changeset import Changeset

_MAY_STAND_OUTSIDE = frozenset({StatementKind.EMPTY, StatementKind.PRAGMA})
_CONTROL = frozenset({StatementKind.BEGIN, StatementKind.COMMIT, StatementKind.ROLLBACK})


def unwrap_transaction(statements: Sequence[Statement], changeset: Changeset | None = None) -> tuple[Statement, ...]:
    """The statements with a whole-file BEGIN … COMMIT made EMPTY, their texts kept so that joining still works.

    The deployment brings its own transaction. PRAGMA and SET may stand outside the pair; SAVEPOINT, RELEASE and
    ROLLBACK TO inside are the file's own business. Anything else that controls transactions raises ChangelogError,
    located in the changeset's file when it is given.
    """
    control = [at for at, statement in enumerate(statements) if statement.kind in _CONTROL]
    if not control:
        return tuple(statements)
    for at in control:
        _refuse_other_forms(statements[at], changeset)
    first = statements[control[0]]
    if first.kind is not StatementKind.BEGIN:
        raise _error(first, "ends a transaction that the file does not begin", changeset)
    if len(control) == 1:
        raise _error(first, "begins a transaction that the file does not end", changeset)
    second = statements[control[1]]
    if second.kind is StatementKind.BEGIN:
        raise _error(second, "begins a transaction inside another one", changeset)
    if len(control) > 2:
        raise _error(statements[control[2]], "controls transactions after the file's own one has ended", changeset)
    for statement in (*statements[: control[0]], *statements[control[1] + 1 :]):
        if statement.kind not in _MAY_STAND_OUTSIDE and statement.words(1) != ("SET",):
            raise _error(statement, "stands outside of the file's own BEGIN … COMMIT", changeset)
    pair = control[:2]
    return tuple(
        dataclasses.replace(statement, kind=StatementKind.EMPTY) if at in pair else statement
        for at, statement in enumerate(statements)
    )


def _refuse_other_forms(statement: Statement, changeset: Changeset | None) -> None:
    """ROLLBACK, two-phase commit and AND CHAIN have no place in a deployment."""
    words = statement.words(6)
    if statement.kind is StatementKind.ROLLBACK:
        raise _error(statement, "rolls back", changeset)
    if words[0] == "PREPARE" or "PREPARED" in words[1:2] or ("CHAIN" in words and "NO" not in words):
        raise _error(statement, "ends the transaction in a way a deployment can't", changeset)


def _error(statement: Statement, what: str, changeset: Changeset | None) -> ChangelogError:
    from tagback.changelog.changeset import locate

    place = locate(changeset, statement.start) if changeset else Location("", statement.line, statement.column)
    words = " ".join(statement.sql.split())
    return ChangelogError(
        f"{words if len(words) <= 60 else words[:57] + '…'} {what}",
        hint="A deployment is one transaction and brings its own BEGIN and COMMIT. Remove the file's own, or keep "
        "exactly one BEGIN at its beginning and one COMMIT at its end.",
        location=place,
    )
