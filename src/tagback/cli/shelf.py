"""`tagback shelf ls` and `tagback shelf purge`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.measures import age, size
from tagback.cli.page import Page, local_time

if TYPE_CHECKING:
    from tagback.deploy.shelf import Purged, ShelfView


@click.group("shelf")
def command() -> None:
    """Shows what deployments and rollbacks kept of the rows they changed, or drops it."""


@command.command("ls")
@click.option("--sql", is_flag=True, help="Print the query that shows each table's kept rows instead.")
@parameters.as_json
@click.pass_obj
def ls(call: Call, sql: bool) -> Answer:
    """Lists what is kept: of which table, how many rows, and whether a way back needs it."""
    from tagback.deploy.target import Target

    with Target.open(call.settings().url) as target:
        found = target.shelf()
    fields = {
        "shelf": [fields_of(v) for v in found],
        "rows": sum(v.rows for v in found),
        "bytes": sum(v.bytes for v in found),
    }
    return Answer(fields, lambda page: _show_queries(page, found) if sql else show_shelf(page, found))


@command.command("purge")
@click.option("--older-than", metavar="AGE", help="Drop what is older: 30d, 12h, 90m. Else only what nothing needs.")
@parameters.lock_timeout
@parameters.lock_wait
@parameters.as_json
@click.pass_obj
def purge(call: Call, older_than: str | None, lock_timeout: float | None, lock_wait: float | None) -> Answer:
    """Drops kept rows for good. A deployment that is in effect can't be gone back over without them."""
    from tagback.cli.change import change

    limit = age(older_than) if older_than is not None else None
    settings = call.settings(lock_timeout=lock_timeout, lock_wait=lock_wait)
    result = change(settings, lambda t: t.purge_shelf(limit, lock_wait=settings.seconds_to_wait))
    return Answer(fields_of(result), lambda page: _show_purged(page, result))


def show_shelf(page: Page, shelf: Sequence[ShelfView]) -> None:
    """Writes what is kept as a table."""
    if not shelf:
        page.line("Nothing is kept.")
        return
    rows = [
        (
            f"{v.kind} {v.deployment}",
            v.table,
            ", ".join(f"{n} {word}" for n, word in ((v.gone, "gone"), (v.new, "new"), (v.changed, "changed")) if n)
            or "0",
            size(v.bytes),
            local_time(v.kept_at),
            v.place,
            "yes" if v.needed else "no",
        )
        for v in shelf
    ]
    page.table(("by", "table", "rows", "size", "kept", "in", "needed"), rows, [""] * len(rows))


def _show_queries(page: Page, shelf: Sequence[ShelfView]) -> None:
    """Writes SQL that can be given to the database's own client."""
    if not shelf:
        page.line("Nothing is kept.")
    for v in shelf:
        page.line((f"-- {v.kind} {v.deployment}, {v.table}: {v.gone} gone, {v.new} new, {v.changed} changed", "dim"))
        page.line(f"{v.sql};")


def _show_purged(page: Page, result: Purged) -> None:
    page.line(("✓ ", "good"), result.message)
    for v in result.purged:
        page.line("  ", v.table, (f"  {v.rows} rows of {v.kind} {v.deployment}", "dim"))
