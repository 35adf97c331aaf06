"""``tds status``: the one screen."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.running import load_settings, run, runtime
from app.cli.terminal import print_json

__all__ = ["status"]


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False
) -> None:
    """How everything is: the queue, both sides' entities, runs, dead letters, workers, and what to do next.

    Examples:

    - tds status
    - tds status --json
    """
    from app.cli.overview import read_overview
    from app.cli.overview_screen import print_overview

    settings = load_settings()

    async def look() -> None:
        async with runtime(settings) as opened, opened.database.session() as session:
            seen = await read_overview(session, settings)
        print_json(seen.as_json()) if as_json else print_overview(seen)

    run(look())
