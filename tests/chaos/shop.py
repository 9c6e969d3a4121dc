"""What is deployed: a shop in three states, on each engine, and a release that fails at its very end.

The application writes to `item`, `visit` and `address` all the time; every other row, and items with a negative key, are
the changesets' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

TAGS = ("v1", "v2", "v3")
LAST = {"v1": "001_shop", "v2": "003_addresses", "v3": "006_numbers"}
"""The last changeset of each state."""

_SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT 'nobody', mail VARCHAR(40));
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, amount INTEGER, note VARCHAR(40),
    CONSTRAINT ordered_by FOREIGN KEY (customer) REFERENCES customer (id)
);
CREATE INDEX orders_customer ON orders (customer, amount);
CREATE VIEW totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
CREATE TABLE item (id BIGINT PRIMARY KEY, a INTEGER NOT NULL, b VARCHAR(40), c VARCHAR(40) NOT NULL);
CREATE INDEX item_c ON item (c);
CREATE TABLE visit (id BIGINT PRIMARY KEY, a INTEGER NOT NULL);
INSERT INTO customer (id, name, mail) VALUES (1, 'Ada', 'ada@x'), (2, 'Ben', NULL), (3, 'Çağ', 'c@x');
INSERT INTO orders (id, customer, amount, note) VALUES (1, 1, 10, 'a'), (2, 1, 20, NULL), (3, 3, 30, 'c');
INSERT INTO item (id, a, b, c) VALUES (-1, 0, 'one', 'x'), (-2, 0, NULL, 'y'), (-3, 0, 'three', 'z');
"""

_COLUMNS = """
ALTER TABLE item DROP COLUMN b;
UPDATE orders SET amount = amount * 2 WHERE customer = 1;
ALTER TABLE customer RENAME COLUMN mail TO email;
DELETE FROM orders WHERE id = 3;
"""

_ADDRESSES = """
CREATE TABLE address (id BIGINT PRIMARY KEY, a INTEGER NOT NULL);
INSERT INTO address (id, a) SELECT -id, id FROM customer;
ALTER TABLE item ADD COLUMN d VARCHAR(40) DEFAULT 'd0';
UPDATE item SET c = concat(c, '!') WHERE id < 0;
"""

_VISITS = """
DROP TABLE visit;
CREATE INDEX item_a ON item (a);
DELETE FROM item WHERE id = -2;
DROP VIEW totals;
"""

_NUMBERS = {
    "sqlite": """
CREATE VIEW totals AS SELECT customer, count(*) AS times FROM orders GROUP BY customer;
UPDATE customer SET email = 'none' WHERE email IS NULL;
ALTER TABLE orders RENAME TO purchase;
INSERT INTO item (id, a, c) VALUES (-9, 9, 'new');
""",
    "postgresql": """
ALTER TABLE item ALTER COLUMN a TYPE BIGINT;
UPDATE customer SET email = 'none' WHERE email IS NULL;
ALTER TABLE orders RENAME TO purchase;
INSERT INTO item (id, a, c) VALUES (-9, 9, 'new');
""",
    "mariadb": """
ALTER TABLE item MODIFY a BIGINT NOT NULL;
UPDATE customer SET email = 'none' WHERE email IS NULL;
ALTER TABLE orders RENAME TO purchase;
INSERT INTO item (id, a, c) VALUES (-9, 9, 'new');
""",
}

_INDEX = "CREATE INDEX {} item_d ON item (d);\n"
_FAILING = (
    "UPDATE customer SET name = 'lost';\nCREATE TABLE half (id INTEGER);\nALTER TABLE nowhere ADD COLUMN x INTEGER;\n"
)


def write(folder: Path, engine: str) -> tuple[Path, Path]:
    """Puts the changelog on disk, and another one that fails at its end."""
    good, failing = folder / "changelog", folder / "failing"
    for place, more in ((good, {}), (failing, {"007_failing.sql": _FAILING})):
        place.mkdir()
        for name, text in {**_files(engine), **more}.items():
            (place / name).write_text(text)
    return good, failing


def _files(engine: str) -> Mapping[str, str]:
    addresses = _ADDRESSES.replace("concat(c, '!')", "c || '!'") if engine == "sqlite" else _ADDRESSES
    return {
        "001_shop.sql": _SHOP,
        "002_columns.sql": _COLUMNS,
        "003_addresses.sql": addresses,
        "004_visits.sql": _VISITS,
        "005_index.sql": _INDEX.format("CONCURRENTLY" if engine == "postgresql" else ""),
        "006_numbers.sql": _NUMBERS[engine],
    }
