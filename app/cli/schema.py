"""``tds db``: the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.failures import FAILED
from app.cli.running import database, load_settings, location, run
from app.cli.terminal import print_json

if TYPE_CHECKING:
    from app.core.config import Settings
    from app.migrations.runner import SchemaStatus

__all__ = ["schemas"]

schemas = typer.Typer(help="The database's schema: how far it is, and bringing it up to date.", no_args_is_help=True)


@schemas.callback()
def _schemas() -> None:
    """Holds the subcommands."""


@schemas.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema.

    One migration at a time, however many call this at once. The embedded database is upgraded by whatever uses it.

    Example: tds db upgrade
    """
    settings = load_settings()
    before = run(_upgrade(settings))
    if before.up_to_date:
        typer.echo(f"The database {location(settings)} is up to date ({before.head}).")
    else:
        typer.echo(f"The database {location(settings)} is at {before.head} now (was: {before.current or 'empty'}).")


@schemas.command("status")
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False
) -> None:
    """How far the schema is; exit 1 if it must be upgraded.

    Examples:

    - tds db status
    - tds db status --json
    """
    settings = load_settings()
    found = run(_status(settings))
    if as_json:
        print_json({"current": found.current, "head": found.head, "pending": list(found.pending)})
    elif found.up_to_date:
        typer.echo(f"The database {location(settings)} is up to date ({found.head}).")
    else:
        typer.echo(
            f"The database {location(settings)} is at {found.current or 'nothing yet'}, this program at {found.head}. "
            "Upgrade it: tds db upgrade"
        )
    if not found.up_to_date:
        raise typer.Exit(FAILED)


async def _upgrade(settings: Settings) -> SchemaStatus:
    from app.migrations.runner import upgrade_engine

    async with database(settings) as opened:
        return await upgrade_engine(opened.engine)


async def _status(settings: Settings) -> SchemaStatus:
    from app.migrations.runner import schema_status

    async with database(settings) as opened:
        return await schema_status(opened.engine)
