"""What the application wrote since stays, what the deployment took away returns; where both wrote, it is told and settled."""

from __future__ import annotations

import pytest

from tagback.deploy.rollback import OnConflict
from tagback.errors import ChangelogError, FailedError, RefusedError
from tests.unit.sqlite.conftest import Shop, same

GOODS = (
    "CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, price INTEGER, stock INTEGER);"
    "INSERT INTO goods VALUES (1, 'pen', 10, 5), (2, 'ink', 20, 5), (3, 'pad', 30, 5), (4, 'cap', 40, 5)"
)
DOUBLED = "UPDATE goods SET price = price * 2"


def goods(shop: Shop, columns: str = "id, price, stock") -> list[tuple[object, ...]]:
    """The rows, by key."""
    return shop.rows(f"SELECT {columns} FROM goods ORDER BY id")


# ---------------------------------------------------------------------- by column


def test_only_columns_that_the_deployment_changed_take_part(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED)
    shop.sql("UPDATE goods SET stock = stock - 1 WHERE id < 4; ALTER TABLE goods RENAME name TO x")
    shop.sql("ALTER TABLE goods RENAME x TO name")
    result = shop.back()
    assert result.conflicts_total == 0
    assert [(r.table, r.rows) for r in result.restored] == [("goods", 4)]
    assert goods(shop) == [(1, 10, 4), (2, 20, 4), (3, 30, 4), (4, 40, 5)]


def test_what_the_application_overwrote_stays_and_is_told(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED)
    shop.sql("UPDATE goods SET price = 99, stock = 0 WHERE id = 2")
    result = shop.back()
    assert [(c.table, c.key, c.column, c.kept) for c in result.conflicts] == [("goods", "id=2", "price", "later")]
    assert result.conflicts_total == 1
    assert goods(shop) == [(1, 10, 5), (2, 99, 0), (3, 30, 5), (4, 40, 5)]


def test_the_old_value_returns_by_wish_and_nothing_else_of_the_row(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED)
    shop.sql("UPDATE goods SET price = 99, stock = 0 WHERE id = 2")
    result = shop.back(on_conflict=OnConflict.RESTORE)
    assert [(c.key, c.column, c.kept) for c in result.conflicts] == [("id=2", "price", "restored")]
    assert goods(shop) == [(1, 10, 5), (2, 20, 0), (3, 30, 5), (4, 40, 5)]


def test_a_conflict_is_refused_by_wish_and_nothing_is_touched(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED, "CREATE TABLE more (a)")
    shop.sql("UPDATE goods SET price = 99 WHERE id = 2")
    before, shelf = shop.state(), shop.shelf()
    with pytest.raises(RefusedError) as refused:
        shop.back(on_conflict=OnConflict.FAIL)
    assert refused.value.code == "conflict"
    assert refused.value.exit_code == 3
    assert "goods, id=2: price" in refused.value.message
    same(before, shop.state())
    assert shop.shelf() == shelf
    shop.sql("UPDATE goods SET price = 40 WHERE id = 2")
    shop.back(on_conflict=OnConflict.FAIL)
    assert goods(shop) == [(1, 10, 5), (2, 20, 5), (3, 30, 5), (4, 40, 5)]


def test_the_application_put_the_old_value_back_itself(shop: Shop) -> None:
    base = shop.start(GOODS)
    shop.apply(DOUBLED)
    shop.sql("UPDATE goods SET price = 20 WHERE id = 2")
    assert shop.back(on_conflict=OnConflict.FAIL).conflicts_total == 0
    same(base, shop.state())


@pytest.mark.parametrize(
    ("left", "written"),
    [
        ("'1'", "1"),
        ("1", "1.0"),
        ("0.0", "-0.0"),
        ("'abc'", "'ABC'"),
        ("'a'", "'a '"),
        ("x'61'", "'a'"),
        ("NULL", "''"),
    ],
)
def test_a_value_that_only_looks_equal_is_the_applications(shop: Shop, left: str, written: str) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, v COLLATE NOCASE); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    shop.apply(f"UPDATE t SET v = {left}")
    shop.sql(f"UPDATE t SET v = {written} WHERE id = 1")
    stored = [row[1] for row in shop.stored("t") if row[0] == "integer 1"]
    result = shop.back()
    assert [(c.key, c.column) for c in result.conflicts] == [("id=1", "v")]
    assert shop.stored("t") == [("integer 1", *stored), ("integer 2", "text 'old'")]


