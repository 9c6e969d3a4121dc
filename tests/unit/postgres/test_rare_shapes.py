"""Shapes that few schemas have, which random pairs came upon (`make pairs`): there is a plan there and back."""

from __future__ import annotations

import pytest

from tests.pairs.pair import Outcome, Pair
from tests.pairs.trying import Trying
from tests.support.postgres import PostgresServer
from tests.support.trial import Trial

CASES = {
    "sequence beside a type of its name": (
        "CREATE SEQUENCE s; CREATE TYPE s AS ENUM ('a')",
        "DROP SEQUENCE s",
    ),
    "results without a name": (
        "CREATE TABLE t (a int, b text); CREATE FUNCTION f(x int, y text) RETURNS text LANGUAGE sql BEGIN ATOMIC"
        " SELECT 'a'; SELECT $2; SELECT -1, NULL FROM t; SELECT DISTINCT ON (a) a, 'b' FROM t LIMIT 1; SELECT y; END;"
        "CREATE FUNCTION g(int) RETURNS int LANGUAGE sql RETURN (SELECT $1);"
        "CREATE FUNCTION h(x int) RETURNS int LANGUAGE sql RETURN (SELECT $1);"
        "CREATE VIEW v AS SELECT a, (SELECT 'x'), a IN (SELECT 1 UNION SELECT -1) AS n, 'x' = ANY (SELECT b UNION SELECT 'y')"
        " AS y, percentile_disc(0.5) WITHIN GROUP (ORDER BY b) FROM t GROUP BY a, b HAVING EXISTS (SELECT NULL FROM t);"
        "CREATE POLICY p ON t USING (EXISTS (SELECT 'x' FROM t u WHERE u.a = t.a))",
        "DROP FUNCTION f; DROP FUNCTION g; DROP FUNCTION h; DROP VIEW v; DROP POLICY p ON t",
    ),
    "statistics of a partitioned index": (
        "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE INDEX i ON t ((a + 1)); ALTER INDEX i ALTER 1 SET STATISTICS 9",
        "ALTER INDEX i ALTER 1 SET STATISTICS 8",
    ),
    "one byte and bits": ("CREATE TABLE t (a bit(4))", 'ALTER TABLE t ALTER a TYPE "char" USING NULL'),
    "materialised view of whole rows": (
        "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (a int, b e); CREATE VIEW v AS SELECT t FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT t FROM t; CREATE MATERIALIZED VIEW n AS SELECT v FROM v; CREATE INDEX i ON m (t)",
        "ALTER TABLE t DROP a; ALTER TYPE e ADD VALUE 'b'",
    ),
    "sequence of a column that has another name": (
        "CREATE TABLE t (a int, b int); CREATE SEQUENCE s OWNED BY t.a; CREATE SEQUENCE u OWNED BY t.b",
        "ALTER TABLE t RENAME a TO c; ALTER TABLE t OWNER TO pg_monitor; ALTER SEQUENCE u OWNED BY t.c",
    ),
    "sequence of a column without numbers": (
        "CREATE TYPE r AS RANGE (subtype = int, multirange_type_name = v); CREATE DOMAIN d AS json; CREATE DOMAIN n AS int;"
        "CREATE TABLE t (a json, b d, c n); CREATE SEQUENCE s OWNED BY t.a; CREATE SEQUENCE u OWNED BY t.b;"
        "CREATE SEQUENCE w OWNED BY t.c; CREATE SEQUENCE x; ALTER SEQUENCE x RENAME TO v",
        "DROP SEQUENCE s; DROP SEQUENCE u; DROP SEQUENCE v; DROP SEQUENCE w",
    ),
    "domain of a domain with a default": (
        "CREATE DOMAIN d AS int DEFAULT 1; CREATE DOMAIN e AS d DEFAULT NULL; CREATE DOMAIN f AS d; CREATE DOMAIN g AS d;"
        "ALTER DOMAIN g DROP DEFAULT; CREATE DOMAIN h AS tsvector; CREATE DOMAIN i AS h",
        "DROP DOMAIN e; DROP DOMAIN f; DROP DOMAIN g; DROP DOMAIN i",
    ),
    "routines of types that have other names": (
        "CREATE SCHEMA s; CREATE TYPE c AS (a int); CREATE PROCEDURE p(c) LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION s.f(c[]) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION g(c) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TYPE c RENAME TO d; ALTER PROCEDURE p RENAME TO q; ALTER FUNCTION s.f RENAME TO g;"
        "ALTER FUNCTION s.g SET SCHEMA public; ALTER FUNCTION g(d) RENAME TO f",
    ),
    "statistics with the name of a view": (
        "CREATE TABLE t (a int, b int); CREATE VIEW v AS SELECT a FROM t; CREATE STATISTICS v ON a, b FROM t",
        "ALTER VIEW v RENAME a TO c; ALTER STATISTICS v RENAME TO w",
    ),
    "statistics in another schema than their table": (
        "CREATE SCHEMA s; CREATE TABLE t (a int, b int, CONSTRAINT k CHECK (a > 0)); CREATE STATISTICS s.k ON a, b FROM t",
        "ALTER SCHEMA s RENAME TO k; ALTER TABLE t RENAME CONSTRAINT k TO s",
    ),
    "index that a partition has none for": (
        "CREATE TABLE t (a int, b int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); CREATE INDEX i ON ONLY t (b); CREATE INDEX i1 ON t1 (b);"
        "ALTER INDEX i ATTACH PARTITION i1",
        "ALTER TABLE t ADD UNIQUE (a); CREATE INDEX j ON ONLY t (a, b); COMMENT ON INDEX i IS 'i'",
    ),
    "checks of a domain whose values are in arrays": (
        "CREATE DOMAIN d AS int CONSTRAINT c CHECK (value > 0) CONSTRAINT e CHECK (value < 9);"
        "CREATE TABLE t (a d[], b d); CREATE TABLE u (a d[] NOT NULL, b int);"
        "CREATE FUNCTION f(d) RETURNS d LANGUAGE sql AS 'SELECT $1'",
        "ALTER DOMAIN d RENAME CONSTRAINT c TO f; ALTER DOMAIN d DROP CONSTRAINT e; ALTER TABLE u DROP a",
    ),
    "attributes of a type that columns have": (
        "CREATE TYPE e AS ENUM ('a'); CREATE TYPE c AS (a int, b text, x e); CREATE TYPE d AS (x e);"
        "CREATE TABLE t (c c NOT NULL, d d, CHECK ((c).b <> '')); CREATE FUNCTION f(c) RETURNS c LANGUAGE sql AS 'SELECT $1'",
        "ALTER TYPE c DROP ATTRIBUTE a CASCADE; DROP TYPE e CASCADE",
    ),
    "options of what is only there with a column": (
        "CREATE TABLE t (a text, b int) WITH (toast.autovacuum_enabled = false)",
        "ALTER TABLE t DROP a; ALTER TABLE t SET UNLOGGED",
    ),
    "identity that counts further than its column": (
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS IDENTITY, c smallint GENERATED BY DEFAULT AS IDENTITY);"
        "CREATE TABLE u (LIKE t INCLUDING ALL)",
        "ALTER TABLE u DROP a; ALTER TABLE u ALTER c DROP IDENTITY; CREATE TABLE v (LIKE t INCLUDING ALL)",
    ),
    "changed policy over a column whose type comes back": (
        "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (a int, b e); CREATE POLICY p ON t USING (b IS NULL);"
        "CREATE VIEW v AS SELECT a FROM t WHERE b IS NOT NULL",
        "DROP TYPE e CASCADE; CREATE POLICY p ON t USING (a > 0); CREATE VIEW v AS SELECT a FROM t",
    ),
    "storage of a type that had another": (
        "CREATE TABLE t (a uuid, b text, c text COMPRESSION pglz)",
        "ALTER TABLE t ALTER a TYPE numeric USING NULL, ALTER a SET STORAGE EXTERNAL;"
        "ALTER TABLE t ALTER b TYPE jsonb USING NULL, ALTER b SET COMPRESSION pglz, ALTER c TYPE jsonb USING NULL",
    ),
    "children whose parents got columns later": (
        "CREATE TABLE p (a int, b varchar(9) NOT NULL DEFAULT 'b'); CREATE TABLE q (b varchar(9), z int);"
        "CREATE TABLE c (own int NOT NULL, z int CHECK (z > 0)) INHERITS (p, q); CREATE TABLE d (more int) INHERITS (c);"
        "ALTER TABLE p ADD late text COLLATE \"C\" NOT NULL DEFAULT 'x', ADD later int;"
        "ALTER TABLE p ADD CONSTRAINT k CHECK (later > 0 AND b IN ('x', 'y')); ALTER TABLE c ALTER later SET NOT NULL;"
        "ALTER TABLE d ADD CONSTRAINT k CHECK (later > 0 AND b IN ('x', 'y'));"
        "ALTER TABLE q ADD own int; CREATE INDEX i ON d (late)",
        "DROP TABLE d; ALTER TABLE c DROP CONSTRAINT c_z_check; ALTER TABLE p DROP a; ALTER TABLE p ADD a date",
    ),
    "children whose parents got computed columns later": (
        "CREATE TABLE p (a int); CREATE TABLE c (a int, b int) INHERITS (p);"
        "ALTER TABLE p ADD g int GENERATED ALWAYS AS (a + 1) STORED",
        "DROP TABLE c",
    ),
    "options of a TOAST table whose columns are gone": (
        "CREATE TABLE t (a int, b text) WITH (toast.autovacuum_enabled = false); ALTER TABLE t DROP b",
        "DROP TABLE t",
    ),
    "usual name of NOT NULL that another table has (18)": (
        "CREATE TABLE t (a int NOT NULL) PARTITION BY LIST (a); CREATE SCHEMA s",
        "ALTER TABLE t SET SCHEMA s; CREATE TABLE t (a int NOT NULL); CREATE TABLE u PARTITION OF s.t FOR VALUES IN (1)",
    ),
    "names of NOT NULL that a copy of the table has (18)": (
        "CREATE TABLE t (a int, b int NOT NULL, c int GENERATED ALWAYS AS IDENTITY); CREATE TABLE u (LIKE t INCLUDING ALL)",
        "ALTER TABLE t DROP a; ALTER TABLE t ALTER c DROP IDENTITY",
    ),
    "domain whose values are in arrays of a materialised view": (
        "CREATE DOMAIN d AS text CHECK (value <> ''); CREATE TABLE t (a d);"
        "CREATE MATERIALIZED VIEW m AS SELECT ARRAY[a] AS a FROM t",
        "ALTER DOMAIN d DROP CONSTRAINT d_check",
    ),
    "partitioned table that is made anew beside its type": (
        "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (a e, b int NOT NULL, k int) PARTITION BY HASH (k)",
        "ALTER TYPE e ADD VALUE 'b'; ALTER TABLE t DROP b",
    ),
    "range with another name that keeps its multirange": (
        "CREATE TYPE r AS RANGE (subtype = int); CREATE TABLE t (a r, b r[], c r_multirange)",
        "ALTER TYPE r RENAME TO s",
    ),
    "names of a domain's NOT NULL (17)": (
        "CREATE DOMAIN d AS int CONSTRAINT n NOT NULL; CREATE DOMAIN e AS int NOT NULL;"
        "CREATE DOMAIN f AS int CONSTRAINT n NOT NULL;"
        "CREATE DOMAIN g AS int CONSTRAINT n NOT NULL",
        "ALTER DOMAIN d DROP NOT NULL; ALTER DOMAIN e DROP NOT NULL; ALTER DOMAIN f DROP NOT NULL; ALTER DOMAIN f SET NOT NULL;"
        "DROP DOMAIN g",
    ),
    "storage that a child doesn't have from its parent": (
        "CREATE TABLE p (a text, b text); CREATE TABLE c (x int) INHERITS (p);"
        "ALTER TABLE ONLY p ALTER a SET STORAGE EXTERNAL, ALTER b SET COMPRESSION pglz",
        "ALTER TABLE p ADD y int",
    ),
    "constraint trigger with the name of a constraint": (
        "CREATE TABLE t (a int CONSTRAINT k CHECK (a > 0)); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NEW; END'; CREATE CONSTRAINT TRIGGER g AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();"
        "ALTER TRIGGER g ON t RENAME TO k; ALTER TABLE t DISABLE TRIGGER k",
        "DROP TRIGGER k ON t",
    ),
    "attributes of a type that tables are of": (
        "CREATE TYPE c AS (a int, b text); CREATE TABLE t OF c; CREATE TABLE u OF c (PRIMARY KEY (a))",
        "ALTER TYPE c RENAME ATTRIBUTE a TO z CASCADE; ALTER TYPE c RENAME ATTRIBUTE b TO a CASCADE; ALTER TYPE c RENAME TO d",
    ),
    "sequence that changes while its column goes": (
        "CREATE TABLE p (); CREATE TABLE t (a serial, b serial) INHERITS (p)",
        "ALTER SEQUENCE t_a_seq MAXVALUE 99; ALTER SEQUENCE t_b_seq AS smallint OWNED BY t.a; ALTER TABLE p ADD x int",
    ),
    "identity that others count with": (
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS IDENTITY); CREATE TABLE u (c int DEFAULT nextval('t_b_seq'));"
        "CREATE FUNCTION f(int DEFAULT nextval('t_b_seq')) RETURNS int LANGUAGE sql AS 'SELECT $1';"
        "CREATE VIEW v AS SELECT f(), nextval('t_b_seq'), last_value FROM t_b_seq",
        "ALTER TABLE t DROP a",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case: str, postgres_server: PostgresServer) -> None:
    outcome = tried(postgres_server, *CASES[case])
    assert not outcome.failed, "\n".join(outcome.details)
    assert outcome.kinds, "the case changes nothing"
    assert outcome.blocked == ()


