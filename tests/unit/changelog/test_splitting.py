"""Splitting loses nothing, and cuts where the engine's own scanner would."""

from __future__ import annotations

import importlib
import sqlite3

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagback.changelog import Dialect, Statement, StatementKind, TokenKind, split, tokens
from tagback.errors import ChangelogError

# libpg_query, PostgreSQL's own scanner and grammar. Its type stubs aren't valid Python, so mypy must not follow the import.
postgast = importlib.import_module("postgast")

DIALECTS = list(Dialect)

# Pieces in which every mark that can open or end something occurs, to be put together in any order.
NASTY = [
    "'", "''", '"', '""', "`", "[", "]", "$", "$$", "$a$", "$b$", "a$b$", "$1", "e'", "E'\\'", "x'", "U&'", "--", "-",
    "/*", "*/", "/", "*", "#", "\\", "\n", "\r", "\r\n", " ", ";", ";", "(", ")", "é", "\u2028", "\ufeff", "1.5e3", ".",
    "::", "a", "END", "CASE", "CREATE", "TRIGGER", "TEMP", "BEGIN", "ATOMIC", "FUNCTION", "AS", "SELECT", "COMMIT",
    "VACUUM", "PRAGMA", "DELIMITER //\n", "//",
]  # fmt: skip
nasty_text = st.lists(st.sampled_from(NASTY), max_size=25).map("".join)
spaced_text = st.lists(st.sampled_from(NASTY), max_size=40).map(" ".join)


def parts(source: str, dialect: Dialect) -> list[str]:
    """The statements that do something, stripped."""
    return [statement.sql.strip() for statement in split(source, dialect) if statement.kind is not StatementKind.EMPTY]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(source=st.one_of(st.text(), nasty_text, spaced_text))
@example(source="DELIMITER 0\n;")
@example(source="delimiter //\n;SELECT 1//")
@example(source="DELIMITER /*")
@settings(max_examples=400)
def test_joined_parts_are_the_source(dialect: Dialect, source: str) -> None:
    try:
        statements = split(source, dialect)
    except ChangelogError:
        return
    assert "".join(statement.text for statement in statements) == source
    leading = " \t\r\n;"
    if dialect.is_mysql and "delimiter" in source.lower():
        # What names another delimiter isn't SQL and has no tokens; until the next one a semicolon is text like any other.
        leading = " \t\r\n"
    else:
        assert "".join(token.text for token in tokens(source, dialect)) == source
    offset = 0
    for statement in statements:
        assert statement.offset == offset
        assert offset <= statement.start <= statement.end <= offset + len(statement.text)
        assert statement.kind is StatementKind.EMPTY or source[statement.start] not in leading
        offset += len(statement.text)


def cut_token_by_token(source: str, dialect: Dialect) -> list[str]:
    """The plainest splitter there can be, for text without bodies."""
    found, begin, depth = [], 0, 0
    for token in tokens(source, dialect):
        if dialect is Dialect.POSTGRES and token.text in "()" and token.kind is TokenKind.PUNCTUATION:
            depth = max(0, depth + (1 if token.text == "(" else -1))
        if token.text == ";" and depth == 0:
            found.append(source[begin : token.offset + 1])
            begin = token.offset + 1
    return [*found, source[begin:]] if begin < len(source) else found


@pytest.mark.parametrize("dialect", DIALECTS)
@given(source=st.one_of(nasty_text, spaced_text))
@settings(max_examples=400)
def test_fast_run_and_single_tokens_agree_on_every_cut(dialect: Dialect, source: str) -> None:
    for word in ("CREATE", "\\", "DELIMITER"):
        source = source.replace(word, "x")
    try:
        fast = [statement.text for statement in split(source, dialect)]
    except ChangelogError:
        with pytest.raises(ChangelogError):
            cut_token_by_token(source, dialect)
        return
    assert fast == cut_token_by_token(source, dialect)