@pytest.mark.parametrize("size", [10, 32, 33, 34, 5000])
def test_long_values_are_told_apart_to_the_last_letter(shop: Shop, size: int) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    shop.apply(f"UPDATE t SET v = printf('%.{size}c', 'x')")
    shop.sql("UPDATE t SET v = substr(v, 2) || 'y' WHERE id = 1")
    assert [c.key for c in shop.back().conflicts] == ["id=1"]
    assert shop.rows("SELECT v FROM t ORDER BY id") == [("x" * (size - 1) + "y",), ("old",)]


def test_conflicts_in_rows_that_are_not_utf8_are_told_too(shop: Shop) -> None:
    shop.start("CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, v); INSERT INTO t VALUES (CAST(x'61ff' AS TEXT), 'old')")
    shop.apply("UPDATE t SET v = 'new'")
    shop.sql("UPDATE t SET v = CAST(x'62ff' AS TEXT)")
    assert shop.back().conflicts_total == 1
    assert shop.stored("t") == [("text 'a\\udcff'", "text 'b\\udcff'")]


def test_more_conflicts_than_are_listed_are_counted(shop: Shop) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
    shop.start(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t {numbers} SELECT i, 0 FROM n")
    shop.apply("UPDATE t SET v = 1")
    shop.sql("UPDATE t SET v = 2")
    result = shop.back()
    assert (len(result.conflicts), result.conflicts_total) == (1000, 1500)


# ---------------------------------------------------------------------- by row


def test_rows_inserted_since_stay(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED, "DELETE FROM goods WHERE id = 4")
    shop.sql("INSERT INTO goods VALUES (5, 'bag', 50, 1)")
    assert shop.back().conflicts_total == 0
    assert goods(shop) == [(1, 10, 5), (2, 20, 5), (3, 30, 5), (4, 40, 5), (5, 50, 1)]


def test_rows_deleted_since_stay_deleted(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply(DOUBLED)
    shop.sql("DELETE FROM goods WHERE id = 2")
    shop.back()
    assert goods(shop) == [(1, 10, 5), (3, 30, 5), (4, 40, 5)]


def test_a_row_that_both_deleted_and_made_again_is_a_conflict(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply("DELETE FROM goods WHERE id > 2")
    shop.sql("INSERT INTO goods VALUES (3, 'new', 1, 1)")
    result = shop.back()
    assert [(c.table, c.key, c.column, c.kept) for c in result.conflicts] == [("goods", "id=3", "", "later")]
    assert goods(shop, "id, name") == [(1, "pen"), (2, "ink"), (3, "new"), (4, "cap")]


def test_a_row_that_both_deleted_and_made_again_returns_by_wish(shop: Shop) -> None:
    base = shop.start(GOODS)
    shop.apply("DELETE FROM goods WHERE id > 2")
    shop.sql("INSERT INTO goods VALUES (3, 'new', 1, 1)")
    assert shop.back(on_conflict=OnConflict.RESTORE).conflicts_total == 1
    same(base, shop.state())


def test_a_row_that_came_by_the_deployment_and_was_changed_since_is_a_conflict(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply("INSERT INTO goods VALUES (5, 'bag', 50, 1), (6, 'box', 60, 1)")
    shop.sql("UPDATE goods SET stock = 0 WHERE id = 5")
    result = shop.back()
    assert [(c.key, c.column, c.kept) for c in result.conflicts] == [("id=5", "", "later")]
    assert goods(shop, "id") == [(1,), (2,), (3,), (4,), (5,)]


def test_a_row_that_came_by_the_deployment_goes_by_wish_and_stays_on_the_shelf(shop: Shop) -> None:
    base = shop.start(GOODS)
    shop.apply("INSERT INTO goods VALUES (5, 'bag', 50, 1)")
    shop.sql("UPDATE goods SET stock = 0 WHERE id = 5")
    end = shop.state()
    shop.back(on_conflict=OnConflict.RESTORE)
    same(base, shop.state())
    shop.apply()
    same(end, shop.state())


def test_keys_that_the_deployment_moved_are_found_by_what_was_written_under_them_since(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply("UPDATE goods SET id = id + 10")
    shop.sql("INSERT INTO goods VALUES (15, 'bag', 50, 1)")
    assert shop.back().conflicts_total == 0
    assert goods(shop, "id, name") == [(1, "pen"), (2, "ink"), (3, "pad"), (4, "cap"), (15, "bag")]


def test_a_write_to_a_row_whose_key_was_moved_is_a_conflict_and_not_lost(shop: Shop) -> None:
    shop.start(GOODS)
    shop.apply("UPDATE goods SET id = id + 10 WHERE id = 4")
    shop.sql("UPDATE goods SET stock = 0 WHERE id = 14")
    assert shop.back().conflicts_total == 1
    assert (14, "cap", 0) in goods(shop, "id, name, stock")


def test_rows_without_a_key_that_were_removed_or_changed_since_are_told(shop: Shop) -> None:
    shop.start("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, 'x'), (3, 'x')")
    shop.apply("UPDATE t SET b = 'y'")
    shop.sql("DELETE FROM t WHERE a = 2; UPDATE t SET b = 'app' WHERE a = 3; INSERT INTO t VALUES (4, 'app')")
    result = shop.back()
    assert [(c.table, c.column) for c in result.conflicts] == [("t", ""), ("t", "")]
    rows = shop.rows("SELECT a, b FROM t ORDER BY a, b")
    assert rows == [(1, "x"), (1, "x"), (2, "x"), (3, "app"), (3, "x"), (4, "app")]


def test_one_more_of_the_same_kind_stays_where_there_is_no_key(shop: Shop) -> None:
    shop.start("CREATE TABLE t (a); INSERT INTO t VALUES (1), (1), (2)")
    shop.apply("DELETE FROM t WHERE rowid = 1")
    shop.sql("INSERT INTO t VALUES (1), (2)")
    shop.back()
    assert shop.rows("SELECT a FROM t ORDER BY a") == [(1,), (1,), (1,), (2,), (2,)]


# ---------------------------------------------------------------------- what acts on rows


def test_nothing_acts_on_rows_that_come_back(shop: Shop) -> None:
    base = shop.start(
        f"{GOODS}; CREATE TABLE log (what); CREATE TABLE parts (good REFERENCES goods ON DELETE CASCADE, n);"
        "INSERT INTO parts VALUES (1, 1), (2, 2);"
        "CREATE TRIGGER i AFTER INSERT ON goods BEGIN INSERT INTO log VALUES ('in ' || new.id); END;"
        "CREATE TRIGGER u AFTER UPDATE ON goods BEGIN INSERT INTO log VALUES ('up ' || new.id); END;"
        "CREATE TRIGGER d BEFORE DELETE ON goods BEGIN SELECT raise(ABORT, 'never'); END"
    )
    shop.apply("DROP TRIGGER d; UPDATE goods SET price = 0; DELETE FROM goods WHERE id = 4; DELETE FROM log")
    shop.back()
    same(base, shop.state())


def test_children_written_since_keep_a_parent_that_comes_back(shop: Shop) -> None:
    shop.start(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a); CREATE TABLE c (p REFERENCES p); INSERT INTO p VALUES (1, 'x'), (2, 'y')"
    )
    shop.apply("UPDATE p SET a = 'z'")
    shop.sql("INSERT INTO c VALUES (1)")
    shop.back()
    assert shop.rows("SELECT p, a FROM c JOIN p ON p.id = c.p") == [(1, "x")]


def test_a_parent_that_goes_while_children_were_written_since_is_refused(shop: Shop) -> None:
    shop.start("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)")
    shop.apply("INSERT INTO p VALUES (1)")
    shop.sql("INSERT INTO c VALUES (1)")
    before = shop.state()
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert refused.value.code == "constraint"
    same(before, shop.state())


def test_a_unique_value_taken_since_is_refused_by_name(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, e TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    shop.apply("DELETE FROM t WHERE id = 1")
    shop.sql("INSERT INTO t VALUES (3, 'a')")
    before = shop.state()
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert refused.value.code == "constraint"
    assert "t.e" in refused.value.message
    same(before, shop.state())


# ---------------------------------------------------------------------- columns that return


def test_rows_inserted_since_get_the_default_of_a_column_that_returns(shop: Shop) -> None:
    shop.start(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT 'd', b); INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2)"
    )
    shop.apply("ALTER TABLE t DROP COLUMN a; ALTER TABLE t DROP COLUMN b")
    shop.sql("INSERT INTO t VALUES (3); DELETE FROM t WHERE id = 2")
    assert shop.back().conflicts_total == 0
    assert shop.rows("SELECT id, a, b FROM t ORDER BY id") == [(1, "x", 1), (3, "d", None)]


@pytest.mark.parametrize(
    ("declared", "loosened", "written"),
    [
        ("a NOT NULL", "a", "(2, NULL)"),
        ("a UNIQUE", "a", "(2, 'x')"),
        ("a CHECK (a <> 'bad')", "a", "(2, 'bad')"),
        ("a REFERENCES p", "a", "(2, 'orphan')"),
    ],
)
def test_rows_that_break_a_constraint_of_then_are_told_and_nothing_is_touched(
    shop: Shop, declared: str, loosened: str, written: str
) -> None:
    base = shop.start(
        f"CREATE TABLE p (id TEXT PRIMARY KEY); INSERT INTO p VALUES ('x');"
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {declared}); INSERT INTO t VALUES (1, 'x')"
    )
    applied = shop.apply(
        f"CREATE TABLE n (id INTEGER PRIMARY KEY, {loosened}); INSERT INTO n SELECT * FROM t; DROP TABLE t;"
        "ALTER TABLE n RENAME TO t"
    )
    assert applied.reversibility == "conditional"
    (reason,) = applied.reasons
    assert "table t" in reason
    shop.sql(f"INSERT INTO t VALUES {written}")
    before = shop.state()
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert (refused.value.code, refused.value.exit_code) == ("constraint", 3)
    same(before, shop.state())
    shop.sql("DELETE FROM t WHERE id = 2")
    shop.back()
    same(base, shop.state())


def test_a_column_that_must_have_a_value_returns_while_no_rows_are_added(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a NOT NULL); INSERT INTO t VALUES (1, 'x')")
    applied = shop.apply("ALTER TABLE t DROP COLUMN a")
    assert applied.reversibility == "conditional"
    (reason,) = applied.reasons
    assert "no rows are added to table t" in reason
    shop.sql("INSERT INTO t VALUES (2)")
    before = shop.state()
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert refused.value.code == "constraint"
    assert "id=2" in refused.value.message
    same(before, shop.state())
    shop.sql("DELETE FROM t WHERE id = 2")
    shop.back()
    same(base, shop.state())


NAMES = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, full_name TEXT); INSERT INTO t VALUES "
    "(1, 'Ada Byron'), (2, 'Bo Diddley'), (3, NULL)"
)
SPLIT = (
    "ALTER TABLE t ADD COLUMN first TEXT; ALTER TABLE t ADD COLUMN last TEXT;"
    "UPDATE t SET first = substr(full_name, 1, instr(full_name, ' ') - 1), last = substr(full_name, instr(full_name, ' ') + 1);"
    "ALTER TABLE t DROP COLUMN full_name"
)  # fmt: skip
BACK = "-- tagback: back full_name = first || ' ' || last\n"


