"""What a statement does to transactions, told from its first words."""

from __future__ import annotations

from collections.abc import Iterator

from tagback.changelog.dialect import Dialect
from tagback.changelog.statement import StatementKind

_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "SAVEPOINT", "RELEASE", "PRAGMA"}
)
_RESTRICTED = {
    Dialect.POSTGRES: frozenset(
        {"CREATE", "DROP", "ALTER", "REINDEX", "VACUUM", "CLUSTER", "DISCARD", "COMMIT", "ROLLBACK"}
    ),
    Dialect.SQLITE: frozenset({"VACUUM", "ATTACH", "DETACH", "PRAGMA"}),
    Dialect.MYSQL: frozenset[str](),
}
# Pragmas that SQLite refuses or ignores in a transaction. foreign_keys is not among them: it is a silent no-op there,
# and whoever runs the changeset sets it beforehand.
_PRAGMAS_OUTSIDE = frozenset(
    {"JOURNAL_MODE", "AUTO_VACUUM", "SYNCHRONOUS", "WAL_CHECKPOINT", "TEMP_STORE", "LOCKING_MODE"}
)


def classify(first: str, words: Iterator[str], dialect: Dialect) -> tuple[StatementKind, bool]:
    """The kind of a statement, and whether the dialect allows it in a transaction block.

    `first` is its first word in upper case, `words` all its significant tokens, read only as far as needed. What can't
    be seen in the text (a procedure that commits, CLUSTER of a partitioned table) counts as allowed. On MySQL nothing
    is refused: what commits implicitly is not told apart here.
    """
    if first not in _CONTROL and first not in _RESTRICTED[dialect]:
        return StatementKind.OTHER, True
    kind = StatementKind.OTHER
    seen = list(words) if first in {"ALTER", "REINDEX"} else [word for word, _ in zip(words, range(8), strict=False)]
    seen += [""] * 4
    if first in _CONTROL:
        kind = _control(seen, dialect)
    if first in _RESTRICTED[dialect]:
        return kind, not (_outside_postgres(seen) if dialect is Dialect.POSTGRES else _outside_sqlite(seen))
    return kind, True


def _control(words: list[str], dialect: Dialect) -> StatementKind:
    match words:
        case ["BEGIN", *_] | ["START", "TRANSACTION", *_]:
            return StatementKind.BEGIN
        case ["COMMIT" | "END", *_] | ["PREPARE", "TRANSACTION", *_]:
            return StatementKind.COMMIT
        case ["SAVEPOINT" | "RELEASE", *_]:
            return StatementKind.SAVEPOINT
        case ["ROLLBACK", "TO", *_] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", *_]:
            return StatementKind.SAVEPOINT
        case ["ROLLBACK" | "ABORT", *_]:
            return StatementKind.ROLLBACK
        case ["PRAGMA", *_] if dialect is Dialect.SQLITE:
            return StatementKind.PRAGMA
    return StatementKind.OTHER


def _outside_postgres(words: list[str]) -> bool:
    """The callers of PreventInTransactionBlock() in PostgreSQL 14 to 18, as far as the text shows them."""
    match words:
        case ["CREATE", "INDEX", "CONCURRENTLY", *_] | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", *_]:
            return True
        case ["DROP", "INDEX", "CONCURRENTLY", *_]:
            return True
        case ["VACUUM", *_] | ["DISCARD", "ALL", *_] | ["COMMIT" | "ROLLBACK", "PREPARED", *_]:
            return True
        case ["CREATE" | "DROP", "DATABASE" | "TABLESPACE" | "SUBSCRIPTION", *_] | ["ALTER", "SYSTEM", *_]:
            return True
        case ["ALTER", "DATABASE", _, "SET", "TABLESPACE", *_]:
            return True
        case ["ALTER", "SUBSCRIPTION", *rest]:
            return "PUBLICATION" in rest
        case ["ALTER", "TABLE", *rest]:
            return "DETACH" in rest and "CONCURRENTLY" in rest
        case ["REINDEX", *rest]:
            return _reindex_outside(rest)
        case ["CLUSTER", *rest]:
            return _after_options(rest) in {"", ";"}
    return False


def _reindex_outside(words: list[str]) -> bool:
    if _after_options(words) in {"SCHEMA", "DATABASE", "SYSTEM"}:
        return True
    if "CONCURRENTLY" not in words:
        return False
    return words[words.index("CONCURRENTLY") + 1] not in {"FALSE", "OFF", "0"}


def _after_options(words: list[str]) -> str:
    """The first word after `(…)` and VERBOSE."""
    if words[0] == "(":
        words = words[words.index(")") + 1 :] if ")" in words else [""]
    return next((word for word in words if word != "VERBOSE"), "")


def _outside_sqlite(words: list[str]) -> bool:
    match words:
        case ["VACUUM" | "ATTACH" | "DETACH", *_]:
            return True
        case ["PRAGMA", _, ".", name, "=" | "(", *_] | ["PRAGMA", name, "=" | "(", *_]:
            return name in _PRAGMAS_OUTSIDE
        case ["PRAGMA", _, ".", "WAL_CHECKPOINT", *_] | ["PRAGMA", "WAL_CHECKPOINT", *_]:
            return True
    return False
