"""Options that several commands have in common."""

from __future__ import annotations

import click

as_json = click.option(
    "--json", is_flag=True, expose_value=False, help="One JSON object on standard output, nothing else."
)
changelog = click.option("--changelog", metavar="PATH", help="The changelog: a folder or a file.")
format = click.option("--format", metavar="NAME", help="The changelog's format, where its shape doesn't tell.")
dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
lock_wait = click.option(
    "--lock-wait", type=click.FloatRange(min=0), metavar="S", help="Seconds to wait for another deployment (60)."
)
lock_timeout = click.option(
    "--lock-timeout", type=click.FloatRange(min=0), metavar="S", help="Seconds a statement may wait for a lock."
)
shelf_limit = click.option(
    "--shelf-limit", metavar="SIZE", help="The most that the shelf may take in all: 2GB, 500MB. More fails the change."
)
within = click.option(
    "--within",
    "status_within",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Seconds for looking through large tables (2); what isn't known by then is said.",
)
verbose = click.option("-v", "--verbose", is_flag=True, help="A line on standard error for each step.")