@given(source=st.one_of(nasty_text, spaced_text))
@settings(max_examples=600)
def test_every_sqlite_part_is_complete_to_sqlite_and_no_shorter_one_is(source: str) -> None:
    try:
        statements = split(source, Dialect.SQLITE)
    except ChangelogError:
        return
    for statement in statements:
        if not statement.text.endswith(";") or statement.end == statement.offset + len(statement.text):
            continue  # the last one, without its semicolon
        assert sqlite3.complete_statement(statement.text)
        for at, character in enumerate(statement.text[:-1], 1):
            if character == ";":
                assert not sqlite3.complete_statement(statement.text[:at])


# Statements of PostgreSQL that each hold something a careless splitter trips over.
POSTGRES_STATEMENTS = [
    "SELECT 'a;b', 'it''s', \"x;\"\"y\" FROM t",
    r"SELECT E'a\';b', e'\\'",
    "SELECT U&'d\\0061t;', U&\"d;\", B'01', X'1F', N'n;'",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.a := ';'; RETURN NEW; END; $$",
    "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS $body$ SELECT $$;$$ || $x$;$x$; $body$",
    "CREATE OR REPLACE FUNCTION h(begin int) RETURNS int LANGUAGE SQL\nBEGIN ATOMIC\n SELECT CASE WHEN begin > 1"
    " THEN 2 ELSE 3 END; SELECT (CASE begin WHEN 1 THEN 2 END) AS end; END",
    "CREATE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); INSERT INTO t VALUES (CASE WHEN true THEN 1 END); END",
    "CREATE FUNCTION k() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE RULE r AS ON INSERT TO v DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b WHERE (x = 1))",
    "SELECT a$b$ FROM t",
    "SELECT 1 /* ; /* nested ; */ ' still ; */ + 2",
    "SELECT 1 -- ; ' \" $$\n + 2",
    "SELECT a::text, b <> c, d->>'e;', -1, $1 FROM t WHERE x = any('{;}')",
    "DO $$ BEGIN PERFORM 1; EXCEPTION WHEN others THEN NULL; END $$",
    "DO $größe$ BEGIN NULL; END $größe$",
    "CREATE TABLE \"Tab;elle\" (\"ä;\" text DEFAULT ';' CHECK (\"ä;\" <> ';'))",
    "CREATE VIEW v AS SELECT CASE WHEN a THEN 1 END AS begin FROM t",
    "COMMENT ON TABLE t IS 'BEGIN; COMMIT;'",
    "BEGIN", "COMMIT", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a",
    "COPY t (a) TO STDOUT",
    "SELECT 1e5, 1.5, .5",
    "SELECT 'a' 'b;' AS \"c\"" .replace("' '", "'\n'"),
]  # fmt: skip
between = st.sampled_from(["", " ", "\n", "\r\n", "\n-- note; 'x\n", " /* a /* ; */ $$ */ ", "\t", ";", " ; ;\n"])


@given(chosen=st.lists(st.tuples(st.sampled_from(POSTGRES_STATEMENTS), between, between), max_size=8))
@settings(max_examples=300)
def test_postgres_statements_come_out_as_they_went_in_and_as_the_server_s_grammar_cuts_them(
    chosen: list[tuple[str, str, str]],
) -> None:
    source = "".join(
        before + statement + after.replace("-- note", " -- note") + ";" for statement, before, after in chosen
    )
    cut = split(source, Dialect.POSTGRES)
    real = [statement for statement in cut if statement.kind is not StatementKind.EMPTY]
    assert [significant(statement.sql) for statement in real] == [significant(statement) for statement, _, _ in chosen]
    assert [significant(statement.sql) for statement in real] == [significant(text) for text in postgast.split(source)]


def significant(sql: str) -> list[str]:
    return [token.text for token in tokens(sql, Dialect.POSTGRES) if token.significant and token.text != ";"]


@pytest.mark.parametrize("statement", POSTGRES_STATEMENTS)
def test_postgres_statement_is_whole(statement: str) -> None:
    assert parts(f"{statement};\n{statement};", Dialect.POSTGRES) == [statement, statement]
    assert len(postgast.parse(f"{statement};\n{statement}").stmts) == 2


