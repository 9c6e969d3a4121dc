"""`tagback diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tagback.cli import parameters
from tagback.cli.answer import Answer, fields_of
from tagback.cli.call import Call
from tagback.cli.page import Page, short
from tagback.errors import counted

if TYPE_CHECKING:
    from tagback.deploy.look import Comparison


@click.command("diff")
@click.argument("a")
@click.argument("b")
@parameters.as_json
@click.pass_obj
def command(call: Call, a: str, b: str) -> Answer:
    """Compares two schemas: A and B are tags, or `live`. Exit status 4 when they differ."""
    from tagback.deploy.look import DifferenceError
    from tagback.deploy.target import Target

    with Target.open(call.settings().url) as target:
        result = target.diff(a, b)
    error = None
    if not result.equal:
        differ = counted(len(result.differences), "object")
        error = DifferenceError(f"{a} and {b} are different: {differ}.")

    def show(page: Page) -> None:
        if result.equal:
            page.line(("equal: ", "good"), f"{counted(result.objects, 'object')}, {short(result.fingerprint_b)}")
        else:
            show_differences(page, result)

    return Answer(comparison_fields(result), show, error)


def comparison_fields(result: Comparison) -> dict[str, object]:
    """A comparison's fields for JSON."""
    return fields_of(result)


def show_differences(page: Page, result: Comparison) -> None:
    """Writes what differs, one object a line, its changed fields below it."""
    marks = {"added": ("+ ", "good"), "removed": ("- ", "bad"), "changed": ("~ ", "warn")}
    page.line((f"{result.a} {short(result.fingerprint_a)} -> {result.b} {short(result.fingerprint_b)}", "dim"))
    for d in result.differences:
        page.line(marks[d.change], d.object)
        for detail in d.details:
            page.line("    ", (detail, "dim"))