def test_a_range_leaves_nothing_behind_where_it_was_made_beside_its_multirange(
    postgres_server: PostgresServer,
) -> None:
    made = "CREATE SCHEMA s; CREATE TYPE s.r AS RANGE (subtype = date, multirange_type_name = public.m)"
    outcome = tried(
        postgres_server, "CREATE TYPE r AS RANGE (subtype = date, multirange_type_name = m)", f"DROP TYPE r; {made}"
    )
    assert (outcome.failed, outcome.blocked) == ("", ())
    outcome = tried(postgres_server, made, "ALTER TYPE s.r SET SCHEMA public")
    assert (outcome.failed, outcome.blocked) == ("", ())


def test_values_keep_the_attributes_that_stay(trial: Trial) -> None:
    trial.setup(
        "CREATE TYPE c AS (a int, b text); CREATE TABLE t (c c); INSERT INTO t VALUES ('(1,x)'), (NULL), ('(,)')"
    )
    trial.goes_there_and_back("ALTER TYPE c DROP ATTRIBUTE a")


@pytest.mark.parametrize(
    "types",
    [
        *(
            ("time", "timestamptz"),
            ("timestamptz", "time"),
            ("date", "time"),
            ("money", "integer"),
            ("integer", "money"),
        ),
        *(
            ("bit varying(4)", "integer"),
            ("bigint", "bit(9)"),
            ("real", "money"),
            ("time", "timetz"),
            ("name", '"char"'),
        ),
    ],
)
def test_a_type_is_turned_into_another(types: tuple[str, str], postgres_server: PostgresServer) -> None:
    outcome = tried(
        postgres_server, f"CREATE TABLE t (a {types[0]})", f"ALTER TABLE t ALTER a TYPE {types[1]} USING NULL"
    )
    assert (outcome.failed, outcome.blocked) == ("", ())


