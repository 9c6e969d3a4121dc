"""`tagback rollback`."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call, Settings
from tagback.cli.page import Page, cost, destroyed, one_line, short
from tagback.cli.progress import Progress
from tagback.deploy.back import ColumnOrder
from tagback.deploy.drift import OnDrift
from tagback.deploy.results import RolledBack
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.errors import UsageError, counted


@click.command("rollback")
@click.option("--to", metavar="TAG", help="Back to this tag.")
@click.option("--deployment", type=int, metavar="ID", help="Back to what the database was at the end of it.")
@click.option("--count", type=click.IntRange(min=0), metavar="N", help="Take the last N changesets back.")
@click.option("--to-changeset", metavar="ID", help="Back to what the database was right after this changeset.")
@parameters.dry_run
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--on-conflict",
    type=click.Choice([c.value for c in OnConflict]),
    default="keep",
    help="Where a deployment and the application wrote the same value: keep the later one (the default), restore the"
    " old one, or fail.",
)
@click.option(
    "--on-drift",
    type=click.Choice([d.value for d in OnDrift]),
    default="refuse",
    help="What was changed by hand: refuse to go on (the default), keep it, or undo it too.",
)
@click.option(
    "--column-order",
    type=click.Choice([c.value for c in ColumnOrder]),
    help="Where columns that come back stand: exact, in their place (the default; PostgreSQL rewrites the table for it), or"
    " logical, behind the others.",
)
@parameters.lock_timeout
@parameters.lock_wait
@parameters.shelf_limit
@parameters.verbose
@parameters.as_json
@click.pass_obj
def command(
    call: Call,
    to: str | None,
    deployment: int | None,
    count: int | None,
    to_changeset: str | None,
    dry_run: bool,
    yes: bool,
    on_conflict: str,
    on_drift: str,
    column_order: str | None,
    lock_timeout: float | None,
    lock_wait: float | None,
    shelf_limit: str | None,
    verbose: bool,
) -> Answer:
    """Brings the database back to what it was at a place, and proves that it is.

    Name the place with one of --to, --deployment, --count and --to-changeset. Rows and values that the deployments
    destroyed come back; what was written since stays, and what has no place in the old schema is kept on the shelf.
    """
    from tagback.cli.change import change

    given = [n for n in (to, deployment, count, to_changeset) if n is not None]
    if len(given) != 1:
        raise UsageError(
            "Say where to go back to, and only once." if given else "Say where to go back to.",
            hint="Give one of --to TAG, --deployment ID, --count N, --to-changeset ID.",
        )
    settings = call.settings(
        column_order=column_order, lock_timeout=lock_timeout, lock_wait=lock_wait, shelf_limit=shelf_limit
    )
    options = RollbackOptions(
        to=to,
        deployment=deployment,
        count=count,
        to_changeset=to_changeset,
        dry_run=dry_run,
        on_conflict=OnConflict(on_conflict),
        on_drift=OnDrift(on_drift),
        column_order=ColumnOrder(settings.column_order),
        shelf_limit=settings.shelf_limit,
        shelf_retention=settings.shelf_retention,
        lock_wait=settings.seconds_to_wait,
    )
    if not (yes or dry_run):
        _ask(settings, options)
    progress = Progress(verbose=verbose)
    result = change(settings, lambda t: t.rollback(options), progress=progress)
    fields = fields_of(result)
    if result.plan is None:
        del fields["plan"]
    return Answer(fields, lambda page: _show(page, result, progress.objects))


def _ask(settings: Settings, options: RollbackOptions) -> None:
    """Shows the plan and asks; without a terminal there is nobody to ask."""
    from tagback.cli.change import change

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask on.",
            code="confirmation",
            hint="Add --yes to go back without asking, or --dry-run to see the plan. Nothing was touched.",
        )
    page = Page(sys.stderr)
    tried = change(settings, lambda t: t.rollback(replace(options, dry_run=True)))
    if not tried.changesets and not tried.plan:
        return
    _show_plan(page, tried)
    if not click.confirm("Go back?", err=True):
        raise UsageError("Not confirmed; nothing was touched.", code="confirmation")


def _show(page: Page, result: RolledBack, objects: int | None) -> None:
    if result.plan is not None and (result.changesets or result.plan):
        _show_plan(page, result)
        return
    if not result.deployments and result.receipt is None:
        page.line(("✓ ", "good"), result.message)
    else:
        page.line(
            ("✓ ", "good"),
            _what(result, "took back", "kept"),
            (f"  ({result.duration_ms} ms, receipt {result.receipt})", "dim"),
        )
    for note in result.notes:
        page.line(("note: ", "warn"), note)
    for kept in result.kept_drift:
        page.line(("kept: ", "warn"), kept)
    _show_rows(page, result)
    seen = f"{counted(objects, 'object')}, " if objects is not None else ""
    place = f" = tag {result.tag}" if result.tag and not result.kept_drift else ""
    but = ", equal but for column order" if result.reordered else ""
    page.line(("verified: ", "good"), f"{seen}fingerprint {short(result.fingerprint_after)}{but or place}")
    for table in result.reordered:
        page.line("  ", (f"columns in another order: {table}", "warn"))


def _show_plan(page: Page, result: RolledBack) -> None:
    page.line(f"{_what(result, 'would take back', 'would keep')}; it was tried and undone:")
    for name in result.changesets[:12]:
        page.line("  ", (name, "name"))
    if len(result.changesets) > 12:
        page.line(f"  … and {len(result.changesets) - 12} more")
    for step in result.plan or ():
        page.line("  ", (one_line(step.sql), "dim"), destroyed(step), cost(step))
    for kept in result.kept_drift:
        page.line(("would keep: ", "warn"), kept)
    _show_rows(page, result)


def _show_rows(page: Page, result: RolledBack, limit: int = 8) -> None:
    if result.restored:
        told = [f"{counted(r.rows, 'row')} of {r.table}" for r in result.restored]
        page.line(
            ("rows back: ", "good"), ", ".join(told[:limit]), f" … and {len(told) - limit} more" if told[limit:] else ""
        )
    if result.shelved:
        told = [f"{counted(s.rows, 'row')} of {s.table}" for s in result.shelved]
        page.line(
            ("on the shelf: ", "dim"),
            ", ".join(told[:limit]),
            f" … and {len(told) - limit} more" if told[limit:] else "",
        )
    if result.conflicts_total:
        page.line(("conflicts: ", "warn"), f"{result.conflicts_total}, written by a deployment and again since:")
        for c in result.conflicts[:limit]:
            what = f"column {c.column}" if c.column else "the row"
            page.line("  ", f"{c.table} {c.key}: {what}, ", "the later one stands" if c.kept == "later" else "restored")
        if result.conflicts_total > limit:
            page.line(f"  … and {result.conflicts_total - limit} more")


def _what(result: RolledBack, took_back: str, kept: str) -> str:
    """What the rollback was about, in a few words."""
    if result.changesets:
        changesets = counted(len(result.changesets), "changeset")
        return f"{took_back} {changesets} of {counted(len(result.deployments), 'deployment')}"
    return f"{kept if result.kept_drift else took_back} what was changed by hand"
