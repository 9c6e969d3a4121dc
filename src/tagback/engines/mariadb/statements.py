"""What a statement of the user's does, as far as its text says: what it renames, may destroy, and reaches."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from tagback.catalog import Catalog, ObjectId, Rename, SchemaObject
from tagback.changelog import Dialect, Statement, TokenKind, significant
from tagback.changelog.dialect import mysql_in
from tagback.engines.mariadb.kinds.base import column_id, table_id
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.kinds.program import Routine, Trigger, View
from tagback.errors import RefusedError

_OUTSIDE = "FLUSH RESET CHANGE START STOP BINLOG PURGE CACHE INSTALL UNINSTALL SHUTDOWN KILL".split()
_WHY_NOT: Mapping[str, str] = {
    **dict.fromkeys(_OUTSIDE, "it acts on the server, not on this database"),
    **dict.fromkeys(("GRANT", "REVOKE"), "rights are not part of the schema that is compared yet"),
    **dict.fromkeys(("LOCK", "UNLOCK"), "it acts on the server, not on this database"),
    "USE": "a deployment is for one database",
    "XA": "a deployment ends its transactions itself",
    "HANDLER": "a deployment ends its transactions itself",
}
_READING = frozenset({"information_schema"})
_CASCADES = (
    "ON DELETE CASCADE",
    "ON UPDATE CASCADE",
    "ON DELETE SET NULL",
    "ON UPDATE SET NULL",
    "ON DELETE SET DEFAULT",
)
_HARMLESS_DROPS = frozenset({"FOREIGN", "INDEX", "KEY", "PRIMARY", "CONSTRAINT", "CHECK", "DEFAULT", "PERIOD"})
_REWRITES = frozenset("MODIFY CHANGE CONVERT IGNORE PARTITION REMOVE REORGANIZE COALESCE ENGINE SYSTEM".split())
OPAQUE = frozenset("CALL BEGIN IF LOOP WHILE CASE REPEAT FOR".split())
"""First words of statements that come to others."""
_WRITES = OPAQUE | frozenset("INSERT UPDATE DELETE REPLACE LOAD WITH SELECT DO TRUNCATE".split())


@dataclass(frozen=True, slots=True)
class Word:
    """A word, name or sign of a statement. `upper` is empty for what is quoted."""

    text: str
    upper: str


def words_of(sql: str, dialect: Dialect) -> list[Word]:
    """The significant tokens, names without their quotes."""
    found = []
    for token in significant(sql, dialect):
        text = token.text
        if token.kind is TokenKind.QUOTED and len(text) > 1:
            found.append(Word(text[1:-1].replace(text[0] * 2, text[0]), ""))
        else:
            found.append(
                Word(text, text.upper() if token.kind is TokenKind.WORD else "" if text[:1] in "'\"" else text)
            )
    return found


# ---------------------------------------------------------------------- what isn't run at all


def refusal(statement: Statement, database: str, others: Collection[str]) -> RefusedError | None:
    """Why a statement isn't run; None if it is. `others`: the server's other databases."""
    words = words_of(statement.sql, statement.dialect)
    why = _why_not(words, database) or _elsewhere(words, {name.casefold() for name in others})
    renamed = renamed_by(statement.sql, statement.dialect)
    if renamed and {r.before for r in renamed} == {r.after for r in renamed}:
        why = "names that only change places can't be decided after a crash"
    if not why:
        return None
    return refused(statement, why)


def refused(statement: Statement, why: str) -> RefusedError:
    """The error that says why a statement isn't run."""
    told = " ".join(statement.sql.split())
    return RefusedError(
        f"{told[:80]}{'…' if len(told) > 80 else ''} (line {statement.line}) isn't run in a deployment: {why}.",
        code="not_deployable",
        hint="Run it by hand, before or after. The database is as it was before.",
    )


def forbidden(statements: Iterable[Sequence[Word]], database: str, others: Collection[str]) -> str:
    """Why some of what a statement comes to isn't run; empty if all of it is."""
    names = {name.casefold() for name in others}
    found = (_why_not(words, database) or _elsewhere(words, names) for words in statements if words)
    return next((why for why in found if why), "")


