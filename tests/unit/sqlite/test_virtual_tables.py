"""Virtual tables: their rows come back by their number, and search indexes find what is there."""

from __future__ import annotations

import pytest

from tagback.deploy.target import Target
from tagback.engines.sqlite.virtual import definition
from tagback.errors import FailedError, RefusedError
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
        (
            "CREATE VIRTUAL TABLE f USING fts5(a, c=t, content_r=id)",
            "fts5",
            {"content": "t", "content_rowid": "id"},
            False,
            "t",
        ),
        ("CREATE VIRTUAL TABLE f USING fts5(a, \"content=''\")", "fts5", {}, True, ""),
        ("CREATE VIRTUAL TABLE f USING fts4(a, cont=t)", "fts4", {"cont": "t"}, True, ""),
        ("CREATE VIRTUAL TABLE f USING fts3(a, content=t)", "fts3", {}, True, ""),
        (
            'CREATE VIRTUAL TABLE f USING fts5(a /* ) */, -- ,\n content = [a "b] /* =x */, b)',
            "fts5",
            None,
            False,
            'a "b',
        ),
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
    with pytest.raises(FailedError, match="no such table"):
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


# ------------------------------------------------------------------ search indexes


VIEWED = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'hello', 'world');"
    "CREATE VIEW v AS SELECT id, a AS body FROM t;"
    "CREATE VIRTUAL TABLE f USING fts5 (body, content = v, content_rowid = id); INSERT INTO f (f) VALUES ('rebuild');"
)


