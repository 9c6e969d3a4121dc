# ruff: noqa: E501 - pipeline files, a line for each step
"""Expressions give what a reader expects of them, wherever they stand; what the command line says keeps the file's types."""

from __future__ import annotations

import pytest

from tagback.errors import UsageError
from tagback.pipeline.expressions import evaluate, filled
from tests.pipeline.conftest import BEFORE, Folder

NAMES = {
    "variables": {"items": 3, "values": "v", "a-b": 7, "a": 1},
    "steps": {"go-live": {"ok": True, "values": {"n": 5}}},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("variables.items + 1", 4),  # not the method of a dict
        ("variables.values", "v"),
        ("steps.go-live.values.n", 5),
        ("steps['go-live'].ok and not false", True),
        ("variables.a-b", 7),
        ("variables.a-1", 0),
        ("${{ variables.a }} == 1", True),
        ("max([1, 2]) in (2, 3)", True),
    ],
)
def test_an_expression_has_its_value(expression: str, value: object) -> None:
    assert evaluate(expression, NAMES) == value
    if "${{" not in expression:
        assert filled(f"${{{{ {expression} }}}}", NAMES) == value


@pytest.mark.parametrize(
    "expression",
    [
        "variables.nobody",
        "steps.go-live.values.n.more",
        "variables.get('a')",
        "variables.__class__",
        "''.join(['a'])",
        "open('/etc/passwd')",
        "round(float('inf'))",
        "10 ** 10 ** 10",
        "'a' * 10 ** 9",
        "(" * 5000,
        "-" * 50000 + "1",
        "int('9' * 9999)",
        "1 <",
        "",
    ],
)
def test_what_has_no_value_is_a_mistake_and_nothing_worse(expression: str) -> None:
    with pytest.raises(UsageError):
        evaluate(expression, NAMES)


TYPED = """
name: typed
variables: {version: 2, deploy: true, soak: 10ms, most: 5}
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: schema, when: variables.deploy, apply: {target: shop, changelog: shop, tag: "${{ variables.version }}"}}
      - {name: soak, timeout: "${{ variables.soak }}1", wait: {for: "${{ variables.soak }}"}}
      - {name: few, check: {sql: {target: shop, query: "select count(*) as n from customer", expect: "n < ${{ variables.most }}"}}}
"""


def test_numbers_become_texts_where_a_text_is_wanted(folder: Folder) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml", TYPED.replace('timeout: "${{ variables.soak }}1", ', "timeout: '${{ variables.most }}', ")
    )
    done = folder.run()
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert '"tag": "2"' in folder.call("--url", "sqlite:///shop.db", "tags", "--json").out


def test_false_on_the_command_line_is_not_a_text(folder: Folder) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", TYPED)
    done = folder.run("--var", "deploy=false", "--var", "most=1")
    assert done.states()["schema"] == "skipped", done.err
    assert folder.rows("shop") == BEFORE


@pytest.mark.parametrize(
    ("pair", "told"),
    [("verison=3", "Did you mean version?"), ("most=many", "type int"), ("deploy=perhaps", "type bool")],
)
def test_a_wrong_variable_is_refused_before_anything_runs(folder: Folder, pair: str, told: str) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", TYPED)
    for command in ("run", "plan"):
        done = folder.call("pipeline", command, "--var", pair, "--json")
        assert done.exit == 2
        assert told in str(done.body["error"])
    assert folder.rows("shop") == BEFORE
    assert not (folder.path / ".tagback").exists()