@given(source=st.one_of(nasty_text, spaced_text))
@example(source="''\n''")
@settings(max_examples=400)
def test_postgres_scanner_sees_the_same_tokens(source: str) -> None:
    try:
        theirs = [source.encode()[token.start : token.end].decode() for token in postgast.scan(source).tokens]
    except (postgast.PgQueryError, UnicodeDecodeError):
        return
    try:
        ours = list(tokens(source, Dialect.POSTGRES))
    except ChangelogError:
        # An operator with a comment's mark in it, an open quote at the end: nothing the scanner accepts is open for us.
        raise AssertionError(f"the scanner takes {source!r}") from None
    # Operators are cut finer here, and a scanner's comment tokens differ in their line end: the rest must be the same.
    wordlike = {TokenKind.WORD, TokenKind.STRING, TokenKind.QUOTED}
    strings = [token.text for token in ours if token.kind in wordlike]
    # Strings that only a line end parts are one to the scanner.
    rest, left = iter(theirs), ""
    for text in strings:
        while text not in left:
            left = next(rest, None)  # type: ignore[assignment]
            assert left is not None, (strings, theirs)
        left = left.partition(text)[2]


SQLITE_SCRIPT = """
CREATE TABLE [a;b] (`c;` text DEFAULT ';', "d;" text); -- one ; '
CREATE TEMP TRIGGER t1 AFTER INSERT ON [a;b] BEGIN
  UPDATE [a;b] SET `c;` = CASE WHEN new."d;" = ';END;' THEN 1 ELSE 2 END;
  SELECT CASE 1 WHEN 1 THEN 2 END; /* ; END ; */
END;
CREATE TRIGGER IF NOT EXISTS t2 BEFORE DELETE ON [a;b] WHEN old.`c;` IS NULL BEGIN SELECT 1; END ;
INSERT INTO [a;b] VALUES ('x''y;', x'3b'); /* tail; */
SELECT * FROM [a;b]
"""


def test_sqlite_triggers_and_quotes_stay_whole_and_run() -> None:
    statements = split(SQLITE_SCRIPT, Dialect.SQLITE)
    assert [statement.words(2) for statement in statements] == [
        ("CREATE", "TABLE"), ("CREATE", "TEMP"), ("CREATE", "TRIGGER"), ("INSERT", "INTO"), ("SELECT", "*"),
    ]  # fmt: skip
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements:
        last = connection.execute(statement.text).fetchall()
    assert last == [("2", b";")]
    connection.close()


MYSQL_SCRIPT = r"""
# a ; comment
INSERT INTO t VALUES ('it\'s;', "a\";", `b;`); -- ; here
SELECT 1--1;
CREATE PROCEDURE p() BEGIN IF a THEN SELECT 1; END IF; SELECT CASE 1 WHEN 1 THEN 2 END;
  CASE x WHEN 1 THEN SELECT 1; END CASE; END;
/*!40101 SET NAMES utf8 */;
DELIMITER //
CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = '//'; SET @b = 1; END//
DELIMITER ;
SELECT 2;
"""


def test_mysql_comments_strings_bodies_and_delimiters() -> None:
    statements = [one for one in split(MYSQL_SCRIPT, Dialect.MYSQL) if one.kind is not StatementKind.EMPTY]
    assert [statement.words(1)[0] for statement in statements] == [
        "INSERT", "SELECT", "CREATE", "SET", "CREATE", "SELECT",
    ]  # fmt: skip
    assert parts(MYSQL_SCRIPT, Dialect.MYSQL)[4].endswith("END")


def test_blocks_outside_of_routines_are_one_statement() -> None:
    source = "BEGIN NOT ATOMIC DECLARE a int; SELECT 1; END; ALTER EVENT e DO BEGIN SELECT 1; SELECT 2; END; SELECT 3"
    statements = split(source, Dialect.MYSQL)
    assert [s.words(1) for s in statements] == [("BEGIN",), ("ALTER",), ("SELECT",)]
    assert {s.kind for s in statements} == {StatementKind.OTHER}


