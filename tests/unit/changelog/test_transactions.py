"""What statements do to transactions is recognised, as the engines themselves have it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from tagback.changelog import Changeset, Dialect, StatementKind, checksum_of, split, unwrap_transaction
from tagback.errors import ChangelogError

POSTGRES_REFUSES = [
    "CREATE INDEX CONCURRENTLY i2 ON t (v)", "create /* now */ unique index concurrently on t (v)",
    "DROP INDEX CONCURRENTLY i", "REINDEX INDEX CONCURRENTLY i", "REINDEX (VERBOSE, CONCURRENTLY ON) TABLE t",
    "REINDEX SCHEMA public", "REINDEX DATABASE {database}", "REINDEX (VERBOSE) SYSTEM {database}", "VACUUM", "VACUUM t",
    "CLUSTER", "CLUSTER VERBOSE", "ALTER SYSTEM SET work_mem = '4MB'", "CREATE DATABASE other", "DROP DATABASE other",
    "ALTER DATABASE {database} SET TABLESPACE pg_default", "CREATE TABLESPACE x LOCATION '/x'", "DROP TABLESPACE x",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p",
    "DISCARD ALL", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'",
]  # fmt: skip
POSTGRES_ALLOWS = [
    "REINDEX TABLE t", "REINDEX (CONCURRENTLY FALSE) TABLE t", "REFRESH MATERIALIZED VIEW CONCURRENTLY mv", "ANALYZE",
    "CLUSTER t", "CLUSTER VERBOSE t", "ALTER DATABASE {database} SET work_mem = '4MB'", "DISCARD PLANS",
    "ALTER TABLE p DETACH PARTITION p1", "ALTER TYPE e ADD VALUE 'b'", "CREATE INDEX ON t (v)", "TRUNCATE t",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)",
    "COMMENT ON TABLE t IS 'VACUUM; CONCURRENTLY'", "CREATE TABLE u (c text DEFAULT 'CONCURRENTLY')",
]  # fmt: skip


def test_what_postgres_refuses_in_a_transaction_is_known_beforehand(pg_url: str) -> None:
    with psycopg.connect(pg_url) as connection:
        connection.execute("""
            CREATE TABLE t (id int PRIMARY KEY, v text); CREATE INDEX i ON t (v); CLUSTER t USING i;
            CREATE TABLE p (id int) PARTITION BY range (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1);
            CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a; CREATE UNIQUE INDEX ON mv (a); CREATE TYPE e AS ENUM ('a');
        """)
        connection.commit()
        known, real = {}, {}
        for template in POSTGRES_REFUSES + POSTGRES_ALLOWS:
            sql = template.format(database=connection.info.dbname)
            (statement,) = split(sql, Dialect.POSTGRES)
            known[template] = statement.transactional
            try:
                connection.execute("SELECT 1")
                connection.execute(sql.encode())
                real[template] = True
            except psycopg.errors.ActiveSqlTransaction:
                real[template] = False
            connection.rollback()
    assert known == real
    assert [template for template, allowed in real.items() if not allowed] == POSTGRES_REFUSES


@pytest.mark.parametrize(
    ("sql", "allowed"),
    [
        ("VACUUM", False),
        ("PRAGMA synchronous = OFF", False),
        ("PRAGMA main.wal_checkpoint(FULL)", False),
        ("PRAGMA user_version = 3", True),
        ("PRAGMA foreign_keys = ON", True),
        ("CREATE TABLE vacuum_log (a)", True),
    ],
)
def test_what_sqlite_refuses_in_a_transaction_is_known_beforehand(sql: str, allowed: bool, tmp_path: Path) -> None:
    (statement,) = split(sql, Dialect.SQLITE)
    assert statement.transactional is allowed
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE t (a)")
    if allowed:
        connection.execute(sql)
    else:
        with pytest.raises(sqlite3.OperationalError):
            connection.execute(sql)
    connection.close()


def test_sqlite_statements_that_change_the_connection_or_the_journal_stay_outside() -> None:
    for sql in ("ATTACH 'x' AS x", "DETACH x", "PRAGMA journal_mode = WAL", "pragma main . journal_mode(wal)"):
        assert not split(sql, Dialect.SQLITE)[0].transactional


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("BEGIN", StatementKind.BEGIN),
        ("begin immediate transaction", StatementKind.BEGIN),
        ("START /* a */ TRANSACTION ISOLATION LEVEL SERIALIZABLE", StatementKind.BEGIN),
        ("COMMIT", StatementKind.COMMIT),
        ("End Transaction", StatementKind.COMMIT),
        ("PREPARE TRANSACTION 'x'", StatementKind.COMMIT),
        ("PREPARE q AS SELECT 1", StatementKind.OTHER),
        ("ROLLBACK", StatementKind.ROLLBACK),
        ("ABORT WORK", StatementKind.ROLLBACK),
        ("ROLLBACK TO SAVEPOINT a", StatementKind.SAVEPOINT),
        ("ROLLBACK TRANSACTION TO a", StatementKind.SAVEPOINT),
        ("SAVEPOINT a", StatementKind.SAVEPOINT),
        ("RELEASE a", StatementKind.SAVEPOINT),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", StatementKind.OTHER),
        ("-- COMMIT\n ;", StatementKind.EMPTY),
        ("-- COMMIT", StatementKind.EMPTY),
        ("", None),
    ],
)
def test_transaction_control_is_told_apart(sql: str, kind: StatementKind | None) -> None:
    assert [statement.kind for statement in split(sql, Dialect.SQLITE)] == ([kind] if kind else [])


def test_pragma_is_one_on_sqlite_only() -> None:
    assert split("PRAGMA foreign_keys = OFF", Dialect.SQLITE)[0].kind is StatementKind.PRAGMA
    assert split("PRAGMA foreign_keys = OFF", Dialect.POSTGRES)[0].kind is StatementKind.OTHER


FILES = [
    "BEGIN;\nCREATE TABLE a (b int);\nCOMMIT;\n",
    "-- why\nSTART TRANSACTION; SAVEPOINT s; SELECT 1; ROLLBACK TO s; RELEASE s; END;\n-- done\n",
    "PRAGMA foreign_keys = OFF; BEGIN; SELECT 1; COMMIT; PRAGMA foreign_keys = ON;",
    "SET lock_timeout = '1s'; BEGIN; SELECT 1; COMMIT",
    "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; END;",
    "SELECT 0; BEGIN; SELECT 1; COMMIT; SELECT 2;",
]


@pytest.mark.parametrize("source", FILES)
def test_a_file_s_own_transactions_are_left_out_and_its_text_kept(source: str) -> None:
    statements = unwrap_transaction(split(source, Dialect.SQLITE))
    assert "".join(statement.text for statement in statements) == source
    left = {statement.kind for statement in statements}
    assert not left & {StatementKind.BEGIN, StatementKind.COMMIT}
    assert any(statement.sql == "SELECT 1" or statement.sql.startswith("CREATE") for statement in statements)


def test_statements_without_transaction_control_pass_unchanged() -> None:
    statements = split("SELECT 1; SAVEPOINT a; RELEASE a", Dialect.POSTGRES)
    assert unwrap_transaction(statements) == statements


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("SELECT 1;\nCOMMIT;\nSELECT 2;", 2, "COMMIT ends a transaction that the file does not begin"),
        ("BEGIN;\nSELECT 1;", 1, "begins a transaction that the file does not end"),
        ("BEGIN;\nSELECT 1;\nROLLBACK;", 3, "ROLLBACK rolls back"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;\nCOMMIT;", 5, "ends a transaction that the file does not begin"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;", 4, "begins a transaction that the file does not end"),
        ("BEGIN;\nBEGIN;\nCOMMIT;", 2, "inside another one"),
        ("BEGIN;\nSELECT 1;\nPREPARE TRANSACTION 'x';", 3, "in a way a deployment can't"),
        ("BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;", 3, "in a way a deployment can't"),
    ],
)
def test_any_other_transaction_control_is_refused_with_its_place(source: str, line: int, what: str) -> None:
    file = Path("changes/0001_a.sql")
    changeset = Changeset("0001_a", (1,), "a", file, source, first_line=3, checksum=checksum_of(source))
    with pytest.raises(ChangelogError, match=what) as caught:
        unwrap_transaction(split(source, Dialect.POSTGRES), changeset)
    assert str(caught.value.location) == f"{file}:{line + 2}:1"
    assert caught.value.exit_code == 2
