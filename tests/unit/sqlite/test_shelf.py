"""Whatever SQL does to rows on SQLite is kept, comes back, and comes again when the same changesets are deployed again."""

from __future__ import annotations

import sqlite3

import pytest

from tests.unit.sqlite.conftest import Shop, same

WIDE = ", ".join(f"c{n}" for n in range(150))

CASES = {
    # ------------------------------------------------------------------ statements
    "update": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, NULL, 3)",
        "UPDATE t SET a = a || '!', b = NULL WHERE id <> 2",
    ),
    "update from another table": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (id, a);"
        "INSERT INTO t VALUES (1, 'x'), (2, 'y'); INSERT INTO u VALUES (2, 'z')",
        "UPDATE t SET a = u.a FROM u WHERE u.id = t.id",
    ),
    "delete of everything": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "DELETE FROM t",
    ),
    "delete within a common table expression": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "WITH old AS (SELECT id FROM t WHERE a = 'x') DELETE FROM t WHERE id IN (SELECT id FROM old)",
    ),
    "upsert that updates": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE, n); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
        "INSERT INTO t VALUES (7, 'b', 20), (8, 'c', 30) ON CONFLICT (e) DO UPDATE SET n = excluded.n + t.n",
    ),
    "upsert that does nothing": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE, n); INSERT INTO t VALUES (1, 'a', 1)",
        "INSERT INTO t VALUES (7, 'a', 20), (8, 'c', 30) ON CONFLICT DO NOTHING",
    ),
    "REPLACE that removes two rows": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "REPLACE INTO t VALUES (1, 'b')",
    ),
    "UPDATE OR REPLACE": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "UPDATE OR REPLACE t SET e = 'c' WHERE id < 2",
    ),
    "a key that replaces by itself": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE ON CONFLICT REPLACE, n); INSERT INTO t VALUES (1, 'a', 1)",
        "INSERT INTO t VALUES (2, 'a', 2)",
    ),
    "unique values that change places": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "UPDATE t SET e = NULL WHERE id = 1; UPDATE t SET e = 'a' WHERE id = 2; UPDATE t SET e = 'b' WHERE id = 1",
    ),
    "by way of a temporary table": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "CREATE TEMP TABLE saved AS SELECT * FROM t; DELETE FROM t;"
        "INSERT INTO t SELECT id, upper(a) FROM saved; DROP TABLE saved",
    ),
    # ------------------------------------------------------------------ what statements bring about
    "children that go with their parent": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE);"
        "CREATE TABLE g (c REFERENCES c ON DELETE CASCADE, note);"
        "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1), (20, 2); INSERT INTO g VALUES (10, 'x'), (20, 'y')",
        "PRAGMA foreign_keys = ON; DELETE FROM p WHERE id = 1",
    ),
    "children that lose their parent": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE SET NULL,"
        " q DEFAULT 2 REFERENCES p ON DELETE SET DEFAULT); INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1, 1)",
        "PRAGMA foreign_keys = ON; DELETE FROM p WHERE id = 1",
    ),
    "children that follow their parent's key": (
        "CREATE TABLE p (id TEXT PRIMARY KEY NOT NULL, a); INSERT INTO p VALUES ('x', 1), ('y', 2);"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON UPDATE CASCADE); INSERT INTO c VALUES (1, 'x'), (2, 'y')",
        "PRAGMA foreign_keys = ON; UPDATE p SET id = 'z' WHERE id = 'x'",
    ),
    "rows that refer to each other": (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b DEFERRABLE INITIALLY DEFERRED);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a);"
        "INSERT INTO a VALUES (1, 2), (3, NULL); INSERT INTO b VALUES (2, 1)",
        "PRAGMA foreign_keys = ON; DELETE FROM b; DELETE FROM a WHERE id = 1",
    ),
    "what triggers write": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, seen DEFAULT 0); CREATE TABLE log (id INTEGER PRIMARY KEY, what);"
        "CREATE TABLE total (n); INSERT INTO total VALUES (2); INSERT INTO t (id, a) VALUES (1, 'x'), (2, 'y');"
        "CREATE TRIGGER u AFTER UPDATE OF a ON t BEGIN INSERT INTO log (what) VALUES (old.a); UPDATE t SET seen = seen + 1"
        " WHERE id = new.id; END;"
        "CREATE TRIGGER d AFTER DELETE ON t BEGIN UPDATE total SET n = n - 1; END",
        "UPDATE t SET a = 'z'; DELETE FROM t WHERE id = 2",
    ),
    "writes by way of a view": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'); CREATE VIEW v AS SELECT * FROM t;"
        "CREATE TRIGGER w INSTEAD OF DELETE ON v BEGIN UPDATE t SET a = NULL WHERE id = old.id; END",
        "DELETE FROM v WHERE id = 2",
    ),
    # ------------------------------------------------------------------ telling rows apart
    "keys that change": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "UPDATE t SET id = id + 10",
    ),
    "keys that move on by one": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "UPDATE t SET id = -id; UPDATE t SET id = 1 - id, a = a || 1",
    ),
    "keys that two rows exchange": (
        "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, a); INSERT INTO t VALUES ('x', 1), ('y', 2)",
        "UPDATE t SET k = '-' WHERE k = 'x'; UPDATE t SET k = 'x' WHERE k = 'y'; UPDATE t SET k = 'y' WHERE k = '-'",
    ),
    "keys that differ in case alone": (
        "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, a) WITHOUT ROWID;"
        "INSERT INTO t VALUES ('Ada', 1), ('bo', 2)",
        "UPDATE t SET k = 'ADA' WHERE k = 'ada'; UPDATE t SET a = 3 WHERE k = 'BO'",
    ),
    "keys of several columns": (
        "CREATE TABLE t (a, b TEXT, c REAL, PRIMARY KEY (b, a)) WITHOUT ROWID;"
        "INSERT INTO t VALUES (1, 'x', 1), ('1', 'x', 2), (x'31', 'x', 3), (1.5, 'y', 4)",
        "UPDATE t SET c = -c WHERE b = 'x'; DELETE FROM t WHERE b = 'y'",
    ),
    "a key that may be NULL": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, a); INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('x', 3)",
        "DELETE FROM t WHERE a = 1; UPDATE t SET a = 4 WHERE a = 2",
    ),
    "rows that are there twice": (
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL)",
        "DELETE FROM t WHERE rowid IN (1, 4); UPDATE t SET b = 'y' WHERE rowid = 2; INSERT INTO t VALUES (NULL, NULL), (2, 'z')",
    ),
    "rows without a key, all alike in what stays": (
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1, 'y'), (1, 'z')",
        "ALTER TABLE t DROP COLUMN b",
    ),
    "a hundred and fifty columns": (
        f"CREATE TABLE t ({WIDE}); INSERT INTO t (c0, c149) VALUES (1, 2), (1, 2), (3, 4)",
        "UPDATE t SET c149 = c149 + 1 WHERE c0 = 1; DELETE FROM t WHERE c0 = 3",
    ),
    "columns and tables called as tagback calls its own": (
        'CREATE TABLE "place h" (k0 TEXT PRIMARY KEY NOT NULL, k1, v0, d, b0, r, a, "change", moves, a0, f0);'
        "INSERT INTO \"place h\" VALUES ('x', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), ('y', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)",
        "UPDATE \"place h\" SET d = -d, f0 = NULL, \"change\" = 'gone' WHERE k0 = 'x'; DELETE FROM \"place h\" WHERE k0 = 'y'",
    ),
    # ------------------------------------------------------------------ structure
    "a table that is dropped": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t VALUES (5, 'x'), (7, 'y');"
        "CREATE INDEX i ON t (a)",
        "DROP TABLE t",
    ),
    "a dropped table and another one under its name": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, b, c); INSERT INTO t VALUES (1, 'other', 1)",
    ),
    "a dropped table and another one under its name, both without a key": (
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y')",
        "DROP TABLE t; CREATE TABLE t (a, c); INSERT INTO t VALUES (1, 'other'), (2, 'other')",
    ),
    "a table made from a query takes the place of another": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)",
        "CREATE TABLE n AS SELECT id, upper(a) AS a FROM t WHERE id > 1; DROP TABLE t; ALTER TABLE n RENAME TO t",
    ),
    "two tables change places": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (id INTEGER PRIMARY KEY, a);"
        "INSERT INTO t VALUES (1, 't'); INSERT INTO u VALUES (1, 'u')",
        "ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u; UPDATE t SET a = 'new'",
    ),
    "renamed, written to and renamed again": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)",
        "ALTER TABLE t RENAME TO u; UPDATE u SET a = b; ALTER TABLE u RENAME a TO c; ALTER TABLE u RENAME b TO a;"
        "UPDATE u SET a = NULL; ALTER TABLE u RENAME TO w; DELETE FROM w WHERE id = 2",
    ),
    "a column that goes": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'd', b);"
        "INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2), (3, 'd', 3)",
        "ALTER TABLE t DROP COLUMN a",
    ),
    "a column that goes, with a default that is another one each time": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DEFAULT CURRENT_TIMESTAMP, x DEFAULT (random()));"
        "INSERT INTO t VALUES (1, '2001-01-01', 5), (2, NULL, NULL)",
        "ALTER TABLE t DROP COLUMN at; ALTER TABLE t DROP COLUMN x",
    ),
    "a column that is split": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, full_name TEXT); INSERT INTO t VALUES (1, 'Ada Byron'), (2, 'Cher'), (3, NULL)",
        "ALTER TABLE t ADD COLUMN first TEXT; ALTER TABLE t ADD COLUMN last TEXT;"
        "UPDATE t SET first = substr(full_name, 1, instr(full_name || ' ', ' ') - 1),"
        " last = nullif(substr(full_name, instr(full_name || ' ', ' ') + 1), ''); ALTER TABLE t DROP COLUMN full_name",
    ),
    "NOT NULL after a backfill": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, NULL), (2, 'x')",
        "UPDATE t SET a = '' WHERE a IS NULL; CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT NOT NULL);"
        "INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
    ),
    "types that change": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c, d REAL);"
        "INSERT INTO t VALUES (1, '007', 1, '5', 2.0), (2, '1e3', 9007199254740993, 5, 2.5), (3, 'x', NULL, 5.0, -0.0)",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, a INTEGER, b REAL, c INTEGER, d INTEGER);"
        "INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
    ),
    "generated columns": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, g AS (a * 2), s INTEGER AS (a * 3) STORED, z);"
        "INSERT INTO t (id, a, z) VALUES (1, 5, 'x'), (2, 6, 'y')",
        "UPDATE t SET a = a + 1 WHERE id = 1; DELETE FROM t WHERE id = 2",
    ),
    "a generated column and what it is made of": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, g AS (a * 2)); INSERT INTO t (id, a) VALUES (1, 5)",
        "ALTER TABLE t DROP COLUMN g; ALTER TABLE t DROP COLUMN a",
    ),
    "without rowids": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, a INTEGER) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1), ('y', 2), ('', 3)",
        "UPDATE t SET a = a + 1 WHERE k <> 'y'; DELETE FROM t WHERE k = 'y'; INSERT INTO t VALUES ('z', 4)",
    ),
    "rows added to what was empty": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE k (a)",
        "INSERT INTO t VALUES (1, 'x'); INSERT INTO k VALUES (1), (1)",
    ),
}  # fmt: skip

