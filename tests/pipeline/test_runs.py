# ruff: noqa: E501 - pipeline files, a line for each step
"""A run deploys, checks and goes on; when something fails, every database that it changed is back, verified."""

from __future__ import annotations

import json
import os
import threading
import time
import xml.etree.ElementTree as xml

import pytest

from tests.pipeline.conftest import AFTER, BEFORE, Folder, Service

SHOP = """
name: shop
variables: {version: v2, url: ""}
targets:
  shop: {url: "sqlite:///shop.db"}
stages:
  - name: deploy
    steps:
      - name: schema
        apply: {target: shop, changelog: shop, tag: "${{ variables.version }}"}
      - name: app
        run: {command: "echo ${{ steps.schema.tag_before }} to ${{ steps.schema.tag }} > app.txt"}
  - name: watch
    steps:
      - name: health
        check: {http: {url: "${{ variables.url }}/health", json: {"$.state": ok, "$.parts[0].up": true}}}
      - name: proof
        verify: {target: shop, tag: "${{ steps.schema.tag }}"}
"""


def test_a_run_deploys_and_goes_on(folder: Folder, service: Service) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", SHOP)
    done = folder.run("--var", f"url={service.url}", "--junit", "out.xml", "--markdown", "out.md")
    assert (done.exit, done.body["state"]) == (0, "done"), done.err
    assert set(done.states().values()) == {"done"}
    assert done.databases() == {"shop": "changed"}
    assert folder.rows("shop") == AFTER
    assert (folder.path / "app.txt").read_text() == "v1 to v2\n"
    assert len(xml.parse(folder.path / "out.xml").findall(".//testcase")) == 4
    assert "| deploy/schema | apply | done |" in (folder.path / "out.md").read_text()


def test_everything_goes_back_when_the_service_is_not_well(folder: Folder, service: Service) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", SHOP)
    service.status = 503
    done = folder.run("--var", f"url={service.url}")
    assert (done.exit, done.body["state"]) == (1, "rolled back")
    assert done.body["error"]["code"] == "health"
    assert "status 503" in done.body["error"]["message"]
    assert done.databases() == {"shop": "back"}
    assert folder.rows("shop") == BEFORE
    assert folder.call("--url", "sqlite:///shop.db", "verify", "--tag", "v1").exit == 0
    again = folder.run("--var", f"url={service.url}")
    assert again.body["state"] == "rolled back"
    service.status = 200
    assert folder.run("--var", f"url={service.url}").body["state"] == "done"
    assert folder.rows("shop") == AFTER


def test_what_customers_write_until_the_check_fails_stays(folder: Folder, service: Service) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml",
        SHOP.replace(
            '"$.parts[0].up": true}}}', '"$.parts[0].up": true}}, for: 20s, every: 200ms, fail_after: 2 consecutive}'
        ),
    )

    def live() -> None:
        while len(service.asked) < 3:
            time.sleep(0.05)
        folder.sql(
            "shop", "insert into customer (id, name) values (3, 'Cyd'); update customer set name = 'Ava' where id = 1"
        )
        service.body = {"state": "down", "parts": []}

    thread = threading.Thread(target=live)
    thread.start()
    done = folder.run("--var", f"url={service.url}")
    thread.join()
    assert done.body["state"] == "rolled back"
    assert folder.rows("shop") == [(1, "Ava"), (2, "Bob"), (3, "Cyd")]
    assert "back to the start without loss? shop: yes" in done.err


def test_a_rollback_that_fails_is_not_hidden(folder: Folder, service: Service) -> None:
    folder.write(
        "shop/001.sql", "create table t (id integer primary key, a text unique); insert into t values (1, 'x');"
    )
    folder.call("--url", "sqlite:///shop.db", "apply", "--changelog", "shop", "--tag", "v1")
    folder.write("shop/002.sql", "create table n (id integer primary key, a text); insert into n select * from t; drop table t; alter table n rename to t;")  # fmt: skip
    service.status = 500
    late = "      - name: twins\n        run: {command: \"python3 -c \\\"import sqlite3; c = sqlite3.connect('shop.db'); c.execute('insert into t values (2, 1), (3, 1)'); c.commit()\\\"\"}\n"  # fmt: skip
    folder.write("pipeline.yaml", SHOP.replace("  - name: watch", late + "  - name: watch"))
    done = folder.run("--var", f"url={service.url}")
    assert (done.exit, done.body["state"]) == (5, "stuck"), done.err
    assert done.databases() == {"shop": "not back"}
    assert "UNIQUE" in done.body["databases"][0]["detail"]
    assert done.body["failure"]["error"]["type"] == "health"


