# ruff: noqa: E501 - pipeline files, a line for each step
"""A secret is nowhere to be seen: not in an answer, an event, a report, a file, or the control database; in no spelling."""

from __future__ import annotations

import os

import pytest

from tests.pipeline.conftest import BEFORE, Folder, Service

SECRET = 'pa"ss wörd/%'
SPELLINGS = ('pa"ss wörd/%', 'pa\\"ss w', "pa%22ss%20w", "pa%22ss+w", "ss wörd")


def everything(folder: Folder) -> str:
    """All that is in files of the folder, but where the secret comes from."""
    files = [p for p in folder.path.rglob("*") if p.is_file() and p.name not in ("token", "pipeline.yaml")]
    return "\n".join(p.read_bytes().decode(errors="replace") for p in files)


STEPS = [
    "http: {url: '${{ variables.url }}/${{ secrets.TOKEN }}', status: 404}",
    "http: {url: '${{ secrets.TOKEN }}'}",
    'run: {command: "printf %s \\"$TOKEN\\"; exit 1", env: {TOKEN: "${{ secrets.TOKEN }}"}}',
    'run: {command: "python3 -c \'import os, json, urllib.parse as u; t = os.environ[chr(84)]; print(json.dumps(t), u.quote(t), u.quote_plus(t), repr(t))\'; exit 1", env: {T: "${{ secrets.TOKEN }}"}}',
    "run: {command: ['${{ secrets.TOKEN }}']}",
    "check: {command: {run: ['false', '${{ secrets.TOKEN }}']}}",
    "check: {http: {url: '${{ variables.url }}', contains: '${{ secrets.TOKEN }}'}}",
    "apply: {target: shop, changelog: '${{ secrets.TOKEN }}'}",
    'verify: {target: shop, tag: "${{ secrets.TOKEN }}"}',
    "run: {command: 'echo ${{ int(secrets.TOKEN) }}'}",
]
SOURCES = ["{env: MY_TOKEN}", "{command: cat token}"]


@pytest.mark.parametrize(
    ("step", "source"), [*((s, "{file: token}") for s in STEPS), *((STEPS[0], source) for source in SOURCES)]
)
def test_a_failing_step_tells_no_secret(folder: Folder, service: Service, step: str, source: str) -> None:
    folder.database("shop")
    folder.write("token", SECRET + "\n")
    folder.write(
        "pipeline.yaml",
        f"""
name: quiet
secrets: {{TOKEN: {source}}}
variables: {{url: ""}}
targets: {{shop: {{url: "sqlite:///shop.db"}}}}
stages:
  - name: one
    steps:
      - {{name: schema, apply: {{target: shop, changelog: shop}}}}
      - name: loud
        {step}
""",
    )
    environment = {**os.environ, "MY_TOKEN": SECRET, "TAGBACK_DEBUG": "0"}
    plan = folder.call("pipeline", "plan", "--var", f"url={service.url}", env=environment)
    arguments = ("--var", f"url={service.url}", "--events", "events", "--junit", "j.xml", "--markdown", "m.md")
    done = folder.run(*arguments, env=environment)
    assert done.body["state"] == "rolled back", done.err
    shown = folder.call("pipeline", "show", done.body["run"], "--json").out
    for text in (plan.out, plan.err, done.out, done.err, shown, everything(folder)):
        assert not [s for s in SPELLINGS if s in text], text
    assert folder.rows("shop") == BEFORE


@pytest.mark.parametrize("address", ["postgresql://u:hunter%402@h/d", "postgresql://u@h/d?password=hunter%402&x=1"])
def test_the_password_of_a_secret_address_is_secret_too(folder: Folder, address: str) -> None:
    folder.write(
        "pipeline.yaml",
        'name: q\nsecrets: {DB: {env: DB}}\nstages: [{name: a, steps: [{name: b, run: {command: "sh token"}}]}]\n',
    )
    folder.write("token", "echo $DB; echo hunter%402; echo hunter@2; exit 1")
    done = folder.run("--events", "events", env={**os.environ, "DB": address})
    assert done.exit == 1
    for text in (done.out, done.err, everything(folder)):
        assert "hunter" not in text


def test_a_service_that_answers_with_secrets_as_numbers_and_names_is_not_quoted(
    folder: Folder, service: Service
) -> None:
    service.body = {"pin": 4711_0815, "s3cret-name": [{"pins": [47110815.0]}], "count": 471108151}
    folder.write(
        "pipeline.yaml",
        """
name: q
secrets: {PIN: {env: PIN}, NAME: {env: NAME}}
variables: {url: ""}
stages: [{name: a, steps: [{name: b, http: {url: "${{ variables.url }}"}}, {name: c, check: {http: {url: "${{ variables.url }}", json: {"$.pin": 1}}}}]}]
""",
    )
    environment = {**os.environ, "PIN": "47110815", "NAME": "s3cret-name"}
    done = folder.run("--var", f"url={service.url}", "--events", "events", "--junit", "j.xml", env=environment)
    assert done.exit == 1, done.err
    assert done.body["steps"][0]["outputs"]["json"]["count"] == 471108151
    for text in (done.out, done.err, everything(folder)):
        assert "47110815" not in text.replace("471108151", "")
        assert "s3cret-name" not in text


def test_a_rollback_that_fails_tells_no_secret(folder: Folder) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml",
        """
name: quiet
secrets: {TOKEN: {file: token}}
targets: {shop: {url: "sqlite:///${{ secrets.TOKEN }}.db"}}
stages:
  - name: one
    steps:
      - {name: schema, apply: {target: shop, changelog: shop}}
      - {name: lose, run: {command: "rm *ret.db; false"}}
""",
    )
    folder.write("token", "s3cret")
    (folder.path / "shop.db").rename(folder.path / "s3cret.db")
    done = folder.run("--events", "events")
    assert (done.exit, done.body["state"]) == (5, "stuck"), done.err
    for text in (done.out, done.err, everything(folder)):
        assert "s3cret.db" not in text, text
