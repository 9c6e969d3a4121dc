"""Virtual tables: their rows come back by their number, and search indexes find what is there."""

from __future__ import annotations

import pytest

from tagback.engines.sqlite.virtual import definition
from tests.conformance.sqlite_cases import INDEXED, SEARCH
from tests.unit.sqlite.conftest import Shop, same


def sound(shop: Shop, *indexes: str) -> None:
    """Has FTS5 compare each index with its content."""
    for name in indexes:
        shop.sql(f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize(
    ("sql", "module", "options", "has_rows", "content"),
    [
        ("CREATE VIRTUAL TABLE f USING fts5(a)", "fts5", {}, True, ""),
        ("CREATE VIRTUAL TABLE f USING FTS5 (a, tokenize = \"unicode61 separators '(,'\")", "fts5", None, True, ""),
        ("CREATE VIRTUAL TABLE f USING fts5(a, content='')", "fts5", {"content": ""}, False, ""),
        ('CREATE VIRTUAL TABLE "using x" USING fts5(a, b, content="my t")', "fts5", {"content": "my t"}, False, "my t"),
        ("CREATE VIRTUAL TABLE f USING [fts4](a, content=t, languageid=l)", "fts4", None, False, ""),
        ("CREATE VIRTUAL TABLE f USING fts4", "fts4", {}, True, ""),
        ("CREATE VIRTUAL TABLE f USING rtree(id, a, b, +content TEXT)", "rtree", {}, True, ""),
        ("CREATE VIRTUAL TABLE f USING fts5vocab(g, row)", "fts5vocab", {}, False, ""),
    ],
)
def test_the_text_is_understood(
    sql: str, module: str, options: dict[str, str] | None, has_rows: bool, content: str
) -> None:
    said = definition(sql)
    assert (said.module, said.has_rows, said.content) == (module, has_rows, content)
    assert options is None or said.options == options


def test_what_the_application_wrote_since_stays(shop: Shop) -> None:
    shop.start(
        "CREATE VIRTUAL TABLE f USING fts5 (a, b); INSERT INTO f VALUES ('one', 'x'), ('two', 'y'), ('three', 'z')"
    )
    shop.apply("UPDATE f SET a = a || '!'; DELETE FROM f WHERE rowid = 3")
    shop.sql(
        "INSERT INTO f (rowid, a) VALUES (10, 'four'); UPDATE f SET b = 'since' WHERE rowid = 1; DELETE FROM f WHERE rowid = 2"
    )
    done = shop.back()
    assert done.conflicts_total == 0
    assert shop.rows("SELECT rowid, a, b FROM f ORDER BY 1") == [
        (1, "one", "since"),
        (3, "three", "z"),
        (10, "four", None),
    ]
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'three OR four' ORDER BY 1") == [(3,), (10,)]
    sound(shop, "f")


def test_a_redo_brings_its_rows_back(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (a)")
    shop.apply("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('made')")
    shop.sql("INSERT INTO f VALUES ('written'); DELETE FROM f WHERE rowid = 1")
    shop.back()
    same(base, shop.state())
    shop.apply()
    assert shop.rows("SELECT rowid, a FROM f") == [(2, "written")]
    sound(shop, "f")


def test_a_search_index_finds_what_came_back_and_what_came_since(shop: Shop) -> None:
    base = shop.start(INDEXED + SEARCH)
    shop.apply("UPDATE t SET body = 'gone astray'; DELETE FROM t WHERE id = 2")
    shop.back()
    same(base, shop.state())
    sound(shop, "f")
    shop.apply()
    shop.sql("INSERT INTO t VALUES (7, 'later', NULL)")
    shop.back()
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'hello OR good OR later' ORDER BY 1") == [(1,), (2,), (7,)]
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'astray'") == []
    sound(shop, "f")


def test_a_search_index_over_a_view_follows_the_tables_under_it(shop: Shop) -> None:
    base = shop.start(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, body); INSERT INTO t VALUES (1, 'hello'), (2, 'world');"
        "CREATE VIEW v AS SELECT id, upper(body) AS body FROM t;"
        "CREATE VIRTUAL TABLE f USING fts5 (body, content = v, content_rowid = id); INSERT INTO f (f) VALUES ('rebuild')"
    )
    shop.apply("DELETE FROM t WHERE id = 2; INSERT INTO f (f) VALUES ('rebuild')")
    shop.back()
    same(base, shop.state())
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'world'") == [(2,)]
    sound(shop, "f")


def test_settings_come_back(shop: Shop) -> None:
    shop.start("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f (f, rank) VALUES ('automerge', 8)")
    shop.apply("INSERT INTO f (f, rank) VALUES ('automerge', 2), ('rank', 'bm25(3.0)')")
    shop.back()
    assert shop.rows("SELECT k, v FROM f_config WHERE k <> 'version'") == [("automerge", 8)]


def test_what_is_written_beside_the_module_is_noticed(shop: Shop) -> None:
    base = shop.start("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('one'), ('two')")
    applied = shop.apply("DELETE FROM f_content WHERE id = 1")
    assert applied.shelved[0].rows == 1
    shop.back()
    assert shop.state().rows == base.rows


def test_names_that_are_hard_to_read(shop: Shop) -> None:
    name = '"it\'s a ""name"""'
    base = shop.start(
        f"CREATE VIRTUAL TABLE {name} USING fts5 (\"select\", 'from', [größe]); INSERT INTO {name} VALUES ('a', 'b', 'c')"
    )
    shop.apply(f"DROP TABLE {name}")
    shop.back()
    same(base, shop.state())


def test_a_failing_deployment_leaves_it_as_it_was(shop: Shop) -> None:
    base = shop.start("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('one')")
    with pytest.raises(Exception, match="no such table"):
        shop.apply("DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5 (b); SELECT * FROM nowhere")
    same(base, shop.state())
    sound(shop, "f")


def test_in_write_ahead_mode(shop: Shop) -> None:
    base = shop.start(
        "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('one'), ('two');"
        "CREATE VIRTUAL TABLE r USING rtree (id, a, b); INSERT INTO r VALUES (1, 0.1, 0.2)"
    )
    shop.apply("UPDATE f SET a = 'x'; DROP TABLE r")
    shop.back()
    same(base, shop.state())
    sound(shop, "f")


def test_more_rows_than_fit_into_one_segment(shop: Shop) -> None:
    shop.sql("CREATE VIRTUAL TABLE f USING fts5 (a)")
    shop.sql(
        "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO f SELECT 'word' || (i % 997) || ' row ' || i FROM n"
    )
    shop.tag()
    base = shop.state()
    shop.apply("UPDATE f SET a = a || ' more' WHERE rowid % 2; DELETE FROM f WHERE rowid % 3 = 0")
    shop.back()
    same(base, shop.state())
    sound(shop, "f")