def test_what_a_step_took_back_itself_counts_as_back(folder: Folder) -> None:
    folder.database("shop")
    late = "      - {name: back, rollback: {target: shop}}\n      - {name: bad, run: {command: 'false'}}\n"
    folder.write("pipeline.yaml", SHOP.split("  - name: watch", maxsplit=1)[0] + late)
    done = folder.run()
    assert (done.exit, done.body["state"], done.databases()) == (1, "rolled back", {"shop": "back"}), done.err
    assert folder.rows("shop") == BEFORE


def test_what_a_step_took_back_to_a_named_place_is_told_as_changed(folder: Folder) -> None:
    folder.database("shop")
    assert folder.call("--url", "sqlite:///shop.db", "apply", "--changelog", "shop", "--tag", "v2").exit == 0
    steps = "- {name: back, rollback: {target: shop, to: v1}}\n      - {name: bad, run: {command: 'false'}}\n"
    text = "name: x\ntargets: {shop: {url: 'sqlite:///shop.db'}}\nstages:\n  - name: a\n    steps:\n      "
    folder.write("pipeline.yaml", text + steps)
    done = folder.run()
    assert (done.exit, done.body["state"], done.databases()) == (1, "failed", {"shop": "changed"}), done.err
    assert done.body["databases"][0]["detail"] == "a step took it back to v1, receipt 1"
    assert done.body["error"]["hint"] == "shop stands as the run changed it."
    assert folder.rows("shop") == BEFORE
    folder.write("pipeline.yaml", text + "- {name: forth, apply: {target: shop, changelog: shop}}\n      " + steps)
    done = folder.run()  # what the run deployed itself goes back, and that it was taken back already is no obstacle
    assert (done.exit, done.body["state"], set(done.databases().values())) == (1, "rolled back", {"back"}), done.err
    assert folder.rows("shop") == BEFORE


@pytest.mark.parametrize("again", [True, False])
def test_below_what_the_run_found_is_where_a_step_took_it(folder: Folder, again: bool) -> None:
    """What the step took back stays so: the place that the run found is gone with it. What came since goes back."""
    folder.database("shop")
    folder.database("stock")
    assert folder.call("--url", "sqlite:///shop.db", "apply", "--changelog", "shop", "--tag", "v2").exit == 0
    folder.write("shop/003_third.sql", "create table third (id integer primary key);")
    text = """
name: below
targets: {shop: {url: "sqlite:///shop.db"}, stock: {url: "sqlite:///stock.db"}}
stages:
  - name: a
    steps:
      - {name: up, apply: {target: shop, changelog: shop, tag: v3}}
      - {name: stock, apply: {target: stock, changelog: stock}}
      - {name: down, rollback: {target: shop, to: v1}}
"""
    more = "      - {name: again, apply: {target: shop, changelog: shop}}\n" if again else ""
    folder.write("pipeline.yaml", text + more + "      - {name: bad, run: {command: 'false'}}\n")
    done = folder.run()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    stands = [(d["step"], d["state"]) for d in done.body["databases"] if d["target"] == "shop"]
    assert stands == [("a/up", "back"), ("a/down", "changed"), *([("a/again", "back")] if again else [])]
    assert done.body["databases"][0]["detail"] == "a step took it back, below v2"
    assert done.body["error"]["hint"].endswith("shop stands as the run changed it.")
    assert folder.rows("shop") == folder.rows("stock") == BEFORE
    assert folder.call("--url", "sqlite:///shop.db", "verify", "--tag", "v1").exit == 0