def test_whole_rows_in_a_column_keep_their_parts(trial: Trial) -> None:
    trial.setup(
        "CREATE TABLE t (a int, b text); CREATE TYPE c AS (x t[]); CREATE TABLE holder (h c);"
        """INSERT INTO holder VALUES (ROW(ARRAY[(1, 'x'), (2, '"'), NULL]::t[])), (ROW('{}')), (ROW(NULL)), (NULL)"""
    )
    trial.goes_there_and_back("ALTER TABLE t DROP a")
    trial.goes_there_and_back("ALTER TABLE t ADD d text; ALTER TABLE t ALTER d SET DEFAULT 'd'")


def test_what_a_column_of_rows_is_made_of_changes(postgres_server: PostgresServer) -> None:
    before = "CREATE TABLE t (a int, b text); CREATE TYPE c AS (x t[]); CREATE TABLE holder (h c)"
    outcome = tried(postgres_server, before, "ALTER TABLE t ADD d text; ALTER TABLE t ALTER d SET DEFAULT 'd'")
    assert (outcome.failed, outcome.blocked) == ("", ())
    outcome = tried(postgres_server, before, "ALTER TABLE t DROP a")
    assert (outcome.failed, outcome.blocked) == ("", ())


def test_computed_values_of_a_type_that_is_made_anew_are_computed_again(postgres_server: PostgresServer) -> None:
    before = "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (a e, b e GENERATED ALWAYS AS (coalesce(a, a)) STORED)"
    outcome = tried(postgres_server, before, "ALTER TYPE e ADD VALUE 'b'")
    assert (outcome.failed, outcome.blocked) == ("", ())


