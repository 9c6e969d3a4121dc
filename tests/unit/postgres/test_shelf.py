# ruff: noqa: E501 - a table: a line for each small case
"""Whatever a changeset does to rows on PostgreSQL is kept, comes back, and is done again the same way."""

from __future__ import annotations

import pytest

from tests.support.oracle import differences
from tests.support.trial import Trial

SHOP = """
CREATE TABLE p (id int PRIMARY KEY, name text NOT NULL, n int DEFAULT 0);
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, note text);
CREATE TABLE g (c int REFERENCES c ON DELETE CASCADE, x text);
CREATE TABLE bag (v int, w text);
INSERT INTO p VALUES (1, 'one', 10), (2, 'two', NULL), (3, 'three', 30);
INSERT INTO c VALUES (1, 1, 'a'), (2, 1, NULL), (3, 3, 'c');
INSERT INTO g VALUES (1, 'x'), (1, 'x'), (3, NULL);
INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (2, NULL), (NULL, NULL), (NULL, NULL);
"""
TRIGGERS = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE p SET n = coalesce(n, 0) + 1 WHERE id = coalesce(new.p, old.p); RETURN new; END $$;
CREATE TRIGGER touches AFTER INSERT OR UPDATE OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION touch();
"""
SAME_ROW = """
CREATE TABLE s (id int PRIMARY KEY, v text, n int DEFAULT 0); INSERT INTO s VALUES (1, 'orig'), (2, 'other');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE s SET n = n + 1 WHERE id = new.id; RETURN new; END $$;
CREATE TRIGGER counts AFTER UPDATE OF v ON s FOR EACH ROW EXECUTE FUNCTION again();
"""
CHANGES = {
    # ---------------------------------------------------------------------- statements
    "update": "UPDATE p SET name = upper(name), n = NULL",
    "update that joins": "UPDATE p SET n = 99 FROM c WHERE c.p = p.id AND c.note = 'a'",
    "update of what a query names": "WITH gone AS (DELETE FROM g RETURNING c) UPDATE c SET note = 'was there' FROM gone WHERE gone.c = c.id",
    "insert": "INSERT INTO p SELECT g, 'more', g FROM generate_series(10, 20) g",
    "delete": "DELETE FROM g WHERE x IS NULL; DELETE FROM bag",
    "upsert": "INSERT INTO p VALUES (1, 'uno', 1), (4, 'four', 4) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "merge": "MERGE INTO p USING (VALUES (1), (2), (7)) v (id) ON p.id = v.id WHEN MATCHED AND p.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 5 WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new', 0)",
    "copy": "COPY bag FROM PROGRAM 'echo 5,e; echo 1,a' WITH (FORMAT csv)",
    "truncate": "TRUNCATE bag",
    "truncate cascade": "TRUNCATE p CASCADE",
    "truncate and filled again": "TRUNCATE g; INSERT INTO g VALUES (1, 'x'), (2, 'y')",
    "drop cascade": "DROP TABLE p CASCADE",
    "drop of all": "DROP TABLE g, c, p, bag",
    "drop and made again under its name": "DROP TABLE bag; CREATE TABLE bag (w int, z text DEFAULT 'z'); INSERT INTO bag VALUES (7), (8)",
    "drop and another renamed to it": "CREATE TABLE n AS SELECT v * 2 AS v, w FROM bag; DROP TABLE bag; ALTER TABLE n RENAME TO bag",
    "select into, and renames in between": "SELECT * INTO kept FROM p; ALTER TABLE p RENAME TO q; UPDATE q SET n = 0; ALTER TABLE q RENAME name TO title; UPDATE q SET title = 'x'",
    "schema moved and rows changed": "CREATE SCHEMA s; ALTER TABLE bag SET SCHEMA s; UPDATE s.bag SET v = 0",
    "do block": "DO $$ BEGIN EXECUTE 'del' || 'ete from g'; EXECUTE format('UPDATE %I SET n = 3', 'p'); END $$",
    "function with dynamic SQL": "CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM ' || t; END $$; SELECT f('bag'); SELECT f('g')",
    "procedure": "CREATE PROCEDURE q() LANGUAGE sql AS $$ UPDATE bag SET w = 'q' $$; CALL q()",
    "through a view": "CREATE VIEW v AS SELECT id, name FROM p WHERE id > 1; UPDATE v SET name = 'seen'; DELETE FROM v WHERE id = 2",
    "prepared statement": "PREPARE x AS UPDATE bag SET w = 'prepared'; EXECUTE x; DEALLOCATE x",
    "cursor": "DO $$ DECLARE k CURSOR FOR SELECT * FROM p FOR UPDATE; BEGIN FOR r IN k LOOP UPDATE p SET n = -1 WHERE CURRENT OF k; END LOOP; END $$",
    # ---------------------------------------------------------------------- cascades and triggers
    "delete that cascades twice": "DELETE FROM p WHERE id = 1",
    "key update that cascades": "UPDATE p SET id = id + 100",
    "key update that swaps": "UPDATE p SET id = -id; UPDATE p SET id = id + 4",
    "trigger that writes elsewhere": TRIGGERS + "UPDATE c SET note = 'n'; DELETE FROM c WHERE id = 3",
    "rule that writes elsewhere": "CREATE RULE r AS ON DELETE TO g DO ALSO UPDATE bag SET w = 'rule'; DELETE FROM g",
    # ---------------------------------------------------------------------- columns
    "type with USING": "ALTER TABLE p ALTER n TYPE text USING 'n' || n",
    "type that cuts": "ALTER TABLE p ALTER name TYPE varchar(3) USING left(name, 3)",
    "key's type": "ALTER TABLE c DROP CONSTRAINT c_p_fkey; ALTER TABLE p ALTER id TYPE text USING 'p' || id",
    "not null after a backfill": "UPDATE p SET n = 0 WHERE n IS NULL; ALTER TABLE p ALTER n SET NOT NULL; UPDATE bag SET v = 0, w = '' WHERE v IS NULL",
    "column dropped": "ALTER TABLE p DROP n; ALTER TABLE bag DROP v",
    "column dropped with what hangs on it": "CREATE VIEW v AS SELECT note FROM c; CREATE INDEX ON c (note); ALTER TABLE c DROP note CASCADE",
    "key dropped": "ALTER TABLE p DROP id CASCADE",
    "all columns dropped": "ALTER TABLE bag DROP v, DROP w",
    "column dropped and made again": "ALTER TABLE p DROP n; ALTER TABLE p ADD n int DEFAULT 7",
    "columns swapped and written": "ALTER TABLE p RENAME n TO m; ALTER TABLE p ADD n int; UPDATE p SET n = m + 1",
    "column split": "ALTER TABLE p ADD first text, ADD rest text; UPDATE p SET first = left(name, 1), rest = substr(name, 2); ALTER TABLE p DROP name",
    "tables joined into one": "ALTER TABLE p ADD notes text[]; UPDATE p SET notes = ARRAY(SELECT note FROM c WHERE c.p = p.id ORDER BY c.id); DROP TABLE g, c",
    "key moved to another column": "ALTER TABLE g ADD id serial PRIMARY KEY; UPDATE g SET x = id::text; ALTER TABLE g DROP c",
    "key given up": "ALTER TABLE g DROP CONSTRAINT g_c_fkey; ALTER TABLE c DROP CONSTRAINT c_pkey; INSERT INTO c VALUES (1, 1, 'twice'); UPDATE c SET note = 'all'",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_everything_a_changeset_does_to_rows_comes_back(trial: Trial, change: str) -> None:
    trial.setup(SHOP)
    trial.goes_there_and_back(change)


EFFECTS = {
    "of a trigger that writes elsewhere": (TRIGGERS, "UPDATE c SET note = 'n'; DELETE FROM c WHERE id = 3"),
    "of a trigger that writes the same row": (SAME_ROW, "UPDATE s SET v = 'new' WHERE id = 1"),
    "of a rule": ("CREATE RULE r AS ON DELETE TO g DO ALSO UPDATE bag SET w = 'rule'", "DELETE FROM g"),
    "of set null": ("CREATE TABLE k (p int REFERENCES p ON DELETE SET NULL); INSERT INTO k VALUES (2), (2)", "DELETE FROM p WHERE id = 2"),
    "of set default": ("CREATE TABLE k (p int DEFAULT 3 REFERENCES p ON DELETE SET DEFAULT); INSERT INTO k VALUES (2)", "DELETE FROM p WHERE id = 2"),
    "on children by inheritance": ("CREATE TABLE h (e int) INHERITS (bag); INSERT INTO h VALUES (1, 'h', 9), (1, 'h', 9)", "UPDATE bag SET w = 'both'; DELETE FROM bag WHERE v IS NULL"),
    "of a function that a default calls": ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ UPDATE bag SET w = 'f' RETURNING 1 $$; CREATE TABLE k (a int, b int DEFAULT f())", "INSERT INTO k VALUES (1)"),
    "on a foreign-key cycle": ("CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b", "ALTER TABLE a DROP CONSTRAINT a_b_fkey; DELETE FROM b; DELETE FROM a"),
    "on a table that refers to itself": ("CREATE TABLE r (id int PRIMARY KEY, up int REFERENCES r ON DELETE CASCADE); INSERT INTO r VALUES (1, 2), (2, NULL), (3, 1) ", "DELETE FROM r WHERE id = 2"),
    "under a deferred cycle": ("CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED; BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT", "DELETE FROM a; DELETE FROM b"),
    "on generated columns": ("CREATE TABLE k (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED, z text); INSERT INTO k VALUES (1, 2, DEFAULT, 'z')", "UPDATE k SET a = 5; ALTER TABLE k DROP g"),
    "on what a generated column needs": ("CREATE TABLE k (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED, z text); INSERT INTO k VALUES (1, 2, DEFAULT, 'z')", "ALTER TABLE k DROP a CASCADE"),
    "on an identity column": ("CREATE TABLE k (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int); INSERT INTO k (a) VALUES (1), (2)", "DELETE FROM k WHERE a = 1; UPDATE k SET a = 5; INSERT INTO k (a) VALUES (9)"),
    "on an identity column that goes": ("CREATE TABLE k (a int PRIMARY KEY, id int GENERATED ALWAYS AS IDENTITY); INSERT INTO k (a) VALUES (1), (2); DELETE FROM k WHERE a = 1", "ALTER TABLE k DROP id"),
    "on a key of two columns": ("CREATE TABLE k (a text, b date, v int, PRIMARY KEY (b, a)); INSERT INTO k VALUES ('x', '2020-01-01', 1), ('y', '2020-01-01', 2)", "UPDATE k SET v = 0; UPDATE k SET a = 'z' WHERE a = 'x'; DELETE FROM k WHERE a = 'y'"),
    "on a unique column that swaps": ("CREATE TABLE k (id int PRIMARY KEY, u int UNIQUE, v int, EXCLUDE USING btree (v WITH =)); INSERT INTO k VALUES (1, 1, 1), (2, 2, 2)", "UPDATE k SET u = -u, v = -v; UPDATE k SET u = u + 3, v = v + 3"),
    "on odd names": ("""CREATE SCHEMA "S; --"; CREATE TABLE "S; --"."we""ird" ("a b" int PRIMARY KEY, "SELECT" text, "ü'%s" int); INSERT INTO "S; --"."we""ird" VALUES (1, 'x', 2), (2, 'y', 3)""", """UPDATE "S; --"."we""ird" SET "ü'%s" = 0; DELETE FROM "S; --"."we""ird" WHERE "a b" = 2; ALTER TABLE "S; --"."we""ird" DROP "SELECT" """),
    "on columns named like the shelf's": ("CREATE TABLE h (k0 int PRIMARY KEY, v0 text, b0 int, change text, d int, a text, r text, c0 int, n int, s text); INSERT INTO h VALUES (1, '2', 3, 'gone', 5, '6', '7', 8, 9, '10'), (2, 'x', 0, 'new', 0, '', NULL, 0, 0, '')", "UPDATE h SET v0 = 'y', d = 0, r = 'z' WHERE k0 = 1; DELETE FROM h WHERE k0 = 2; ALTER TABLE h DROP a, ADD x0 int"),
    "on whole rows as values": ("CREATE TABLE k (id int PRIMARY KEY, r bag); INSERT INTO k VALUES (1, '(1,a)'), (2, '(,)'), (3, NULL)", "UPDATE k SET r = NULL; DELETE FROM k WHERE id = 3"),
    "on many columns": ("DO $$ BEGIN EXECUTE 'CREATE TABLE k (id int PRIMARY KEY, ' || (SELECT string_agg(format('c%s int DEFAULT %s', i, i), ', ') FROM generate_series(1, 400) i) || ')'; END $$; INSERT INTO k VALUES (1), (2)", "UPDATE k SET c7 = 0, c399 = NULL; DELETE FROM k WHERE id = 2"),
    "on long values": ("CREATE TABLE k (id int PRIMARY KEY, t text); INSERT INTO k SELECT i, repeat(chr(64 + i), 100000) FROM generate_series(1, 9) i", "UPDATE k SET t = 'z' || substr(t, 2) WHERE id < 5; DELETE FROM k WHERE id > 7"),
}  # fmt: skip


@pytest.mark.parametrize(("setup", "change"), EFFECTS.values(), ids=EFFECTS.keys())
def test_effects_come_back(trial: Trial, setup: str, change: str) -> None:
    trial.setup(f"{SHOP}{setup}")
    trial.goes_there_and_back(change)


TYPES = {
    "boolean": ("true", "NULL"),
    "smallint": ("-32768", "0"),
    "bigint": ("9223372036854775807", "-1"),
    "numeric": ("1.50", "1.5"),
    "numeric(5,2)": ("'NaN'", "1"),
    "real": ("'-0'", "0"),
    "double precision": ("'NaN'", "0.1"),
    "float8": ("'-infinity'", "1e308"),
    "money": ("'-12.34'", "1"),
    "text": ("E'a\\n\\t''\"\\\\ü€😀'", "''"),
    "varchar(4)": ("'ab  '", "'ab'"),
    "char(6)": ("'ab'", "'ab c'"),
    '"char"': ("'x'", "'y'"),
    "name": ("'n'", "'m'"),
    "bytea": (r"'\x00ff00'", r"'\x'"),
    "date": ("'0044-03-15 BC'", "'infinity'"),
    "timestamp": ("'0044-03-15 12:00:00.000001 BC'", "'-infinity'"),
    "timestamptz": ("'2020-01-01 12:00+05'", "'0001-01-01 00:00 BC'"),
    "time": ("'24:00:00'", "'00:00'"),
    "timetz": ("'12:00+05:30'", "'12:00+00'"),
    "interval": ("'1 mon -1 day 24:00:00'", "'30 days'"),
    "uuid": ("'00000000-0000-0000-0000-00000000000a'", "NULL"),
    "json": ("""'{"a": 1, "a":2}'""", """'{"a":2}'"""),
    "jsonb": ("""'{"a": 1.0}'""", "'null'"),
    "xml": ("'<a b=\"1\"/>'", "'<a/>'"),
    "int[]": ("'[0:1][5:5]={{1},{NULL}}'", "'{}'"),
    "text[]": ("""'{"NULL",NULL,"a,b"}'""", "NULL"),
    "int4range": ("'[1,5)'", "'empty'"),
    "tstzrange": ("'[2020-01-01,)'", "'(,)'"),
    "nummultirange": ("'{[1,2),[3,4)}'", "'{}'"),
    "tsvector": ("'a:1A b'", "''"),
    "tsquery": ("'a & !b'", "'c'"),
    "inet": ("'10.0.0.1/8'", "'::1'"),
    "cidr": ("'10.0.0.0/8'", "'::/0'"),
    "macaddr": ("'08:00:2b:01:02:03'", "NULL"),
    "bit(3)": ("B'101'", "B'000'"),
    "varbit": ("B'0'", "B''"),
    "point": ("'(1.5,-0)'", "'(0,0)'"),
    "polygon": ("'((0,0),(1,1),(2,0))'", "NULL"),
    "circle": ("'<(0,0),1>'", "NULL"),
    "pg_lsn": ("'16/B374D848'", "'0/0'"),
    "regclass": ("'pg_class'", "'public.base'"),
    "oid": ("4294967295", "0"),
    "mood": ("'it''s'", "'b'"),
    "mood[]": ("""'{a,NULL,"it''s"}'""", "'{}'"),
    "posint": ("5", "6"),
    "pair": ("'(1,\"a,b\")'", "'(,)'"),
    "pair[]": ("""'{"(1,)","(,x)",NULL}'""", "'{}'"),
    "caseless": ("'A'", "'a'"),
    "span": ("'[1.5,2]'", "'empty'"),
    "base": ("'(1,x)'", "NULL"),
}
USERS_TYPES = """
CREATE TYPE mood AS ENUM ('a', 'b', 'it''s'); CREATE DOMAIN posint AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b text);
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN caseless AS text COLLATE any_case; CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE base (id int, t text);
"""


@pytest.mark.parametrize(("type_", "values"), TYPES.items(), ids=TYPES.keys())
def test_values_of_every_type_come_back(trial: Trial, type_: str, values: tuple[str, str]) -> None:
    value, other = values
    trial.setup(f"""{USERS_TYPES} CREATE TABLE t (id int PRIMARY KEY, v {type_}, z int); CREATE TABLE k (v {type_}, w int);
        INSERT INTO t VALUES (1, {value}, 1), (2, {value}, 2), (3, {other}, 3), (4, NULL, 4);
        INSERT INTO k VALUES ({value}, 1), ({value}, 1), ({other}, 2), (NULL, 3)""")
    before = trial.every_row()
    trial.deploy(
        f"UPDATE t SET v = {other} WHERE id IN (1, 4); DELETE FROM t WHERE id = 2; UPDATE k SET v = {other};",
        "ALTER TABLE t DROP v; ALTER TABLE k DROP v;",
        "DROP TABLE t, k;",
        granular=True,
    )
    trial.write("SET TimeZone = 'Asia/Tokyo'; SELECT 1")
    for changeset in ("002_change", "001_change"):
        trial.back(to_changeset=changeset)
    trial.write("UPDATE t SET z = 9 WHERE id = 3")
    trial.back()
    trial.write("UPDATE t SET z = 3 WHERE id = 3")
    assert differences(before, trial.every_row()) == []


def test_values_of_types_that_are_dropped_after_them_come_back(trial: Trial) -> None:
    own = ("mood", "mood[]", "posint", "pair", "pair[]", "caseless", "span")
    columns = ", ".join(f"v{n} {t}" for n, t in enumerate(own))
    values = ", ".join(TYPES[t][0] for t in own)
    trial.setup(
        f"{USERS_TYPES} CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT INTO t VALUES (1, {values}), (2, {values})"
    )
    gone = "DROP TYPE mood, pair, span CASCADE; DROP DOMAIN posint, caseless CASCADE;"
    trial.goes_there_and_back(f"DELETE FROM t WHERE id = 1; {gone}")
