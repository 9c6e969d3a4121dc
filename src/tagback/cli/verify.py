"""`tagback verify`."""

from __future__ import annotations

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer
from tagback.cli.call import Call
from tagback.cli.diff import comparison_fields, show_differences
from tagback.cli.page import Page, short
from tagback.errors import counted


@click.command("verify")
@click.option("--tag", metavar="TAG", help="Compare with this tag instead of the last recorded state.")
@parameters.as_json
@click.pass_obj
def command(call: Call, tag: str | None) -> Answer:
    """Compares the live schema with the recorded one, object by object. Exit status 4 when they differ."""
    from tagback.deploy.look import DifferenceError
    from tagback.deploy.target import Target

    settings = call.settings()
    with Target.open(settings.url) as target:
        result = target.verify(tag)
    error = None
    if not result.equal:
        differ = counted(len(result.differences), "object")
        error = DifferenceError(
            f"The live schema is not that of {result.a}: it differs in {differ}. Nothing was touched.",
            code="drift" if tag is None else "difference",
            hint=""
            if tag
            else "`tagback tag NAME` accepts the present state; `tagback rollback --on-drift undo` takes back what differs.",
        )

    def show(page: Page) -> None:
        if result.equal:
            seen = counted(result.objects, "object")
            page.line(("verified: ", "good"), f"{seen}, fingerprint {short(result.fingerprint_b)} = {result.a}")
        else:
            show_differences(page, result)

    return Answer(comparison_fields(result), show, error)