PLACES = """
name: places
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: a
    steps:
      - {name: up, apply: {target: shop, changelog: shop, tag: v2}}
      - {name: nothing, apply: {target: shop, changelog: shop, tag: v3}}
      - {name: look, preview: {rollback: {target: shop}, file: preview.json}}
      - {name: back, rollback: {target: shop, deployment: "${{ steps.nothing.deployment }}"}, on_failure: [{do: ignore}]}
"""


def test_a_place_without_a_value_is_not_the_runs_start(folder: Folder) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", PLACES)
    done = folder.run()
    assert done.exit == 0, done.err
    assert done.body["steps"][-1]["error"]["message"] == "The place to go back to has no value."
    assert folder.rows("shop") == AFTER
    shown = json.loads((folder.path / "preview.json").read_text())
    assert (shown["deployments"], shown["tag"]) == ([2], "v1")


TWO = """
name: both
targets:
  shop: {url: "sqlite:///shop.db"}
  stock: {url: "sqlite:///stock.db"}
stages:
  - name: deploy
    steps:
      - name: schemas
        parallel: 2
        steps:
          - name: schema-shop
            apply: {target: shop, changelog: shop}
          - name: schema-stock
            apply: {target: stock, changelog: stock}
  - name: after
    steps:
      - name: app
        run: {command: "%s"}
"""


def test_two_databases_go_back_together(folder: Folder) -> None:
    for name in ("shop", "stock"):
        folder.database(name)
    folder.write("pipeline.yaml", TWO % "echo this is bad; exit 3")
    done = folder.run()
    assert (done.exit, done.body["error"]["code"]) == (1, "command")
    assert "ended with 3: this is bad" in done.body["error"]["message"]
    assert done.databases() == {"shop": "back", "stock": "back"}
    assert folder.rows("shop") == folder.rows("stock") == BEFORE


def test_one_database_fails_and_both_are_back(folder: Folder) -> None:
    for name in ("shop", "stock"):
        folder.database(name)
    folder.write("stock/002_second.sql", "alter table customer add column mail text; insert into nowhere values (1);")
    folder.write("pipeline.yaml", TWO % "true")
    done = folder.run()
    assert done.exit == 1
    assert "no such table: nowhere" in done.body["error"]["message"]
    assert folder.rows("shop") == folder.rows("stock") == BEFORE
    assert done.databases()["stock"] == "unchanged"


def test_conditions_matrices_needs_and_outputs(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml",
        """
name: odd
variables: {deploy: "no"}
stages:
  - name: one
    steps:
      - {name: skipped, when: "variables.deploy == 'yes'", run: {command: "false"}}
      - name: many
        parallel: 3
        steps:
          - {name: last, needs: [each], run: {command: "ls out > list; cat list"}}
          - {name: each, matrix: {region: [eu, us], size: [1, 2]}, run: {command: "mkdir -p out; touch out/${{ matrix.region }}-${{ matrix.size }}"}}
      - {name: told, when: "steps.skipped.state == 'skipped'", run: {command: "echo got ${{ steps.last.last_line }}"}}
  - {name: never, when: "steps.told.last_line == 'nothing'", steps: [{name: bad, run: {command: "false"}}]}
""",
    )
    done = folder.run()
    assert done.exit == 0, done.err
    assert (folder.path / "list").read_text().split() == ["eu-1", "eu-2", "us-1", "us-2"]
    told = next(s for s in done.body["steps"] if s["path"] == "one/told")
    assert told["outputs"]["last_line"] == "got us-2"
    assert done.states()["bad"] == "skipped"


