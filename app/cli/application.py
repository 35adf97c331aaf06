"""All commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import dead_letters, jobs, pausing, runs, schema, serving, status, sync, tokens
from app.cli.demo.command import demo
from app.cli.failures import Commands
from app.cli.sandbox import sandboxes
from app.cli.show import show

__all__ = ["commands"]

_HELP = """Keeps the ERP database in step with Zoho, and shows how that is going.

Without settings it uses a PostgreSQL of its own in TDS_HOME; TDS_DATABASE_URL names another one.
TDS_ZOHO_* connects Zoho Books and Zoho Inventory.
"""
_EPILOG = "Begin with [bold]tds demo[/bold]: everything set up against a stand-in for Zoho, nothing to configure."

commands = typer.Typer(
    name="tds",
    cls=Commands,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the signature that Typer calls
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tds {version('tsh-data-sync')}")
        raise typer.Exit


@commands.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Holds the options of ``tds`` itself."""


commands.command("serve", rich_help_panel="Run")(serving.serve)
commands.command("worker", rich_help_panel="Run")(serving.worker)
commands.add_typer(sync.syncs, name="sync", rich_help_panel="Run")
sync.syncs.command("list")(runs.list_runs)
sync.syncs.command("show")(runs.show_run)
sync.syncs.command("cancel")(runs.cancel_run)
sync.syncs.command("resume")(runs.resume_run)
commands.command("pause", rich_help_panel="Run")(pausing.pause)
commands.command("resume", rich_help_panel="Run")(pausing.resume)
commands.command("status", rich_help_panel="Look")(status.status)
commands.command("show", rich_help_panel="Look")(show)
commands.add_typer(dead_letters.letters, name="dead-letter", rich_help_panel="Look")
commands.add_typer(jobs.job_commands, name="job", rich_help_panel="Look")
commands.command("pauses", rich_help_panel="Look")(pausing.pauses)
commands.add_typer(schema.schemas, name="db", rich_help_panel="Set up")
commands.add_typer(tokens.token_commands, name="token", rich_help_panel="Set up")
commands.command("demo", rich_help_panel="Try")(demo)
commands.add_typer(sandboxes, name="sandbox", rich_help_panel="Try")