def test_a_partition_that_computes_its_own_values_is_told_beforehand(postgres_server: PostgresServer) -> None:
    before = (
        "CREATE TABLE t (a int, g int GENERATED ALWAYS AS (a + 1) STORED) PARTITION BY LIST (a);"
        "CREATE TABLE t1 PARTITION OF t (g DEFAULT 5) FOR VALUES IN (1)"
    )
    if postgres_server.major >= 16:
        pytest.skip("the server doesn't make such a partition from 16 on")
    outcome = tried(postgres_server, before, "ALTER TABLE t DETACH PARTITION t1")
    assert outcome.blocked[0] == "attachment public.t1.partition is of a kind that tagback does not manage yet."
    assert outcome.failed == ""


def test_a_replica_identity_that_has_no_index_any_more_is_told_beforehand(postgres_server: PostgresServer) -> None:
    before = "CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey"
    outcome = tried(
        postgres_server, f"{before}; ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t REPLICA IDENTITY FULL"
    )
    assert outcome.blocked[0] == "The index that replication knew rows of table public.t by is gone."
    outcome = tried(
        postgres_server, before, "ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t DROP CONSTRAINT t_pkey"
    )
    assert (outcome.failed, outcome.blocked) == ("", ())


def test_a_materialised_view_that_counts_rows_stays(trial: Trial) -> None:
    trial.setup("CREATE TABLE t (a int, b int); CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t")
    assert trial.deploy("ALTER TABLE t DROP a").reversibility == "free"
    trial.back()


def tried(server: PostgresServer, before: str, change: str) -> Outcome:
    """What came of it; all that is said was accepted."""
    outcome = Trying(server).outcome(Pair((before,), (change,)))
    assert outcome.skipped == ()
    return outcome
