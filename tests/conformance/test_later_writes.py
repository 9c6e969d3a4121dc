"""What the application wrote after a deployment stays; what the deployment did to rows goes; what both did is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import tagback
from tagback.errors import RefusedError
from tests.conformance.merge_cases import CASES, SHOP, MergeCase, Tables
from tests.support import client

merging = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
ONE_BY_ONE = {
    "a table that was made anew by way of another": "rows that were deleted from the new table come back",
    "a dropped table and another under its name": "the row of the new table counts as a conflict, too",
}
"""Where each statement is taken back by itself, as on MariaDB: what is otherwise there."""


@merging
def test_later_writes_stay_and_the_rest_comes_back(target_url: str, tmp_path: Path, case: MergeCase) -> None:
    _deploy_and_write(target_url, tmp_path, case)
    at_end = _everything(target_url)
    done = _back(target_url)
    assert _rows(target_url, case.kept) == _sorted(case.kept)
    assert _told(done) == case.conflicts
    assert {c.kept for c in done.conflicts} <= {case.stands}
    if case.again:
        _deploy_again(target_url, tmp_path)
        assert _everything(target_url) == at_end
        assert _told(_back(target_url)) <= case.conflicts  # what came again with the changesets is not written since
        assert _rows(target_url, case.kept) == _sorted(case.kept)


@merging
def test_what_the_deployment_found_stands_by_wish(target_url: str, tmp_path: Path, case: MergeCase) -> None:
    _deploy_and_write(target_url, tmp_path, case)
    at_end = _everything(target_url)
    done = _back(target_url, tagback.OnConflict.RESTORE)
    wanted = case.kept if case.restored is None else case.restored
    assert _rows(target_url, wanted) == _sorted(wanted)
    assert _told(done) == case.conflicts
    assert {c.kept for c in done.conflicts} <= {"restored"}
    if case.again or case.conflicts:
        _deploy_again(target_url, tmp_path)
        assert _everything(target_url) == at_end


@merging
def test_conflicts_are_refused_by_wish_and_nothing_is_touched(target_url: str, tmp_path: Path, case: MergeCase) -> None:
    _deploy_and_write(target_url, tmp_path, case)
    at_end = _everything(target_url)
    with tagback.open(target_url) as target:
        tried = target.rollback(tagback.RollbackOptions(to="before", dry_run=True))
    assert _told(tried) == case.conflicts
    assert _everything(target_url) == at_end
    if not case.conflicts:
        assert _told(_back(target_url, tagback.OnConflict.FAIL)) == set()
        return
    with pytest.raises(RefusedError) as refused:
        _back(target_url, tagback.OnConflict.FAIL)
    assert refused.value.code == "conflict"
    assert all(key in refused.value.message for _, key, _ in case.conflicts)
    assert _everything(target_url) == at_end


def test_rolling_back_a_rollback_over_and_over_is_quiet(target_url: str, tmp_path: Path) -> None:
    case = next(c for c in CASES if c.name == "a dropped column; rows were written, came and went")
    _deploy_and_write(target_url, tmp_path, case)
    at_end = _everything(target_url)
    for _ in range(3):
        assert _told(_back(target_url)) == set()
        assert _rows(target_url, case.kept) == _sorted(case.kept)
        _deploy_again(target_url, tmp_path)
        assert _everything(target_url) == at_end


# ---------------------------------------------------------------------- the rite


def _deploy_and_write(url: str, folder: Path, case: MergeCase) -> None:
    if url.startswith("mariadb") and case.name in ONE_BY_ONE:
        pytest.xfail(ONE_BY_ONE[case.name])
    changelog = folder / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(case.setup)
    with tagback.open(url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_change.sql").write_text(case.change + ";")
        assert target.apply(changelog, tagback.ApplyOptions(tag="after")).reversibility != "irreversible"
    client.write(url, case.write)
    with tagback.open(url) as target:
        assert [t.reachable for t in target.tags()] == [True, True]


def _can_be_granular(url: str) -> None:
    if url.startswith("mariadb"):
        pytest.skip("--granular is refused where statements commit by themselves")


def _deploy_again(url: str, folder: Path) -> None:
    with tagback.open(url) as target:
        assert target.apply(folder / "changelog", tagback.ApplyOptions(tag="after")).notes == ()


def _back(url: str, on_conflict: tagback.OnConflict = tagback.OnConflict.KEEP) -> tagback.RolledBack:
    with tagback.open(url) as target:
        done = target.rollback(tagback.RollbackOptions(to="before", on_conflict=on_conflict))
    assert done.verified
    assert done.conflicts_total == len(done.conflicts)
    return done


def _told(done: tagback.RolledBack) -> set[tuple[str, str, str]]:
    return {(c.table.removeprefix("public."), c.key, c.column) for c in done.conflicts}


def _rows(url: str, tables: Tables) -> dict[str, list[tuple[object, ...]]]:
    return {t: client.rows(url, f"SELECT * FROM {t}") for t in tables}


def _sorted(tables: Tables) -> dict[str, list[tuple[object, ...]]]:
    return {t: sorted(found, key=repr) for t, found in tables.items()}


def _everything(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table there is."""
    return _rows(url, dict.fromkeys(client.tables(url), ()))


