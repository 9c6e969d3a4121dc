# ruff: noqa: E501 - a table: a line for each small case
"""What a deployment did to rows, what the application wrote since, and what must be there after the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Row = tuple[object, ...]
Tables = Mapping[str, Sequence[Row]]
Conflicts = set[tuple[str, str, str]]

SHOP = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20), (3, 'z', 30);
"""
BAG = "CREATE TABLE bag (v INTEGER, w TEXT); INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (2, 'b'), (NULL, NULL);"
START = [(1, "x", 10), (2, None, 20), (3, "z", 30)]


@dataclass(frozen=True, slots=True)
class MergeCase:
    """`write` is the application's. `kept` are rows after the way back with `--on-conflict keep`, `restored` those with
    `restore` where they differ; `conflicts` are (table, key, column), and `stands` is what they say with `keep`. `again`: deployed once more, the same changesets
    lead to the rows that were there before the way back; not so where they find other rows than the first time.
    """

    name: str
    setup: str
    change: str
    write: str
    kept: Tables
    conflicts: Conflicts = field(default_factory=set)
    restored: Tables | None = None
    again: bool = True
    stands: str = "later"


CASES = (
    # ------------------------------------------------------------------ tables
    MergeCase(
        "a table was dropped, and another one of its name was written to",
        SHOP + "CREATE INDEX t_i ON t (a);",
        "DROP TABLE t; CREATE TABLE t (n INTEGER NOT NULL, w TEXT); CREATE INDEX t_i ON t (w); INSERT INTO t VALUES (1, 'new')",
        "INSERT INTO t VALUES (2, 'mine')",
        {"t": START},
    ),
    MergeCase(
        "a table was dropped, and another one with its key was written to",
        SHOP,
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT); INSERT INTO t VALUES (1, 'new')",
        "INSERT INTO t VALUES (9, 'mine')",
        {"t": [*START, (9, None, None)]},
    ),
    MergeCase(
        "an empty table was dropped, and another one of its name was written to",
        "CREATE TABLE t (a INTEGER NOT NULL);",
        "DROP TABLE t; CREATE TABLE t (w TEXT)",
        "INSERT INTO t VALUES ('mine')",
        {"t": []},
    ),
    # ------------------------------------------------------------------ values
    MergeCase(
        "another column was written",
        SHOP,
        "UPDATE t SET a = 'new'",
        "UPDATE t SET b = b + 1",
        {"t": [(1, "x", 11), (2, None, 21), (3, "z", 31)]},
    ),
    MergeCase(
        "the same value was written",
        SHOP,
        "UPDATE t SET a = 'new'",
        "UPDATE t SET a = 'mine' WHERE id = 1",
        {"t": [(1, "mine", 10), (2, None, 20), (3, "z", 30)]},
        {("t", "id=1", "a")},
        {"t": START},
        again=False,  # what stood was not taken away
    ),
    MergeCase(
        "NULL was written where the deployment wrote",
        SHOP,
        "UPDATE t SET a = 'new'",
        "UPDATE t SET a = NULL WHERE id = 3",
        {"t": [(1, "x", 10), (2, None, 20), (3, None, 30)]},
        {("t", "id=3", "a")},
        {"t": START},
        again=False,
    ),
    MergeCase(
        "the old value was written again",
        SHOP,
        "UPDATE t SET a = 'new'",
        "UPDATE t SET a = 'x' WHERE id = 1",
        {"t": START},
        again=False,
    ),
    MergeCase(
        "one column of two was written",
        SHOP,
        "UPDATE t SET a = 'new', b = b * 2 WHERE id < 3",
        "UPDATE t SET b = 7 WHERE id = 1",
        {"t": [(1, "x", 7), (2, None, 20), (3, "z", 30)]},
        {("t", "id=1", "b")},
        {"t": START},
        again=False,
    ),
    MergeCase(
        "a row that the deployment left alone was written",
        SHOP,
        "UPDATE t SET a = 'new' WHERE id = 1",
        "UPDATE t SET a = 'mine' WHERE id = 2",
        {"t": [(1, "x", 10), (2, "mine", 20), (3, "z", 30)]},
    ),
    MergeCase(
        "a row that the deployment changed was deleted",
        SHOP,
        "UPDATE t SET a = 'new'",
        "DELETE FROM t WHERE id = 1",
        {"t": START[1:]},
        again=False,
    ),
    MergeCase(
        "rows came",
        SHOP,
        "UPDATE t SET a = 'new', b = 0",
        "INSERT INTO t VALUES (4, 'mine', 40)",
        {"t": [*START, (4, "mine", 40)]},
        again=False,
    ),
    MergeCase(
        "two rows swapped their values",
        SHOP,
        "UPDATE t SET b = CASE id WHEN 1 THEN 20 WHEN 2 THEN 10 ELSE b END",
        "UPDATE t SET a = 'mine' WHERE id = 2",
        {"t": [(1, "x", 10), (2, "mine", 20), (3, "z", 30)]},
    ),
    # ------------------------------------------------------------------ rows
    MergeCase("deleted rows", SHOP, "DELETE FROM t WHERE id > 1", "UPDATE t SET b = 11", {"t": [(1, "x", 11), *START[1:]]}),
    MergeCase(
        "a deleted row was made again, another one",
        SHOP,
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 'mine', 0)",
        {"t": [(1, "mine", 0), *START[1:]]},
        {("t", "id=1", "")},
        {"t": START},
        again=False,
    ),
    MergeCase(
        "a deleted row was made again, the same",
        SHOP,
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 'x', 10)",
        {"t": START},
        again=False,
    ),
    MergeCase("added rows", SHOP, "INSERT INTO t VALUES (4, 'new', 40)", "UPDATE t SET b = 0 WHERE id = 1", {"t": [(1, "x", 0), *START[1:]]}),
    MergeCase(
        "an added row was written",
        SHOP,
        "INSERT INTO t VALUES (4, 'new', 40), (5, 'new', 50)",
        "UPDATE t SET b = 41 WHERE id = 4",
        {"t": [*START, (4, "new", 41)]},
        {("t", "id=4", "")},
        {"t": START},
        again=False,
    ),
    MergeCase(
        "an added row was deleted",
        SHOP,
        "INSERT INTO t VALUES (4, 'new', 40), (5, 'new', 50)",
        "DELETE FROM t WHERE id = 4",
        {"t": START},
        again=False,
    ),
    MergeCase("all rows deleted", SHOP, "DELETE FROM t", "INSERT INTO t VALUES (9, 'mine', 9)", {"t": [*START, (9, "mine", 9)]}, again=False),
    MergeCase("keys changed", SHOP, "UPDATE t SET id = id + 10", "INSERT INTO t VALUES (4, 'mine', 40)", {"t": [*START, (4, "mine", 40)]}, again=False),
    MergeCase(
        "keys changed, and a row under its new key was written",
        SHOP,
        "UPDATE t SET id = id + 10",
        "UPDATE t SET b = 0 WHERE id = 11",
        {"t": [*START, (11, "x", 0)]},
        {("t", "id=11", "")},
        {"t": START},
        again=False,
    ),
    MergeCase("keys changed places", SHOP, "UPDATE t SET id = -id; UPDATE t SET id = id + 4", "UPDATE t SET b = 0 WHERE id = 2", {"t": [(1, "x", 10), (2, None, 0), (3, "z", 30)]}),
    # ------------------------------------------------------------------ columns
    MergeCase(
        "a dropped column; rows were written, came and went",
        SHOP,
        "ALTER TABLE t DROP COLUMN b",
        "UPDATE t SET a = 'mine' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t (id, a) VALUES (4, 'new')",
        {"t": [(1, "mine", 10), (3, "z", 30), (4, "new", None)]},
    ),
    MergeCase(
        "a dropped column with a default; rows came",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER NOT NULL DEFAULT 5); INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 5);",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t (id, a) VALUES (3, 'new')",
        {"t": [(1, "x", 10), (2, "y", 5), (3, "new", 5)]},
    ),
    MergeCase(
        "a column dropped in the middle and another added",
        SHOP,
        "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1",
        "UPDATE t SET b = 0 WHERE id = 1",
        {"t": [(1, "x", 0), (2, None, 20), (3, "z", 30)]},
    ),
    MergeCase(
        "a column that was dropped and made again under its name",
        SHOP,
        "ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 1",
        "UPDATE t SET a = 'mine' WHERE id = 1",
        {"t": [(1, "mine", 10), (2, None, 20), (3, "z", 30)]},
    ),
    MergeCase(
        "a renamed column with new values",
        SHOP,
        "ALTER TABLE t RENAME COLUMN a TO c; UPDATE t SET c = 'new'",
        "UPDATE t SET b = 0 WHERE id = 1; UPDATE t SET c = 'mine' WHERE id = 3",
        {"t": [(1, "x", 0), (2, None, 20), (3, "mine", 30)]},
        {("t", "id=3", "a")},
        {"t": [(1, "x", 0), (2, None, 20), (3, "z", 30)]},
        again=False,
    ),
    MergeCase(
        "a renamed table with new values",
        SHOP,
        "ALTER TABLE t RENAME TO u; UPDATE u SET a = 'new'; INSERT INTO u VALUES (4, 'new', 40)",
        "UPDATE u SET b = 0 WHERE id = 1; INSERT INTO u VALUES (5, 'mine', 50); DELETE FROM u WHERE id = 2",
        {"t": [(1, "x", 0), (3, "z", 30), (5, "mine", 50)]},
        again=False,
    ),
    MergeCase(
        "columns that swapped names",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 1, 2), (2, 3, 4);",
        "ALTER TABLE t RENAME COLUMN a TO c; ALTER TABLE t RENAME COLUMN b TO a; ALTER TABLE t RENAME COLUMN c TO b; UPDATE t SET a = 9",
        "UPDATE t SET b = 7 WHERE id = 1",
        {"t": [(1, 7, 2), (2, 3, 4)]},
    ),
    # ------------------------------------------------------------------ tables
    MergeCase(
        "a dropped table beside one that was written",
        SHOP + "CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1);",
        "DROP TABLE t",
        "INSERT INTO other VALUES (2)",
        {"t": START, "other": [(1,), (2,)]},
    ),
    MergeCase(
        "a dropped table and another under its name",
        SHOP,
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT); INSERT INTO t VALUES (1, 'new'), (8, 'new')",
        "UPDATE t SET c = 'mine' WHERE id = 1",
        {"t": START},
        {("t", "id=1", "a"), ("t", "id=1", "b")},  # c may be what became of them
        stands="restored",
    ),
    MergeCase(
        "a table that was made anew by way of another",
        SHOP,
        "CREATE TABLE n (id INTEGER PRIMARY KEY, b INTEGER, a TEXT); INSERT INTO n SELECT id, b, a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
        "UPDATE t SET a = 'mine' WHERE id = 1; INSERT INTO t (id, a, b) VALUES (4, 'mine', 40); DELETE FROM t WHERE id = 2",
        {"t": [(1, "mine", 10), (3, "z", 30), (4, "mine", 40)]},
    ),
    MergeCase(
        "a table that was emptied and one that was filled from it",
        SHOP,
        "CREATE TABLE u AS SELECT * FROM t; DELETE FROM t",
        "UPDATE u SET a = 'mine' WHERE id = 1; INSERT INTO u VALUES (8, 'mine', 80)",
        {"t": START},
    ),
    MergeCase(
        "a new table that was written",
        SHOP,
        "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO u VALUES (1, 'new'), (2, 'new'), (3, 'new')",
        "UPDATE u SET a = 'mine' WHERE id = 1; DELETE FROM u WHERE id = 2; INSERT INTO u VALUES (9, 'mine')",
        {"t": START},
    ),
    MergeCase(
        "a new table from which rows were deleted",
        SHOP,
        "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO u VALUES (1, 'new'), (2, 'new'), (3, 'new')",
        "DELETE FROM u WHERE id > 1",
        {"t": START},
    ),
    MergeCase(
        "a new column that was written",
        SHOP,
        "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'new'",
        "UPDATE t SET c = 'mine' WHERE id = 1; UPDATE t SET c = NULL WHERE id = 2; INSERT INTO t VALUES (4, 'w', 40, 'mine')",
        {"t": [*START, (4, "w", 40)]},
    ),
    MergeCase(
        "a new column that was filled and then written",
        SHOP,
        "ALTER TABLE t ADD COLUMN c TEXT; UPDATE t SET c = id",
        "UPDATE t SET c = 3 - id WHERE id < 3",
        {"t": START},
    ),
    MergeCase(
        "a new column, one value of which moved to another row",
        SHOP,
        "ALTER TABLE t ADD COLUMN c TEXT; UPDATE t SET c = 'x' WHERE id = 1",
        "UPDATE t SET c = CASE id WHEN 2 THEN 'x' END",
        {"t": START},
    ),
    # ------------------------------------------------------------------ without a key: multisets of whole rows
    MergeCase("duplicates deleted", BAG, "DELETE FROM bag WHERE v = 1", "INSERT INTO bag VALUES (5, 'e')", {"bag": [(1, "a"), (1, "a"), (2, "b"), (5, "e"), (None, None)]}),
    MergeCase(
        "duplicates deleted, and one like them came",
        BAG,
        "DELETE FROM bag WHERE v = 1",
        "INSERT INTO bag VALUES (1, 'a')",
        {"bag": [(1, "a"), (1, "a"), (1, "a"), (2, "b"), (None, None)]},
        again=False,
    ),
    MergeCase("duplicates added", BAG, "INSERT INTO bag VALUES (1, 'a'), (2, 'b')", "DELETE FROM bag WHERE v IS NULL", {"bag": [(1, "a"), (1, "a"), (2, "b")]}),
    MergeCase("duplicates changed", BAG, "UPDATE bag SET v = 3 WHERE v = 1", "INSERT INTO bag VALUES (6, 'f')", {"bag": [(1, "a"), (1, "a"), (2, "b"), (6, "f"), (None, None)]}),
    MergeCase("every value changed", BAG, "UPDATE bag SET v = 0, w = 'same'", "INSERT INTO bag VALUES (6, 'f')", {"bag": [(1, "a"), (1, "a"), (2, "b"), (6, "f"), (None, None)]}, again=False),
    MergeCase(
        "a column dropped where there is no key",
        BAG,
        "ALTER TABLE bag DROP COLUMN v",
        "INSERT INTO bag (w) VALUES ('f')",
        {"bag": [(1, "a"), (1, "a"), (2, "b"), (None, "f"), (None, None)]},
    ),
)  # fmt: skip
