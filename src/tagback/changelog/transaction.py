"""A file's own BEGIN … COMMIT, around the whole of it or parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tagback.changelog.dialect import Dialect
from tagback.changelog.statement import Statement, StatementKind
from tagback.errors import ChangelogError, Location

if TYPE_CHECKING:
    from tagback.changelog.changeset import Changeset

_CONTROL = frozenset({StatementKind.BEGIN, StatementKind.COMMIT, StatementKind.ROLLBACK})


def unwrap_transaction(statements: Sequence[Statement], changeset: Changeset | None = None) -> tuple[Statement, ...]:
    """The statements with the file's own BEGIN … COMMIT made EMPTY, their texts kept so that joining still works.

    The deployment brings its own transaction, so that of several in a file all are in effect or none. SAVEPOINT, RELEASE
    and ROLLBACK TO are the file's own business. Anything else that controls transactions raises ChangelogError, located in
    the changeset's file when it is given.
    """
    control = [at for at, statement in enumerate(statements) if statement.kind in _CONTROL]
    open_: Statement | None = None
    for at in control:
        statement = statements[at]
        _refuse_other_forms(statement, changeset)
        begins = statement.kind is StatementKind.BEGIN
        if begins and open_ is not None:
            raise _error(statement, "begins a transaction inside another one", changeset)
        if not begins and open_ is None:
            raise _error(statement, "ends a transaction that the file does not begin", changeset)
        open_ = statement if begins else None
    if open_ is not None:
        raise _error(open_, "begins a transaction that the file does not end", changeset)
    return tuple(
        dataclasses.replace(statement, kind=StatementKind.EMPTY)
        if at in control and not _chooses_level(statement)
        else statement
        for at, statement in enumerate(statements)
    )


def _chooses_level(statement: Statement) -> bool:
    """What it asks for is the engine's to see to; it isn't run."""
    return statement.dialect is Dialect.POSTGRES and "ISOLATION" in statement.words(3)


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
        hint="A deployment is one transaction and brings its own BEGIN and COMMIT. Remove the file's own, or keep pairs "
        "of BEGIN and COMMIT.",
        location=place,
    )