def test_a_new_column_that_a_later_changeset_renames_is_no_conflict(target_url: str, tmp_path: Path) -> None:
    _can_be_granular(target_url)
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x');"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_other.sql").write_text(
            "UPDATE t SET b = 'z'; ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN n TEXT;"
        )
        (changelog / "003_rename.sql").write_text("ALTER TABLE t RENAME COLUMN n TO m;")
        target.apply(changelog, tagback.ApplyOptions(granular=True))
        done = target.rollback(tagback.RollbackOptions(count=2, on_conflict=tagback.OnConflict.FAIL))
    assert done.conflicts_total == 0
    assert _rows(target_url, {"t": []}) == {"t": [(1, "x")]}


def test_values_that_are_replaced_needn_t_fit_the_old_type(target_url: str, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL); INSERT INTO t VALUES (1, 5.5);"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_text.sql").write_text(
            "CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO n SELECT id, a FROM t; DROP TABLE t;"
            " ALTER TABLE n RENAME TO t; UPDATE t SET a = '1';"
        )
        target.apply(changelog)
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
    assert _rows(target_url, {"t": []}) == {"t": [(1, 5.5)]}


def test_rows_with_a_text_for_a_key_are_found_again(target_url: str, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (id VARCHAR(20) PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES ('x', 'one', '1'), ('y', 'two', '2');"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_drop.sql").write_text("ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'new';")
        target.apply(changelog)
    client.write(target_url, "UPDATE t SET b = 'mine' WHERE id = 'x'; INSERT INTO t VALUES ('z', 'mine')")
    assert _told(_back(target_url)) == {("t", "id=x", "b")}
    rows = {"t": [("x", "one", "mine"), ("y", "two", "2"), ("z", None, "mine")]}
    assert _rows(target_url, rows) == _sorted(rows)


def test_a_later_changeset_that_gives_a_column_another_type_is_no_write(target_url: str, tmp_path: Path) -> None:
    _can_be_granular(target_url)
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (a INTEGER, b BOOLEAN); INSERT INTO t VALUES (1, true), (2, false);"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_rows.sql").write_text("UPDATE t SET a = 5; INSERT INTO t VALUES (3, true);")
        (changelog / "003_text.sql").write_text(
            "CREATE TABLE n (a INTEGER, b TEXT); INSERT INTO n SELECT a, b FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"
            if target_url.startswith("sqlite")
            else "ALTER TABLE t ALTER b TYPE TEXT;"
        )
        target.apply(changelog, tagback.ApplyOptions(granular=True))
    assert _told(_back(target_url)) == set()
    rows = {"t": [(1, True), (2, False)]}
    assert _rows(target_url, rows) == _sorted(rows)


def test_values_of_a_new_column_come_again_beside_a_dropped_one_that_was_written_since(
    target_url: str, tmp_path: Path
) -> None:
    """The changeset could have made them from the dropped one; where a column only has its default, it didn't."""
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b VARCHAR(9)); INSERT INTO t VALUES (1, 'x'), (2, 'y');"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_new.sql").write_text(
            "ALTER TABLE t ADD COLUMN d VARCHAR(9) DEFAULT 'none'; ALTER TABLE t DROP COLUMN b;"
        )
        target.apply(changelog)
        client.write(target_url, "UPDATE t SET d = 'mine' WHERE id = 1")
        _back(target_url)
        client.write(target_url, "UPDATE t SET b = 'later' WHERE id = 1")
        target.apply(changelog)
    rows = {"t": [(1, "mine"), (2, "none")]}
    assert _rows(target_url, rows) == _sorted(rows)


@pytest.mark.parametrize("one_by_one", [True, False], ids=["one by one", "together"])
def test_deployments_taken_back_together_come_again(target_url: str, tmp_path: Path, *, one_by_one: bool) -> None:
    """The second one's rows are known by a name that only the first one makes again."""
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, mail VARCHAR(9)); INSERT INTO t VALUES (1, 'x'), (2, NULL), (3, 'z');"
    )
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_name.sql").write_text(
            "ALTER TABLE t RENAME COLUMN mail TO email; DELETE FROM t WHERE id = 3;"
        )
        target.apply(changelog)
        (changelog / "003_rows.sql").write_text("UPDATE t SET email = 'none' WHERE email IS NULL;")
        target.apply(changelog)
        at_end = _everything(target_url)
        _back(target_url)
        if one_by_one:
            target.apply(changelog, tagback.ApplyOptions(to="002_name"))
        target.apply(changelog)
    assert _everything(target_url) == at_end


