"""`tagback tag`."""

from __future__ import annotations

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import short


@click.command("tag")
@click.argument("tag")
@click.option("--move", is_flag=True, help="Move a tag that is set already.")
@parameters.lock_timeout
@parameters.lock_wait
@parameters.as_json
@click.pass_obj
def command(call: Call, tag: str, move: bool, lock_timeout: float | None, lock_wait: float | None) -> Answer:
    """Marks the present state with a name to return to, whether or not tagback made it."""
    from tagback.cli.change import change

    settings = call.settings(lock_timeout=lock_timeout, lock_wait=lock_wait)
    result = change(settings, lambda t: t.tag(tag, move=move, lock_wait=settings.seconds_to_wait), create=True)
    fields = fields_of(result) | {"deployment": result.deployment or None}
    return Answer(
        fields,
        lambda page: page.line(
            ("✓ ", "good"),
            "the present state is tagged " if not result.moved else "moved to the present state: ",
            (result.tag, "name"),
            (f"  (fingerprint {short(result.fingerprint)})", "dim"),
        ),
    )
