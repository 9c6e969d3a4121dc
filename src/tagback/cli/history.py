"""`tagback history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import Page, local_time

if TYPE_CHECKING:
    from tagback.deploy.look import PastDeployment


@click.command("history")
@parameters.as_json
@click.pass_obj
def command(call: Call) -> Answer:
    """Lists all deployments and rollbacks, oldest first."""
    from tagback.deploy.target import Target

    with Target.open(call.settings().url) as target:
        past = target.history()
    return Answer({"deployments": [fields_of(d) for d in past]}, lambda page: _show(page, past))


def _show(page: Page, past: tuple[PastDeployment, ...]) -> None:
    if not past:
        page.line("This database was never deployed to.")
        return
    rows = [
        (str(d.id), d.kind, _outcome(d), d.tag, local_time(d.started), f"{d.who}@{d.host}", d.reversibility, _names(d))
        for d in past
    ]
    headers = ("id", "kind", "outcome", "tag", "started", "by", "way back", "changesets")
    page.table(headers, rows, [_style(d) for d in past])


def _outcome(d: PastDeployment) -> str:
    return "taken back" if d.undone else d.outcome


def _style(d: PastDeployment) -> str:
    if d.outcome == "done":
        return "dim" if d.undone else ""
    return "bad"


def _names(d: PastDeployment, limit: int = 3) -> str:
    more = f", … {len(d.changesets) - limit} more" if len(d.changesets) > limit else ""
    return ", ".join(d.changesets[:limit]) + more
