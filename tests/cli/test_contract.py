"""What scripts rely on: names of commands, exit statuses and the fields of each JSON object."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Project

APPLIED = {
    "deployment",
    "tag",
    "previous_tag",
    "changesets",
    "fingerprint_before",
    "fingerprint_after",
    "reversibility",
    "shelved",
    "duration_ms",
}
ROLLED_BACK = {
    "deployments",
    "tag",
    "fingerprint_before",
    "fingerprint_after",
    "fingerprint_expected",
    "verified",
    "restored",
    "conflicts",
    "conflicts_total",
    "receipt",
    "duration_ms",
}
PLANNED = {"sql", "object", "action", "lock", "destroys", "rows", "seconds_estimate"}


def test_apply_tells_what_it_deployed(shop: Project) -> None:
    body = shop.apply("--tag", "r2").body
    assert body.keys() >= APPLIED
    assert "plan" not in body
    assert (body["deployment"], body["tag"], body["previous_tag"]) == (2, "r2", "r1")
    assert body["changesets"] == ["002_places"]
    assert body["fingerprint_before"] != body["fingerprint_after"]
    assert body["reversibility"] in ("free", "captured", "conditional", "irreversible")
    assert body["shelved"] == []
    assert isinstance(body["duration_ms"], int)


def test_a_deployment_without_a_tag_gets_one(shop: Project) -> None:
    tag = shop.apply().body["tag"]
    assert tag in [t["tag"] for t in shop.json("tags").body["tags"]]


def test_apply_with_nothing_pending_still_sets_the_tag(shop: Project) -> None:
    shop.apply("--tag", "r2")
    body = shop.apply("--tag", "also-r2").body
    assert (body["deployment"], body["changesets"], body["tag"]) == (None, [], "also-r2")
    assert shop.json("rollback", "--to", "also-r2", "--yes").body["deployments"] == []


def test_apply_to_a_changeset_leaves_the_rest_pending(shop: Project) -> None:
    shop.write("003_more.sql", "create table more (id integer primary key);")
    assert shop.apply("--to", "002_places").body["changesets"] == ["002_places"]
    assert shop.json("status", "--changelog", "m").body["pending"] == ["003_more"]


def test_a_dry_run_of_apply_shows_the_plan_and_changes_nothing(shop: Project) -> None:
    before, schema = shop.json("status").body, shop.schema()
    body = shop.apply("--dry-run").body
    assert body.keys() >= APPLIED
    assert [set(step) for step in body["plan"]] == [PLANNED]
    assert "create table places" in body["plan"][0]["sql"]
    assert "would be deployed" in body["message"]
    assert (shop.json("status").body, shop.schema()) == (before, schema)


def test_rollback_proves_that_the_schema_is_the_tags(shop: Project) -> None:
    before = shop.schema()
    applied = shop.apply("--tag", "r2").body
    assert shop.schema() != before
    body = shop.json("rollback", "--to", "r1", "--yes").body
    assert body.keys() >= ROLLED_BACK
    assert body["deployments"] == [2]
    assert (body["tag"], body["verified"]) == ("r1", True)
    assert body["fingerprint_before"] == applied["fingerprint_after"]
    assert body["fingerprint_after"] == body["fingerprint_expected"] == applied["fingerprint_before"]
    assert (body["restored"], body["conflicts"], body["conflicts_total"]) == ([], [], 0)
    assert body["receipt"] == 1
    assert shop.schema() == before


def test_rollback_with_nothing_to_undo_says_so(shop: Project) -> None:
    body = shop.json("rollback", "--to", "r1", "--yes").body
    assert body["deployments"] == []
    assert "Nothing to undo" in body["message"]


def test_a_dry_run_of_rollback_needs_no_yes_and_changes_nothing(shop: Project) -> None:
    shop.apply()
    before, schema = shop.json("status").body, shop.schema()
    body = shop.json("rollback", "--to", "r1", "--dry-run").body
    assert all(set(step) == PLANNED for step in body["plan"])
    assert any("DROP TABLE" in step["sql"] for step in body["plan"])
    assert body["receipt"] is None
    assert (shop.json("status").body, shop.schema()) == (before, schema)


def test_rollback_to_a_deployment_leaves_that_deployment_in_effect(shop: Project) -> None:
    shop.apply()
    shop.write("003_more.sql", "create table more (id integer primary key);")
    shop.apply()
    assert shop.json("rollback", "--deployment", "2", "--yes").body["deployments"] == [3]
    assert shop.json("status").body["applied"] == ["001_people", "002_places"]


@pytest.mark.parametrize("place", [("--count", "1"), ("--to-changeset", "002_places")])
def test_a_granular_deployment_can_be_returned_into(shop: Project, place: tuple[str, str]) -> None:
    shop.write("003_more.sql", "create table more (id integer primary key);")
    shop.apply("--granular")
    assert shop.json("rollback", *place, "--yes").body["verified"]
    assert shop.json("status").body["applied"] == ["001_people", "002_places"]


def test_a_place_inside_a_plain_deployment_is_refused_with_the_nearest_tag(shop: Project) -> None:
    shop.write("003_more.sql", "create table more (id integer primary key);")
    shop.apply()
    result = shop.json("rollback", "--count", "1", "--yes")
    assert (result.exit, result.error["code"]) == (3, "not_granular")
    assert "rollback --to r1" in result.error["hint"]


def test_a_database_can_be_tagged_before_the_first_deployment_and_returned_to(project: Project) -> None:
    assert project.json("tag", "empty").body["tag"] == "empty"
    before = project.schema()
    project.write("001_a.sql", "create table a (id integer primary key);")
    assert project.apply().body["previous_tag"] == "empty"
    assert project.json("rollback", "--to", "empty", "--yes").body["verified"]
    assert project.schema() == before


def test_a_tag_moves_only_by_wish(shop: Project) -> None:
    shop.apply("--tag", "r2")
    result = shop.json("tag", "r1")
    assert (result.exit, result.error["code"]) == (2, "tag_exists")
    body = shop.json("tag", "r1", "--move").body
    assert (body["tag"], body["moved"]) == ("r1", True)
    assert shop.json("diff", "r1", "live").body["equal"]


def test_apply_refuses_a_tag_that_is_set_before_anything_happens(shop: Project) -> None:
    before = shop.schema()
    result = shop.json("apply", "--changelog", "m", "--tag", "r1")
    assert (result.exit, result.error["code"]) == (2, "tag_exists")
    assert shop.schema() == before


def test_apply_once_more_finds_nothing_to_do_and_its_tag_where_it_is(shop: Project) -> None:
    """As does the second of several that start at once."""
    shop.apply("--tag", "r2")
    tags = shop.json("tags").body
    result = shop.json("apply", "--changelog", "m", "--tag", "r2")
    assert (result.exit, result.body["tag"], result.body["changesets"]) == (0, "r2", [])
    assert shop.json("tags").body == tags
    shop.sql("CREATE TABLE by_hand (a INTEGER)")
    result = shop.json("apply", "--changelog", "m", "--tag", "r2")
    assert (result.exit, result.error["code"]) == (2, "tag_exists")


def test_the_tags_of_deployments_that_were_rolled_back_are_free_again(shop: Project) -> None:
    shop.apply("--tag", "r2")
    assert shop.json("rollback", "--to", "r1", "--yes").exit == 0
    assert [t["tag"] for t in shop.json("tags").body["tags"]] == ["r1"]
    assert shop.apply("--tag", "r2").body["tag"] == "r2"


def test_status_tells_what_is_applied_pending_and_reachable(shop: Project) -> None:
    body = shop.json("status", "--changelog", "m").body
    assert (body["applied"], body["pending"], body["changed"]) == (["001_people"], ["002_places"], [])
    assert (body["tag"], body["drift"], body["unmanaged"], body["interrupted"]) == ("r1", [], [], [])
    assert [(t["tag"], t["behind"], t["reachable"]) for t in body["tags"]] == [("r1", 0, True)]
    assert shop.json("status").body["pending"] is None


def test_what_was_written_to_a_new_table_is_told_kept_and_comes_again(shop: Project) -> None:
    shop.apply()
    shop.sql("insert into places (id, city) values (1, 'Turin')")
    assert {t["tag"]: t["reachable"] for t in shop.json("tags").body["tags"]}["r1"] is True
    body = shop.json("rollback", "--to", "r1", "--yes").body
    assert body["verified"]
    (kept,) = body["shelved"]
    assert (kept["table"].rpartition(".")[2], kept["rows"]) == ("places", 1)
    assert kept["bytes"] > 0
    assert body["conflicts"] == []
    assert body["conflicts_total"] == 0
    assert shop.apply().body["shelved"] == []
    assert shop.sql("select id, city from places") == [(1, "Turin")]


def test_what_a_deployment_did_to_rows_is_told_and_so_is_what_came_back(shop: Project) -> None:
    shop.write("003_loud.sql", "update people set name = upper(name);")
    body = shop.apply().body
    assert body["reversibility"] == "captured"
    (kept,) = body["shelved"]
    assert (kept["table"].rpartition(".")[2], kept["rows"]) == ("people", 2)
    shop.sql("update people set name = 'Bert' where id = 2")
    shop.sql("insert into people (id, name) values (3, 'Cy')")
    body = shop.json("rollback", "--to", "r1", "--yes").body
    assert [(r["table"].rpartition(".")[2], r["rows"]) for r in body["restored"]] == [("people", 1)]
    (conflict,) = body["conflicts"]
    assert (conflict["table"].rpartition(".")[2], conflict["key"], conflict["column"]) == ("people", "id=2", "name")
    assert conflict["kept"] == "later"
    assert body["conflicts_total"] == 1
    assert shop.sql("select id, name from people order by id") == [(1, "Ada"), (2, "Bert"), (3, "Cy")]


@pytest.mark.parametrize(("wish", "second"), [("keep", "Bert"), ("restore", "Bob")])
def test_whose_value_stands_is_said_on_the_command_line(shop: Project, wish: str, second: str) -> None:
    shop.write("003_loud.sql", "update people set name = upper(name);")
    shop.apply()
    shop.sql("update people set name = 'Bert' where id = 2")
    body = shop.json("rollback", "--to", "r1", "--yes", "--on-conflict", wish).body
    assert body["conflicts_total"] == 1
    assert shop.sql("select id, name from people order by id") == [(1, "Ada"), (2, second)]


def test_a_conflict_is_refused_by_wish_before_anything_happens(shop: Project) -> None:
    shop.write("003_loud.sql", "update people set name = upper(name);")
    shop.apply()
    shop.sql("update people set name = 'Bert' where id = 2")
    before = shop.schema()
    result = shop.json("rollback", "--to", "r1", "--yes", "--on-conflict", "fail")
    assert (result.exit, result.error["code"]) == (3, "conflict")
    assert "id=2" in result.error["message"]
    assert "name" in result.error["message"]
    assert "--on-conflict" in result.error["hint"]
    assert shop.schema() == before
    assert shop.sql("select id, name from people order by id") == [(1, "ADA"), (2, "Bert")]


def test_history_lists_deployments_and_rollbacks_in_order(shop: Project) -> None:
    shop.apply("--tag", "r2")
    shop.json("rollback", "--to", "r1", "--yes")
    past = shop.json("history").body["deployments"]
    assert [(d["id"], d["kind"], d["undone"]) for d in past] == [
        (1, "apply", False),
        (2, "apply", True),
        (3, "rollback", False),
    ]
    assert past[1]["changesets"] == ["002_places"]
    assert all(d["who"] and d["started"].endswith("+00:00") for d in past)


def test_verify_holds_after_a_deployment_and_fails_after_a_change_by_hand(shop: Project) -> None:
    body = shop.json("verify").body
    assert body["equal"]
    assert body["fingerprint_a"] == body["fingerprint_b"]
    shop.sql("create table byhand (id integer primary key)")
    result = shop.json("verify")
    assert (result.exit, result.error["code"]) == (4, "drift")
    assert result.body["equal"] is False
    assert any("byhand" in d["object"] and d["change"] == "added" for d in result.body["differences"])
    assert result.body["fingerprint_a"] == body["fingerprint_a"] != result.body["fingerprint_b"]


def test_verify_against_a_tag(shop: Project) -> None:
    shop.apply("--tag", "r2")
    assert shop.json("verify", "--tag", "r2").exit == 0
    result = shop.json("verify", "--tag", "r1")
    assert (result.exit, result.error["code"]) == (4, "difference")


def test_diff_names_what_differs_between_two_tags(shop: Project) -> None:
    shop.apply("--tag", "r2")
    result = shop.json("diff", "r1", "r2")
    assert (result.exit, result.error["code"]) == (4, "difference")
    assert any("places" in d["object"] and d["change"] == "added" for d in result.body["differences"])
    assert shop.json("diff", "r2", "live").body["differences"] == []


def test_recover_has_nothing_to_do_after_a_clean_run(shop: Project) -> None:
    body = shop.json("recover").body
    assert (body["deployments"], body["tag"]) == ([], "r1")
    assert "Nothing" in body["message"]


def test_going_back_needs_no_changelog(shop: Project) -> None:
    before = shop.schema()
    shop.apply()
    for path in shop.changelog.iterdir():
        path.unlink()
    assert shop.json("rollback", "--to", "r1", "--yes").body["verified"]
    assert shop.schema() == before


ODD_NAMES = [
    'with "quotes"',
    "with 'apostrophe'",
    "two words",
    "UpperCase",
    "naïve Größe 表 😀",
    "semi;colon--dash",
    "n" * 63,
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_come_back_exactly(project: Project, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    project.write(
        f"001_{name.replace('/', '_')}.sql", f"create table {quoted} (id integer primary key, {quoted} text);"
    )
    project.apply("--tag", name)
    before = project.schema()
    project.write(
        "002_change.sql",
        f"alter table {quoted} rename column {quoted} to other;\n"
        f"create index odd on {quoted} (other);\nalter table {quoted} rename to plain;",
    )
    project.apply("--tag", f"{name} 2")
    body = project.json("rollback", "--to", name, "--yes").body
    assert (body["verified"], body["tag"]) == (True, name)
    assert project.schema() == before
    assert project.run("status").exit == project.run("history").exit == project.run("tags").exit == 0


def test_an_old_sqlite_file_is_not_made_by_a_command_that_only_looks(sqlite_project: Project) -> None:
    for command in (["status"], ["history"], ["tags"], ["verify"], ["recover"], ["rollback", "--count", "1", "--yes"]):
        result = sqlite_project.json(*command)
        assert (result.exit, result.error["code"]) == (6, "unreachable")
    assert not Path("target.db").exists()