def test_a_change_of_the_sql_mode_counts_from_there_on() -> None:
    source = r"""
        SELECT "a\";", 1; SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'; SELECT "b\"; SELECT 'c\';';
        SET sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); SELECT 'd\'; SELECT "e\";
        /*!50003 SET sql_mode = @old */; SELECT "f\";"; SET sql_mode = oracle; SELECT "g\"; SELECT 'h\';'; SET sql_mode = '';
        SELECT "i\";"
    """
    statements = [s for s in split(source, Dialect.MYSQL) if s.words(1) == ("SELECT",)]
    assert [s.sql.strip()[8] for s in statements] == list("abcdefghi")
    assert statements[3].dialect is Dialect.MYSQL_ANSI_QUOTES_NO_ESCAPES


def test_what_goose_marks_as_one_statement_ends_at_the_mark() -> None:
    source = (
        "-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$\n"
        "-- +goose StatementEnd\n"
        "CREATE TABLE t (a int);\n"
    )
    statements = split(source, Dialect.POSTGRES)
    assert "".join(statement.text for statement in statements) == source
    assert [s.words(2) for s in statements if s.kind is not StatementKind.EMPTY] == [
        ("CREATE", "FUNCTION"),
        ("CREATE", "TABLE"),
    ]
    body = "-- +goose StatementBegin\nBEGIN NOT ATOMIC SELECT 1; SELECT 2; END\n-- +goose StatementEnd\n"
    assert len(split(body, Dialect.MYSQL)[-1].text.splitlines()) == 2


@pytest.mark.parametrize("gap", ["\n", " -- and on; '\n  ", "\r\n -- a\n -- b\n"])
def test_escapes_go_on_in_what_continues_a_string_as_the_server_has_it(gap: str, pg_url: str) -> None:
    source = f"SELECT E'a'{gap}'b\\';c'"
    assert parts(source + ";SELECT 2", Dialect.POSTGRES) == [source, "SELECT 2"]
    with psycopg.connect(pg_url) as connection:
        assert connection.execute(source.encode()).fetchall() == [("ab';c",)]


def test_place_of_a_statement_counts_every_kind_of_line_end() -> None:
    statements = split("SELECT 1;\r\n-- é\r\n  SELECT 2;\rSELECT 3;\n\n\tSELECT 4", Dialect.POSTGRES)
    assert [(statement.line, statement.column) for statement in statements] == [(1, 1), (3, 3), (4, 1), (6, 2)]


@pytest.mark.parametrize(
    ("dialect", "source", "what", "line", "column"),
    [
        (Dialect.POSTGRES, "SELECT 1;\n SELECT 'abc;\n", "string", 2, 9),
        (Dialect.POSTGRES, "SELECT E'a\\';", "string", 1, 8),
        (Dialect.POSTGRES, 'SELECT "abc;', "quoted name", 1, 8),
        (Dialect.POSTGRES, "SELECT 1; /* a /* b */ ;", "comment", 1, 11),
        (Dialect.POSTGRES, "DO $x$ BEGIN END $y$;", "dollar quote $x$", 1, 4),
        (Dialect.SQLITE, "SELECT 1;\nSELECT [a;", "quoted name", 2, 8),
        (Dialect.SQLITE, "SELECT `a;", "quoted name", 1, 8),
        (Dialect.SQLITE, "/* a", "comment", 1, 1),
        (Dialect.MYSQL, "SELECT 'a\\';", "string", 1, 8),
    ],
)
def test_what_is_left_open_is_told_with_its_place(
    dialect: Dialect, source: str, what: str, line: int, column: int
) -> None:
    with pytest.raises(ChangelogError, match="is not terminated") as caught:
        split(source, dialect)
    assert what in caught.value.message
    assert caught.value.location
    assert (caught.value.location.line, caught.value.location.column) == (line, column)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("source", ["SELECT 1;\n \\connect other\n", "SELECT 1;\n \\connect other\nSELECT 2;"])