def test_secrets_are_used_and_never_shown_or_kept(folder: Folder, service: Service) -> None:
    folder.write(
        "pipeline.yaml",
        """
name: quiet
secrets: {TOKEN: {file: token}, KEY: {env: MY_KEY}}
variables: {url: ""}
stages:
  - name: one
    steps:
      - {name: shout, run: {command: "echo ${{ secrets.TOKEN }} $MY_KEY and ${{ secrets.KEY }}; exit 1"}, on_failure: [{do: ignore}]}
      - {name: call, http: {url: "${{ variables.url }}/hook", headers: {X: "${{ secrets.TOKEN }}"}, body: "${{ secrets.TOKEN }}"}}
      - {name: tell, notify: {webhook: "${{ variables.url }}/chat", body: '{"text": "${{ steps.shout.state }}"}'}}
""",
    )
    folder.write("token", "s3cr3t-value\n")
    done = folder.run("--var", f"url={service.url}", "--events", "events", env={**os.environ, "MY_KEY": "k3y-value"})
    assert done.exit == 0, done.err
    assert ("POST", "/hook", "s3cr3t-value") in service.asked
    assert ("POST", "/chat", '{"text": "ignored"}') in service.asked
    stored = (folder.path / ".tagback" / "runs.db").read_bytes() + (folder.path / "events").read_bytes()
    for text in (done.out, done.err, stored.decode(errors="replace")):
        assert "s3cr3t-value" not in text
        assert "k3y-value" not in text
    assert "*** *** and ***" in done.err


def test_a_plan_shows_the_sql_and_changes_nothing(folder: Folder, service: Service) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", SHOP)
    told = folder.call("pipeline", "plan")
    assert told.exit == 0, told.err
    assert "1 pending, way back: captured" in told.out
    assert "alter table customer add column mail text" in told.out
    assert folder.rows("shop") == BEFORE
    assert not (folder.path / ".tagback").exists()


def test_a_tag_is_set_and_found_when_nothing_is_pending(folder: Folder, service: Service) -> None:
    folder.database("shop")
    folder.write("pipeline.yaml", SHOP)
    url = ("--var", f"url={service.url}")
    assert folder.run(*url).exit == 0
    assert folder.run(*url).exit == 0
    done = folder.run(*url, "--var", "version=v3")
    assert (done.exit, done.databases()) == (0, {"shop": "unchanged"})
    tags = json.loads(folder.call("--url", "sqlite:///shop.db", "tags", "--json").out)["tags"]
    assert [t["tag"] for t in tags] == ["v1", "v2", "v3"]


def test_a_run_takes_little_longer_than_its_steps(folder: Folder) -> None:
    steps = "".join(f"      - {{name: s{n}, wait: {{for: 0}}}}\n" for n in range(40))
    folder.write("pipeline.yaml", f"name: quick\nstages:\n  - name: one\n    steps:\n{steps}")
    done = folder.run("--events", "events")
    assert done.exit == 0, done.err
    *_, last = (json.loads(line) for line in (folder.path / "events").read_text().splitlines())
    assert last["event"] == "run_ended"
    assert last["seconds"] / 40 < 0.25  # a loaded machine; an idle one takes a tenth of it


@pytest.mark.parametrize("baseline", [True, False])
def test_a_baseline_is_compared_with(folder: Folder, baseline: bool) -> None:
    folder.database("shop")
    folder.write("shop/002_second.sql", "delete from customer where id = 2;" if baseline else "select 1;")
    folder.write(
        "pipeline.yaml",
        """
name: counted
targets: {shop: {url: "sqlite:///shop.db"}}
stages:
  - name: one
    steps:
      - {name: before, check: {sql: {target: shop, query: "select count(*) as n from customer", expect: "n > 0"}}}
      - {name: schema, apply: {target: shop, changelog: shop}}
      - {name: after, check: {sql: {target: shop, query: "select count(*) as n from customer", expect: "n >= before.n"}, baseline: before}}
""",
    )
    done = folder.run()
    assert done.body["state"] == ("rolled back" if baseline else "done"), done.err
    assert folder.rows("shop") == BEFORE