def test_later_writes_to_split_columns_supersede_the_old_one_and_are_told(shop: Shop) -> None:
    shop.start(NAMES)
    applied = shop.apply(SPLIT)
    assert applied.reversibility == "conditional"
    assert "first, last of table t" in applied.reasons[0]
    assert "full_name" in applied.reasons[0]
    shop.sql("UPDATE t SET last = 'Lovelace' WHERE id = 1")
    result = shop.back()
    assert [(c.key, c.column) for c in result.conflicts] == [("id=1", "full_name")]
    assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, "Ada Byron"), (2, "Bo Diddley"), (3, None)]
    shop.apply()
    assert shop.rows("SELECT id, first, last FROM t ORDER BY id")[0] == (1, "Ada", "Lovelace")


def test_superseded_values_are_refused_by_wish(shop: Shop) -> None:
    shop.start(NAMES)
    shop.apply(SPLIT)
    shop.sql("UPDATE t SET last = 'Lovelace' WHERE id = 1")
    before = shop.state()
    with pytest.raises(RefusedError) as refused:
        shop.back(on_conflict=OnConflict.FAIL)
    assert refused.value.code == "conflict"
    same(before, shop.state())


def test_a_changeset_can_say_how_a_column_comes_back(shop: Shop) -> None:
    shop.start(NAMES)
    applied = shop.apply(BACK + SPLIT)
    assert applied.reversibility == "captured"
    shop.sql("UPDATE t SET last = 'Lovelace' WHERE id = 1; INSERT INTO t VALUES (4, 'Cy', 'Twombly')")
    result = shop.back(on_conflict=OnConflict.FAIL)
    assert result.conflicts_total == 0
    assert shop.rows("SELECT * FROM t ORDER BY id") == [
        (1, "Ada Lovelace"),
        (2, "Bo Diddley"),
        (3, None),
        (4, "Cy Twombly"),
    ]


