"""What is pending is tried there and back in a scratch database, and the target is only read."""

from __future__ import annotations

import glob
import signal
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Project
from tests.support.postgres import PostgresServer

NAMES = "select datname from pg_database where datname like 'tagback_rehearsal%'"


def left(project: Project) -> list[str]:
    """Scratch databases that are there."""
    if project.is_sqlite:
        return glob.glob(f"{project.folder}/temporary/tagback-rehearsal-*")
    return [str(name) for (name,) in project.sql(NAMES)]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files of one's own, to see whether any are left."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def rich(shop: Project) -> Project:
    """A target with more than a table, and changesets that change all of it."""
    shop.sql("create view names as select name from people")
    shop.sql("create index by_name on people (name) where name <> 'it''s; '")
    shop.sql(
        'create table "Ödd ""name""" ("a b" integer default 7 check ("a b" > 0), "ref" integer references people (id))'
    )
    shop.sql("create table places_old (id integer primary key)")
    shop.write("003_names.sql", 'drop view names; alter table people rename column name to "Full Name";')
    shop.write("004_drop.sql", 'drop table places_old; alter table "Ödd ""name""" drop column ref;')
    return shop


def test_there_and_back_and_there(rich: Project) -> None:
    schema, rows = rich.schema(), rich.sql("select * from people order by 1")
    status = rich.json("status").body
    body = rich.json("rehearse", "--changelog", "m").body
    assert body["changesets"] == ["002_places", "003_names", "004_drop"]
    assert body["fingerprint_target"] == body["fingerprint_built"] == body["fingerprint_back"]
    assert body["fingerprint_after"] != body["fingerprint_target"]
    assert (rich.schema(), rich.sql("select * from people order by 1")) == (schema, rows)
    assert rich.json("status").body["fingerprint"] == status["fingerprint"]
    assert left(rich) == []
    assert rich.apply("--tag", "r2").body["fingerprint_after"] == body["fingerprint_after"]


def test_a_person_is_shown_it(rich: Project) -> None:
    told = rich.run("rehearse", "--changelog", "m", "--to", "003_names")
    assert told.exit == 0
    assert "✓ 2 changesets can be deployed, taken back, and deployed again." in told.out
    assert "= the target's" in told.out


def test_with_nothing_pending_it_shows_that_the_schema_can_be_built_again(rich: Project) -> None:
    rich.apply()
    body = rich.json("rehearse", "--changelog", "m").body
    assert (body["changesets"], body["reversibility"]) == ([], None)
    assert body["fingerprint_built"] == body["fingerprint_target"]


def test_before_the_first_deployment(project: Project) -> None:
    project.sql("create table old (id integer primary key)")
    project.write("001_new.sql", "create table new (id integer primary key references old (id));")
    assert project.json("rehearse", "--changelog", "m").exit == 0
    assert project.json("status").body["tag"] == ""
    assert not [row for row in project.schema() if "tagback" in str(row)]


def test_what_fails_is_told_with_its_place_and_nothing_is_left(rich: Project) -> None:
    schema = rich.schema()
    rich.write("005_bad.sql", "create table fine (id integer);\ncreate tabel bad (id integer);\n")
    told = rich.json("rehearse", "--changelog", "m")
    assert told.exit == 4
    assert told.error["code"] == "syntax"
    assert told.error["message"].startswith("Deploying failed in the scratch database: ")
    assert told.error["location"]["line"] == 2
    assert rich.schema() == schema
    assert left(rich) == []


def test_what_can_not_be_taken_back_fails(sqlite_project: Project) -> None:
    sqlite_project.sql("create table t (a integer)")
    sqlite_project.write(
        "001_x.sql",
        "create virtual table f using fts5 (a); create virtual table v using fts5vocab (f, row); drop table t;",
    )
    sqlite_project.write("002_x.sql", "drop table v;")
    assert sqlite_project.json("rehearse", "--changelog", "m").exit == 0  # it comes and goes
    sqlite_project.sql("create virtual table f2 using fts5 (a)")
    sqlite_project.sql("create virtual table v2 using fts5vocab (f2, row)")
    told = sqlite_project.json("rehearse", "--changelog", "m")
    assert (told.exit, told.error["code"]) == (3, "unmanaged")
    assert "v2" in told.error["message"]


def test_bad_use_is_told(sqlite_project: Project) -> None:
    sqlite_project.sql("create table t (a integer)")
    assert sqlite_project.json("rehearse").exit == 2
    assert sqlite_project.json("rehearse", "--changelog", "nowhere").exit == 2
    sqlite_project.write("001_x.sql", "create table u (a integer);")
    other = sqlite_project.json("rehearse", "--changelog", "m", "--scratch", "postgresql://nobody@localhost/x")
    assert (other.exit, other.error["code"]) == (2, "rehearsal")
    no_folder = sqlite_project.json("rehearse", "--changelog", "m", "--scratch", "sqlite:///m/001_x.sql")
    assert (no_folder.exit, no_folder.error["code"]) == (2, "rehearsal")
    assert sqlite_project.json("rehearse", "--changelog", "m", url="sqlite:///nowhere.db").exit == 6


def test_who_may_not_make_databases_is_told_what_to_do(shop: Project, postgres_server: PostgresServer) -> None:
    if shop.is_sqlite:
        folder = shop.folder / "scratch"
        folder.mkdir()
        assert shop.json("rehearse", "--changelog", "m", "--scratch", f"sqlite:///{folder}").exit == 0
        assert list(folder.iterdir()) == []
        return
    database = shop.url.rpartition("/")[2]
    role = f"plain_{database}"
    shop.sql(f'create role "{role}" login; grant usage on schema tagback to "{role}"')
    shop.sql(f'grant select on all tables in schema tagback to "{role}"')
    told = shop.json("rehearse", "--changelog", "m", url=postgres_server.url(database, role))
    shop.sql(f'drop owned by "{role}"; drop role "{role}"')
    assert (told.exit, told.error["code"]) == (3, "privilege")
    assert "CREATEDB" in told.error["hint"]
    assert shop.json("rehearse", "--changelog", "m", "--scratch", postgres_server.url()).exit == 0


def test_sigterm_leaves_no_scratch_database(rich: Project) -> None:
    if rich.is_sqlite:
        rich.write(
            "006_long.sql",
            "create table long as with recursive n(a) as (select 1 union all select a + 1 from n"
            " limit 1000000000) select sum(a) as s from n;",
        )
    else:
        rich.write("006_long.sql", "select pg_sleep(60);")
    process = rich.start("rehearse", "--changelog", "m")
    try:
        deadline = time.monotonic() + 30
        while not left(rich) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, told[0]) == (130, "")
    assert "Interrupted; nothing was touched." in told[1]
    assert left(rich) == []


def test_what_was_left_behind_long_ago_goes(pg_url: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    shop = Project(tmp_path, pg_url)
    shop.write("001_a.sql", "create table a (id integer);")
    old, young = (
        f"tagback_rehearsal_{int(time.time()) - 4000}_0badcafe",
        f"tagback_rehearsal_{int(time.time())}_0badcafe",
    )
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f'create database "{old}"'.encode())
        admin.execute(f'create database "{young}"'.encode())
        assert shop.json("rehearse", "--changelog", str(shop.changelog)).exit == 0
        assert left(shop) == [young]
        admin.execute(f'drop database "{young}"'.encode())
