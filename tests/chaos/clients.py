"""The application: writers that never stop, and the account of what the database told them was done."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.writers.connections import Connection, Lost, NoColumn, Refused, Row, connect

Item = dict[str, object]
DEFAULT_D = "d0"
PATIENCE = 30.0  # seconds that a transaction may take, however often it is refused


@dataclass(slots=True)
class Account:
    """What one writer knows. `maybe`: rows of which the commit was asked for and not answered."""

    items: dict[int, Item] = field(default_factory=dict)
    visits: dict[int, int] = field(default_factory=dict)
    addresses: dict[int, int] = field(default_factory=dict)
    maybe: set[tuple[str, int]] = field(default_factory=set)
    writes: int = 0


class Writer(threading.Thread):
    """One connection that writes to rows of its own until it is told to stop, and comes back when it is cut off."""

    def __init__(self, url: str, number: int, step: int, account: Account) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.account = account
        self.problems: list[str] = []
        self.stop = threading.Event()
        self.is_new = False  # a release that knows what v2 has
        self._go = threading.Event()
        self._idle = threading.Event()
        self._url = url
        self._chance = random.Random(number)
        self._step = step
        self._count = max([number, *account.items, *account.visits, *account.addresses], default=number)
        self._connection: Connection | None = None
        self._doubt: Callable[[Connection], None] | None = None
        self._go.set()

    def pause(self) -> bool:
        """Waits until it does nothing and knows what became of all it did; False if that takes too long."""
        self._go.clear()
        return self._idle.wait(PATIENCE) or not self.is_alive()

    def go_on(self) -> None:
        """After `pause`."""
        self._idle.clear()
        self._go.set()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                if not self._go.is_set() and self._doubt is None:
                    self._close()
                    self._idle.set()
                    self._go.wait(0.05)
                    continue
                self._turn()
                time.sleep(self._chance.choice((0, 0.002, 0.01)))
        except Exception as e:  # noqa: BLE001 - whatever it is, it is told, and the others go on
            self.problems.append(f"{self.name}: {type(e).__name__}: {e}")
        finally:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _turn(self) -> None:
        """One transaction; or, after a lost answer, a look at what became of the last one."""
        try:
            if self._connection is None:
                self._connection = connect(self._url)
            if self._doubt is not None:
                self._doubt(self._connection)
                self._doubt = None
                return
            try:
                self._transaction(self._connection)
            except (NoColumn, Refused):
                self._connection.rollback()
        except (NoColumn, Refused):
            time.sleep(0.01)  # its doubts stay
        except Lost:
            self._close()
            time.sleep(0.02)

    def _transaction(self, connection: Connection) -> None:
        self._count += self._step
        number = self._count
        more = ("d", "address") if self.is_new else ("b", "visit")
        kind = self._chance.choices(("insert", "update", "delete", *more), (3, 4, 1, 2, 1))[0]
        if kind in ("visit", "address"):
            self._append(connection, kind, number)
            return
        if kind == "insert" or not self.account.items:
            item: Item = {"a": number, "c": f"c{number}"}
            sql, key = "INSERT INTO item (a, c, id) VALUES (?, ?, ?)", number
        else:
            key = self._chance.choice(list(self.account.items))
            if kind == "delete":
                self._write(connection, "DELETE FROM item WHERE id = ?", key, None)
                return
            column = "c" if kind == "update" else kind
            item = {"a": number, column: f"{column}{number}"}
            sql = f"UPDATE item SET a = ?, {column} = ? WHERE id = ?"
        self._write(connection, sql, key, item)

    def _write(self, connection: Connection, sql: str, key: int, item: Item | None) -> None:
        """`item`: the values of the columns that are written, None to delete it."""
        connection.begin()
        written, _ = connection.run(sql, [*item.values(), key] if item else [key])
        if written != 1:
            self.problems.append(f"{self.name}: {sql} found {written} rows with {key}")
        try:
            connection.commit()
        except Lost:
            self._doubt = lambda again: self._resolve(again, key, item)
            raise
        self._note(key, item)

    def _resolve(self, connection: Connection, key: int, item: Item | None) -> None:
        """Every write gives `a` a number of its own."""
        _, found = connection.run("SELECT a FROM item WHERE id = ?", (key,))
        if (found is None) if item is None else (found is not None and found[0] == item["a"]):
            self._note(key, item)

    def _note(self, key: int, item: Item | None) -> None:
        self.account.writes += 1
        if item is None:
            del self.account.items[key]
        else:
            self.account.items.setdefault(key, {}).update(item)

    def _append(self, connection: Connection, table: str, number: int) -> None:
        """A row in a table that isn't always there."""
        connection.begin()
        connection.run(f"INSERT INTO {table} (id, a) VALUES (?, ?)", (number, number))
        try:
            connection.commit()
        except Lost:
            self.account.maybe.add((table, number))
            raise
        self.account.writes += 1
        (self.account.visits if table == "visit" else self.account.addresses)[number] = number


def problems(connection: Connection, accounts: list[Account], columns: Mapping[str, object]) -> list[str]:
    """What the database doesn't hold as it was told; `columns` of `item` beside a and c, with their defaults."""
    wanted = {
        key: (item["a"], item["c"], *(item.get(c, default) for c, default in columns.items()))
        for account in accounts
        for key, item in account.items.items()
    }
    more = "".join(f", {c}" for c in columns)
    found = {_number(row[0]): row[1:] for row in connection.all(f"SELECT id, a, c{more} FROM item WHERE id > 0")}
    told = [
        f"item {key} is {found.get(key, 'lost')}, but {wanted.get(key, 'no such row')} was acknowledged"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
    ]
    for table, column in (("visit", "visits"), ("address", "addresses")):
        try:
            rows: list[Row] = connection.all(f"SELECT id, a FROM {table} WHERE id > 0")
        except NoColumn:
            continue
        there = {_number(key): a for key, a in rows}
        certain: dict[int, int] = {}
        for account in accounts:
            certain |= getattr(account, column)
        doubtful = {key: key for account in accounts for name, key in account.maybe if name == table}
        told += [f"{table} {key} is lost" for key, a in certain.items() if there.get(key) != a]
        told += [f"{table} {key} was never acknowledged" for key in there.keys() - certain.keys() - doubtful.keys()]
    return told


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
