"""`tagback apply`."""

from __future__ import annotations

from pathlib import Path

import click

from tagback.cli import parameters, sarif
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call, Settings
from tagback.cli.measures import size
from tagback.cli.page import Page, cost, destroyed, one_line, short
from tagback.deploy.results import Applied, ChangesetVerdict
from tagback.errors import UsageError, counted


@click.command("apply")
@parameters.changelog
@click.option("--tag", metavar="TAG", help="The name of the state afterwards; one is made up if not given.")
@click.option("--to", metavar="CHANGESET", help="Deploy up to and with this changeset.")
@click.option("--granular", is_flag=True, help="Make the end of each changeset a place to return to.")
@parameters.dry_run
@click.option("--allow-irreversible", is_flag=True, help="Deploy even what could not be taken back without loss.")
@click.option(
    "--accept-changed", multiple=True, metavar="ID", help="Accept that this deployed changeset's file has changed."
)
@parameters.format
@parameters.lock_timeout
@parameters.lock_wait
@parameters.shelf_limit
@parameters.verbose
@parameters.as_json
@click.pass_obj
@sarif.option
def command(
    call: Call,
    changelog: str | None,
    tag: str | None,
    to: str | None,
    granular: bool,
    dry_run: bool,
    allow_irreversible: bool,
    accept_changed: tuple[str, ...],
    format: str | None,
    lock_timeout: float | None,
    lock_wait: float | None,
    shelf_limit: str | None,
    verbose: bool,
) -> Answer:
    """Deploys the pending changesets as one deployment: either all of it is in effect afterwards, or none of it.

    The state afterwards gets a tag. With nothing pending a TAG that was given is still set.
    """
    from tagback.cli.change import change
    from tagback.cli.progress import Progress
    from tagback.deploy.apply import ApplyOptions, no_way_back

    settings = call.settings(
        changelog=changelog, format=format, lock_timeout=lock_timeout, lock_wait=lock_wait, shelf_limit=shelf_limit
    )
    if not settings.changelog:
        raise UsageError("Which changelog? None was named.", hint="Give --changelog PATH, a folder or a file.")
    options = ApplyOptions(
        tag=tag,
        to=to,
        format=settings.format,
        granular=granular,
        dry_run=dry_run,
        allow_irreversible=allow_irreversible,
        accept_changed=accept_changed,
        shelf_limit=settings.shelf_limit,
        shelf_retention=settings.shelf_retention,
        lock_wait=settings.seconds_to_wait,
    )
    path = Path(settings.changelog)
    if not path.exists():
        from tagback.changelog import read_changelog

        read_changelog(path, settings.format)  # says what is wrong before a database is made
    result = change(settings, lambda t: t.apply(path, options), progress=Progress(verbose=verbose), create=True)
    fields = fields_of(result)
    if result.plan is None:
        del fields["plan"]
    refused = dry_run and result.reversibility.value == "irreversible" and not allow_irreversible
    return Answer(fields, lambda page: _show(page, result, settings), no_way_back(result.reasons) if refused else None)


def _show(page: Page, result: Applied, settings: Settings) -> None:
    if result.plan is not None:
        _show_plan(page, result)
    elif not result.changesets:
        page.line(("✓ ", "good"), result.message)
    else:
        page.line(
            ("✓ ", "good"),
            f"deployed {counted(len(result.changesets), 'changeset')}, now at ",
            (result.tag, "name"),
            (f"  (deployment {result.deployment}, {result.duration_ms} ms)", "dim"),
        )
        _show_changesets(page, result)
    for note in result.notes:
        page.line(("note: ", "warn"), note)
    if result.changesets:
        _show_verdict(page, result)
    page.line(("schema: ", "dim"), _change(result))
    if result.changesets and result.plan is None:
        place = f"--to {quoted(result.previous_tag)}" if result.previous_tag else f"--count {len(result.changesets)}"
        page.line(("to go back: ", "dim"), f"{settings.command} rollback {place}")


def _show_plan(page: Page, result: Applied) -> None:
    if not result.changesets:
        page.line("Nothing is pending.")
        return
    tried = "; it was tried and undone" if result.verdicts else ""
    page.line(f"would deploy {counted(len(result.changesets), 'changeset')}{tried}:")
    steps = result.plan or ()
    for verdict in result.verdicts:
        page.line("  ", (verdict.id, "name"), ": ", (verdict.reversibility.value, _style(verdict)), _told(verdict))
        for reason in verdict.reasons[:3]:
            page.line("    ", (reason, "warn"))
        for step in (s for s in steps if s.object == verdict.id):
            page.line("    ", one_line(step.sql), destroyed(step), cost(step))
    seen = {v.id for v in result.verdicts}
    for step in (s for s in steps if s.object not in seen):
        page.line("  ", (step.object, "name"), "  ", one_line(step.sql))


def _style(verdict: ChangesetVerdict | Applied) -> str:
    return {"free": "good", "captured": "good", "conditional": "warn"}.get(verdict.reversibility.value, "bad")


def _told(verdict: ChangesetVerdict) -> str:
    """`, keeps 3 rows of customer (29 B), 0.12 s`."""
    return f"{_kept(verdict)}, {verdict.seconds:.2f} s"


def _kept(verdict: ChangesetVerdict) -> str:
    kept = ", ".join(f"{counted(s.rows, 'row')} of {s.table} ({size(s.bytes)})" for s in verdict.shelved)
    return f", keeps {kept}" if kept else ""


def _show_changesets(page: Page, result: Applied, limit: int = 12) -> None:
    """The changesets, each with its own verdict where there are several."""
    verdicts = {v.id: v for v in result.verdicts} if len(result.changesets) > 1 else {}
    for name in result.changesets[:limit]:
        verdict = verdicts.get(name)
        if verdict is None:
            page.line("  ", name)
        else:
            page.line("  ", name, ": ", (verdict.reversibility.value, _style(verdict)), _kept(verdict))
    if len(result.changesets) > limit:
        page.line(f"  … and {len(result.changesets) - limit} more")


def _show_verdict(page: Page, result: Applied) -> None:
    words = {
        "free": "nothing can be lost by it",
        "captured": "what was destroyed or changed is kept",
        "conditional": "without loss",
        "irreversible": "not without loss",
    }
    page.line("way back: ", (result.reversibility.value, _style(result)), f", {words[result.reversibility.value]}")
    if result.shelved:
        told = [f"{counted(s.rows, 'row')} of {s.table}" for s in result.shelved]
        page.line(("kept: ", "dim"), ", ".join(told[:8]), f" … and {len(told) - 8} more" if told[8:] else "")
    for reason in result.reasons[:8]:
        page.line("  ", reason)
    if len(result.reasons) > 8:
        page.line(f"  … and {len(result.reasons) - 8} more")


def _change(result: Applied) -> str:
    if result.fingerprint_before == result.fingerprint_after:
        return f"fingerprint {short(result.fingerprint_after)}, unchanged"
    return f"fingerprint {short(result.fingerprint_before)} -> {short(result.fingerprint_after)}"


def quoted(text: str) -> str:
    """The text as a shell takes it."""
    import shlex

    return shlex.quote(text)
