"""What a statement does to transactions, told from its first words."""

from __future__ import annotations

import itertools
import re

from tagback.changelog.dialect import Dialect
from tagback.changelog.lexer import significant
from tagback.changelog.statement import StatementKind, as_word

_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "SAVEPOINT", "RELEASE", "PRAGMA"}
)
# MySQL 8.0 manual, 15.3.3; MariaDB: "SQL statements that cause an implicit commit". CALL and EXECUTE may do anything.
_COMMITS = frozenset(
    "ALTER ANALYZE BINLOG CACHE CALL CHANGE CHECK CREATE DROP EXECUTE FLUSH GRANT INSTALL LOCK OPTIMIZE RENAME REPAIR RESET"
    " REVOKE START STOP TRUNCATE UNINSTALL UNLOCK".split()
)
_RESTRICTED = {
    Dialect.POSTGRES: frozenset(
        {"CREATE", "DROP", "ALTER", "REINDEX", "VACUUM", "CLUSTER", "DISCARD", "COMMIT", "ROLLBACK"}
    ),
    Dialect.SQLITE: frozenset({"VACUUM", "ATTACH", "DETACH", "PRAGMA"}),
    **dict.fromkeys((dialect for dialect in Dialect if dialect.is_mysql), _COMMITS),
}
_FIRST_WORD = re.compile(r"[A-Za-z_]+")
# Without one of these words nothing that creates, drops or alters is restricted: most statements need no second look.
_DDL = frozenset({"CREATE", "DROP", "ALTER"})
_RESTRICTING = re.compile(r"\b(?:CONCURRENTLY|DATABASE|TABLESPACE|SUBSCRIPTION|SYSTEM)\b", re.IGNORECASE)
_NO = frozenset({"FALSE", "OFF", "0"})
# Pragmas that SQLite refuses or ignores in a transaction. foreign_keys is not among them: it is a silent no-op there,
# and whoever runs the changeset sets it beforehand.
_PRAGMAS_OUTSIDE = frozenset({"JOURNAL_MODE", "SYNCHRONOUS", "WAL_CHECKPOINT", "TEMP_STORE"})


def classify(sql: str, dialect: Dialect) -> tuple[StatementKind, bool]:
    """The kind of the statement that `sql` begins with, and whether the dialect allows it in a transaction block.

    What can't be seen in the text (a function that commits, REINDEX of a partitioned table) counts as allowed. On
    MySQL nothing is refused: what commits by itself, and what may, counts as not allowed.
    """
    word = _FIRST_WORD.match(sql)
    first = word.group().upper() if word else _first_executed(sql, dialect)
    control, restricted = first in _CONTROL, first in _RESTRICTED[dialect]
    if dialect.is_mysql and not control:
        return StatementKind.OTHER, not (restricted and _outside_mysql(sql, dialect))
    if not control and (not restricted or (first in _DDL and not _RESTRICTING.search(sql))):
        return StatementKind.OTHER, True
    words = [as_word(token) for token in significant(sql, dialect)] + [""] * 4
    kind = _control(words, dialect) if control else StatementKind.OTHER
    if dialect.is_mysql:
        return kind, kind is not StatementKind.OTHER
    if not restricted:
        return kind, True
    return kind, not (_outside_postgres(words) if dialect is Dialect.POSTGRES else _outside_sqlite(words))


def _first_executed(sql: str, dialect: Dialect) -> str:
    """The first word of a statement that stands in a comment."""
    return next(map(as_word, significant(sql, dialect)), "") if dialect.is_mysql and sql.startswith("/*") else ""


def _control(words: list[str], dialect: Dialect) -> StatementKind:
    match words:
        case ["BEGIN", "NOT", "ATOMIC", *_] if dialect.is_mysql:
            return StatementKind.OTHER
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


def _outside_mysql(sql: str, dialect: Dialect) -> bool:
    """Temporary tables come and go without a commit."""
    words = [as_word(token) for token in itertools.islice(significant(sql, dialect), 4)]
    return "TEMPORARY" not in words


def _outside_postgres(words: list[str]) -> bool:
    """The callers of PreventInTransactionBlock() in PostgreSQL 14 to 18, as far as the text shows them."""
    match words:
        case ["CREATE", "INDEX", "CONCURRENTLY", *_] | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", *_]:
            return True
        case ["DROP", "INDEX", "CONCURRENTLY", *_]:
            return True
        case ["VACUUM", *_] | ["DISCARD", "ALL", *_] | ["COMMIT" | "ROLLBACK", "PREPARED", *_]:
            return True
        case (
            ["CREATE" | "DROP", "DATABASE" | "TABLESPACE", *_] | ["ALTER", "SYSTEM", *_] | ["DROP", "SUBSCRIPTION", *_]
        ):
            return True
        case ["CREATE", "SUBSCRIPTION", *rest]:
            return not (_says_no("CREATE_SLOT", rest) or _says_no("CONNECT", rest))
        case ["ALTER", "DATABASE", _, "SET", "TABLESPACE", *_]:
            return True
        case ["ALTER", "SUBSCRIPTION", *rest]:
            return "PUBLICATION" in rest and not _says_no("REFRESH", rest)
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
    return words[words.index("CONCURRENTLY") + 1] not in _NO


def _says_no(option: str, words: list[str]) -> bool:
    """Whether `option = false` stands among the words."""
    return any(
        name == option and value.strip("'").upper() in _NO
        for name, _, value in zip(words, words[1:], words[2:], strict=False)
    )


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
