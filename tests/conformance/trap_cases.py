# ruff: noqa: E501 - a table: a line for each statement
"""Traps: changes after which others lose data, with what an application writes before the way back."""

from __future__ import annotations

from dataclasses import dataclass, field

EACH = ("sqlite", "postgres", "mariadb")
BOTH = ("sqlite", "postgres")
POSTGRES = ("postgres",)
SQLITE = ("sqlite",)

SHOP = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20), (3, 'z', 30);"


@dataclass(frozen=True, slots=True)
class Trap:
    """`setup` is there, `change` is deployed, `write` is the application's after that.

    After the way back the database must be as if it had only seen `setup` and then `instead` (None: the same as `write`).
    `refused`: the code with which the way back is refused first, until the application has done `correct`.
    `conflicts` are (table, key, column). `again`: the same changesets lead to the same rows once more.
    """

    name: str
    setup: str
    change: str
    write: str = ""
    instead: str | None = None
    refused: str = ""
    correct: str = ""
    conflicts: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    again: bool = True
    engines: tuple[str, ...] = EACH

    @property
    def wanted(self) -> str:
        """What leads from `setup` to the state after the way back."""
        return self.write if self.instead is None else self.instead


def rebuilt(columns: str, values: str = "*") -> str:
    """Another shape for t, as SQLite needs it."""
    return f"CREATE TABLE n ({columns}); INSERT INTO n SELECT {values} FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"


