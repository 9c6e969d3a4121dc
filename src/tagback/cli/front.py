"""The group of commands: their names and short helps are here, so that nothing is imported to list them."""

from __future__ import annotations

import difflib
import importlib

import click

import tagback
from tagback.cli.call import Call

COMMANDS = {
    "apply": "Deploy what is pending: all of it, or none.",
    "rollback": "Go back to a tag, a deployment or a changeset, and prove it.",
    "tag": "Mark the present state.",
    "status": "Show what is applied and pending, and which tags can be reached.",
    "history": "List all deployments and rollbacks.",
    "tags": "List all tags, and whether one can still go back to them.",
    "verify": "Compare the live schema with the recorded one.",
    "diff": "Compare two tags, or a tag with the live schema.",
    "shelf": "List or drop the rows that are kept.",
    "rehearse": "Try what is pending, there and back, in a scratch database.",
    "recover": "End an interrupted deployment or rollback.",
    "pipeline": "Run releases with health checks, that go back by themselves.",
}


class Front(click.Group):
    """Loads the module of a command when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tagback.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments call; the nearest name is told when there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"There is no command {args[0]!r}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list for --help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Front, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", metavar="URL", help="The database: sqlite:///file.db, postgresql://user@host:port/database.")
@click.option("--target", metavar="NAME", help="A target from the configuration file.")
@click.option("--config", metavar="FILE", help="The configuration file, if not tagback.toml in the current folder.")
@click.version_option(tagback.__version__, prog_name="tagback")
@click.pass_context
def front(ctx: click.Context, url: str | None, target: str | None, config: str | None) -> None:
    """Deploys versioned changes of database schemas and takes them back, proved.

    TAGBACK_URL stands in for --url. Exit status: 0 done; 1 failed, the database is as it was before; 2 usage;
    3 refused, nothing was touched; 4 a check did not hold; 5 a person is needed; 6 unreachable; 130 interrupted.
    """
    ctx.obj = Call(url, target, config)
