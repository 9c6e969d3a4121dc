"""A mistake in a pipeline file is told with its place and with what was expected; nothing is connected to before."""

from __future__ import annotations

import json

import pytest

from tests.pipeline.conftest import Folder

GOOD = """name: shop
targets:
  shop: {url: "sqlite:///shop.db"}
stages:
  - name: one
    steps:
      - name: schema
        apply: {target: shop, changelog: shop}
"""


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            GOOD.replace("changelog: shop", "changelogs: shop"),
            "8:31",
            "Unknown key 'changelogs'. Did you mean changelog?",
        ),
        (GOOD.replace("target: shop, ", ""), "8:9", "The key `target` is missing."),
        (GOOD.replace("target: shop", "target: shp"), "8:9", "There is no target shp. The file's targets: shop."),
        (GOOD + "        run: {command: ls}\n", "7:9", "Apply and run exclude each other."),
        (
            GOOD.replace("apply: {target: shop, changelog: shop}", "wait: {for: soon}"),
            "8:9",
            "'soon' is no length of time",
        ),
        (GOOD.replace("- name: one", "- name: [1]"), "5:5", "Expected `str`, got `array`."),
        (GOOD + "      - name: schema\n        wait: {for: 1}\n", "9:9", "There are two steps schema."),
        (GOOD + "      - {name: b, needs: [z], wait: {for: 1}}\n", "9:27", "z is no step beside b."),
        (GOOD.replace("name: schema", "name: a b"), "7:9", "'a b' is no name"),
        (GOOD + "  - {name: two, needs: [nine], steps: []}\n", "9:25", "There is no stage nine."),
        (GOOD + "on_failure: [{do: pray}]\n", "9:15", "Invalid enum value 'pray'"),
        (GOOD + "on_failure: [{do: retry, errors: [bad_luck]}]\n", "9:14", "no error type is called 'bad_luck'"),
        (
            GOOD + "      - {name: a, needs: [b], wait: {for: 1}}\n      - {name: b, needs: [a], wait: {for: 1}}\n",
            "6:5",
            "in a circle: a, b.",
        ),
        (GOOD + "        parallel: 2\n", "7:9", "parallel is 1 or more, and stands at a group"),
        (GOOD + "      - {name: g, timeout: 1s, steps: []}\n", "9:9", "a group has no timeout"),
        (GOOD + "      - {name: b, when: steps.schma.ok, wait: {for: 1}}\n", "9:19", "Did you mean schema?"),
        (GOOD + "      - {name: b, when: 'a ==', wait: {for: 1}}\n", "9:19", "`a ==` is no expression"),
        (GOOD + "      - {name: b, when: mode == 1, wait: {for: 1}}\n", "9:19", "names mode, which"),
        (GOOD + "      - {name: b, when: steps.schema.get('x'), wait: {for: 1}}\n", "9:19", "calls no function"),
        (
            GOOD + "      - {name: b, run: {command: '${{ secrets.K }}'}}\n",
            "9:25",
            "secrets.K, which is not in the file",
        ),
        (GOOD + "      - {name: b, run: {command: 'x', env: {A: '${{ variables.v }}'}}}\n", "9:45", "variables.v"),
        (GOOD + "      - {name: b, check: {tcp: {host: h, port: 1}, baseline: schema}}\n", "9:52", "no check schema"),
        (GOOD + "      - {name: b, matrix: {a: [x, x]}, wait: {for: 1}}\n", "9:28", "side by side"),
        (GOOD + "      - {name: b, matrix: {a: [x/y]}, wait: {for: 1}}\n", "9:28", "can't stand in names"),
        (GOOD + "      - {name: b, wait: {for: -1}}\n", "9:19", "is no length of time"),
        (GOOD + "      - {name: b, wait: {for: .inf}}\n", "9:19", "is no length of time"),
        (
            GOOD + "      - {name: b, check: {tcp: {host: h, port: 1}, fail_after: 0 consecutive}}\n",
            "9:19",
            "1 or more",
        ),
        (GOOD + "      - {name: b, approve: {by: [ann], count: 2}}\n", "9:19", "2 approvals can't be had from 1"),
        (GOOD + "on_failure: [{do: retry, times: 0}]\n", "9:14", "times is 1 or more"),
        ("name: &a [*a]\n", "", "contains itself"),
        (GOOD + "control: 2024-13-45\n", "9:10", "'2024-13-45' reads as timestamp, and is none."),
        (GOOD + "variables: {a: 1, b: !!int abc}\n", "9:22", "reads as int, and is none"),
        (GOOD + f"variables: {{b: {'9' * 5000}}}\n", "9:16", "reads as int, and is none"),
        ("name: " + "[" * 5000, "", "nested too deeply"),
        (GOOD + "variables: {a: 1, day: 2024-01-01}\n", "9:19", "got `date`"),
        (GOOD + "variables: {a: b, on: x}\n", "9:19", "A key has to be a text."),
        (GOOD + "on: 1\n", "9:1", "A key has to be a text."),
        (GOOD.replace('shop.db"}', 'shop.db"}\n  other: {url: "o"}'), "4:11", "is not a database URL"),
        (GOOD + "      - {name: b, run: {command: x, env: {A: y, B: 5}}}\n", "9:49", "Expected `str`, got `int`."),
        (GOOD + "      - {name: b, run: {command: []}}\n", "9:19", "The command is empty."),
        (GOOD + "      - {name: b, run: {command: 'echo ${{ run.id'}}\n", "9:25", "`${{` has no `}}` behind it."),
        (GOOD + "      - {name: b, rollback: {target: shop, count: 0}}\n", "9:19", "Count is 1 or more."),
        (GOOD + "      - {name: b, rollback: {target: shop, deployment: v1}}\n", "9:19", "'v1' is no deployment"),
        ("name: x\nname: y\n", "2:1", "name is there twice."),
        ("name: [1\n", "2:1", ""),
        ("", "", "Expected `object`, got `null`."),
    ],
)
def test_mistakes_have_a_place(folder: Folder, text: str, place: str, message: str) -> None:
    folder.write("pipeline.yaml", text)
    done = folder.call("pipeline", "validate", "--json")
    assert done.exit == 2
    error = done.body["error"]
    found = error.get("location", {})
    assert f"{error['message']} {error['hint']}".lower().find(message.lower()) >= 0, error
    if place:
        assert f"{found['line']}:{found['column']}" == place, error


def test_a_good_file_is_valid_and_the_schema_describes_it(folder: Folder) -> None:
    folder.write("pipeline.yaml", GOOD)
    assert folder.call("pipeline", "validate").exit == 0
    schema = json.loads(folder.call("pipeline", "schema").out)
    assert {"apply", "rollback", "check", "approve"} <= schema["$defs"]["Step"]["properties"].keys()
    assert not (folder.path / "shop.db").exists()


@pytest.mark.parametrize("name", ["no.yaml", "."])
def test_a_file_that_is_not_there(folder: Folder, name: str) -> None:
    done = folder.call("pipeline", "run", name, "--json")
    assert (done.exit, done.body["error"]["code"]) == (2, "pipeline")


def test_an_expression_that_has_no_value_fails_the_step(folder: Folder) -> None:
    folder.write("pipeline.yaml", GOOD.replace("target: shop,", 'target: shop, tag: "${{ steps.late.state }}",'))
    text = (folder.path / "pipeline.yaml").read_text()
    folder.write("pipeline.yaml", text + "      - {name: late, wait: {for: 0}}\n")
    done = folder.run()
    assert (done.exit, done.body["state"]) == (1, "failed")
    assert "late" in done.body["error"]["message"]
