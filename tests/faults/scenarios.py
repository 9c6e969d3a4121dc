"""What is run while faults happen: the changesets deployed before, those on disk, and what is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target

WAIT = 5.0  # seconds for the deployment lock: nobody else has it for long

Files = Mapping[str, str]
Act = Callable[[Target, Path], object]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. `prepare` brings a fresh database to the start; `act` is what faults happen to."""

    name: str
    title: str
    engines: tuple[str, ...]
    prepare: Act
    act: Act
    files: Callable[[str], Files]
    journaled: bool = False  # parts of it commit by themselves
    fails: bool = False  # the changelog's own error ends it, so that its end is its start


def write(folder: Path, files: Files) -> None:
    """Puts changesets on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


# ---------------------------------------------------------------------- the changesets

_SHOP = """
CREATE TABLE customer (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody', mail TEXT, CONSTRAINT named CHECK (name <> '')
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id), amount INTEGER, note TEXT
);
CREATE INDEX orders_customer ON orders (customer);
CREATE VIEW totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
INSERT INTO customer (id, name, mail) VALUES (1, 'Ada', 'ada@x'), (2, 'Ben', NULL), (3, 'Çağ', 'c@x');
INSERT INTO orders (id, customer, amount, note) VALUES (1, 1, 10, 'a'), (2, 1, 20, NULL), (3, 3, 30, 'c');
"""

_TRIGGER = {
    "sqlite": """
CREATE TRIGGER noted AFTER INSERT ON orders BEGIN
    UPDATE orders SET note = coalesce(note, 'new') WHERE id = NEW.id; SELECT 1;
END;
""",
    "postgresql": """
