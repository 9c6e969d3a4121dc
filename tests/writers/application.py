"""An application that writes all the time, and keeps its own account of what was acknowledged."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from tests.writers.connections import NoColumn, Refused, connect

SETUP = """
CREATE TABLE item (id BIGINT PRIMARY KEY, a INTEGER NOT NULL, b TEXT, c TEXT NOT NULL);
CREATE TABLE pulse (at INTEGER);
"""
DROPPED = "ALTER TABLE item DROP COLUMN b;\n"
STALL = 0.05  # seconds: shorter waits are everyday life

T = TypeVar("T")
Values = dict[str, object]
"""A row without its key, by column."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write to one row. An insert gives every column, an update some, a delete none."""

    kind: str
    key: int
    values: Values

    def statement(self, columns: Sequence[str]) -> tuple[str, list[object]]:
        """The SQL that writes these columns."""
        values = [self.values[c] for c in columns]
        if self.kind == "insert":
            return f"INSERT INTO item ({', '.join(['id', *columns])}) VALUES (?{', ?' * len(columns)})", [
                self.key,
                *values,
            ]
        if self.kind == "update":
            return f"UPDATE item SET {', '.join(f'{c} = ?' for c in columns)} WHERE id = ?", [*values, self.key]
        return "DELETE FROM item WHERE id = ?", [self.key]


class Writer(threading.Thread):
    """One connection that inserts, updates and deletes rows of its own until it is told to stop.

    `rows` is the account: what was acknowledged, in the columns that were there. `b` is tried now and then even while it
    isn't there; a write that is refused because of that is made again without it.
    """

    def __init__(self, url: str, number: int, writers: int, rows: dict[int, Values]) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.rows = rows
        self.acknowledged: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.stalls: list[tuple[float, float]] = []  # when each began and ended
        self.problems: list[str] = []
        self.stop = threading.Event()
        self._connection = connect(url)
        self._chance = random.Random(number)
        self._step = writers
        self._next = max(rows, default=number - writers) + writers
        self._keys = list(rows)
        self._count = 0
        self._b_is_there = True
        self._reads_aside = not url.startswith("sqlite")

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._transaction()
        except (psycopg.Error, sqlite3.Error) as e:
            self.problems.append(f"{self.name}: {type(e).__name__}: {e}")
        finally:
            self._connection.close()

    def _transaction(self) -> None:
        """One to three writes. Some look at the row first, and some have a snapshot, and take their time in between."""
        writes = [self._write() for _ in range(self._chance.choice((1, 1, 1, 3)))]
        if len({w.key for w in writes}) < len(writes):
            return
        how = self._chance.choices(("plain", "looks first", "snapshot"), (8, 3, 1))[0]
        # On SQLite who looks first has the write lock: others would wait for nothing else.
        pause = (
            self._chance.choice((0, 0, 0.01, 0.3)) if how == "snapshot" or (how != "plain" and self._reads_aside) else 0
        )
        with_b = self._b_is_there or self._chance.random() < 0.1
        try:
            self._try(writes, how, pause, with_b=with_b)
            self._b_is_there = with_b
        except NoColumn:
            self._roll_back("no column b")
            self._b_is_there = False
            try:
                self._try(writes, how, 0, with_b=False)
            except Refused as e:
                self._roll_back(str(e))
        except Refused as e:
            self._roll_back(str(e))

    def _try(self, writes: Sequence[Write], how: str, pause: float, *, with_b: bool) -> None:
        self._timed(lambda: self._connection.begin(snapshot=how == "snapshot"))
        if how == "snapshot":
            self._run("SELECT at FROM pulse", ())
        if how == "looks first" and writes[0].kind != "insert":
            self._look(writes[0].key)
        time.sleep(pause)
        done = []
        for w in writes:
            columns = [c for c in w.values if c != "b" or with_b]
            if w.kind == "update" and not columns:
                continue
            written, _ = self._run(*w.statement(columns))
            if written != 1:
                # After a rewrite PostgreSQL shows an empty table to older snapshots; nothing is acknowledged then.
                if how != "snapshot":
                    self.problems.append(f"{self.name}: {w.kind} of {w.key} found no row")
                raise Refused("nothing in the snapshot")
            done.append((w, columns))
        self._timed(self._connection.commit)
        for w, columns in done:
            self._note(w, columns)

    def _look(self, key: int) -> None:
        _, found = self._run("SELECT a, c FROM item WHERE id = ?", (key,))
        wanted = (self.rows[key]["a"], self.rows[key]["c"])
        if found != wanted:
            self.problems.append(f"{self.name}: {key} is {found}, but {wanted} was acknowledged")

    def _write(self) -> Write:
        self._count += 1
        values: Values = {"a": self._count, "b": f"b{self._count}", "c": f"c{self._count}"}
        kind = self._chance.choices(("insert", "update", "delete"), (3, 5, 2))[0]
        if kind == "insert" or not self._keys:
            key = self._next
            self._next += self._step
            return Write("insert", key, values)
        place = self._chance.randrange(len(self._keys))
        if kind == "update":
            chosen = self._chance.sample(("a", "b", "c"), self._chance.randint(1, 3))
            return Write("update", self._keys[place], {c: values[c] for c in chosen})
        return Write("delete", self._keys[place], {})

    def _note(self, w: Write, columns: Sequence[str]) -> None:
        self.acknowledged[w.kind] += 1
        if w.kind == "delete":
            del self.rows[w.key]
            place = self._keys.index(w.key)
            self._keys[place] = self._keys[-1]
            self._keys.pop()
            return
        if w.kind == "insert":
            self.rows[w.key] = {"b": None}
            self._keys.append(w.key)
        self.rows[w.key].update({c: w.values[c] for c in columns})

    def _roll_back(self, why: str) -> None:
        self.refused[why] += 1
        self._connection.rollback()

    def _run(self, sql: str, values: Sequence[object]) -> tuple[int, tuple[object, ...] | None]:
        return self._timed(lambda: self._connection.run(sql, values))

    def _timed(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return call()
        finally:
            ended = time.monotonic()
            if ended - began > STALL:
                self.stalls.append((began, ended))