STRICT = {
    "strict": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, v ANY, i INT, r REAL, b BLOB) STRICT;"
        "INSERT INTO t VALUES ('a', '1', 1, 1.0, x'00'), ('b', 1, NULL, 2.5, NULL), ('c', x'31', 3, -0.0, x'')",
        "UPDATE t SET v = 1, r = 7; DELETE FROM t WHERE k = 'c'",
    ),
    "strict no more": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, v ANY) STRICT; INSERT INTO t VALUES ('a', '1'), ('b', 1), ('c', x'31')",
        "CREATE TABLE n (k TEXT PRIMARY KEY, v ANY); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
    ),
}

VALUES = {
    "a blob": "x'00ff10'",
    "an empty blob": "x''",
    "an empty text": "''",
    "a text with NUL": "'a' || char(0) || 'b'",
    "a text with NUL alone": "char(0)",
    "a text that isn't UTF-8": "CAST(x'61ff62' AS TEXT)",
    "a text as long as a digest": "'#' || hex(randomblob(16))",
    "a long text": "printf('%.*c', 5000, 'x')",
    "text outside the first plane": "'\U0001f600 \u00e9'",
    "minus zero": "-0.0",
    "zero": "0.0",
    "the largest integer": "9223372036854775807",
    "the smallest integer": "-9223372036854775807 - 1",
    "an integer that no real holds": "9007199254740993",
    "a real that looks like an integer": "9007199254740992.0",
    "infinity": "9e999",
    "minus infinity": "-9e999",
    "the smallest real": "4.9e-324",
    "seventeen digits": "0.1 + 0.2",
    "a number in text": "'1'",
    "NULL": "NULL",
}