CREATE FUNCTION note_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.note := coalesce(NEW.note, 'new'); RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note_order();
""",
}

_RENAMES = """
ALTER TABLE customer RENAME COLUMN mail TO email;
ALTER TABLE customer RENAME TO client;
ALTER TABLE client ADD COLUMN since TEXT DEFAULT 'always';
CREATE UNIQUE INDEX client_email ON client (email);
"""

_TABLES = """
CREATE TABLE address (id INTEGER PRIMARY KEY, client INTEGER REFERENCES client (id), city TEXT DEFAULT 'Here');
INSERT INTO address (id, client) SELECT id, id FROM client;
DROP VIEW totals;
CREATE VIEW totals AS SELECT customer, sum(amount) AS total, count(*) AS times FROM orders GROUP BY customer;
DROP INDEX orders_customer;
CREATE INDEX orders_both ON orders (customer, amount);
"""

_COLUMNS = {
    "sqlite": "ALTER TABLE orders ADD COLUMN paid INTEGER NOT NULL DEFAULT 0 CHECK (paid IN (0, 1));\n",
    "postgresql": "ALTER TABLE orders ADD COLUMN paid INTEGER NOT NULL DEFAULT 0, ADD CHECK (paid IN (0, 1));\n",
}

_OVERWRITES = """
UPDATE orders SET amount = amount * 2 WHERE customer = 1;
DELETE FROM orders WHERE id = 3;
INSERT INTO client (id, name) VALUES (4, 'Dee');
"""


def _files(engine: str) -> Files:
    return {
        "001_shop.sql": _SHOP,
        "002_trigger.sql": _TRIGGER[engine],
        "003_renames.sql": _RENAMES,
        "004_tables.sql": _TABLES,
        "005_columns.sql": _COLUMNS[engine],
    }


def _overwriting(engine: str) -> Files:
    return {**_files(engine), "006_overwrites.sql": _OVERWRITES}


def _dropping(engine: str) -> Files:
    return {**_files(engine), "006_drop.sql": "DROP TABLE address;\nDROP TABLE orders CASCADE;\n"}


def _concurrent(engine: str) -> Files:
    return {
        **_files(engine),
        "006_index.sql": "CREATE INDEX CONCURRENTLY client_name ON client (name);\n",
        "007_more.sql": "ALTER TABLE orders RENAME COLUMN note TO remark;\nCREATE TABLE later (id INTEGER);\n",
        "008_index.sql": "DROP INDEX CONCURRENTLY client_email;\n",
    }


def _concurrent_and_wrong(engine: str) -> Files:
    return {
        **_concurrent(engine),
        "009_unique.sql": "CREATE UNIQUE INDEX CONCURRENTLY orders_once ON orders (customer);\n",  # customer 1 is there twice
    }


# ---------------------------------------------------------------------- what is done


def _deploy(tag: str, to: str | None = None, *, granular: bool = False) -> Act:
    options = ApplyOptions(tag=tag, to=to, granular=granular, allow_irreversible=True, lock_wait=WAIT, attempts=3)
    return lambda target, folder: target.apply(folder, options)


def _back(to: str | None = None, changeset: str | None = None) -> Act:
    options = RollbackOptions(to=to, to_changeset=changeset, lock_wait=WAIT, attempts=3)
    return lambda target, _: target.rollback(options)


def _tag(name: str, *, move: bool = False) -> Act:
    return lambda target, _: target.tag(name, move=move, lock_wait=WAIT)


def _in_turn(*acts: Act) -> Act:
    def all_of_them(target: Target, folder: Path) -> None:
        for act in acts:
            act(target, folder)

    return all_of_them


def _nothing(target: Target, folder: Path) -> None:
    pass


BOTH = ("sqlite", "postgresql")
_R1 = _deploy("r1", "002_trigger")
_R2 = _deploy("r2", "003_renames")
_R3 = _deploy("r3", "005_columns")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("first", "first deployment, ledger made", BOTH, _nothing, _R1, _files),
    Scenario("deploy", "3 changesets", BOTH, _R1, _deploy("r2", "005_columns"), _files),
    Scenario(
        "overwrite",
        "changesets that overwrite rows",
        BOTH,
        _in_turn(_R1, _deploy("r2", "005_columns")),
        _deploy("r3"),
        _overwriting,
    ),
    Scenario("rollback", "rollback over two deployments", BOTH, _in_turn(_R1, _R2, _R3), _back("r1"), _files),
    Scenario(
        "granular",
        "3 changesets, each a place to return to",
        BOTH,
        _R1,
        _deploy("r2", "005_columns", granular=True),
        _files,
    ),
    Scenario(
        "inside",
        "rollback into a granular deployment",
        BOTH,
        _in_turn(_R1, _deploy("r2", "005_columns", granular=True)),
        _back(changeset="003_renames"),
        _files,
    ),
    Scenario("tag", "tag", BOTH, _R1, _tag("here"), _files),
    Scenario("move", "tag moved", BOTH, _in_turn(_R1, _R2), _tag("r1", move=True), _files),
    Scenario(
        "redo",
        "deployment again after its rollback",
        BOTH,
        _in_turn(_R1, _R2, _R3, _back("r1")),
        _deploy("again", "005_columns"),
        _files,
    ),
    Scenario(
        "dropped",
        "tables with rows dropped, moved to the shelf",
        ("postgresql",),
        _in_turn(_R1, _R2, _R3),
        _deploy("r4"),
        _dropping,
    ),
    Scenario(
        "home",
        "the same tables moved back",
        ("postgresql",),
        _in_turn(_R1, _R2, _R3, _deploy("r4")),
        _back("r3"),
        _dropping,
    ),
    Scenario(
        "journaled",
        "CREATE and DROP INDEX CONCURRENTLY among changesets",
        ("postgresql",),
        _in_turn(_R1, _R2),
        _deploy("r3"),
        _concurrent,
        journaled=True,
    ),
    Scenario(
        "undone",
        "the same with a last one that fails, undone",
        ("postgresql",),
        _in_turn(_R1, _R2),
        _deploy("r3"),
        _concurrent_and_wrong,
        journaled=True,
        fails=True,
    ),
)


def scenario(name: str) -> Scenario:
    """The one of that name."""
    return next(s for s in SCENARIOS if s.name == name)
