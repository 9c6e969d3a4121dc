"""What random statements are made from: the names that are there, and which table and column is which over time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_tokens = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as far as statements about it must know it.

    `key`: of the primary key; `tells`: of one that can't hold NULL, by which rows are told apart. `default` is SQL.
    """

    name: str
    type: str
    not_null: bool = False
    key: bool = False
    generated: bool = False
    default: str = ""
    tells: bool = False


@dataclass(frozen=True, slots=True)
class Sketch:
    """The names in a schema; each name is quoted, and on PostgreSQL qualified, as it stands in SQL.

    `others` has the names of objects that aren't tables by their kind: `index`, `view`, `trigger`, `type`, …
    """

    tables: Mapping[str, tuple[Column, ...]]
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[str, ...]:
        """The names of one kind."""
        return self.others.get(kind, ())


@dataclass(frozen=True, slots=True)
class Change:
    """Statements that belong together. `moves` says which names went where, in order.

    ("table", old, new) renames a table, ("column", table, old, new) a column; ("replaced", table): dropped and made
    again within the statements, so that only its name and those of its columns tell that it is the same.
    """

    sql: tuple[str, ...]
    moves: tuple[tuple[str, ...], ...] = ()

    def __repr__(self) -> str:
        return "; ".join(self.sql)


@dataclass(frozen=True, slots=True)
class _Place:
    token: int
    columns: Mapping[str, int]


class Identities:
    """Tells the same table and the same column under all their names, independently of what tagback thinks."""

    def __init__(self, tables: Mapping[str, _Place] | None = None, first: Mapping[int, str] | None = None) -> None:
        self._tables: dict[str, _Place] = dict(tables or {})
        self._first: dict[int, str] = dict(first or {})  # the names that columns had when they came

    def copy(self) -> Identities:
        """As it is now."""
        return Identities(self._tables, self._first)

    def follow(self, change: Change, after: Sketch) -> None:
        """Takes note of a change that was made, and of what is there now."""
        for move in change.moves:
            if move[0] == "table" and move[1] in self._tables:
                self._tables[move[2]] = self._tables.pop(move[1])
            elif move[0] == "column" and move[1] in self._tables:
                place = self._tables[move[1]]
                columns = dict(place.columns)
                columns[move[3]] = columns.pop(move[2])
                self._tables[move[1]] = _Place(place.token, columns)
            elif move[0] == "replaced":
                place = self._tables.get(move[1], _Place(0, {}))
                self._tables[move[1]] = _Place(next(_tokens), place.columns)
        self.see(after)

    def see(self, after: Sketch) -> None:
        """Forgets what is gone and gives what is new an identity."""
        known = self._tables
        self._tables = {}
        for name, columns in after.tables.items():
            place = known.get(name, _Place(next(_tokens), {}))
            mine = {c.name: place.columns.get(c.name) or next(_tokens) for c in columns}
            self._tables[name] = _Place(place.token, mine)
            self._first |= {token: c for c, token in mine.items() if token not in self._first}

    def known_as(self, now: Identities, table: str, column: str) -> tuple[str, str]:
        """What a column of this time is called at that one; its name here where it isn't there."""
        if table not in self._tables:
            return table, column
        mine = self._tables[table]
        name = next((n for n, p in now._tables.items() if p.token == mine.token), table)
        theirs = now._tables[name].columns if name in now._tables else {}
        token = mine.columns.get(column)
        return name, next((c for c, t in theirs.items() if t == token), column)

    def pairs(
        self, then: Identities, table: str, fold: Callable[[str], str] = str, *, first_names: bool = False
    ) -> tuple[str, dict[str, str]] | None:
        """For a table of `then`: its name now and its columns' names, then to now; None if it is gone.

        A table or column that was dropped and made anew under its old name counts as the same, because its rows have
        no other place to go to. `fold` gives what is equal in column names that mean the same. `first_names`: in a table
        made anew that is true of the names that columns had when they came.
        """
        was = then._tables[table]
        found = [n for n, p in self._tables.items() if p.token == was.token]
        name = found[0] if found else table
        if name not in self._tables:
            return None
        if self._tables[name].token != was.token and self._tables[name].token in {
            p.token for p in then._tables.values()
        }:
            return None  # that one has another name to go back to
        now = self._tables[name].columns
        by_token = {token: column for column, token in now.items()}
        new = {column: token for column, token in now.items() if token not in was.columns.values()}
        anew = first_names and self._tables[name].token != was.token
        by_name = {fold(self._first[token] if anew else column): column for column, token in new.items()}
        columns = {}
        for column, token in was.columns.items():
            if token in by_token:
                columns[column] = by_token[token]
            elif fold(column) in by_name:
                columns[column] = by_name[fold(column)]
        if not columns and self._tables[name].token != was.token:
            return None  # another table, that has no more than the name
        return name, columns