def test_what_was_empty_and_untouched_comes_back_empty_whatever_the_expression_gives(shop: Shop) -> None:
    shop.start(NAMES)
    shop.apply("-- tagback: back full_name = coalesce(first, 'nobody') || coalesce(last, '')\n" + SPLIT)
    shop.back()
    assert shop.rows("SELECT * FROM t ORDER BY id") == [(1, "Ada Byron"), (2, "Bo Diddley"), (3, None)]


@pytest.mark.parametrize(
    ("argument", "problem"), [("full_name", "COLUMN = EXPRESSION"), ("nothing = 1", "no table"), ("id = 1", "no table")]
)
def test_a_way_back_that_names_no_column_that_went_is_an_error_of_the_changelog(
    shop: Shop, argument: str, problem: str
) -> None:
    before = shop.start(NAMES)
    with pytest.raises(ChangelogError, match=problem) as refused:
        shop.apply(f"-- tagback: back {argument}\n{SPLIT}")
    assert refused.value.exit_code == 2
    same(before, shop.state())


def test_a_way_back_that_can_not_be_computed_is_refused_before_anything_is_deployed(shop: Shop) -> None:
    before = shop.start(NAMES)
    with pytest.raises(FailedError, match="can't be evaluated: no such column: no_such_column"):
        shop.apply(f"-- tagback: back full_name = no_such_column || 'x'\n{SPLIT}")
    same(before, shop.state())


