"""What is on the shelf can be read with plain SQL, under the table's own names."""

from __future__ import annotations

from tests.cli.conftest import Project

ODD = '"Odd ""name"'


def _queries(project: Project) -> dict[str, str]:
    listed = project.json("shelf", "ls").body["shelf"]
    printed = project.run("shelf", "ls", "--sql")
    assert printed.exit == 0
    for v in listed:
        assert f"{v['sql']};" in printed.out
    return {v["table"].removeprefix("public."): v["sql"] for v in listed}


def test_kept_rows_are_read_under_their_own_names(project: Project) -> None:
    project.write(
        "001_tables.sql",
        'create table "Odd ""name" (region text not null, "No" integer not null, "change" text, price integer,'
        ' primary key ("No", region));'
        "create table gone (id integer primary key, note text);"
        "create table keyless (what text);",
    )
    project.apply("--tag", "r1")
    project.sql(
        """insert into "Odd ""name" values ('north', 1, 'a', 10), ('south', 2, 'b', 20), ('south', 3, 'c', 30)"""
    )
    project.sql("insert into gone values (1, 'x'), (2, 'y')")
    project.sql("insert into keyless values ('same'), ('same'), ('other')")
    project.write(
        "002_change.sql",
        """update "Odd ""name" set price = price + 1 where "No" = 1; delete from "Odd ""name" where "No" = 2;"""
        "drop table gone; delete from keyless where what = 'same';",
    )
    project.apply("--tag", "r2")
    queries = _queries(project)
    odd = project.sql(queries[ODD] + " ORDER BY 2")
    assert odd == [("changed", "north", 1, None, 10, "0001"), ("gone", "south", 2, "b", 20, None)]
    assert sorted(row[-2:] for row in project.sql(queries["gone"])) == [(1, "x"), (2, "y")]
    assert project.sql(queries["keyless"]) == [("gone", "same")] * 2


def test_a_place_says_what_it_holds(project: Project) -> None:
    if project.url.startswith("sqlite"):
        return  # nothing can be said of a table there
    project.write("001_tables.sql", "create table people (id integer primary key, name text);")
    project.apply("--tag", "r1")
    project.sql("insert into people values (1, 'Ada')")
    project.write("002_change.sql", "update people set name = 'Bob';")
    project.apply("--tag", "r2")
    told = project.sql("select obj_description(to_regclass('tagback.shelf_2_1_1'))")
    assert told == [("rows of public.people that tagback keeps (tagback shelf ls): k0 id, v0 id, v1 name",)]


def test_nothing_kept_has_no_queries(project: Project) -> None:
    project.write("001_a.sql", "create table a (id integer primary key);")
    project.apply()
    assert project.run("shelf", "ls", "--sql").out.strip() == "Nothing is kept."
