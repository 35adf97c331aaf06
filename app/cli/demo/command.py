"""The command ``tds demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.failures import FAILED
from app.cli.running import load_settings, run_lasting

__all__ = ["demo"]


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Sync, compare every record of both sides, and end.")] = False,
    products: Annotated[int, typer.Option(min=1, max=1_000_000, help="Products of the made-up company.")] = 2200,
    customers: Annotated[int, typer.Option(min=1, max=1_000_000, help="Customers of it.")] = 500,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0 is a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what the last demo left, instead of emptying it.")] = False,
) -> None:
    """See it work: a made-up company at a stand-in for Zoho, synced, compared, and then changed before your eyes.

    Nothing has to be configured. It uses the database that everything else uses, if that is empty or was a demo's,
    and what it has made can be looked at afterwards: tds status, tds show. Ctrl-C ends it and leaves no process.

    Examples:

    - tds demo
    - tds demo --once
    - TDS_HOME=/tmp/try tds demo --products 20000 --customers 2000
    """
    from app.cli.demo.flow import DemoOptions, play

    settings = load_settings()
    options = DemoOptions(once=once, products=products, customers=customers, port=port, seed=seed, keep=keep)
    if not run_lasting(lambda signals: play(settings, options, signals)):
        raise typer.Exit(FAILED)
