"""Whatever is wrong with the input: one clear error, its place, the right exit status, and nothing touched."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tagback.deploy.target import Target
from tests.cli.conftest import Project, Result


def link_loop(m: Path) -> None:
    (m / "002_loop.sql").symlink_to(m / "002_loop.sql")


def files(**named: bytes) -> Callable[[Path], None]:
    def write(m: Path) -> None:
        for name, content in named.items():
            (m / f"{name}.sql").write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (files(_002_latin=b"create table b (id integer);\nselect 'caf\xe9';"), "2:"),
        (files(_002_binary=b"SQLite format 3\x00\x10\x00\x01"), ""),
        (link_loop, ""),
        (files(_001_again=b"create table c (id integer);"), "1:1: "),
        (files(_002_empty=b"\n"), "1:1: "),
    ],
    ids=["not UTF-8", "binary", "link loop", "duplicate version", "empty"],
)
def test_a_bad_changelog_touches_nothing(project: Project, spoil: Callable[[Path], None], place: str) -> None:
    project.write("001_a.sql", "create table a (id integer primary key);")
    spoil(project.changelog)
    for path in project.changelog.glob("_*"):
        path.rename(path.with_name(path.name.removeprefix("_")))
    before = project.schema()
    result = project.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (2, "changelog")
    assert Path(result.error["location"]["file"]).parent.name == "m"
    told = project.run("apply", "--changelog", "m")
    assert (told.exit, told.out) == (2, "")
    assert f".sql:{place}" in told.err
    assert project.schema() == before


def test_a_changelog_that_is_not_there(sqlite_project: Project) -> None:
    assert sqlite_project.json("apply", "--changelog", "nowhere").exit == 2
    assert sqlite_project.json("apply").error["code"] == "usage"
    assert sqlite_project.json("apply", "--changelog", "").error["code"] == "usage"  # as of a variable that isn't set
    assert not Path("target.db").exists()


def test_a_deployed_file_that_changed_is_named_with_both_checksums_and_how_to_accept_it(shop: Project) -> None:
    before = shop.schema()
    shop.write("001_people.sql", "create table people (id integer primary key, name text not null); -- cosmetic")
    error = shop.json("apply", "--changelog", "m").error
    assert error["code"] == "checksum"
    assert error["location"] == {"file": "m/001_people.sql", "line": 1, "column": 1}
    assert "001_people" in error["message"]
    assert len([word for word in error["message"].replace(".", " ").split() if len(word) == 12]) == 2
    assert "--accept-changed 001_people" in error["hint"]
    assert shop.schema() == before
    assert shop.json("status", "--changelog", "m").body["changed"] == ["001_people"]
    assert shop.apply("--accept-changed", "001_people").body["changesets"] == ["002_places"]
    assert shop.json("status", "--changelog", "m").body["changed"] == []


def test_accepting_a_file_that_did_not_change_is_an_error(shop: Project) -> None:
    result = shop.json("apply", "--changelog", "m", "--accept-changed", "001_people")
    assert (result.exit, result.error["code"]) == (2, "accept_changed")


def test_a_syntax_error_is_shown_at_its_place_and_the_database_is_as_before(shop: Project) -> None:
    before = shop.schema(), shop.json("status").body
    shop.write("003_bad.sql", "create table fine (id integer);\n\n  creat table bad (id integer);\n")
    result = shop.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (1, "syntax")
    assert result.error["location"] == {"file": "m/003_bad.sql", "line": 3, "column": 3}
    assert "as it was before" in result.error["hint"]
    told = shop.run("apply", "--changelog", "m")
    assert told.err.startswith("error: m/003_bad.sql:3:3: ")
    assert (shop.schema(), shop.json("status").body) == before


def test_a_constraint_that_rows_break_has_its_own_code(shop: Project) -> None:
    shop.write("003_bad.sql", "insert into people (id, name) values (1, 'again');")
    result = shop.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (1, "constraint")
    assert shop.sql("select count(*) from people") == [(2,)]


def test_what_could_not_be_taken_back_is_refused_unless_allowed(shop: Project) -> None:
    shop.write("003_loses.sql", "-- tagback: no-keep\nupdate people set name = upper(name);")
    result = shop.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (3, "irreversible")
    assert "people" in result.error["message"]
    assert "--allow-irreversible" in result.error["hint"]
    assert shop.sql("select name from people order by id") == [("Ada",), ("Bob",)]
    assert shop.apply("--allow-irreversible").body["reversibility"] == "irreversible"
    result = shop.json("rollback", "--to", "r1", "--yes")
    assert (result.exit, result.error["code"]) == (3, "irreversible")
    assert shop.sql("select name from people order by id") == [("ADA",), ("BOB",)]


def drifted(shop: Project) -> Result:
    shop.apply("--tag", "r2")
    shop.sql("create table byhand (id integer primary key)")
    return shop.json("rollback", "--to", "r1", "--yes")


def test_drift_is_refused_and_shown(shop: Project) -> None:
    result = drifted(shop)
    assert (result.exit, result.error["code"]) == (3, "drift")
    assert "byhand" in result.error["message"]
    assert shop.sql("select count(*) from places") == [(0,)]


def test_drift_is_kept_by_wish(shop: Project) -> None:
    drifted(shop)
    body = shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "keep").body
    assert body["verified"]
    assert any("byhand" in kept for kept in body["kept_drift"])
    assert shop.sql("select count(*) from byhand") == [(0,)]


def test_drift_is_undone_by_wish(shop: Project) -> None:
    before = shop.schema()
    drifted(shop)
    assert shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "undo").body["verified"]
    assert shop.schema() == before


def test_drift_alone_that_is_taken_back_is_told_as_such(shop: Project) -> None:
    shop.sql("create table byhand (id integer primary key)")
    for how, said in (
        ("--dry-run", "would take back what was changed by hand"),
        ("--yes", "took back what was changed"),
    ):
        result = shop.run("rollback", "--to", "r1", how, "--on-drift", "undo")
        assert result.exit == 0
        assert said in result.out
        assert "0 changesets" not in result.out


def test_after_drift_was_kept_verify_compares_with_what_was_kept(shop: Project) -> None:
    drifted(shop)
    shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "keep")
    told = shop.run("verify")
    assert told.exit == 0
    assert "tag r1" not in told.out
    assert shop.json("verify", "--tag", "r1").exit == 4


def test_drift_alone_that_is_kept_is_what_verify_compares_with(shop: Project) -> None:
    shop.sql("create table byhand (id integer primary key)")
    body = shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "keep").body
    assert body["deployments"] == []
    assert "0 changesets" not in body["message"]
    assert "kept" in body["message"]
    assert shop.json("verify").exit == 0
    again = shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "keep").body
    assert again["message"].startswith("Nothing to undo")


def test_a_tag_from_which_drift_was_kept_is_reached_only_by_a_decision(shop: Project) -> None:
    drifted(shop)
    shop.json("rollback", "--to", "r1", "--yes", "--on-drift", "keep")
    (tag,) = shop.json("tags").body["tags"]
    assert not tag["reachable"]
    assert "--on-drift" in tag["reasons"][0]
    assert shop.json("rollback", "--to", "r1", "--yes").error["code"] == "drift"


@pytest.mark.parametrize(
    "arguments", [("rollback", "--to", "r3", "--yes"), ("verify", "--tag", "r3"), ("diff", "r3", "live")]
)
def test_an_unknown_tag_is_told_with_the_nearest_names(shop: Project, arguments: tuple[str, ...]) -> None:
    error = shop.json(*arguments).error
    assert error["code"] == "unknown_tag"
    assert "r1" in error["hint"]


@pytest.mark.parametrize("name", ["", "live", "a\nb", "x" * 201])
def test_a_name_that_can_not_be_a_tag(sqlite_project: Project, name: str) -> None:
    result = sqlite_project.json("tag", name)
    assert (result.exit, result.error["code"]) == (2, "tag_name")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rollback", "--deployment", "9", "--yes"), "unknown_deployment"),
        (("rollback", "--to-changeset", "009", "--yes"), "unknown_changeset"),
        (("rollback", "--count", "9", "--yes"), "count"),
        (("apply", "--changelog", "m", "--to", "009"), "unknown_changeset"),
        (("rollback", "--yes"), "usage"),
        (("rollback", "--to", "r1", "--count", "1", "--yes"), "usage"),
        (("rollback", "--count", "many"), "usage"),
        (("rollback", "--to", "r1", "--on-drift", "perhaps"), "usage"),
        (("rollback", "--to", "r1"), "confirmation"),
        (("apply", "--nonsense"), "usage"),
        (("aply",), "usage"),
        (("rehearse",), "usage"),
        (("status", "extra"), "usage"),
        ((), "usage"),
    ],
)
def test_a_wrong_call_exits_2_and_is_json_when_that_was_asked_for(
    shop: Project, arguments: tuple[str, ...], code: str
) -> None:
    before = shop.schema()
    result = shop.json(*arguments)
    assert (result.exit, result.error["code"]) == (2, code)
    assert shop.schema() == before


def test_a_misspelt_command_is_told_the_right_one(sqlite_project: Project) -> None:
    assert "apply" in sqlite_project.run("aply").err


def test_nothing_is_attested_in_a_database_that_was_never_deployed_to(project: Project) -> None:
    if project.is_sqlite:
        project.sql("create table a (id integer)")
    result = project.json("verify")
    assert (result.exit, result.error["code"]) == (2, "nothing_attested")


# ---------------------------------------------------------------------- the target


@pytest.mark.parametrize(
    "url",
    [
        "oracle://u:secret@h/db",
        "shop.db",
        "sqlite://shop.db",
        "postgresql:u:secret@h/db",
        "postgresql://u:secret@h:port/db",
    ],
)
def test_a_malformed_url_exits_2_and_shows_no_password(sqlite_project: Project, url: str) -> None:
    result = sqlite_project.json("status", url=url)
    assert result.exit == 2
    assert "secret" not in result.out + result.err


def test_a_url_in_the_wrong_place_shows_no_password(sqlite_project: Project) -> None:
    for result in (
        sqlite_project.json("postgresql://u:secret@h/db", url=""),
        sqlite_project.run("status", "postgresql://u:secret@h/db"),
    ):
        assert result.exit == 2
        assert "secret" not in result.out + result.err


def test_no_target_is_an_error_that_names_the_ways(sqlite_project: Project) -> None:
    result = sqlite_project.json("status", url="")
    assert result.exit == 2
    assert "TAGBACK_URL" in result.error["hint"]


def test_the_environment_stands_in_for_the_url(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGBACK_URL", shop.url)
    assert shop.json("status", url="").body["tag"] == "r1"
    monkeypatch.delenv("TAGBACK_URL")


@pytest.mark.parametrize("path", ["missing.db", "no/such/folder/x.db"])
def test_a_database_file_that_is_not_there_exits_6(sqlite_project: Project, path: str) -> None:
    result = sqlite_project.json("status", url=f"sqlite:///{path}")
    assert (result.exit, result.error["code"]) == (6, "unreachable")


def test_a_file_that_is_no_database_exits_6(sqlite_project: Project) -> None:
    Path("text.db").write_text("this is a text, long enough to be looked at as a header\n" * 20)
    for command in (["status"], ["tag", "x"], ["apply", "--changelog", "m"]):
        assert sqlite_project.json(*command, url="sqlite:///text.db").exit in (2, 6)
    assert sqlite_project.json("status", url="sqlite:///.").exit == 6


def test_a_server_that_does_not_answer_exits_6(sqlite_project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        result = sqlite_project.json("status", url=f"postgresql://u:secret@127.0.0.1:{port}/db")
    assert (result.exit, result.error["code"]) == (6, "unreachable")
    assert "secret" not in result.out + result.err


def test_a_database_that_the_server_does_not_have_exits_6(sqlite_project: Project, pg_url: str) -> None:
    result = sqlite_project.json("status", url=pg_url.replace("/tagback", "/nodb_tagback").rpartition("/")[0] + "/nodb")
    assert (result.exit, result.error["code"]) == (6, "unreachable")


def test_a_lock_that_somebody_else_holds_exits_6_in_time(shop: Project) -> None:
    before = shop.schema()
    with Target.open(shop.url) as other:
        other.session.lock(0)
        other.session.begin()
        for command in (["apply", "--changelog", "m"], ["rollback", "--to", "r1", "--yes"], ["tag", "x"]):
            result = shop.json(*command, "--lock-wait", "0.2")
            assert (result.exit, result.error["code"]) == (6, "lock_timeout")
        other.session.rollback()
        other.session.unlock()
    assert shop.schema() == before
    assert shop.apply().exit == 0


def test_a_connection_that_is_lost_on_the_way_exits_6_and_points_to_recover(
    sqlite_project: Project, pg_url: str
) -> None:
    project = sqlite_project
    project.url = pg_url
    project.write("001_cut.sql", "create table a (id integer);\nselect pg_terminate_backend(pg_backend_pid());")
    result = project.json("apply", "--changelog", "m")
    assert (result.exit, result.error["code"]) == (6, "lost")
    assert "recover" in result.error["hint"]
    assert project.schema() == []
    assert project.json("recover").exit == 0
