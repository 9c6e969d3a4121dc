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
def test_a_tag_is_out_of_reach_once_rows_were_written_to_a_table_that_came_after_it(shop: Project, rename: str) -> None:
    shop.write("003_rename.sql", f"{rename} create table more (id integer primary key);")
    shop.apply("--tag", "r2")
    assert _reachable(shop, "r1")
    shop.sql("insert into places (id, city) values (1, 'Rome')")
    assert not _reachable(shop, "r1")
    assert shop.json("rollback", "--to", "r1", "--yes").error["code"] == "data_loss"
    shop.sql("delete from places")
    assert _reachable(shop, "r1")
    assert shop.json("rollback", "--to", "r1", "--yes").body["verified"]


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
