# ruff: noqa: E501 - a table: a line for each case
"""SQLite: each kind of object, and what can happen to it."""

from __future__ import annotations

from tests.conformance.case import captured, conditional, exact, refused

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT); INSERT INTO t VALUES (1, 'x', 7), (2, NULL, 8);"
REBUILD = "INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"

INDEXED = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, other TEXT); INSERT INTO t VALUES (1, 'hello world', 'x'), (2, 'good day', NULL);"
SEARCH = """
CREATE VIRTUAL TABLE f USING fts5 (body, content = 't', content_rowid = 'id');
INSERT INTO f (f) VALUES ('rebuild');
CREATE TRIGGER t_ai AFTER INSERT ON t BEGIN INSERT INTO f (rowid, body) VALUES (new.id, new.body); END;
CREATE TRIGGER t_ad AFTER DELETE ON t BEGIN INSERT INTO f (f, rowid, body) VALUES ('delete', old.id, old.body); END;
CREATE TRIGGER t_au AFTER UPDATE ON t BEGIN
    INSERT INTO f (f, rowid, body) VALUES ('delete', old.id, old.body);
    INSERT INTO f (rowid, body) VALUES (new.id, new.body);
END;
"""

CASES = (
    # ------------------------------------------------------------------ tables
    exact("table created", TABLE, "CREATE TABLE u (a, b DEFAULT 'it''s'); INSERT INTO u VALUES (1, 2)"),
    exact("table created as a query", TABLE, "CREATE TABLE u AS SELECT * FROM t"),
    exact("strict table", TABLE, "CREATE TABLE u (id INTEGER PRIMARY KEY, a ANY, b TEXT NOT NULL) STRICT"),
    exact("table without rowid", TABLE, "CREATE TABLE u (a TEXT, b INT, PRIMARY KEY (b DESC, a)) WITHOUT ROWID"),
    exact("table with autoincrement", TABLE, "CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO u VALUES (9)"),
    exact("empty table dropped", "CREATE TABLE t (a CHECK (a > 0), b UNIQUE)", "DROP TABLE t"),
    captured("table with rows dropped", TABLE, "DROP TABLE t"),
    exact("table renamed", TABLE, "ALTER TABLE t RENAME TO u"),
    exact("tables swapped", TABLE + "CREATE TABLE u (z)", "ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u"),
    exact("empty table dropped, then another of the same name", "CREATE TABLE t (a INT)", "DROP TABLE t; CREATE TABLE t (x TEXT, a TEXT)"),
    exact("table made strict", TABLE, "CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT, b INT) STRICT;" + REBUILD),
    exact("foreign-key cycle", "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b); CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1)", "ALTER TABLE a ADD COLUMN c; ALTER TABLE b RENAME TO d"),
    exact("duplicate rows without a key", "CREATE TABLE t (a); INSERT INTO t VALUES (1), (1), (NULL), (NULL)", "ALTER TABLE t ADD COLUMN b DEFAULT 5"),
    # ------------------------------------------------------------------ columns
    exact("column added", TABLE, "ALTER TABLE t ADD COLUMN c TEXT NOT NULL DEFAULT 'it''s; so'"),
    exact("column added and filled", TABLE, "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = b * 2"),
    exact("empty column dropped", "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, NULL, 3)", "ALTER TABLE t DROP COLUMN b"),
    captured("column with values dropped", TABLE, "ALTER TABLE t DROP COLUMN b"),
    exact("column renamed", TABLE + "CREATE VIEW v AS SELECT a FROM t; CREATE INDEX i ON t (a)", "ALTER TABLE t RENAME a TO c"),
    exact("columns swapped", TABLE, "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b"),
    exact("column order changed", TABLE, "CREATE TABLE n (b INT, id INTEGER PRIMARY KEY, a TEXT); INSERT INTO n SELECT b, id, a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"),
    exact("widened type", "CREATE TABLE t (a VARCHAR(5)); INSERT INTO t VALUES ('abc')", "CREATE TABLE n (a TEXT);" + REBUILD),
    conditional("text to integer loses 007", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('007')", "CREATE TABLE n (a INT);" + REBUILD),
    exact("text to integer loses nothing", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('7')", "CREATE TABLE n (a INT);" + REBUILD),
    captured("NOT NULL with backfill", TABLE, "UPDATE t SET a = '' WHERE a IS NULL; CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INT);" + REBUILD),
    exact("NOT NULL", "CREATE TABLE t (a); INSERT INTO t VALUES (1)", "CREATE TABLE n (a NOT NULL);" + REBUILD),
    exact("default changed", "CREATE TABLE t (a DEFAULT 1); INSERT INTO t VALUES (3)", "CREATE TABLE n (a DEFAULT (1 + 1));" + REBUILD),
    exact("generated columns", TABLE, "ALTER TABLE t ADD COLUMN g AS (a || b) VIRTUAL; CREATE TABLE u (a, g AS (a * 2) STORED)"),
    exact("generated column dropped", "CREATE TABLE t (a, g AS (a * 2) STORED); INSERT INTO t VALUES (4)", "CREATE TABLE n (a); INSERT INTO n SELECT a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"),
    exact("collation", "CREATE TABLE t (a TEXT COLLATE NOCASE); INSERT INTO t VALUES ('X')", "CREATE TABLE n (a TEXT COLLATE RTRIM);" + REBUILD),
    # ------------------------------------------------------------------ constraints
    exact("constraints come and go", "CREATE TABLE t (a UNIQUE, b CONSTRAINT c CHECK (b > 0), UNIQUE (a, b) ON CONFLICT IGNORE); INSERT INTO t VALUES (1, 2)", "CREATE TABLE n (a, b CHECK (b > 1), CONSTRAINT u UNIQUE (b));" + REBUILD),
    exact("foreign keys come and go", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (p REFERENCES p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1)", "PRAGMA foreign_keys = OFF; CREATE TABLE n (p);" + REBUILD),
    exact("parent rebuilt in twelve steps", "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE c (t REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (1); INSERT INTO c VALUES (1)", "PRAGMA foreign_keys = OFF; CREATE TABLE n (id INTEGER PRIMARY KEY, x); INSERT INTO n (id) SELECT id FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t; PRAGMA foreign_keys = ON"),
    captured("delete with its children", "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE c (t REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (1); INSERT INTO c VALUES (1)", "PRAGMA foreign_keys = ON; DELETE FROM t"),
    # ------------------------------------------------------------------ indexes, views, triggers, settings
    exact("indexes created", TABLE, "CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE DESC, b); CREATE INDEX j ON t (lower(a)) WHERE b > 1 AND a <> 'x;y'"),
    exact("indexes dropped", TABLE + "CREATE INDEX i ON t (a) WHERE b > 1; CREATE INDEX j ON t (a || 'z')", "DROP INDEX i; DROP INDEX j"),
    exact("index changed under its name", TABLE + "CREATE INDEX i ON t (a)", "DROP INDEX i; CREATE UNIQUE INDEX i ON t (b)"),
    exact("views on views", TABLE + "CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w (x) AS SELECT a FROM v", "DROP VIEW w; DROP VIEW v; CREATE VIEW v AS SELECT id, a FROM t"),
    exact("views on a column that goes", "CREATE TABLE t (a, b); CREATE VIEW v AS SELECT b FROM t; CREATE VIEW w AS SELECT * FROM v", "DROP VIEW w; DROP VIEW v; ALTER TABLE t DROP COLUMN b"),
    exact("triggers", TABLE + "CREATE TRIGGER g AFTER UPDATE OF a ON t BEGIN SELECT 1; SELECT ';'; END", "DROP TRIGGER g; CREATE TRIGGER g BEFORE DELETE ON t WHEN old.a = 'x' BEGIN SELECT raise(ABORT, 'no; never'); END"),
    exact("trigger on a view", TABLE + "CREATE VIEW v AS SELECT a FROM t; CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.a); END", "DROP VIEW v"),
    exact("triggers don't fire on the way back", TABLE + "CREATE TABLE log (x); CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END; CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO log VALUES (2); END", "ALTER TABLE t ADD COLUMN c"),
    exact("settings in the file", "PRAGMA user_version = 3", "PRAGMA user_version = 4; PRAGMA application_id = 77"),
    exact("full-text table created", TABLE, "CREATE VIRTUAL TABLE f USING fts5 (a, b UNINDEXED, tokenize = 'porter ascii', prefix = '2 3'); INSERT INTO f VALUES ('x', 'y')"),
    captured("full-text table dropped", "CREATE VIRTUAL TABLE f USING fts5 (a, b UNINDEXED); INSERT INTO f (rowid, a) VALUES (7, 'hello'), (9, NULL); INSERT INTO f (f, rank) VALUES ('automerge', 7), ('rank', 'bm25(10.0)')", "DROP TABLE f"),
    conditional("full-text table made anew with other columns", "CREATE VIRTUAL TABLE f USING fts5 (a, b); INSERT INTO f VALUES ('x', 'y'), ('z', NULL)", "ALTER TABLE f RENAME TO o; CREATE VIRTUAL TABLE f USING fts5 (a, c); INSERT INTO f (rowid, a) SELECT rowid, a FROM o; DROP TABLE o"),
    captured("rows of a full-text table", "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('x'), ('y'), ('z')", "DELETE FROM f WHERE f MATCH 'x'; UPDATE f SET a = 'w' WHERE rowid = 2; INSERT INTO f VALUES ('v')"),
    exact("full-text table renamed", "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('x')", "ALTER TABLE f RENAME TO g"),
    captured("older full-text tables", "CREATE VIRTUAL TABLE f USING fts4 (a, b, notindexed=b); CREATE VIRTUAL TABLE g USING fts3 (a TEXT); INSERT INTO f VALUES ('x', 'y'); INSERT INTO g (docid, a) VALUES (5, 'x')", "DROP TABLE f; UPDATE g SET a = 'y'"),
    captured("R-Tree", "CREATE VIRTUAL TABLE r USING rtree (id, x0, x1, y0, y1, +name TEXT); CREATE VIRTUAL TABLE i USING rtree_i32 (id, a, b); INSERT INTO r VALUES (3, 0.1, 0.2, 1, 2, 'n'); INSERT INTO i VALUES (1, 5, 6)", "DROP TABLE r; DELETE FROM i; CREATE VIRTUAL TABLE q USING rtree (k, m, n)"),
    exact("search index over a table created", INDEXED, SEARCH),
    exact("search index over a table dropped", INDEXED + SEARCH, "DROP TRIGGER t_ai; DROP TRIGGER t_ad; DROP TRIGGER t_au; DROP TABLE f"),
    captured("rows under a search index", INDEXED + SEARCH, "DELETE FROM t WHERE id = 1; UPDATE t SET body = 'changed' WHERE id = 2; INSERT INTO t VALUES (9, 'new', 'q')"),
    captured("table under a search index dropped", INDEXED + SEARCH, "DROP TABLE t; DROP TABLE f"),
    captured("column under a search index dropped", INDEXED + SEARCH, "DROP TRIGGER t_ai; DROP TRIGGER t_ad; DROP TRIGGER t_au; DROP TABLE f; ALTER TABLE t DROP COLUMN body"),
    refused("virtual table of another module", TABLE + "CREATE VIRTUAL TABLE f USING fts5 (a);", "CREATE VIRTUAL TABLE v USING fts5vocab (f, row)"),
    exact("full-text table made of a table under its name", TABLE, "CREATE VIRTUAL TABLE n USING fts5 (a); INSERT INTO n (rowid, a) SELECT id, a FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"),
    exact("table made of a full-text table under its name", "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f (rowid, a) VALUES (4, 'x'), (7, 'y')", "CREATE TABLE n (id INTEGER PRIMARY KEY, a); INSERT INTO n SELECT rowid, a FROM f; DROP TABLE f; ALTER TABLE n RENAME TO f"),
    exact("full-text table renamed whose name stands in quotes", "CREATE VIRTUAL TABLE \"f\" USING fts5 (a); INSERT INTO f VALUES ('x')", "ALTER TABLE f RENAME TO g"),
    captured("renamed full-text table dropped", "CREATE VIRTUAL TABLE o USING fts5 (a); INSERT INTO o VALUES ('x'); ALTER TABLE o RENAME TO f", "DROP TABLE f"),
    exact("settings of a full-text table", "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f (f, rank) VALUES ('automerge', 7)", "CREATE TABLE t (a); INSERT INTO f (f, rank) VALUES ('automerge', 3)"),
    exact("older search index over a table created", INDEXED, "CREATE VIRTUAL TABLE f USING fts4 (content=t, body); INSERT INTO f (f) VALUES ('rebuild')"),
    exact("search index renamed", INDEXED + SEARCH, "DROP TRIGGER t_ai; DROP TRIGGER t_ad; DROP TRIGGER t_au; ALTER TABLE f RENAME TO g"),
    exact("table under a search index renamed", INDEXED + SEARCH, "DROP TRIGGER t_ai; DROP TRIGGER t_ad; DROP TRIGGER t_au; DROP TABLE f; ALTER TABLE t RENAME TO u; " + SEARCH.replace(" ON t ", " ON u ").replace("'t'", "'u'")),
    captured("table under a search index dropped alone", INDEXED + "CREATE VIRTUAL TABLE f USING fts5 (body, content = 't', content_rowid = id); INSERT INTO f (f) VALUES ('rebuild')", "DROP TABLE t"),
    exact("search index made of a full-text table", INDEXED + SEARCH, "DROP TRIGGER t_ai; DROP TRIGGER t_ad; DROP TRIGGER t_au; DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5 (body)"),
    exact("full-text table without content created", TABLE, "CREATE VIRTUAL TABLE f USING fts5 (a, content = ''); INSERT INTO f (f, rank) VALUES ('automerge', 7); CREATE VIRTUAL TABLE g USING fts4 (a, languageid=lid)"),
    exact("empty full-text table without content changed and renamed", "CREATE VIRTUAL TABLE f USING fts5 (a, content = ''); CREATE VIRTUAL TABLE g USING fts5 (a, content = '')", "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5 (b, content = ''); ALTER TABLE g RENAME TO h"),
    refused("full-text table without content created and filled", TABLE, "CREATE VIRTUAL TABLE f USING fts5 (a, content = ''); INSERT INTO f (rowid, a) VALUES (1, 'x')"),
    # ------------------------------------------------------------------ names and rows
    exact("odd names", 'CREATE TABLE "we""ird; --" ("sp ace" INT, "größe" TEXT, [br] INT); INSERT INTO "we""ird; --" VALUES (1, \'x\', 2)', 'ALTER TABLE "we""ird; --" ADD COLUMN "SELECT"; ALTER TABLE "we""ird; --" RENAME "größe" TO "it\'s"; CREATE INDEX "ö;" ON "we""ird; --" ("it\'s")'),
    exact("names of 63 characters", f"CREATE TABLE {'t' * 63} ({'c' * 63} INT)", f"ALTER TABLE {'t' * 63} RENAME TO {'u' * 63}"),
    exact("values of every kind", "CREATE TABLE t (a); INSERT INTO t VALUES (NULL), (1), (1.0), ('1'), (x'31'), (-0.0), (9e999), (char(0) || 'z'), (cast(x'ff' AS TEXT))", "ALTER TABLE t ADD COLUMN b DEFAULT 1"),
    captured("update", TABLE, "UPDATE t SET b = b + 1"),
    captured("replace", TABLE, "REPLACE INTO t VALUES (1, 'y', 7)"),
    captured("update or replace", "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1), (2)", "UPDATE OR REPLACE t SET a = 2 WHERE a = 1"),
    captured("rows added to a table that was there", TABLE, "INSERT INTO t VALUES (3, 'z', 9)"),
    exact("an update that changes nothing", TABLE, "UPDATE t SET b = b"),
    refused("tagback's own tables", TABLE, "DROP TABLE tagback_meta", "statement"),
)  # fmt: skip
