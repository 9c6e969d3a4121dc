"""The shop of the demo: its rows, its customers' orders, and a look at it that owes nothing to tagback.

Whatever the demo claims is read here with the database's own driver, in a connection of its own.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

CUSTOMERS, PRODUCTS, ORDERS = 10_000, 500, 25_000
LINES = (2, 3, 3, 2, 3)  # lines of one order after the other, over and over: 65,000 in all
REPRICED = 7  # the product whose price the shop itself changes
SEED = 1893
_FIRST = (
    "Ada Bea Cem Dina Emil Femke Greta Hugo Ines Jan Kim Lena Max Nora Ole Pia Quinn Rosa Sam Tess Udo Vera".split()
)
_LAST = "Abel Berg Costa Diaz Eklund Frey Gomez Haas Ito Jansen Koch Lang Meyer Novak Okafor Petit Rossi Singh".split()
_THINGS = "lamp kettle chair rug clock vase mirror shelf bench stool".split()
_STYLES = "oak brass linen steel walnut glass cork wool birch copper".split()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the shop sees: a digest of its whole schema, rows per table, and a digest of those first sold.

    The price of the product that the shop itself changes is not in the digest.
    """

    schema: str
    rows: dict[str, int]
    content: str

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


class Driver(Protocol):
    """What differs between the engines."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]: ...

    def load(self, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None: ...

    def schema(self) -> list[tuple[Any, ...]]:
        """Every definition the database holds, tagback's own tables left out."""

    def commit(self) -> None: ...


class Shop:
    """The application: it fills its tables, takes orders, and knows nothing of deployments."""

    def __init__(self, url: str) -> None:
        self._driver: Driver = SqliteDriver(url) if url.startswith("sqlite:") else PostgresDriver(url)
        self._sold = ORDERS

    def is_empty(self) -> bool:
        """Whether the database has no definitions of anybody's."""
        return not self._driver.schema()

    def open(self) -> None:
        """Fills the tables of release 1: 10,000 customers, 500 products, 25,000 orders with 65,000 lines."""
        chance = random.Random(SEED)
        names = [f"{chance.choice(_FIRST)} {chance.choice(_LAST)}" for _ in range(CUSTOMERS)]
        mails = [f"{n.lower().replace(' ', '.')}.{i}@example.org" for i, n in enumerate(names, 1)]
        mails[4711] = mails[4710]  # a couple with one address
        customers = (
            (i, n, m, f"20{15 + i % 10}-0{1 + i % 9}-11") for i, (n, m) in enumerate(zip(names, mails, strict=True), 1)
        )
        self._driver.load("customer", ("id", "name", "email", "joined"), customers)
        titles = [f"{style} {thing} no. {n}" for n in range(1, 6) for style in _STYLES for thing in _THINGS]
        prices = [chance.randrange(500, 50_000) for _ in titles]
        self._driver.load(
            "product", ("id", "title", "cents"), iter(zip(range(1, PRODUCTS + 1), titles, prices, strict=True))
        )
        buyers = [chance.randrange(1, CUSTOMERS + 1) for _ in range(ORDERS)]
        placed = ((i, b, f"2025-{1 + i * 12 // (ORDERS + 1):02}-{1 + i % 28:02}") for i, b in enumerate(buyers, 1))
        self._driver.load("orders", ("id", "customer", "placed"), placed)
        self._driver.load("order_line", _LINE, _lines(1, ORDERS, prices, chance))
        self._driver.commit()

    def sell(self, count: int) -> None:
        """So many more orders, in the columns that release 2 has; a release that adds columns keeps serving this."""
        first, self._sold = self._sold + 1, self._sold + count
        chance = random.Random(first)
        orders = ((i, chance.randrange(1, CUSTOMERS + 1), "2026-01-02", "open") for i in range(first, first + count))
        self._driver.load("orders", ("id", "customer", "placed", "status"), orders)
        prices = [int(row[0]) for row in self._driver.ask("SELECT cents FROM product ORDER BY id")]
        self._driver.load("order_line", _LINE, _lines(first, count, prices, chance))
        self._driver.commit()

    def orders_without_total(self) -> int:
        """The health query: every order comes to some amount."""
        rows = self._driver.ask(
            "SELECT count(*) FROM orders o LEFT JOIN order_total t ON t.id = o.id WHERE t.cents IS NULL"
        )
        self._driver.commit()
        return int(rows[0][0])

    def reprice(self, cents: int) -> None:
        """Somebody in the shop sets a price."""
        self._driver.ask(f"UPDATE product SET cents = {cents} WHERE id = {REPRICED} RETURNING id")
        self._driver.commit()

    def price(self, product: int) -> int:
        """What a product costs, in cents."""
        ((cents,),) = self._driver.ask(f"SELECT cents FROM product WHERE id = {product}")
        self._driver.commit()
        return int(cents)

    def schema(self) -> str:
        """A digest of every definition."""
        found = _digest(self._driver.schema())
        self._driver.commit()
        return found

    def look(self) -> Look:
        """Looks at everything. The content covers the rows that were there when the shop opened."""
        schema = self.schema()
        tables = ("customer", "product", "orders", "order_line")
        rows = {t: int(self._driver.ask(f"SELECT count(*) FROM {t}")[0][0]) for t in tables}
        content = hashlib.sha256()
        for sql in (
            "SELECT id, name, email, joined FROM customer ORDER BY id",
            f"SELECT id, title, CASE WHEN id <> {REPRICED} THEN cents END FROM product ORDER BY id",
            f"SELECT id, customer, placed FROM orders WHERE id <= {ORDERS} ORDER BY id",
            f"SELECT orders, position, product, quantity, cents FROM order_line WHERE orders <= {ORDERS} ORDER BY 1, 2",
        ):
            content.update(_digest(self._driver.ask(sql)).encode())
        self._driver.commit()
        return Look(schema, rows, content.hexdigest())

    def later_orders(self) -> int:
        """Orders taken after the opening, complete with their lines."""
        sql = f"SELECT count(DISTINCT orders) FROM order_line JOIN orders o ON o.id = orders WHERE o.id > {ORDERS}"
        rows = self._driver.ask(sql)
        self._driver.commit()
        return int(rows[0][0])


