"""`tagback tags`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import Page, local_time, short

if TYPE_CHECKING:
    from tagback.deploy.look import TagView


@click.command("tags")
@parameters.within
@parameters.as_json
@click.pass_obj
def command(call: Call, status_within: float | None) -> Answer:
    """Lists all tags that stand, oldest first, and whether one can still go back to each without loss."""
    from tagback.deploy.target import Target

    settings = call.settings(status_within=status_within)
    with Target.open(settings.url) as target:
        found = target.tags(within=settings.status_within)
    return Answer({"tags": [fields_of(t) for t in found]}, lambda page: show_tags(page, found))


def show_tags(page: Page, tags: Sequence[TagView]) -> None:
    """Writes the tags as a table."""
    if not tags:
        page.line("No tag is set yet.")
        return
    rows = [
        (
            t.tag,
            str(t.changesets),
            str(t.behind),
            local_time(t.set_at),
            t.who,
            short(t.fingerprint),
            "yes" if t.reachable else ("no: " if t.reachable is False else "") + "\n".join(t.reasons[:3]),
        )
        for t in tags
    ]
    headers = ("tag", "changesets", "behind", "set", "by", "fingerprint", "can go back")
    page.table(headers, rows, ["" if t.reachable else "warn" for t in tags])
