"""The changes that everybody in the bench applies and takes back, with the downs that tools without tagback's idea need."""

from __future__ import annotations

from dataclasses import dataclass

BASE_TABLES = 20
BASE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Change:
    """One small migration, the same on SQLite and PostgreSQL. `number` counts from 1."""

    number: int
    name: str
    up: str
    down: str

    @property
    def stem(self) -> str:
        """The file's name without its suffix; sorts by number."""
        return f"{self.number:04}_{self.name}"


def changes(count: int) -> list[Change]:
    """A mix in turn: a table, a column for it, an index, a view, and a column for a table that has rows."""
    return [_change(n) for n in range(1, count + 1)]


def base() -> list[str]:
    """What is in the database before: some tables with rows, older than anybody's migrations."""
    statements = []
    for n in range(BASE_TABLES):
        statements.append(
            f"CREATE TABLE base_{n} (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, amount INTEGER)"
        )
        rows = ", ".join(f"({i}, 'name {i}', {i * 7})" for i in range(BASE_ROWS))
        statements.append(f"INSERT INTO base_{n} (id, name, amount) VALUES {rows}")
    return statements


def _change(n: int) -> Change:
    group, turn = divmod(n - 1, 5)
    table = f"item_{group}"
    match turn:
        case 0:
            up = f"CREATE TABLE {table} (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, amount INTEGER DEFAULT 0)"
            return Change(n, f"create_{table}", up, f"DROP TABLE {table}")
        case 1:
            down = f"ALTER TABLE {table} DROP COLUMN note"
            return Change(n, f"note_{table}", f"ALTER TABLE {table} ADD COLUMN note TEXT", down)
        case 2:
            up = f"CREATE INDEX {table}_by_name ON {table} (name, amount)"
            return Change(n, f"index_{table}", up, f"DROP INDEX {table}_by_name")
        case 3:
            up = f"CREATE VIEW {table}_view AS SELECT id, name FROM {table} WHERE amount > 0"
            return Change(n, f"view_{table}", up, f"DROP VIEW {table}_view")
    target, column = f"base_{group % BASE_TABLES}", f"extra_{group}"
    up = f"ALTER TABLE {target} ADD COLUMN {column} INTEGER DEFAULT 0"
    return Change(n, f"column_{column}", up, f"ALTER TABLE {target} DROP COLUMN {column}")
