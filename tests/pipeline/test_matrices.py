# ruff: noqa: E501 - pipeline files, a line for each step
"""What a matrix makes many is told apart: each sees what belongs to its own values, and no other's."""

from __future__ import annotations

import json

import pytest

from tests.pipeline.conftest import AFTER, BEFORE, Folder

REGIONS = """
name: regions
targets:
  shop: {url: "sqlite:///shop.db"}
  stock: {url: "sqlite:///stock.db"}
stages:
  - name: one
    steps:
      - name: both
        parallel: 2
        steps:
          - name: region
            matrix: {db: [shop, stock]}
            steps:
              - {name: before, check: {sql: {target: "${{ matrix.db }}", query: "select '${{ matrix.db }}' as db", expect: "db != ''"}}}
              - {name: schema, apply: {target: "${{ matrix.db }}", changelog: "${{ matrix.db }}"}}
              - {name: meet, run: {command: "touch ${{ matrix.db }}.met; while ! test -e shop.met -a -e stock.met; do sleep 0.05; done"}}
              - {name: told, run: {command: "echo ${{ steps.schema.target }} ${{ steps.schema.tag }}"}}
              - {name: after, check: {sql: {target: "${{ matrix.db }}", query: "select '${{ matrix.db }}' as db", expect: "db == before.db"}, baseline: before}}
      - {name: end, run: {command: "echo ${{ steps['told[shop]'].last_line }}, ${{ steps['told[stock]'].last_line }}"}}
"""


def test_each_of_a_matrixs_groups_sees_its_own_steps(folder: Folder) -> None:
    folder.database("shop")
    folder.database("stock")
    folder.write("pipeline.yaml", REGIONS)
    done = folder.run()
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    end = next(s for s in done.body["steps"] if s["path"] == "one/end")["outputs"]["last_line"]
    run = done.body["run"]
    assert end == f"shop {run}-schema[shop], stock {run}-schema[stock]"
    assert folder.rows("shop") == folder.rows("stock") == AFTER


def test_two_of_a_matrix_may_deploy_to_one_database(folder: Folder) -> None:
    folder.database("shop")
    folder.write("more/001_first.sql", (folder.path / "shop/001_first.sql").read_text())
    folder.write("more/002_second.sql", (folder.path / "shop/002_second.sql").read_text())
    folder.write("more/003_third.sql", "create table third (id integer primary key);")
    folder.write(
        "pipeline.yaml",
        """
name: parts
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: part, matrix: {of: [shop, more]}, steps: [{name: schema, apply: {target: shop, changelog: "${{ matrix.of }}"}}]}
      - {name: bad, run: {command: "false"}}
""",
    )
    done = folder.run()
    assert (done.exit, done.body["state"], done.body["failure"]["step"]) == (1, "rolled back", "one/bad"), done.err
    assert folder.rows("shop") == BEFORE


BESIDE = """
name: beside
stages:
  - name: one
    steps:
      - {name: each, matrix: {at: [eu, us]}, run: {command: "echo ${{ matrix.at }}"}}
      - {name: told, matrix: {at: [eu, us]}, when: "steps.each.ok", run: {command: "echo of ${{ steps.each.last_line }}"}}
      - {name: other, when: "EXPRESSION", run: {command: "true"}}
"""


def test_steps_with_the_same_values_see_each_other(folder: Folder) -> None:
    folder.write("pipeline.yaml", BESIDE.replace("EXPRESSION", "steps['told[us]'].last_line == 'of us'"))
    done = folder.run()
    assert set(done.states().values()) == {"done"}, done.err


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("steps.each.ok", "There are several steps each here: there is one for each at."),
        ("steps['each[asia]'].ok", "There is no step each[asia] here: there is one for each at."),
    ],
)
def test_one_of_many_has_to_be_named(folder: Folder, expression: str, message: str) -> None:
    folder.write("pipeline.yaml", BESIDE.replace("EXPRESSION", expression))
    error = json.loads(folder.call("pipeline", "validate", "--json").out)["error"]
    assert (error["message"], error["hint"]) == (message, "Possible: steps['each[eu]'], steps['each[us]'].")
    assert (error["location"]["line"], error["location"]["column"]) == (8, 23)