CASES = (
    # ------------------------------------------------------------------ values and types
    Trap(
        "enum ADD VALUE, used since",
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[]); INSERT INTO t VALUES (1, 'a', '{a}'), (2, 'b', NULL);",
        "ALTER TYPE mood ADD VALUE 'new' BEFORE 'b'",
        "UPDATE t SET m = 'new' WHERE id = 1; INSERT INTO t VALUES (3, 'b', '{new}')",
        refused="constraint",
        correct="UPDATE t SET m = 'b' WHERE id = 1; UPDATE t SET ms = '{b}' WHERE id = 3",
        instead="UPDATE t SET m = 'b' WHERE id = 1; INSERT INTO t VALUES (3, 'b', '{b}')",
        engines=POSTGRES,
    ),
    Trap(
        "NOT NULL with backfill: NULLs come back",
        SHOP + "INSERT INTO t VALUES (4, NULL, 40);",
        "UPDATE t SET a = '' WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL",
        "UPDATE t SET a = 'mine' WHERE id = 4; UPDATE t SET b = 0 WHERE id = 2; INSERT INTO t VALUES (5, 'new', 50)",
        conflicts=frozenset({("t", "id=4", "a")}),
        again=False,
        engines=POSTGRES,
    ),
    Trap(
        "NOT NULL with backfill: NULLs come back",
        SHOP + "INSERT INTO t VALUES (4, NULL, 40);",
        "UPDATE t SET a = '' WHERE a IS NULL;" + rebuilt("id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INTEGER"),
        "UPDATE t SET a = 'mine' WHERE id = 4; UPDATE t SET b = 0 WHERE id = 2; INSERT INTO t VALUES (5, 'new', 50)",
        conflicts=frozenset({("t", "id=4", "a")}),
        again=False,
        engines=SQLITE,
    ),
    Trap(
        "text to int, '007'",
        "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, '007'), (2, '12'), (3, '010'), (4, NULL);",
        "ALTER TABLE t ALTER a TYPE int USING a::int",
        "UPDATE t SET a = 5 WHERE id = 2; INSERT INTO t VALUES (5, 9); DELETE FROM t WHERE id = 3",
        "UPDATE t SET a = '5' WHERE id = 2; INSERT INTO t VALUES (5, '9'); DELETE FROM t WHERE id = 3",
        again=False,
        engines=POSTGRES,
    ),
    Trap(
        "text to int, '007'",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, '007'), (2, '12'), (3, '010'), (4, NULL);",
        rebuilt("id INTEGER PRIMARY KEY, a INTEGER"),
        "UPDATE t SET a = 5 WHERE id = 2; INSERT INTO t VALUES (5, 9); DELETE FROM t WHERE id = 3",
        "UPDATE t SET a = '5' WHERE id = 2; INSERT INTO t VALUES (5, '9'); DELETE FROM t WHERE id = 3",
        again=False,
        engines=SQLITE,
    ),
    Trap(
        "narrowing, then rows changed by the application",
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b int); INSERT INTO t VALUES (1, 'much too long', 1), (2, 'long as well', 2), (3, 'ok', 3);",
        "ALTER TABLE t ALTER a TYPE varchar(4) USING left(a, 4)",
        "UPDATE t SET a = 'mine' WHERE id = 1; UPDATE t SET b = 0 WHERE id = 2; UPDATE t SET a = 'new' WHERE id = 3",
        conflicts=frozenset({("t", "id=1", "a")}),
        again=False,
        engines=POSTGRES,
    ),
    Trap(
        "narrowing, then rows changed by the application",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); INSERT INTO t VALUES (1, 'much too long', 1), (2, 'long as well', 2), (3, 'ok', 3);",
        rebuilt("id INTEGER PRIMARY KEY, a VARCHAR(4) CHECK (length(a) <= 4), b INTEGER", "id, substr(a, 1, 4), b"),
        "UPDATE t SET a = 'mine' WHERE id = 1; UPDATE t SET b = 0 WHERE id = 2; UPDATE t SET a = 'new' WHERE id = 3",
        conflicts=frozenset({("t", "id=1", "a")}),
        again=False,
        engines=SQLITE,
    ),
    Trap(
        "widening, then values too large for the old type",
        "CREATE TABLE t (id int PRIMARY KEY, a smallint, v varchar(3)); INSERT INTO t VALUES (1, 1, 'abc'), (2, 2, 'b');",
        "ALTER TABLE t ALTER a TYPE bigint, ALTER v TYPE text",
        "UPDATE t SET a = 9000000000 WHERE id = 1; UPDATE t SET v = 'longer' WHERE id = 2",
        refused="data_loss",
        correct="UPDATE t SET a = 9 WHERE id = 1; UPDATE t SET v = 'lon' WHERE id = 2",
        instead="UPDATE t SET a = 9 WHERE id = 1; UPDATE t SET v = 'lon' WHERE id = 2",
        engines=POSTGRES,
    ),
    Trap(
        "widening, then values too large for the old type",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2);",
        rebuilt("id INTEGER PRIMARY KEY, a TEXT"),
        "UPDATE t SET a = '007' WHERE id = 1",
        refused="data_loss",
        correct="UPDATE t SET a = '7' WHERE id = 1",
        instead="UPDATE t SET a = 7 WHERE id = 1",
        engines=SQLITE,
    ),
    Trap(
        "values of every kind: json, arrays, bytea, float, zones, years BC, NaN, infinity, money, xml, tsvector, ranges, bits, inet, domains, composites",
        "CREATE DOMAIN d AS int CHECK (value > 0); CREATE TYPE c AS (x int, y text); CREATE TABLE t (id int PRIMARY KEY, j json, jb jsonb, ar int[], by bytea,"
        " f float8, r real, z timestamptz, s timestamp, dt date, n numeric, m money, xm xml, ts tsvector, ra int4range, mr int4multirange, bi bit(3), vb varbit, i inet, dom d, co c, iv interval);"
        """INSERT INTO t VALUES (1, '{"a": 1, "a":2}', '{"a": 1.0}', '[0:1]={1,NULL}', '\\x00ff', 'NaN', '-0', '2020-01-01 12:00+05', '0044-03-15 12:00 BC', '0044-03-15 BC', 'NaN',"""
        " '-12.34', '<a b=\"1\"/>', 'a:1A b', '[1,5)', '{[1,2),[3,4)}', B'101', B'0', '10.0.0.1/8', 5, '(1,\"a,b\")', '1 mon -1 day'),"
        " (2, '[]', 'null', '{}', '', '-infinity', 1e-30, '-infinity', 'infinity', 'infinity', 1.50, '0', '', '', 'empty', '{}', B'000', B'', '::1', 1, '(,)', '24:00:00'); INSERT INTO t (id) VALUES (3);",
        "DELETE FROM t WHERE id = 2; UPDATE t SET (j, jb, ar, by, f, r, z, s, dt, n, m, xm, ts, ra, mr, bi, vb, i, dom, co, iv) = ROW('1'::json, '2'::jsonb, NULL::int[], NULL::bytea, 0, 0, now(), now(), now(),"
        " 1.5, 0, NULL::xml, NULL::tsvector, NULL::int4range, NULL::int4multirange, NULL::bit(3), NULL::varbit, NULL::inet, 7, NULL::c, '30 days'::interval); ALTER TABLE t DROP f, DROP z, DROP co, DROP xm, DROP j",
        "UPDATE t SET i = '10.0.0.9' WHERE id = 3; INSERT INTO t (id, n) VALUES (4, 1.500)",
        again=False,
        engines=POSTGRES,
    ),
    Trap(
        "values of every kind: blobs, NUL, -0.0, infinity, integers beyond reals, text that looks like a number",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, x'00ff', NULL), (2, -0.0, 1.0), (3, 9e999, '1'), (4, 9007199254740993, x'31'), (5, char(0) || 'z', cast(x'ff' AS TEXT));",
        "UPDATE t SET a = 1; ALTER TABLE t DROP COLUMN b; DELETE FROM t WHERE id = 5",
        "UPDATE t SET a = x'01' WHERE id = 1",
        conflicts=frozenset({("t", "id=1", "a")}),
        again=False,
        engines=SQLITE,
    ),
    # ------------------------------------------------------------------ columns and tables
    Trap(
        "dropped column, then new rows",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER NOT NULL DEFAULT 5, c TEXT); INSERT INTO t VALUES (1, 'x', 10, 'p'), (2, 'y', 5, 'q');",
        "ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP COLUMN c",
        "INSERT INTO t (id, a) VALUES (3, 'new'); UPDATE t SET a = 'mine' WHERE id = 1; DELETE FROM t WHERE id = 2",
    ),
    Trap(
        "dropped column without a default, then new rows",
        "CREATE TABLE t (id int PRIMARY KEY, b int NOT NULL); INSERT INTO t VALUES (1, 10);",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t (id) VALUES (2)",
        refused="constraint",
        correct="DELETE FROM t WHERE id = 2",
        instead="",
        engines=POSTGRES,
    ),
    Trap(
        "dropped table, then another of the same name",
        SHOP + "CREATE INDEX i ON t (a);",
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, z TEXT, a INTEGER); INSERT INTO t VALUES (1, 'new', 1)",
        "INSERT INTO t VALUES (9, 'mine', 9)",
        "INSERT INTO t (id, a) VALUES (9, '9')",  # tables are told apart by their names: a row that fits stays
        again=False,
    ),
    Trap(
        "dropped table with its serial column, then another of the same name",
        "CREATE TABLE t (id serial PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('x'), ('y');",
        "DROP TABLE t; CREATE SEQUENCE t_id_seq; CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('t_id_seq'), z int)",
        "SELECT nextval('t_id_seq')",
        "",
        engines=POSTGRES,
    ),
    Trap(
        "serial column whose sequence comes back under another name",
        "CREATE TABLE t (id serial PRIMARY KEY, a text); ALTER SEQUENCE t_id_seq RENAME TO numbers; INSERT INTO t (a) VALUES ('x'), ('y');",
        "ALTER TABLE t DROP COLUMN id; ALTER TABLE t ADD COLUMN id serial PRIMARY KEY",
        "UPDATE t SET a = 'mine' WHERE a = 'y'",
        conflicts=frozenset(),
        again=False,
        engines=POSTGRES,
    ),
    Trap(
        "DELETE with ON DELETE CASCADE: children too",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE); CREATE TABLE g (c INTEGER REFERENCES c ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'x'), (2, 'y'); INSERT INTO c VALUES (1, 1), (2, 1), (3, 2); INSERT INTO g VALUES (1), (1), (3);",
        "PRAGMA foreign_keys = ON; DELETE FROM p WHERE id = 1",
        "INSERT INTO c VALUES (4, 2); INSERT INTO g VALUES (4)",
        engines=SQLITE,
    ),
    Trap(
        "DELETE with ON DELETE CASCADE: children too",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE); CREATE TABLE g (c INTEGER REFERENCES c ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'x'), (2, 'y'); INSERT INTO c VALUES (1, 1), (2, 1), (3, 2); INSERT INTO g VALUES (1), (1), (3);",
        "DELETE FROM p WHERE id = 1",
        "INSERT INTO c VALUES (4, 2); INSERT INTO g VALUES (4)",
        engines=POSTGRES,
    ),
    Trap(
        "tables without a key, with duplicate rows",
        "CREATE TABLE t (v INTEGER, w TEXT); INSERT INTO t VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, 'b'), (NULL, NULL), (NULL, NULL);",
        "DELETE FROM t WHERE v = 1; DELETE FROM t WHERE v IS NULL",
        "INSERT INTO t VALUES (5, 'e'), (5, 'e'), (2, 'b'); DELETE FROM t WHERE w = 'nobody'",
    ),
    Trap(
        "foreign-key cycle, rows on both sides",
        "CREATE TABLE a (id int PRIMARY KEY, b int, x text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); INSERT INTO a VALUES (1, 1, 'x'), (2, NULL, 'y'); INSERT INTO b VALUES (1, 1), (2, 2);"
        "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;",
        "UPDATE a SET b = NULL; DELETE FROM b WHERE id < 3; DELETE FROM a WHERE id = 1; ALTER TABLE a DROP COLUMN x",
        "INSERT INTO a (id) VALUES (3); INSERT INTO b VALUES (3, 3)",
        engines=POSTGRES,
    ),
    Trap(
        "foreign-key cycle, rows on both sides",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b, x); CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a); INSERT INTO a VALUES (1, 1, 'x'), (2, NULL, 'y'); INSERT INTO b VALUES (1, 1), (2, 2);",
        "DELETE FROM b WHERE id < 3; DELETE FROM a WHERE id = 1; ALTER TABLE a DROP COLUMN x",
        "INSERT INTO a (id) VALUES (3); INSERT INTO b VALUES (3, 3)",
        engines=SQLITE,
    ),
    Trap(
        "generated and identity columns",
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED, z text); INSERT INTO t (a, z) VALUES (1, 'x'), (2, 'y'), (3, 'z');",
        "DELETE FROM t WHERE id = 1; UPDATE t SET a = 9 WHERE id = 2; ALTER TABLE t DROP g; ALTER TABLE t DROP z",
        "INSERT INTO t (a) VALUES (4)",
        engines=POSTGRES,
    ),
    Trap(
        "generated columns",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER, g AS (a * 2) STORED, z TEXT); INSERT INTO t (a, z) VALUES (1, 'x'), (2, 'y'), (3, 'z');",
        "DELETE FROM t WHERE id = 1; UPDATE t SET a = 9 WHERE id = 2; ALTER TABLE t DROP COLUMN z",
        "INSERT INTO t (a) VALUES (4)",
        engines=SQLITE,
    ),
    Trap(
        "dropped UNIQUE, duplicates since",
        "CREATE TABLE t (id int PRIMARY KEY, u text CONSTRAINT k UNIQUE); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
        "ALTER TABLE t DROP CONSTRAINT k; UPDATE t SET u = 'z' WHERE id = 2",
        "INSERT INTO t VALUES (3, 'x'), (4, 'x')",
        refused="constraint",
        correct="DELETE FROM t WHERE id = 3; UPDATE t SET u = 'w' WHERE id = 4",
        instead="INSERT INTO t VALUES (4, 'w')",
        engines=POSTGRES,
    ),
    Trap(
        "dropped UNIQUE, duplicates since",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT); CREATE UNIQUE INDEX k ON t (u); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
        "DROP INDEX k; UPDATE t SET u = 'z' WHERE id = 2",
        "INSERT INTO t VALUES (3, 'x'), (4, 'x')",
        refused="constraint",
        correct="DELETE FROM t WHERE id = 3; UPDATE t SET u = 'w' WHERE id = 4",
        instead="INSERT INTO t VALUES (4, 'w')",
        engines=BOTH,
    ),
    Trap(
        "partitions: rows of them",
        "CREATE TABLE t (id int, a text, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20);"
        "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (11, 'z');",
        "UPDATE t SET a = 'new' WHERE id IN (1, 11); DELETE FROM t WHERE id = 2; UPDATE t SET id = 5 WHERE id = 11",
        "INSERT INTO t VALUES (3, 'mine'), (12, 'mine')",
        engines=POSTGRES,
    ),
    # ------------------------------------------------------------------ views, triggers, code
    Trap(
        "views on views on the dropped column",
        SHOP + "CREATE VIEW v AS SELECT id, b FROM t; CREATE VIEW w AS SELECT b FROM v WHERE b > 10; CREATE VIEW x AS SELECT count(*) AS n FROM w;",
        "ALTER TABLE t DROP COLUMN b CASCADE",
        "UPDATE t SET a = 'mine' WHERE id = 1; INSERT INTO t (id) VALUES (4)",
        engines=POSTGRES,
    ),
    Trap(
        "views on views on the dropped column",
        SHOP + "CREATE VIEW v AS SELECT id, b FROM t; CREATE VIEW w AS SELECT b FROM v WHERE b > 10; CREATE VIEW x AS SELECT count(*) AS n FROM w;",
        "DROP VIEW x; DROP VIEW w; DROP VIEW v; ALTER TABLE t DROP COLUMN b; CREATE VIEW v AS SELECT id FROM t",
        "UPDATE t SET a = 'mine' WHERE id = 1; INSERT INTO t (id) VALUES (4)",
        engines=SQLITE,
    ),
    Trap(
        "materialised views on the dropped column",
        SHOP + "CREATE MATERIALIZED VIEW m AS SELECT id, b FROM t; CREATE UNIQUE INDEX i ON m (id); CREATE VIEW w AS SELECT b FROM m; CREATE MATERIALIZED VIEW e AS SELECT a FROM t WITH NO DATA;",
        "ALTER TABLE t DROP COLUMN b CASCADE",
        "UPDATE t SET a = 'mine' WHERE id = 1",
        engines=POSTGRES,
    ),
    Trap(
        "triggers firing during a restore",
        SHOP + "CREATE TABLE log (x text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (tg_op); IF tg_op = 'UPDATE' THEN new.b := 999; END IF; RETURN coalesce(new, old); END $$;"
        "CREATE TRIGGER n BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note(); CREATE TRIGGER q AFTER DELETE ON t EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER q; ALTER TABLE t DISABLE TRIGGER n;",
        "DELETE FROM t WHERE id = 1; UPDATE t SET b = 0 WHERE id = 2; ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (4, 40)",
        "INSERT INTO t VALUES (4, NULL, 40)",
        engines=POSTGRES,
    ),
    Trap(
        "triggers firing during a restore",
        SHOP + "CREATE TABLE log (x TEXT); CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('i'); END; CREATE TRIGGER d BEFORE DELETE ON t BEGIN INSERT INTO log VALUES ('d'); END;",
        "DELETE FROM t WHERE id = 1; UPDATE t SET b = 0 WHERE id = 2",
        "INSERT INTO t VALUES (4, 'mine', 40)",
        engines=SQLITE,
    ),
    Trap(
        "function whose body differs only in whitespace",
        "CREATE TABLE t (id int); CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1'; CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n  RETURN new; END $$;",
        "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a +  1 '; CREATE OR REPLACE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\r\n\tRETURN new; END $$;",
        "INSERT INTO t VALUES (1)",
        engines=POSTGRES,
    ),
    Trap(
        "DO block with EXECUTE",
        SHOP,
        "DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM t WHERE id = 1'; EXECUTE format('UPDATE %I SET b = 0 WHERE id = 2', 't'); EXECUTE 'ALTER TABLE t DROP COLUMN a'; END $$",
        "INSERT INTO t VALUES (4, 40)",
        "INSERT INTO t VALUES (4, NULL, 40)",
        engines=POSTGRES,
    ),
    # ------------------------------------------------------------------ names
    Trap(
        "names with quotes, spaces, upper case, 63 characters",
        f"""CREATE TABLE "We""ird; --'" ("Key" INTEGER PRIMARY KEY, "sp ace" TEXT, "{"ö" * 31}" INTEGER, "Plain" TEXT); INSERT INTO "We""ird; --'" VALUES (1, 'x', 1, 'p'), (2, 'y', 2, 'q');"""
        f"CREATE TABLE {'t' * 63} (id INTEGER PRIMARY KEY, {'c' * 63} TEXT); INSERT INTO {'t' * 63} VALUES (1, 'x'); CREATE INDEX {'i' * 63} ON {'t' * 63} ({'c' * 63});",
        f"""ALTER TABLE "We""ird; --'" DROP COLUMN "sp ace"; UPDATE "We""ird; --'" SET "{"ö" * 31}" = 0 WHERE "Key" < 3; ALTER TABLE "We""ird; --'" RENAME "Plain" TO "plain's"; ALTER TABLE "We""ird; --'" RENAME TO "we ird";"""
        f"DROP INDEX {'i' * 63}; ALTER TABLE {'t' * 63} DROP COLUMN {'c' * 63}; ALTER TABLE {'t' * 63} RENAME TO {'u' * 63}",
        f"""INSERT INTO "we ird" VALUES (3, 3, 'mine'); INSERT INTO {'u' * 63} VALUES (2)""",
        f"""INSERT INTO "We""ird; --'" VALUES (3, NULL, 3, 'mine'); INSERT INTO {'t' * 63} VALUES (2, NULL)""",
        engines=BOTH,
    ),
)  # fmt: skip
