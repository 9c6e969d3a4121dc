"""`tagback recover`."""

from __future__ import annotations

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import short


@click.command("recover")
@parameters.lock_timeout
@parameters.lock_wait
@parameters.verbose
@parameters.as_json
@click.pass_obj
def command(call: Call, lock_timeout: float | None, lock_wait: float | None, verbose: bool) -> Answer:
    """Ends an interrupted deployment or rollback: the database is afterwards at its start or at its end.

    `apply` and `rollback` do this first by themselves.
    """
    from tagback.cli.change import change
    from tagback.cli.progress import Progress

    settings = call.settings(lock_timeout=lock_timeout, lock_wait=lock_wait)
    result = change(
        settings, lambda t: t.recover(lock_wait=settings.seconds_to_wait), progress=Progress(verbose=verbose)
    )
    return Answer(
        fields_of(result),
        lambda page: page.line(("✓ ", "good"), result.message, (f"  (fingerprint {short(result.fingerprint)})", "dim")),
    )
