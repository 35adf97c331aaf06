"""``tds show``: one entity, and everything that is known of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.running import load_settings, run, runtime
from app.cli.terminal import print_json

__all__ = ["Kind", "show"]


class Kind(StrEnum):
    """What can be shown."""

    PRODUCT = "product"
    CUSTOMER = "customer"


def show(
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Its id here, its id at the source, or its SKU.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many of each kind of record, newest first.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """One product or customer: its row here, and how it came to be that way.

    From what was received, over what became of it in the queue, to what changed, when, by whom, and who was told.

    Examples:

    - tds show product HDM-RA-00042
    - tds show customer 481501000112012009
    - tds show product 481501000012012007 --json
    """
    from app.cli.entity import read_entity
    from app.cli.entity_screen import print_entity

    settings = load_settings()

    async def look() -> None:
        async with runtime(settings) as opened, opened.database.session() as session:
            found = await read_entity(session, kind.value, identifier, limit=limit)
        print_json(found.as_json()) if as_json else print_entity(found)

    run(look())
