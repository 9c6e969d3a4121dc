"""`tagback rehearse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagback.cli import parameters, sarif
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import Page, short
from tagback.errors import TagbackError, UsageError

if TYPE_CHECKING:
    from tagback.engines.session import Session


@click.command("rehearse")
@parameters.changelog
@click.option("--to", metavar="CHANGESET", help="The last changeset to rehearse.")
@click.option("--scratch", metavar="URL", help="Another server, or folder, to make the scratch database on.")
@parameters.format
@parameters.lock_timeout
@parameters.verbose
@parameters.as_json
@click.pass_obj
@sarif.option
def command(
    call: Call,
    changelog: str | None,
    to: str | None,
    scratch: str | None,
    format: str | None,
    lock_timeout: float | None,
    verbose: bool,
) -> Answer:
    """Tries what is pending in a scratch database with the target's schema: deploys, goes back, compares, deploys again.

    The target is only read. There are no rows: what depends on them is for `apply --dry-run`. Exit status 4 when
    anything doesn't hold.
    """
    from tagback.cli.interrupts import Interrupts
    from tagback.cli.progress import Progress
    from tagback.deploy.rehearse import RehearsalOptions, rehearse

    settings = call.settings(changelog=changelog, format=format, lock_timeout=lock_timeout)
    if not settings.changelog:
        raise UsageError("Which changelog? None was named.", hint="Give --changelog PATH, a folder or a file.")
    options = RehearsalOptions(to=to, format=settings.format, scratch=scratch, lock_timeout=settings.lock_timeout)
    progress = Progress(verbose=verbose)
    interrupts = Interrupts()

    def running(session: Session | None) -> None:
        interrupts.cancel = session.cancel if session is not None else None

    try:
        with interrupts:
            result = rehearse(settings.url, Path(settings.changelog), options, progress, running)
    except TagbackError:
        if interrupts.stopped:  # the server's word for it
            raise KeyboardInterrupt from None
        raise
    finally:
        progress.end()

    def show(page: Page) -> None:
        page.line(("✓ ", "good"), result.message, (f"  ({result.duration_ms} ms)", "dim"))
        for name in result.changesets[:12]:
            page.line("  ", name)
        if len(result.changesets) > 12:
            page.line(f"  … and {len(result.changesets) - 12} more")
        for note in result.notes:
            page.line(("note: ", "warn"), note)
        is_it = " = the target's" if result.fingerprint_built == result.fingerprint_target else ""
        page.line(("built: ", "dim"), f"fingerprint {short(result.fingerprint_built)}{is_it}")
        if result.changesets:
            there, back = short(result.fingerprint_after), short(result.fingerprint_back)
            page.line(("there and back: ", "dim"), f"{there}, {back}, {there}")

    return Answer(fields_of(result), show)
