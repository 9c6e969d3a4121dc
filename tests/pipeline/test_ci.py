"""The files for other people's CI, run as far as that can be without the services: their scripts, with their variables set."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.conftest import AFTER, BEFORE, Folder

CI = Path(__file__).resolve().parents[2] / "examples" / "ci"
PIPELINE = """
name: shop
variables: {version: v2, fails: false}
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: schema, apply: {target: shop, changelog: shop, tag: "${{ variables.version }}"}}
      - {name: app, run: {command: "test ! -e bad"}}
"""


@pytest.fixture
def shop(folder: Folder) -> Folder:
    folder.database("shop")
    folder.write("pipeline.yaml", PIPELINE)
    return folder


def called(folder: Folder, script: str, shell: str = "bash", **environment: str) -> subprocess.CompletedProcess[str]:
    """A script as a service runs it: `-e`, with tagback on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [shell, "-e", *(["-o", "pipefail"] if shell == "bash" else []), "-c", script]
    return subprocess.run(
        command,
        cwd=folder.path,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def tags(folder: Folder) -> list[str]:
    return [t["tag"] for t in json.loads(folder.call("--url", "sqlite:///shop.db", "tags", "--json").out)["tags"]]


def of_inputs(value: str, inputs: dict[str, str], pattern: str) -> str:
    """The text with the service's own places filled."""
    return re.sub(pattern, lambda m: inputs[m[1]], value)


@pytest.mark.parametrize("good", [True, False])
def test_the_github_action_runs_a_pipeline(shop: Folder, good: bool) -> None:
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    inputs = {name: spec["default"] for name, spec in action["inputs"].items()}
    inputs |= {"variables": "version=v3\nfails=true"}
    install, run = action["runs"]["steps"]
    assert install["run"] == 'python3 -m pip install --quiet "$PACKAGE"'
    assert (action["runs"]["using"], install["shell"], run["shell"]) == ("composite", "bash", "bash")
    places = {f"inputs.{k}": v for k, v in inputs.items()} | {"github.actor": "ann"}
    environment = {k: of_inputs(v, places, r"\$\{\{ (.*?) \}\}") for k, v in run["env"].items()}
    if not good:
        shop.write("bad", "")
    done = called(shop, run["run"], GITHUB_STEP_SUMMARY=str(shop.path / "step.md"), **environment)
    assert done.returncode == (0 if good else 1), done.stderr
    assert shop.rows("shop") == (AFTER if good else BEFORE)
    assert tags(shop) == (["v1", "v3"] if good else ["v1"])
    state = "done" if good else "rolled back"
    assert f"## shop: {state}" in (shop.path / "step.md").read_text()
    reports = shop.path / "tagback-reports"
    assert xml.parse(reports / "junit.xml").find(".//testcase") is not None
    assert json.loads((reports / "events.ndjson").read_text().splitlines()[-1])["state"] == state
    (driven,) = json.loads((reports / "tagback.sarif").read_text())["runs"]
    assert driven["invocations"][0]["executionSuccessful"] is good
    assert json.loads(shop.call("pipeline", "list", "--json").out)["runs"][0]["by"] == "ann"


def test_the_github_workflow_uses_the_actions_inputs() -> None:
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    workflow = yaml.safe_load((CI / "github/release.yml").read_text())
    (step,) = [s for s in workflow["jobs"]["release"]["steps"] if s.get("uses") == "./.github/actions/tagback"]
    assert set(step["with"]) <= set(action["inputs"])


@pytest.mark.parametrize("good", [True, False])
def test_the_gitlab_component_runs_a_pipeline(shop: Folder, good: bool) -> None:
    head, body = yaml.safe_load_all((CI / "gitlab/template.yml").read_text())
    inputs = {name: spec["default"] for name, spec in head["spec"]["inputs"].items()} | {"variables": "version=v3"}

    def filled(value: Any) -> str:
        return of_inputs(str(value), inputs, r"\$\[\[ inputs\.(.*?) \]\]")

    job = body["tagback"]
    assert [filled(line) for line in job["before_script"]] == ['pip install --quiet "tagback[pipeline,postgres]"']
    environment = {k: filled(v).replace("$GITLAB_USER_LOGIN", "bob") for k, v in job["variables"].items()}
    if not good:
        shop.write("bad", "")
    done = called(shop, "\n".join(map(filled, job["script"])), "sh", **environment)
    assert done.returncode == (0 if good else 1), done.stderr
    assert tags(shop) == (["v1", "v3"] if good else ["v1"])
    kept = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
    assert all((shop.path / name).exists() for name in kept)


def test_the_jenkinsfile_runs_a_pipeline(shop: Folder) -> None:
    text = (CI / "jenkins/Jenkinsfile").read_text()
    assert text.count("{") == text.count("}")
    install, run = (textwrap.dedent(script) for script in re.findall(r"sh '''(.*?)'''", text, re.S))
    assert "pip install" in install
    done = called(shop, run, "sh", VERSION="v3", TAGBACK_CONTROL=f"sqlite:///{shop.path}/runs.db")
    assert done.returncode == 0, done.stderr
    assert tags(shop) == ["v1", "v3"]
    named = re.findall(r"(?:testResults|artifacts): '(.*?)'", text)
    assert all((shop.path / name).exists() for names in named for name in names.split(","))


def test_the_shell_script_releases_and_goes_on_with_what_was_left(shop: Folder) -> None:
    script = str(CI / "shell/release.sh")
    done = called(shop, f"{script} pipeline.yaml --var version=v3", "sh")
    assert (done.returncode, tags(shop)) == (0, ["v1", "v3"]), done.stderr
    assert "released" in done.stdout
    shop.write("shop/003_third.sql", "create table third (id integer primary key);")
    shop.write("pipeline.yaml", PIPELINE.replace("test ! -e bad", "test -e go || sleep 60"))
    process = shop.start("run", "--events", "events", "--var", "version=v4")
    while not (shop.path / "events").exists() or '"path":"one/app"' not in (shop.path / "events").read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shop.write("go", "")
    done = called(shop, script, "sh")
    assert (done.returncode, tags(shop)) == (0, ["v1", "v3", "v4"]), done.stderr
    assert "goes on" in done.stderr
    shop.write("shop/004_bad.sql", "create tabel x;")
    done = called(shop, f"{script} --var version=v5", "sh")
    assert (done.returncode, "verified" in done.stdout, tags(shop)[-1]) == (1, True, "v4")


SARIF_CASES = [
    ("create tabel t (id int);", "apply", "syntax", "error", (1, 8)),
    ("-- tagback: no-keep\ndelete from customer;", "apply", "irreversible", "error", (1, 1)),
    ("select 1;\n  select * from nowhere;", "rehearse", "statement", "error", (2, 3)),
    ("select 1;\n  select * from nowhere;", "run", "statement", "error", (2, 3)),
]


@pytest.mark.parametrize(("sql", "command", "rule", "level", "place"), SARIF_CASES)
def test_problems_of_a_changelog_are_told_as_sarif(
    shop: Folder, sql: str, command: str, rule: str, level: str, place: tuple[int, int]
) -> None:
    shop.write("shop/002_second.sql", sql)
    url = ("--url", "sqlite:///shop.db")
    calls = {
        "apply": (*url, "apply", "--changelog", "shop", "--dry-run"),
        "rehearse": (*url, "rehearse", "--changelog", "shop"),
        "run": ("pipeline", "run"),
    }
    done = shop.call(*calls[command], "--sarif", "out.sarif")
    assert done.exit != 0
    report = json.loads((shop.path / "out.sarif").read_text())
    (run,) = report["runs"]
    assert (report["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "tagback")
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == (rule, level)
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "shop/002_second.sql"
    assert (physical["region"]["startLine"], physical["region"]["startColumn"]) == place
    assert run["tool"]["driver"]["rules"] == [{"id": rule}]


def test_a_mistake_in_a_pipeline_file_is_told_as_sarif(shop: Folder) -> None:
    shop.write("deep/pipeline.yaml", PIPELINE.replace("target: shop,", "target: shp,"))
    assert shop.call("pipeline", "validate", "deep/pipeline.yaml", "--sarif", "out.sarif").exit == 2
    (result,) = json.loads((shop.path / "out.sarif").read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "deep/pipeline.yaml"


def test_sarif_that_cannot_be_written_is_told_before_anything_happens(shop: Folder) -> None:
    done = shop.call("--url", "sqlite:///shop.db", "apply", "--changelog", "shop", "--sarif", "no/such/x", "--json")
    assert (done.exit, done.body["error"]["code"]) == (2, "output")
    assert shop.rows("shop") == BEFORE