def test_psql_commands_are_refused_by_name(source: str) -> None:
    with pytest.raises(ChangelogError, match=r"\\connect is a command of psql") as caught:
        split(source, Dialect.POSTGRES)
    assert caught.value.location
    assert (caught.value.location.line, caught.value.location.column) == (2, 2)


def test_rows_for_copy_from_stdin_are_refused_with_a_way_out() -> None:
    with pytest.raises(ChangelogError, match="COPY … FROM stdin") as caught:
        split(
            "CREATE TABLE t (a text);\nCOPY public.t (a) FROM stdin WITH (FORMAT csv);\nit's\n\\.\n", Dialect.POSTGRES
        )
    assert "INSERT" in caught.value.hint
    assert caught.value.location
    assert caught.value.location.line == 2


def test_words_skip_comments_and_keep_quoted_names() -> None:
    (statement,) = split('/* a */ alter -- b\n Table "Us;er" rename', Dialect.POSTGRES)
    assert statement.words(3) == ("ALTER", "TABLE", '"Us;er"')
    assert statement.words(99)[-1] == "RENAME"


def test_tokens_tell_names_strings_and_numbers_apart() -> None:
    kinds = [
        (token.kind, token.text)
        for token in tokens("a.\"B\" = 'c' + 1.5 /* d */", Dialect.SQLITE)
        if token.kind != "space"
    ]
    assert kinds == [
        (TokenKind.WORD, "a"), (TokenKind.PUNCTUATION, "."), (TokenKind.QUOTED, '"B"'), (TokenKind.PUNCTUATION, "="),
        (TokenKind.STRING, "'c'"), (TokenKind.PUNCTUATION, "+"), (TokenKind.NUMBER, "1.5"),
        (TokenKind.COMMENT, "/* d */"),
    ]  # fmt: skip


def test_a_long_statement_is_one_statement() -> None:
    rows = ", ".join(f"({n}, 'it''s {n};', \"q;\")" for n in range(20_000))
    for dialect in DIALECTS:
        statements: tuple[Statement, ...] = split(f"INSERT INTO t VALUES {rows};SELECT 1;", dialect)
        assert [statement.words(1) for statement in statements] == [("INSERT",), ("SELECT",)]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("create\ttable\r\n t (i int)", ("CREATE", "TABLE", "T")),
        ("create/* */table t (i int)", ("CREATE", "TABLE", "T")),
        ("create table/* */t (i int)", ("CREATE", "TABLE", "T")),
        ("select x 'ab'", ("SELECT", "X", "'ab'")),
        ("select x'ab', 1", ("SELECT", "x'ab'", ",")),
        ("drop view v2", ("DROP", "VIEW", "V2")),
        ("insert into t", ("INSERT", "INTO", "T")),
        ("vacuum", ("VACUUM",)),
        ("vacuum full", ("VACUUM", "FULL")),
        ("vacuum full ", ("VACUUM", "FULL")),
    ],
)
def test_first_words_are_those_of_the_tokens(dialect: Dialect, sql: str, words: tuple[str, ...]) -> None:
    (statement, *_) = split(sql, dialect)
    assert statement.words(3) == words


def test_what_stands_in_an_executed_comment_is_the_statement() -> None:
    sql = "/*!40000 ALTER TABLE `t` DISABLE KEYS */; /*M!100500 UPDATE*/ t /*!SET */ a = 1; /* DROP TABLE t */ SELECT 1"
    found = [s for s in split(sql, Dialect.MYSQL) if s.kind is not StatementKind.EMPTY]
    assert [(s.words(3), s.transactional) for s in found] == [
        (("ALTER", "TABLE", "`t`"), False),
        (("UPDATE", "t".upper(), "SET"), True),
        (("SELECT", "1"), True),
    ]
