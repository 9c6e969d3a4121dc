"""Which table is which while a deployment runs.

SQLite has no lasting identity for a table or a column. It also has no SQL that hides other SQL, so every rename passes
by as a statement of its own, and following those is exact.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from tagback.changelog import Dialect, TokenKind, tokens
from tagback.engines.sqlite.naming import folded

_RENAMES_OR_DROPS = re.compile("rename|drop", re.I)


class Lineage:
    """Where today's tables and columns were when following began, by name; asks are by the name now."""

    def __init__(self) -> None:
        self._tables: dict[str, str] = {}  # folded name now -> token; absent: its own name
        self._columns: dict[tuple[str, str], str] = {}  # (table token, folded column now) -> folded column then
        self._vacant: set[str] = set()  # names that were given up: CREATE TABLE IF NOT EXISTS makes a table only there
        self._dropped: dict[str, str] = {}  # folded name -> token of the table that was dropped under it
        self._successors: dict[str, str] = {}  # token -> token of the table whose name it took when that was dropped
        self._creates: list[str] = []  # statements that made tables under names nothing had
        self._new = itertools.count(1)
        self._savepoints: list[tuple[str, Lineage]] = []  # the changeset's own, with what was known when they were set

    def table(self, name: str) -> str:
        """What identifies the table that has this name now."""
        return self._tables.get(folded(name), f"={folded(name)}")

    def column(self, table: str, column: str) -> str:
        """What identifies the column that has this name now: in a table built anew, the one it was built after."""
        token, name = self.table(table), folded(column)
        name = self._columns.get((token, name), name)
        while token in self._successors:
            token = self._successors[token]
            name = self._columns.get((token, name), name)
        return f"{token}\0{name}"

    def copy(self) -> Lineage:
        """The same, to come back to when a savepoint is rolled back."""
        other = Lineage()
        other._tables = dict(self._tables)
        other._columns = dict(self._columns)
        other._vacant = set(self._vacant)
        other._dropped = dict(self._dropped)
        other._successors = dict(self._successors)
        other._creates = list(self._creates)
        other._new = self._new
        return other

    def follow(self, sql: str) -> None:
        """Takes note of one statement that has been executed."""
        head = sql.lstrip()[:12].lower()
        if not head.startswith(("alter", "drop", "create", "savepoint", "rollback", "release", "-", "/")):
            return
        if head.startswith("create") and not self._tables:
            self._creates.append(sql)  # which name that is matters only where it takes another table's
            return
        if head.startswith("alter") and not _RENAMES_OR_DROPS.search(sql):
            return
        words = _names(sql)
        match [w.lower() if plain else "" for w, plain in words[:2]]:
            case ["alter", "table"]:
                self._alter([w for w, _ in words], [w.lower() if plain else "" for w, plain in words])
            case ["drop", "table"]:
                name = folded(_object(words, 2))
                if name not in self._vacant:
                    self._dropped[name] = self.table(name)
                    self._give_up(name)
            case ["create", "table" | "virtual" as kind]:
                name = folded(_object(words, 2 if kind == "table" else 3))
                if name in self._vacant:
                    self._take(name, self._fresh())
                else:
                    self._creates.append(sql)
            case ["savepoint", _]:
                self._savepoints.append((folded(words[1][0]), self.copy()))
            case ["rollback", _]:
                self._return_to(folded(_last(words)))
            case ["release", _]:
                self._savepoints = self._savepoints[: self._place_of(folded(_last(words)))]

    def _return_to(self, savepoint: str) -> None:
        place = self._place_of(savepoint)
        for _, then in self._savepoints[place : place + 1]:
            self._tables, self._columns = dict(then._tables), dict(then._columns)
            self._vacant, self._dropped = set(then._vacant), dict(then._dropped)
            self._successors, self._creates = dict(then._successors), list(then._creates)
        self._savepoints = self._savepoints[: place + 1]

    def _place_of(self, savepoint: str) -> int:
        """The innermost savepoint of this name; past the end if there is none."""
        places = [n for n, (name, _) in enumerate(self._savepoints) if name == savepoint]
        return places[-1] if places else len(self._savepoints)

    def _alter(self, names: Sequence[str], keywords: Sequence[str]) -> None:
        at = 4 if len(names) > 3 and names[3] == "." else 2
        table, rest = names[at], list(keywords[at + 1 :])
        token = self.table(table)
        if rest[:2] == ["rename", "to"]:
            self._give_up(folded(table))
            self._take(folded(names[at + 3]), token)
        elif rest[:1] == ["rename"]:
            first = at + 2 + (rest[1] == "column" and len(names) > at + 5)
            old, new = folded(names[first]), folded(names[first + 2])
            self._columns[token, new] = self._columns.pop((token, old), old)
            self._columns.setdefault((token, old), f"{old}?{next(self._new)}")
        elif rest[:1] == ["drop"]:
            old = folded(names[at + 2 + (rest[1] == "column" and len(names) > at + 3)])
            self._columns[token, old] = f"{old}?{next(self._new)}"

    def _take(self, name: str, token: str) -> None:
        self._tables[name] = token
        self._vacant.discard(name)
        dropped = self._dropped.pop(name, None)
        if dropped is not None and self._is_new(token):
            self._successors[token] = dropped

    def _is_new(self, token: str) -> bool:
        """Whether the table was made since following began."""
        return not token.startswith("=") or any(
            token == f"={folded(_object(words, at))}"
            for words in map(_names, self._creates)
            if (at := {"table": 2, "virtual": 3}.get(words[1][0].lower(), 0))
            and words[at:]
            and words[at][0].lower() != "if"
        )

    def _give_up(self, name: str) -> None:
        self._tables[name] = self._fresh()
        self._vacant.add(name)

    def _fresh(self) -> str:
        return f"new{next(self._new)}"


def _names(sql: str) -> list[tuple[str, bool]]:
    """Words and names of a statement's beginning, names unquoted; with whether each stood unquoted."""
    found: list[tuple[str, bool]] = []
    for token in tokens(sql, Dialect.SQLITE):
        if not token.significant:
            continue
        text = token.text
        if text[0] in "\"`'" and text[-1] == text[0] and len(text) > 1:
            found.append((text[1:-1].replace(text[0] * 2, text[0]), False))
        elif text[0] == "[" and text[-1] == "]":
            found.append((text[1:-1], False))
        else:
            found.append((text, token.kind is TokenKind.WORD))
        if len(found) >= 12:
            break
    return found


def _last(words: list[tuple[str, bool]]) -> str:
    return next(name for name, _ in reversed(words) if name != ";")


def _object(words: list[tuple[str, bool]], at: int) -> str:
    """The table's name after DROP TABLE or CREATE TABLE: past IF [NOT] EXISTS and the schema."""
    if words[at][1] and words[at][0].lower() == "if":
        at += 3 if words[at + 1][0].lower() == "not" else 2
    if len(words) > at + 2 and words[at + 1][0] == ".":
        at += 2
    return words[at][0]