@pytest.mark.parametrize(
    "step",
    [
        '{name: odd, run: {command: ["echo", "\\0"]}}',
        '{name: odd, when: "steps.schema.nothing", run: {command: "true"}}',
        '{name: odd, when: "round(float(\'inf\')) > 1", run: {command: "true"}}',
        '{name: odd, run: {command: "echo ${{ 1 / 0 }}"}}',
        "{name: odd, check: {tcp: {host: localhost, port: 1}}}",
        '{name: odd, check: {http: {url: "ftp://x"}}}',
    ],
)
def test_whatever_fails_after_a_deployment_takes_it_back(folder: Folder, step: str) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml",
        f"""
name: odd
targets: {{shop: {{url: "sqlite:///shop.db"}}}}
stages:
  - {{name: one, steps: [{{name: schema, apply: {{target: shop, changelog: shop}}}}]}}
  - name: two
    steps:
      - {step}
""",
    )
    done = folder.run()
    assert (done.exit, done.body["state"]) == (1, "rolled back"), done.err
    assert folder.rows("shop") == BEFORE


def test_a_stage_whose_condition_has_no_value_takes_back_too(folder: Folder) -> None:
    folder.database("shop")
    folder.write(
        "pipeline.yaml",
        SHOP.split("  - name: watch", maxsplit=1)[0]
        + "  - {name: two, when: steps.schema.nothing, steps: [{name: w, wait: {for: 0}}]}\n",
    )
    assert folder.run().body["state"] == "rolled back"
    assert folder.rows("shop") == BEFORE


def test_runs_are_found_by_the_pipelines_file(folder: Folder) -> None:
    folder.write("deep er/pipeline.yaml", "name: quick\nstages: [{name: one, steps: [{name: w, wait: {for: 0}}]}]\n")
    missing = folder.call("pipeline", "list", "--file", "deep er/pipeline.yaml", "--json")
    assert (missing.exit, missing.body["error"]["code"]) == (2, "no_runs")
    assert folder.run("deep er/pipeline.yaml").exit == 0
    assert (folder.path / "deep er" / ".tagback" / "runs.db").exists()
    (run,) = json.loads(folder.call("pipeline", "list", "--file", "deep er/pipeline.yaml", "--json").out)["runs"]
    shown = folder.call("pipeline", "show", run["run"], "--file", "deep er/pipeline.yaml")
    assert "one/w" in shown.out
    assert folder.run("deep er/pipeline.yaml", "--control", "sqlite:///other.db").exit == 0
    assert (folder.path / "other.db").exists()


def test_where_runs_are_kept_may_be_an_expression(folder: Folder) -> None:
    folder.write(
        "pipeline.yaml",
        """
name: quick
secrets: {RUNS: {env: RUNS}}
control: "sqlite:///${{ secrets.RUNS }}.db"
stages: [{name: one, steps: [{name: w, wait: {for: 0}}]}]
""",
    )
    environment = {**os.environ, "RUNS": "kept"}
    assert folder.run(env=environment).exit == 0
    assert (folder.path / "kept.db").exists()
    assert len(json.loads(folder.call("pipeline", "list", "--json", env=environment).out)["runs"]) == 1
    missing = folder.call("pipeline", "list", "--json")
    assert (missing.exit, missing.body["error"]["code"]) == (2, "secret")


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "jdbc:mysql"])
def test_a_control_database_is_of_a_kind_that_can_be_one(folder: Folder, scheme: str) -> None:
    folder.write("pipeline.yaml", "name: quick\nstages: [{name: one, steps: [{name: w, wait: {for: 0}}]}]\n")
    refused = folder.run("--control", f"{scheme}://root@127.0.0.1:1/runs")
    assert (refused.exit, refused.body["error"]["code"]) == (2, "control")


def test_a_plan_says_what_a_target_would_refuse(folder: Folder) -> None:
    folder.database("shop")
    strict = SHOP.replace('url: "sqlite:///shop.db"', 'url: "sqlite:///shop.db", at_worst: free')
    folder.write("pipeline.yaml", strict)
    assert "it would be refused: at shop the way back has to be free" in folder.call("pipeline", "plan").out
    done = folder.run()
    assert (done.exit, done.body["error"]["code"]) == (1, "policy")
    assert "would be captured; here it has to be free." in done.body["error"]["message"]
    assert folder.rows("shop") == BEFORE
    folder.write("pipeline.yaml", strict.replace("at_worst: free", "at_worst: captured"))
    assert "refused" not in folder.call("pipeline", "plan").out