def is_left_out(words: Sequence[Word]) -> bool:
    """Whether it is about locks or the ends of transactions, as dumps have it, which a deployment sees to itself."""
    upper = [w.upper for w in words if w.upper not in ("SESSION", "LOCAL", "@@SESSION", ".")] + [""] * 4
    if upper[0] in ("LOCK", "UNLOCK"):
        return upper[1] in ("TABLE", "TABLES")
    return upper[0] == "SET" and upper[1].removeprefix("@@") == "AUTOCOMMIT" and "," not in upper


def _why_not(words: Sequence[Word], database: str) -> str:
    upper = [w.upper for w in words] + [""] * 4
    if is_left_out(words):
        return ""
    if upper[0] in _WHY_NOT and upper[:2] != ["START", "TRANSACTION"]:
        return _WHY_NOT[upper[0]]
    if upper[0] in ("CREATE", "DROP", "ALTER") and {"DATABASE", "SCHEMA"} & set(upper[1:4]):
        name = words[2].text if len(words) > 2 else ""
        if upper[0] != "ALTER" or (not upper[2] and name != database):
            return "a deployment is for one database"
    if upper[0] in ("CREATE", "DROP", "ALTER") and {"USER", "ROLE", "SERVER", "TABLESPACE"} & set(upper[1:4]):
        return "it acts on the server, not on this database"
    if upper[0] == "SET" and any(
        w in ("GLOBAL", "PERSIST", "PERSIST_ONLY", "@@GLOBAL", "AUTOCOMMIT", "TRANSACTION", "PASSWORD", "ROLE")
        for w in upper[1:4]
    ):
        return "it changes the server or how transactions end"
    if upper[0] == "ALTER" and ("TABLESPACE" in upper or "EXCHANGE" in upper):
        return "what becomes of the rows can't be decided after a crash"
    if upper[0] in ("CREATE", "ALTER", "DROP", "RENAME") and any(w.text.lower().startswith("tagback_") for w in words):
        return "names that begin with tagback_ are its own"
    return ""


def _elsewhere(words: Sequence[Word], others: Set[str]) -> str:
    for name, dot in itertools.pairwise(words):
        if dot.text == "." and name.text.casefold() in others - _READING:
            return f"it names the database {name.text}, and only this one comes back"
    return ""


# ---------------------------------------------------------------------- renames


def renamed_by(sql: str, dialect: Dialect) -> list[Rename]:
    """What a statement gives another name, in order; tables first where one statement does both."""
    words = words_of(sql, dialect)
    upper = [w.upper for w in words]
    if upper[:2] in (["RENAME", "TABLE"], ["RENAME", "TABLES"]):
        return _renamed_tables(words)
    if upper[:1] != ["ALTER"] or "TABLE" not in upper[1:4]:
        return []
    at = upper.index("TABLE") + 1
    if upper[at : at + 2] == ["IF", "EXISTS"]:
        at += 2
    name, at = _name(words, at)
    found, renamed = [], ""
    depth = 0
    for n in range(at, len(words)):
        depth += {"(": 1, ")": -1}.get(words[n].text, 0)
        if depth or (n > at and words[n - 1].text != ","):
            continue
        if upper[n] == "CHANGE":
            first = n + 1 + (upper[n + 1] == "COLUMN")
            first += 2 * (upper[first : first + 2] == ["IF", "EXISTS"])
            found.append((words[first].text, words[first + 1].text))
        elif upper[n : n + 2] == ["RENAME", "COLUMN"]:
            first = n + 2 + 2 * (upper[n + 2 : n + 4] == ["IF", "EXISTS"])
            found.append((words[first].text, words[first + 2].text))
        elif upper[n] == "RENAME" and upper[n + 1 : n + 2] not in (["INDEX"], ["KEY"]):
            renamed, _ = _name(words, n + 1 + (upper[n + 1] in ("TO", "AS", "=")))
    there = renamed or name
    columns = [Rename(column_id(name, a), column_id(there, b)) for a, b in found if a != b]
    return [*([Rename(table_id(name), table_id(renamed))] if renamed and renamed != name else []), *columns]


