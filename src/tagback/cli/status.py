"""`tagback status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call, Settings
from tagback.cli.measures import size
from tagback.cli.page import Page, local_time, short
from tagback.cli.tags import show_tags
from tagback.errors import counted

if TYPE_CHECKING:
    from tagback.deploy.look import Status


@click.command("status")
@parameters.changelog
@parameters.format
@parameters.within
@parameters.as_json
@click.pass_obj
def command(call: Call, changelog: str | None, format: str | None, status_within: float | None) -> Answer:
    """Shows what is applied and pending, what was changed by hand, and which tags can be reached without loss."""
    from tagback.deploy.target import Target

    settings = call.settings(changelog=changelog, format=format, status_within=status_within)
    with Target.open(settings.url) as target:
        result = target.status(settings.changelog, settings.format, within=settings.status_within)
    return Answer(fields_of(result), lambda page: _show(page, result, settings))


def _show(page: Page, result: Status, settings: Settings) -> None:
    page.line((result.place, "bold"), (f"  {result.server}", "dim"))
    page.line(result.message, " At " if result.tag else "", (result.tag, "name"))
    page.line(
        ("applied: ", "dim"),
        counted(len(result.applied), "changeset"),
        (f"  fingerprint {short(result.fingerprint)}", "dim"),
    )
    if result.pending is not None:
        _show_list(page, "pending: ", result.pending, "warn")
    if result.changed:
        _show_list(page, "changed since they were deployed: ", result.changed, "bad")
    if result.drift:
        _show_list(page, "changed outside tagback: ", result.drift, "bad")
    elif result.attested:
        page.line(("drift: ", "dim"), "none")
    if result.interrupted:
        page.line(("interrupted: ", "bad"), ", ".join(f"deployment {d}" for d in result.interrupted))
    if result.shelf.rows:
        s = result.shelf
        told = f"{counted(s.rows, 'row')} of {counted(s.tables, 'table')}, {size(s.bytes)}"
        page.line(("shelf: ", "dim"), told, f", since {local_time(s.oldest)}", _limited(settings))
    if result.unmanaged:
        _show_list(page, "not managed yet: ", result.unmanaged, "warn")
    if result.tags:
        show_tags(page, result.tags)


def _limited(settings: Settings) -> str:
    return f"; the limit is {size(settings.shelf_limit)}" if settings.shelf_limit is not None else ""


def _show_list(page: Page, title: str, items: tuple[str, ...], style: str, limit: int = 12) -> None:
    page.line((title, "dim"), (str(len(items)), style if items else "good"))
    for item in items[:limit]:
        page.line("  ", item)
    if len(items) > limit:
        page.line(f"  … and {len(items) - limit} more")