_LINE = ("orders", "position", "product", "quantity", "cents")


def _lines(first: int, count: int, prices: Sequence[int], chance: random.Random) -> Iterator[tuple[object, ...]]:
    for order in range(first, first + count):
        for position in range(1, LINES[order % len(LINES)] + 1):
            product = chance.randrange(len(prices))
            yield order, position, product + 1, chance.randrange(1, 5), prices[product]


def _digest(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()


class SqliteDriver:
    """The standard library's sqlite3 on the demo's file."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(Path(url.removeprefix("sqlite:///")))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def load(self, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
        places = ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    def schema(self) -> list[tuple[Any, ...]]:
        return self.ask(
            r"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE 'tagback\_%' ESCAPE '\'"
            " ORDER BY type, name"
        )

    def commit(self) -> None:
        self._connection.commit()


class PostgresDriver:
    """psycopg on the database that the reader named."""

    def __init__(self, url: str) -> None:
        import psycopg

        try:
            self._connection = psycopg.connect(url)
        except psycopg.Error as e:
            raise ConnectionError(f"the database can't be reached: {' '.join(str(e).split())}") from None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql.encode()).fetchall()

    def load(self, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def schema(self) -> list[tuple[Any, ...]]:
        return self.ask(_POSTGRES_SCHEMA)

    def commit(self) -> None:
        self._connection.commit()


_POSTGRES_SCHEMA = """
    WITH own AS (
        SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'tagback')
    )
    SELECT 'relation', relname::text, relkind::text, '' FROM own
    UNION ALL
    SELECT 'column', relname || '.' || row_number() OVER (PARTITION BY c.oid ORDER BY attnum), attname::text,
        format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || coalesce(pg_get_expr(adbin, adrelid), '')
    FROM own c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
    UNION ALL
    SELECT 'constraint', conname::text, relname::text, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN own c ON conrelid = c.oid
    UNION ALL
    SELECT 'index', relname::text, '', pg_get_indexdef(oid) FROM own WHERE relkind = 'i'
    UNION ALL
    SELECT 'view', relname::text, '', pg_get_viewdef(oid) FROM own WHERE relkind = 'v'
    UNION ALL
    SELECT 'trigger', tgname::text, relname::text, pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN own c ON tgrelid = c.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname::text, '', pg_get_functiondef(p.oid)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'tagback') AND prokind = 'f'
    ORDER BY 1, 2, 3, 4
"""