def test_what_is_not_to_be_kept_is_not_kept_and_needs_leave(shop: Shop) -> None:
    before = shop.start(GOODS)
    forget = "-- tagback: no-keep\nALTER TABLE goods DROP COLUMN name"
    with pytest.raises(RefusedError) as refused:
        shop.apply(forget)
    assert refused.value.code == "irreversible"
    assert "by wish" in refused.value.message
    same(before, shop.state())
    applied = shop.apply(force=True)
    assert applied.reversibility == "irreversible"
    assert applied.shelved == ()
    assert shop.shelf() == {}
    with pytest.raises(RefusedError) as refused:
        shop.back()
    assert refused.value.code == "irreversible"


def test_bytes_in_the_key_of_a_conflict_are_told_as_in_sql(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id BLOB PRIMARY KEY NOT NULL, v); INSERT INTO t VALUES (x'00ff', 1)")
    shop.apply("UPDATE t SET v = 2")
    shop.sql("UPDATE t SET v = 3")
    assert [(c.key, c.column) for c in shop.back().conflicts] == [("id=x'00FF'", "v")]


def test_rows_are_known_again_by_a_key_that_the_deployment_took_away(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v); INSERT INTO t VALUES ('a', 1), ('b', 2)")
    shop.apply(
        "CREATE TABLE n (id TEXT, v); INSERT INTO n SELECT id, v * 10 FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"
        "INSERT INTO t VALUES ('c', 3)"
    )
    shop.sql("UPDATE t SET v = 99 WHERE id = 'a'; DELETE FROM t WHERE id = 'c'; INSERT INTO t VALUES ('d', 4)")
    assert [(c.key, c.column) for c in shop.back().conflicts] == [("id=a", "v")]
    assert shop.rows("SELECT * FROM t ORDER BY id") == [("a", 99), ("b", 2), ("d", 4)]


def test_numbers_go_back_into_a_column_of_text_and_what_would_change_is_refused(shop: Shop) -> None:
    base = shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES (1, '2')")
    anew = "CREATE TABLE n (id INTEGER PRIMARY KEY, v {}); INSERT INTO n SELECT * FROM t; DROP TABLE t;"
    anew += "ALTER TABLE n RENAME TO t;"
    shop.apply(anew.format("INT") + anew.format("BLOB"))
    shop.sql("UPDATE t SET v = 0.1 + 0.2")
    with pytest.raises(RefusedError, match="can't hold: 1"):
        shop.back()
    shop.sql("UPDATE t SET v = 2")
    shop.back()
    same(base, shop.state())


def test_rows_that_come_back_and_don_t_fit_are_refused_in_words(shop: Shop) -> None:
    shop.start("CREATE TABLE t (id INTEGER PRIMARY KEY, a NOT NULL, b); INSERT INTO t VALUES (1, 'x', 1)")
    shop.apply(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, a); INSERT INTO n SELECT id, a FROM t; DROP TABLE t;"
        " ALTER TABLE n RENAME TO t"
    )
    shop.sql("UPDATE t SET a = NULL")
    with pytest.raises(RefusedError, match="t fit the schema to return to: NOT NULL constraint failed"):
        shop.back()
