"""Questions about live rows that may take only so long: the server stops them, and the transaction goes on."""

from __future__ import annotations

from collections.abc import Callable

from tagback.catalog import ObjectId
from tagback.engines.postgres.settings import milliseconds
from tagback.engines.postgres.sqltext import literal, qualified
from tagback.engines.session import Answered, StatementError

_CANCELLED = "57014"
_SAVEPOINT = "tagback_bounded"

Ask = Callable[[str], list[tuple[object, ...]]]


def ask_within(ask: Ask, seconds: float, question: Callable[[], Answered]) -> Answered | None:
    """See Session.ask_within. The limit is for each statement; whoever asks several counts the time between them."""
    ask(f"SAVEPOINT {_SAVEPOINT}")
    ask(f"SELECT set_config('statement_timeout', {literal(milliseconds(seconds))}, true)")
    answer: Answered | None
    try:
        answer = question()
    except StatementError as error:
        if error.lost or error.sqlstate != _CANCELLED:
            raise
        ask(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        answer = None
    ask("SELECT set_config('statement_timeout', '0', true)")
    ask(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return answer


def rough_rows(ask: Ask, table: ObjectId) -> int | None:
    """See Session.rough_rows: what VACUUM and ANALYZE have found last, else by the table's size."""
    found = ask(
        "SELECT CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_relation_size(oid) / 100 END::bigint"
        f" FROM pg_class WHERE oid = to_regclass({literal(qualified(*table.name))})"
    )
    return int(str(found[0][0])) if found else None
