"""A dry run says of each changeset by itself how the way back stands, what is kept for it, and how long it takes."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Project


@pytest.fixture
def pending(shop: Project) -> Project:
    """Changesets of three kinds."""
    shop.write("002_places.sql", "create table places (id integer primary key, city text);")
    shop.write("003_forget.sql", "delete from people where id = 1;")
    shop.write("004_index.sql", "create unique index one_name on people (name);")
    shop.write("005_gone.sql", "drop index one_name;")
    return shop


def test_a_dry_run_judges_each_changeset_and_the_whole(pending: Project) -> None:
    body = pending.apply("--dry-run").body
    assert [(v["id"], v["reversibility"], v["rows"]) for v in body["verdicts"]] == [
        ("002_places", "free", 0),
        ("003_forget", "captured", 1),
        ("004_index", "free", 0),
        ("005_gone", "conditional", 0),
    ]
    assert body["reversibility"] == "captured"  # the index that comes and goes is nothing to the whole
    assert body["verdicts"][1]["bytes"] > 0
    assert "one_name" in body["verdicts"][3]["reasons"][0]
    assert all(step["seconds_estimate"] >= 0 for step in body["plan"])
    assert pending.sql("select count(*) from people") == [(2,)]
    assert pending.json("status").body["tag"] == "r1"


def test_a_dry_run_shows_it(pending: Project) -> None:
    told = pending.run("apply", "--changelog", "m", "--dry-run")
    assert told.exit == 0
    assert "  002_places: free, " in told.out
    assert "  003_forget: captured, keeps 1 row of " in told.out
    assert "    delete from people where id = 1" in told.out
    assert "  005_gone: conditional, " in told.out


def test_an_only_changeset_is_judged_in_the_run_itself(shop: Project) -> None:
    (verdict,) = shop.apply().body["verdicts"]
    assert (verdict["id"], verdict["reversibility"]) == ("002_places", "free")


def test_each_of_several_changesets_is_judged_in_the_run_itself(shop: Project) -> None:
    shop.write(
        "003_age.sql", "alter table people add column age integer; create unique index one_name on people (name);"
    )
    shop.write("004_index.sql", "create index by_name on people (name);")
    shop.apply("--tag", "r2")
    shop.write("006_gone.sql", "drop index one_name; drop index by_name;")
    shop.write("007_more.sql", "update people set name = name || '!'; alter table people drop column age;")
    shop.write("008_sink.sql", "delete from people where id = 2;")
    shop.write("009_spot.sql", "create table spot (id integer primary key);")
    done = shop.run("apply", "--changelog", "m", "--tag", "r3")
    assert done.exit == 0
    assert "  006_gone: conditional\n" in done.out
    assert "  007_more: captured, keeps 2 rows of " in done.out
    assert "  008_sink: captured\n" in done.out
    assert "  009_spot: free\n" in done.out
    assert "way back: conditional" in done.out


def test_a_dry_run_judges_all_changesets_when_one_can_not_be_taken_back(pending: Project) -> None:
    pending.write("006_wish.sql", "-- tagback: no-keep\ndelete from people where id = 2;")
    told = pending.json("apply", "--changelog", "m", "--dry-run")
    body = told.body
    assert told.exit == 3
    assert (body["ok"], body["error"]["code"], body["reversibility"]) == (False, "irreversible", "irreversible")
    assert [v["reversibility"] for v in body["verdicts"]] == ["free", "captured", "free", "conditional", "irreversible"]
    assert pending.sql("select count(*) from people") == [(2,)]
    allowed = pending.apply("--dry-run", "--allow-irreversible").body
    assert [v["reasons"] for v in allowed["verdicts"]] == [v["reasons"] for v in body["verdicts"]]


def test_a_dry_run_tells_what_each_statement_destroys_and_locks(pending: Project) -> None:
    body = pending.apply("--dry-run").body
    people, lock = ("people", "") if pending.url.startswith("sqlite") else ("public.people", " on table public.people")
    told = [(s["action"], s["destroys"], s["rows"]) for s in body["plan"]]
    assert told == [("create", [], 0), ("delete", [f"rows of table {people}"], 1), ("create", [], 0), ("drop", [], 0)]
    (verdict,) = [v for v in body["verdicts"] if v["id"] == "003_forget"]
    assert verdict["locks"] == [body["plan"][1]["lock"]]
    assert verdict["locks"][0].endswith(lock or "database, for writing")
    shown = pending.run("apply", "--changelog", "m", "--dry-run").out
    assert f"delete from people where id = 1  destroys rows of table {people}: 1" in shown


def test_a_gap_in_the_numbers_is_told_in_words(shop: Project) -> None:
    shop.write("007_later.sql", "create table later (id integer);")
    assert shop.apply().body["notes"] == [
        "m/007_later.sql:1:1: no changeset has the number 3, 4, 5, 6, before 007_later"
    ]


def test_a_materialised_view_that_goes_is_known_to_be_filled_anew(shop: Project) -> None:
    if shop.is_sqlite:
        pytest.skip("SQLite has no materialised views")
    shop.write(
        "003_seen.sql",
        "create materialized view seen as select id, now() as at from people;"
        "create materialized view never as select id from people with no data;",
    )
    shop.apply("--tag", "r2")
    shop.write("004_unseen.sql", "drop materialized view seen; drop materialized view never;")
    body = shop.apply().body
    assert body["reversibility"] == "conditional"
    assert [r for r in body["reasons"] if "filled anew" in r] == [
        "while materialized view public.seen may be filled anew by its query"
    ]
    assert shop.run("rollback", "--to", "r2", "--yes").exit == 0
    assert shop.sql("select id from seen order by id") == shop.sql("select id from people order by id")


def test_a_rename_beside_it_hides_no_condition(shop: Project) -> None:
    shop.write(
        "002_places.sql",
        """
        create table other (id integer primary key, a integer, v integer);
        insert into other values (1, 1, 1);
        """,
    )
    shop.apply("--tag", "r2")
    shop.write(
        "003_wider.sql",
        """
        alter table other rename column v to w;
        alter table people rename to persons;
        create table made (id integer primary key, a text, w integer);
        insert into made select * from other;
        drop table other;
        alter table made rename to other;
        """,
    )
    body = shop.apply().body
    assert body["reversibility"] == "conditional"
    assert any("can hold every value of column a of" in reason for reason in body["reasons"])
    assert shop.json("rollback", "--to", "r2", "--yes").body["verified"]


def test_a_rename_beside_it_does_not_stand_in_the_way_of_a_table_made_anew(shop: Project) -> None:
    if shop.is_sqlite:
        pytest.skip("SQLite has no types of one's own")
    shop.write("002_places.sql", "create type place as (id int); create table places of place;")
    shop.apply("--tag", "r2")
    before = shop.schema()
    shop.write(
        "003_plain.sql",
        """
        alter table people rename column name to called;
        alter type place add attribute city text cascade;
        """,
    )
    assert shop.apply().body["reversibility"] != "irreversible"
    assert shop.json("rollback", "--to", "r2", "--yes").body["verified"]
    assert shop.schema() == before