def test_what_a_failed_redo_gave_back_comes_with_the_next_one(target_url: str, tmp_path: Path) -> None:
    """Parts of it have committed when it fails: indexes that are made concurrently, or everything on MariaDB."""
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);")
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_column.sql").write_text("ALTER TABLE t ADD COLUMN d VARCHAR(9) DEFAULT 'none';")
        target.apply(changelog)
        client.write(target_url, "UPDATE t SET d = 'mine' WHERE id = 1")
        _back(target_url)
        concurrently = "CONCURRENTLY" if target_url.startswith("postgresql") else ""
        (changelog / "003_index.sql").write_text(f"CREATE INDEX {concurrently} i ON t (d);")
        (changelog / "004_wrong.sql").write_text("ALTER TABLE nowhere ADD COLUMN x INTEGER;")
        with pytest.raises(tagback.TagbackError):
            target.apply(changelog)
        (changelog / "004_wrong.sql").write_text("CREATE TABLE nowhere (x INTEGER);")
        target.apply(changelog)
    assert client.rows(target_url, "SELECT * FROM t") == [(1, "mine"), (2, "none")]


def test_rows_of_a_new_table_come_again_with_the_deployment_that_makes_it(target_url: str, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY);")
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_table.sql").write_text("CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1);")
        target.apply(changelog)
        (changelog / "003_column.sql").write_text(
            "ALTER TABLE t ADD COLUMN b VARCHAR(9); INSERT INTO t (id) VALUES (5);"
        )
        target.apply(changelog)
        client.write(target_url, "INSERT INTO u VALUES (7)")
        _back(target_url)
        target.apply(changelog, tagback.ApplyOptions(to="002_table"))
        assert client.rows(target_url, "SELECT * FROM u") == [(1,), (7,)]
        target.apply(changelog)
    assert client.rows(target_url, "SELECT * FROM u") == [(1,), (7,)]


def test_rows_of_a_new_table_come_again_under_a_name_that_another_one_has_till_then(
    target_url: str, tmp_path: Path
) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text("CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'old');")
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_new.sql").write_text(
            "ALTER TABLE t RENAME TO u; CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT);"
        )
        target.apply(changelog)
        client.write(target_url, "INSERT INTO t VALUES (7, 'mine')")
        at_end = _everything(target_url)
        _back(target_url)
        assert target.apply(changelog).notes == ()
    assert _everything(target_url) == at_end


def test_a_table_that_is_there_already_is_not_made_anew_under_a_name_it_took(target_url: str, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text("CREATE TABLE t (a INTEGER); CREATE TABLE u (b TEXT);")
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_swap.sql").write_text(
            "ALTER TABLE u RENAME TO z; ALTER TABLE t RENAME TO u; ALTER TABLE z RENAME TO t;"
            " CREATE TABLE IF NOT EXISTS u (id INTEGER);"
        )
        target.apply(changelog)
    client.write(target_url, "INSERT INTO u VALUES (1); INSERT INTO t VALUES ('mine')")
    _back(target_url)
    rows: Tables = {"t": [(1,)], "u": [("mine",)]}
    assert _rows(target_url, rows) == _sorted(rows)


def test_a_value_that_several_deployments_changed_is_one_conflict_by_its_name_at_the_end(
    target_url: str, tmp_path: Path
) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(SHOP)
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        for n, change in enumerate(
            ("UPDATE t SET b = b * 2;", "ALTER TABLE t RENAME COLUMN b TO c; UPDATE t SET c = 7;")
        ):
            (changelog / f"01{n}_change.sql").write_text(change)
            target.apply(changelog)
    client.write(target_url, "UPDATE t SET c = 99 WHERE id = 1")
    done = _back(target_url)
    assert [(c.key, c.column, c.kept) for c in done.conflicts] == [("id=1", "b", "later")]
    rows = {"t": [(1, "x", 99), (2, None, 20), (3, "z", 30)]}
    assert _rows(target_url, rows) == _sorted(rows)


def test_a_new_table_that_the_application_emptied_is_empty_again(target_url: str, tmp_path: Path) -> None:
    changelog = tmp_path / "changelog"
    changelog.mkdir()
    (changelog / "001_setup.sql").write_text(SHOP)
    with tagback.open(target_url, create=True) as target:
        target.apply(changelog, tagback.ApplyOptions(tag="before"))
        (changelog / "002_new.sql").write_text("CREATE TABLE n (v TEXT); INSERT INTO n VALUES ('made');")
        target.apply(changelog)
        client.write(target_url, "DELETE FROM n")
        _back(target_url)
        target.apply(changelog)
    assert _rows(target_url, {"n": []}) == {"n": []}
