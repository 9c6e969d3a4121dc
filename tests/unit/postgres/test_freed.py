"""What a generated column needs goes for a while: the column is a plain one till then, and is computed again."""

from __future__ import annotations

import pytest

from tests.support.trial import Trial

STATES = """
CREATE TYPE st AS ENUM ('A', 'B');
CREATE FUNCTION st_of(text) RETURNS st LANGUAGE sql IMMUTABLE AS $$ SELECT $1::st $$;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 2 * $1 $$;
CREATE TABLE p (n int PRIMARY KEY);
INSERT INTO p VALUES (2), (4);
CREATE TABLE t (
    id int PRIMARY KEY, v text NOT NULL,
    g st GENERATED ALWAYS AS (st_of(v)) STORED NOT NULL,
    two int GENERATED ALWAYS AS (twice(id)) STORED UNIQUE REFERENCES p,
    z int DEFAULT 7 CHECK (z > 0)
);
COMMENT ON COLUMN t.g IS 'state';
ALTER TABLE t ALTER g SET STATISTICS 50;
GRANT SELECT (g) ON t TO PUBLIC;
CREATE INDEX by_g ON t (g) WHERE g = 'A';
CREATE VIEW vw AS SELECT id, g, two FROM t;
CREATE STATISTICS s ON g, z FROM t;
INSERT INTO t (id, v) VALUES (1, 'A'), (2, 'B');
"""


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TYPE st ADD VALUE 'C'",
        "ALTER TYPE st ADD VALUE 'C' BEFORE 'A'; UPDATE t SET z = 9 WHERE id = 1",
        "ALTER TYPE st ADD VALUE 'C'; ALTER TABLE t ADD more int; INSERT INTO p VALUES (6);"
        " INSERT INTO t (id, v) VALUES (3, 'A')",
        "ALTER TYPE st ADD VALUE 'C'; DELETE FROM t WHERE id = 2; ALTER TABLE t DROP z",
        "ALTER TYPE st ADD VALUE 'C'; UPDATE t SET v = 'B'",
        "ALTER TABLE t DROP g CASCADE; DROP FUNCTION st_of; CREATE FUNCTION st_of(text) RETURNS text LANGUAGE sql IMMUTABLE"
        " AS $$ SELECT $1 $$; ALTER TABLE t ADD g text GENERATED ALWAYS AS (st_of(v)) STORED",
        "ALTER TABLE t DROP two CASCADE; DROP FUNCTION twice; CREATE FUNCTION twice(bigint) RETURNS int"
        " LANGUAGE sql IMMUTABLE AS $$ SELECT 2 * $1::int $$; ALTER TABLE t ADD two int GENERATED ALWAYS AS (twice(id)) STORED",
        "ALTER FUNCTION twice(int) STRICT COST 7; ALTER TYPE st ADD VALUE 'D'; ALTER TYPE st RENAME VALUE 'A' TO 'AA';"
        " CREATE OR REPLACE FUNCTION st_of(text) RETURNS st LANGUAGE sql IMMUTABLE AS $$ SELECT $1::st $$",
    ],
)
def test_generated_columns_come_back(trial: Trial, change: str) -> None:
    trial.setup(STATES)
    trial.goes_there_and_back(change)


def test_rows_written_since_are_computed_again(trial: Trial) -> None:
    trial.setup(STATES)
    trial.deploy("ALTER TYPE st ADD VALUE 'C'; UPDATE t SET v = 'B' WHERE id = 1")
    trial.write("INSERT INTO p VALUES (6); INSERT INTO t (id, v) VALUES (3, 'A'); UPDATE t SET z = 8")
    trial.back()
    rows = trial.rows("SELECT id, v, g::text, two, z FROM t ORDER BY id")
    assert rows == [(1, "A", "A", 2, 8), (2, "B", "B", 4, 8), (3, "A", "A", 6, 8)]