def _renamed_tables(words: Sequence[Word]) -> list[Rename]:
    found, at = [], 2
    if [w.upper for w in words[2:4]] == ["IF", "EXISTS"]:
        at = 4
    while at < len(words):
        old, at = _name(words, at)
        while at < len(words) and words[at].upper != "TO":
            at += 1
        new, at = _name(words, at + 1)
        found.append(Rename(table_id(old), table_id(new)))
        while at < len(words) and words[at].text != ",":
            at += 1
        at += 1
    return found


def _name(words: Sequence[Word], at: int) -> tuple[str, int]:
    """The name that stands there, without its schema, and the place behind it."""
    if at + 2 < len(words) and words[at + 1].text == ".":
        at += 2
    return (words[at].text if at < len(words) else ""), at + 1


def happened(renamed: Sequence[Rename], before: Catalog, after: Catalog) -> list[Rename]:
    """Those of one statement that came about: all of them, or none."""
    done = [r for r in renamed if after.owner_of(r.after) is not None]
    new = [r for r in renamed if before.owner_of(r.after) is None]
    gone = [r for r in renamed if after.owner_of(r.before) is None]
    return list(renamed) if len(done) == len(renamed) and (not new or gone) and (new or gone) else []


# ---------------------------------------------------------------------- what rows it may touch


def destroys(statement: Statement) -> bool:
    """Whether a statement may take away or change rows or values that are there."""
    upper = [w.upper for w in words_of(statement.sql, statement.dialect)]
    match upper[:4]:
        case ["TRUNCATE", *_] | ["DROP", "TABLE" | "TABLES", *_]:
            return True
        case ["CREATE", "OR", "REPLACE", "TABLE"]:
            return True
        case ["ALTER", *rest] if "TABLE" in rest:
            return _alters_values(upper)
        case [first, *_]:
            return first in _WRITES
    return False


def _alters_values(upper: Sequence[str]) -> bool:
    if not _REWRITES.isdisjoint(upper):
        return True
    return any(word == "DROP" and following not in _HARMLESS_DROPS for word, following in itertools.pairwise(upper))


def reached(statements: Iterable[Statement], before: Catalog) -> set[ObjectId]:
    """The tables whose rows these statements may take away or change, by whatever they name.

    Views and routines lead to what they name, tables to what their triggers name and what their foreign keys cascade to.
    """
    known: dict[str, list[SchemaObject]] = {}
    for o in before.objects.values():
        if o.id.kind in ("table", "view", "function", "procedure", "package", "package body"):
            known.setdefault(o.id.name[0].casefold(), []).append(o)
    children: dict[str, set[str]] = {}
    actors: dict[str, list[Trigger]] = {}
    for o in before.objects.values():
        if isinstance(o, ForeignKey) and not o.schema and any(c in o.text.upper() for c in _CASCADES):
            children.setdefault(o.parent.casefold(), set()).add(o.id.name[0].casefold())
        elif isinstance(o, Trigger):
            actors.setdefault(o.table.casefold(), []).append(o)
    found: set[ObjectId] = set()
    queue: list[str] = []
    for statement in statements:
        if destroys(statement):
            queue += [w.text.casefold() for w in words_of(statement.sql, statement.dialect)]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        for o in known.get(name, ()):
            if o.id.kind == "table":
                found.add(o.id)
            if isinstance(o, View):
                queue += _names_in(o.query)
            if isinstance(o, Routine):
                queue += _names_in(o.text, o.mode)
        queue += children.get(name, ())
        for trigger in actors.get(name, ()):
            queue += _names_in(trigger.text, trigger.mode)
    return found


def _names_in(text: str, mode: str = "") -> list[str]:
    return [w.text.casefold() for w in words_of(text, mysql_in(mode))]
