"""`tags` and `status` answer from the live data whether one can still go back without loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Project


def _reachable(project: Project, tag: str) -> bool:
    (found,) = [t for t in project.json("tags").body["tags"] if t["tag"] == tag]
    assert found["reachable"] is not bool(found["reasons"])
    return bool(found["reachable"])


@pytest.mark.parametrize("rename", ["", "alter table people rename to persons;"])
def test_a_tag_stays_in_reach_when_rows_are_written_to_a_table_that_came_after_it(shop: Project, rename: str) -> None:
    shop.write("003_rename.sql", f"{rename} create table more (id integer primary key);")
    shop.apply("--tag", "r2")
    assert _reachable(shop, "r1")
    shop.sql("insert into places (id, city) values (1, 'Rome')")
    assert _reachable(shop, "r1")
    body = shop.json("rollback", "--to", "r1", "--yes").body
    assert body["verified"]
    assert [(k["table"].rpartition(".")[2], k["rows"]) for k in body["shelved"]] == [("places", 1)]
    assert shop.sql("select id, name from people order by id") == [(1, "Ada"), (2, "Bob")]
    shop.apply("--tag", "r2")
    assert shop.sql("select id, city from places") == [(1, "Rome")]


def test_a_tag_is_out_of_reach_while_rows_break_a_constraint_that_would_come_back(shop: Project) -> None:
    shop.write("002_places.sql", "create unique index one_name on people (name);")
    shop.apply("--tag", "r2")
    shop.write("003_twice.sql", "drop index one_name;")
    body = shop.apply("--tag", "r3").body
    assert body["reversibility"] == "conditional"
    assert "one_name" in body["reasons"][0]
    assert _reachable(shop, "r2")
    shop.sql("insert into people (id, name) values (3, 'Ada')")
    result = shop.json("rollback", "--to", "r2", "--yes")
    assert (result.exit, result.error["code"]) == (3, "constraint")
    assert not _reachable(shop, "r2")
    assert _reachable(shop, "r1")
    shop.sql("delete from people where id = 3")
    assert _reachable(shop, "r2")
    assert shop.json("rollback", "--to", "r2", "--yes").body["verified"]


def test_a_tag_is_out_of_reach_once_a_widened_column_holds_what_its_old_type_can_not(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, pg_url)
    project.write("001_a.sql", "create table a (id integer primary key, n integer);")
    project.apply("--tag", "r1")
    project.write("002_wide.sql", "alter table a alter n type bigint;")
    assert project.apply("--tag", "r2").body["reversibility"] == "conditional"
    project.sql("insert into a values (1, 5)")
    assert _reachable(project, "r1")
    project.sql("insert into a values (2, 5000000000)")
    assert not _reachable(project, "r1")
    assert project.json("rollback", "--to", "r1", "--yes").error["code"] == "data_loss"


def test_a_tag_is_out_of_reach_while_new_rows_lack_a_value_that_comes_back(shop: Project) -> None:
    shop.write("002_places.sql", "create table mail (id integer primary key, address text not null, seen integer);")
    shop.write("003_rows.sql", "insert into mail values (1, 'a@example.org', 1), (2, 'b@example.org', 0);")
    shop.apply("--tag", "r2")
    shop.write("004_drop.sql", "alter table mail drop column address;")
    shop.apply("--tag", "r3")
    assert _reachable(shop, "r2")
    shop.sql("insert into mail (id, seen) values (3, 0)")
    (found,) = [t for t in shop.json("tags").body["tags"] if t["tag"] == "r2"]
    assert (found["reachable"], len(found["reasons"])) == (False, 1)
    assert "1 row of " in found["reasons"][0]
    assert "address must have a value" in found["reasons"][0]
    assert shop.json("rollback", "--to", "r2", "--yes").error["code"] == "constraint"
    assert _reachable(shop, "r1")
    shop.sql("delete from mail where id = 3")
    assert _reachable(shop, "r2")
    assert shop.json("rollback", "--to", "r2", "--yes").body["verified"]


def test_a_tag_is_out_of_reach_while_rows_lack_a_value_that_was_needed(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, pg_url)
    project.write(
        "001_a.sql", "create table a (id integer primary key, n integer not null); insert into a values (1, 1);"
    )
    project.apply("--tag", "r1")
    project.write("002_free.sql", "alter table a alter n drop not null;")
    project.apply("--tag", "r2")
    assert _reachable(project, "r1")
    project.sql("insert into a values (2, null)")
    assert not _reachable(project, "r1")
    project.sql("update a set n = 0 where id = 2")
    assert _reachable(project, "r1")


def test_rows_that_get_their_old_values_back_may_not_be_misfits_then(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, pg_url)
    project.write(
        "001_a.sql", "create table a (id integer primary key, n integer not null); insert into a values (1, 1);"
    )
    project.apply("--tag", "r1")
    project.write("002_free.sql", "alter table a alter n drop not null; update a set n = null;")
    project.apply("--tag", "r2")
    (found, _) = project.json("tags").body["tags"]
    assert found["reachable"] is None
    assert found["reasons"][0].startswith("not known: table public.a does not hold for 1 row: id=1")
    assert project.json("rollback", "--to", "r1", "--yes").body["verified"]


@pytest.fixture
def large(project: Project) -> Project:
    """A table with many rows, whose unique index is gone since the tag r1."""
    project.write(
        "001_a.sql", "create table a (id integer primary key, body text); create unique index one on a (body);"
    )
    project.apply("--tag", "r1")
    fill = "select n, 'row ' || n from generate_series(1, 300000) n"
    if project.is_sqlite:
        fill = "with recursive s (n) as (select 1 union all select n + 1 from s where n < 300000) select n, 'row ' || n from s"
    project.sql(f"insert into a {fill}")
    project.write("002_drop.sql", "drop index one;")
    project.apply("--tag", "r2")
    return project


@pytest.mark.parametrize("command", ["tags", "status"])
def test_what_can_not_be_looked_through_in_time_is_said_to_be_unknown(large: Project, command: str) -> None:
    (first, last) = large.json(command, "--within", "0.02").body["tags"]
    assert (first["reachable"], last["reachable"]) == (None, True)
    (reason,) = first["reasons"]
    assert reason.startswith("not known: index ")
    assert "rows) couldn't be looked through within 0.02 s" in reason
    assert "not known: " in large.run(command, "--within", "0").out
    (first, last) = large.json(command, "--within", "60").body["tags"]
    assert (first["reachable"], first["reasons"]) == (True, [])


def test_the_configuration_says_how_long_to_look(large: Project) -> None:
    Path("tagback.toml").write_text("status_within = 0.02\n")
    assert large.json("tags").body["tags"][0]["reachable"] is None
    large.sql("insert into a values (300001, 'row 1')")
    assert large.json("tags", "--within", "60").body["tags"][0]["reachable"] is False


def test_a_condition_on_what_was_renamed_since_is_said_to_be_unknown(shop: Project) -> None:
    shop.write("002_places.sql", "create unique index one_name on people (name);")
    shop.apply("--tag", "r2")
    shop.write("003_twice.sql", "drop index one_name; alter table people rename to persons;")
    shop.apply("--tag", "r3")
    (found,) = [t for t in shop.json("tags").body["tags"] if t["tag"] == "r2"]
    assert found["reachable"] is None
    assert "renamed" in found["reasons"][0]