@pytest.mark.parametrize(
    ("setup", "change"),
    [
        pytest.param(INDEXED + SEARCH, "INSERT INTO f (f) VALUES ('delete-all')", id="emptied"),
        pytest.param(
            INDEXED + SEARCH,
            "INSERT INTO f (f, rowid, body) VALUES ('delete', 1, 'hello world'); CREATE TABLE other (a)",
            id="an entry taken out",
        ),
        pytest.param(INDEXED + SEARCH, "DELETE FROM f_data WHERE id > 10", id="its own tables written to"),
        pytest.param(
            VIEWED,
            "DROP VIEW v; CREATE VIEW v AS SELECT id, b AS body FROM t; INSERT INTO f (f) VALUES ('rebuild')",
            id="the view made anew",
        ),
        pytest.param(VIEWED, "DROP VIEW v", id="the view gone"),
        pytest.param(
            VIEWED + "CREATE TABLE u (c); CREATE VIEW w AS SELECT v.* FROM v JOIN u; INSERT INTO u VALUES (1);"
            "CREATE VIRTUAL TABLE g USING fts5 (body, content = w, content_rowid = id); INSERT INTO g (g) VALUES ('rebuild')",
            "DELETE FROM u; INSERT INTO g (g) VALUES ('rebuild')",
            id="a table under a view of a view",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_search_index_is_right_after_the_way_back(shop: Shop, setup: str, change: str, mode: str) -> None:
    base = shop.start(f"PRAGMA journal_mode = {mode}; {setup}")
    indexes = [str(name) for (name,) in shop.rows("SELECT name FROM sqlite_schema WHERE name IN ('f', 'g')")]
    shop.apply(change)
    for _ in range(2):
        shop.back()
        same(base, shop.state())
        sound(shop, *indexes)
        shop.apply()


def test_part_of_a_way_back_leaves_a_right_index_too(shop: Shop) -> None:
    base = shop.start(INDEXED + SEARCH)
    shop.apply("UPDATE t SET body = 'one'", "INSERT INTO t VALUES (8, 'two', NULL)", granular=True)
    shop.back(changeset="001_change")
    sound(shop, "f")
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'one OR two' ORDER BY 1") == [(1,), (2,)]
    shop.back()
    same(base, shop.state())
    sound(shop, "f")


def test_an_index_that_nothing_can_be_read_for_is_no_obstacle(shop: Shop) -> None:
    base = shop.start(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x');"
        "CREATE VIRTUAL TABLE f USING fts5 (lacking, content = t, content_rowid = id);"
        "CREATE VIRTUAL TABLE g USING fts5 (a, content = nowhere)"
    )
    shop.apply("UPDATE t SET a = 'y'; ALTER TABLE t ADD COLUMN lacking; CREATE TABLE nowhere (a); DROP TABLE g")
    shop.back()
    same(base, shop.state())


@pytest.mark.parametrize(
    "change", ["DROP TABLE docs; DROP TABLE docs_content", "UPDATE docs_content SET body = 'other'"]
)
@pytest.mark.parametrize("module", ["fts5", "fts4"])
def test_a_table_of_the_user_s_that_is_called_like_one_of_the_module_s_is_kept(
    shop: Shop, module: str, change: str
) -> None:
    base = shop.start(
        "CREATE TABLE docs_content (id INTEGER PRIMARY KEY, body); INSERT INTO docs_content VALUES (1, 'hello');"
        f"CREATE VIRTUAL TABLE docs USING {module} (body, content=docs_content); INSERT INTO docs (docs) VALUES ('rebuild')"
    )
    applied = shop.apply(change)
    assert [s.table for s in applied.shelved] == ["docs_content"]
    shop.back()
    same(base, shop.state())
    sound(shop, *["docs"][: module == "fts5"])


# ------------------------------------------------------------------ what can't be kept, or isn't known


def test_rows_that_nothing_can_keep_stop_the_way_back(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (a)")
    applied = shop.apply("CREATE VIRTUAL TABLE f USING fts5 (a, content = '')")
    assert applied.reversibility == "conditional"
    assert applied.reasons == ("while virtual table f has no rows: those of its kind can't be kept",)
    shop.sql("INSERT INTO f (rowid, a) VALUES (1, 'written since')")
    with Target.open(f"sqlite:///{shop.file}") as target:
        (view,) = (t for t in target.tags() if t.tag == "base")
    assert (view.reachable, view.reasons) == (False, ("the rows of virtual table f: 1",))
    with pytest.raises(RefusedError, match="the rows of virtual table f: 1") as refused:
        shop.back()
    assert refused.value.code == "data_loss"
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'since'") == [(1,)]
    shop.sql("INSERT INTO f (f) VALUES ('delete-all')")
    shop.back()
    same(base, shop.state())


def test_an_index_without_content_that_stays_is_no_obstacle(shop: Shop) -> None:
    base = shop.start("CREATE VIRTUAL TABLE f USING fts5 (a, content = ''); INSERT INTO f (rowid, a) VALUES (1, 'x')")
    assert shop.apply("CREATE TABLE t (a)").reversibility == "free"
    shop.sql("INSERT INTO f (rowid, a) VALUES (2, 'y')")
    shop.back()
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'x OR y' ORDER BY 1") == [(1,), (2,)]
    assert shop.state().schema == base.schema


@pytest.mark.parametrize(
    ("setup", "change"),
    [
        ("fts5 (a, content = '')", "DROP TABLE f"),
        ("fts5 (a, content = '')", "ALTER TABLE f RENAME TO g"),
        ("fts5 (a, content = '')", "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5 (a, content = '')"),
        ("fts5 (a, content = '', columnsize = 0)", "INSERT INTO f (rowid, a) VALUES (2, 'y')"),
        ("fts4 (a, content='')", "DROP TABLE f"),
        ("fts4 (a, languageid=lid)", "DELETE FROM f"),
        ("fts4 (a, languageid=lid)", "DROP TABLE f"),
    ],
)
def test_a_deployment_that_changes_rows_which_nothing_can_keep_is_refused(shop: Shop, setup: str, change: str) -> None:
    base = shop.start(f"CREATE VIRTUAL TABLE f USING {setup}; INSERT INTO f (rowid, a) VALUES (1, 'x')")
    with pytest.raises(RefusedError, match="1 row of virtual table f were changed or removed") as refused:
        shop.apply(change)
    assert refused.value.code == "irreversible"
    same(base, shop.state())
    assert shop.rows("SELECT rowid FROM f WHERE f MATCH 'x'") == [(1,)]


@pytest.mark.parametrize(
    ("said", "instead"), [("unicode61", "of_the_application"), ("fts5", "of_an_extension")], ids=["tokenizer", "module"]
)
def test_what_only_the_application_can_use_is_watched(shop: Shop, said: str, instead: str) -> None:
    shop.sql(
        "CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5 (a, tokenize = unicode61); PRAGMA writable_schema = ON;"
        f"UPDATE sqlite_schema SET sql = replace(sql, '{said}', '{instead}') WHERE name = 'f'"
    )
    shop.tag()
    assert shop.apply("ALTER TABLE t ADD COLUMN b").notes == ("unmanaged: 1 virtual table",)
    shop.back()


# ------------------------------------------------------------------ rows


def test_what_is_written_beside_the_module_after_a_rename_is_noticed(shop: Shop) -> None:
    base = shop.start("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('one'), ('two')")
    shop.apply("ALTER TABLE f RENAME TO g; DELETE FROM g_content WHERE id = 1")
    shop.back()
    same(base, shop.state())
    sound(shop, "f")


def test_what_two_wrote_is_a_conflict_and_what_one_wrote_is_not(shop: Shop) -> None:
    shop.start("CREATE VIRTUAL TABLE f USING fts5 (a, b); INSERT INTO f VALUES ('one', 'p'), ('two', 'q')")
    shop.apply("UPDATE f SET a = upper(a)")
    shop.sql("UPDATE f SET a = 'mine' WHERE rowid = 1; UPDATE f SET b = 'since' WHERE rowid = 2")
    assert shop.back().conflicts_total == 1
    assert shop.rows("SELECT rowid, a, b FROM f ORDER BY 1") == [(1, "mine", "p"), (2, "two", "since")]
    sound(shop, "f")


def test_a_box_that_both_made_impossible_is_told(shop: Shop) -> None:
    shop.start("CREATE VIRTUAL TABLE r USING rtree (id, low, high); INSERT INTO r VALUES (1, 2, 3)")
    shop.apply("UPDATE r SET low = 20, high = 30")
    shop.sql("UPDATE r SET low = 25 WHERE id = 1")
    with pytest.raises(RefusedError, match="rtree constraint failed"):
        shop.back()
    assert shop.rows("SELECT * FROM r") == [(1, 25.0, 30.0)]


def test_values_of_every_type_come_back(shop: Shop) -> None:
    base = shop.start(
        "CREATE VIRTUAL TABLE f USING fts5 (oid); CREATE VIRTUAL TABLE r USING rtree (id, a, b, +x, +y BLOB);"
        "INSERT INTO f (rowid, oid) VALUES (-5, 1), (0, 1.5), (3, x'00ff'), (4, NULL), (9223372036854775807, '1'),"
        " (7, CAST(x'61ff62' AS TEXT)), (8, 'a' || char(0) || 'b');"
        "INSERT INTO r VALUES (1, 0.1, 0.10000001, '1', x'00'), (2, -0.1, 1e30, 1, NULL), (-3, 16777217, 16777219, 1.5, 'x')"
    )
    shop.apply("UPDATE f SET oid = 'other'; DELETE FROM r WHERE id = 1; UPDATE r SET x = NULL, b = 1e31")
    shop.back()
    same(base, shop.state())
    sound(shop, "f")
    assert shop.rows("SELECT rtreecheck('r')") == [("ok",)]


def test_a_column_that_went_with_the_old_table_is_had_again_from_another(shop: Shop) -> None:
    shop.start("CREATE VIRTUAL TABLE f USING fts5 (a, b); INSERT INTO f VALUES ('x', 'y')")
    shop.apply(
        "-- tagback: back b = upper(a)\nCREATE VIRTUAL TABLE n USING fts5 (a); INSERT INTO n (rowid, a) SELECT rowid, a FROM f;"
        "DROP TABLE f; ALTER TABLE n RENAME TO f"
    )
    shop.sql("INSERT INTO f VALUES ('new')")
    shop.back()
    assert shop.rows("SELECT rowid, a, b FROM f ORDER BY 1") == [(1, "x", "y"), (2, "new", "NEW")]