@pytest.mark.parametrize("name", CASES)
def test_rows_come_back_and_come_again(shop: Shop, name: str) -> None:
    _rite(shop, *CASES[name])


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT tables came with 3.37")
@pytest.mark.parametrize("name", STRICT)
def test_rows_of_strict_tables_come_back_and_come_again(shop: Shop, name: str) -> None:
    _rite(shop, *STRICT[name])


def _rite(shop: Shop, setup: str, change: str) -> None:
    base = shop.start(setup)
    applied = shop.apply(change)
    assert applied.reversibility in ("captured", "conditional")
    assert sum(s.rows for s in applied.shelved) > 0
    end = shop.state()
    for _ in range(2):
        result = shop.back()
        assert result.conflicts == ()
        same(base, shop.state())
        assert shop.apply().notes == ()
        same(end, shop.state())


CHANGES = {
    "updated": "UPDATE t SET v = 'other'",
    "updated to something alike": "UPDATE t SET v = CASE typeof(v) WHEN 'text' THEN CAST(v AS BLOB)"
    " WHEN 'blob' THEN CAST(v AS TEXT)"
    " WHEN 'integer' THEN v * 1.0 WHEN 'real' THEN iif(v = 0, 0.0, CAST(v AS INTEGER)) ELSE '' END",
    "dropped": "ALTER TABLE t DROP COLUMN v",
    "deleted": "DELETE FROM t",
    "gone with its table": "DROP TABLE t",
}  # fmt: skip


@pytest.mark.parametrize("key", ["id INTEGER PRIMARY KEY", "id"], ids=["a key", "no key"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("value", VALUES)
def test_every_value_comes_back_bit_by_bit(shop: Shop, value: str, change: str, key: str) -> None:
    base = shop.start(f"CREATE TABLE t ({key}, v, w); INSERT INTO t SELECT 1, {VALUES[value]}, 'beside'")
    stored = shop.stored("t")
    shop.apply(CHANGES[change])
    end = shop.state()
    shop.back()
    same(base, shop.state())
    assert shop.stored("t") == stored
    shop.apply()
    same(end, shop.state())


@pytest.mark.parametrize("value", VALUES)
def test_every_value_of_the_application_comes_again(shop: Shop, value: str) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    shop.apply("ALTER TABLE t ADD COLUMN v DEFAULT 'd'; CREATE TABLE u (v)")
    shop.sql(f"UPDATE t SET v = {VALUES[value]} WHERE id = 1; INSERT INTO u SELECT v FROM t")
    end, stored = shop.state(), shop.stored("t") + shop.stored("u")
    shop.back()
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())
    assert shop.stored("t") + shop.stored("u") == stored


def test_what_does_not_fit_on_a_redo_stays_on_the_shelf_and_is_told(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')")
    shop.apply("ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a; CREATE UNIQUE INDEX i ON t (b)")
    shop.sql("INSERT INTO t VALUES (5, 'y', 'z')")
    shop.back()
    shop.sql("INSERT INTO t VALUES (6, 'z')")
    (note,) = shop.apply().notes
    assert "did not fit any more and stays on the shelf: UNIQUE constraint failed" in note
    assert shop.rows("SELECT * FROM t ORDER BY 1") == [(1, "x", "x"), (5, "y", "y"), (6, "z", "z")]
