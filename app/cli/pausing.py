"""``tds pause``, ``tds resume`` and ``tds pauses``: lay work aside, and take it up again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.running import load_settings, run, runtime
from app.cli.sync import user
from app.cli.terminal import print_json, warn

if TYPE_CHECKING:
    from app.bootstrap import Runtime
    from app.tds.core.steering import Steering
    from app.tds.models import TDSPause

__all__ = ["pause", "pause_as_json", "pauses", "resume"]

Source = Annotated[str, typer.Argument(help="The source's name: zoho.")]
Entity = Annotated[str, typer.Argument(help="An entity type; all of them if none is given.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]


@asynccontextmanager
async def _steering() -> AsyncGenerator[tuple[Runtime, Steering]]:
    from app.tds.core.steering import Steering

    async with runtime(load_settings()) as opened, opened.database.session() as session:
        yield opened, Steering(session, opened.sources)


def pause(
    source: Source,
    entity: Entity = "*",
    *,
    drain: Annotated[bool, typer.Option("--drain", help="Work off what waits first; read nothing new.")] = False,
    note: Annotated[str | None, typer.Option(help="Why: whoever looks later wants to know.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lay the work on a source aside, or on one entity of it. What arrives meanwhile is kept.

    Examples:

    - tds pause zoho product --note "stocktaking until Monday"
    - tds pause zoho --drain
    """

    async def work() -> None:
        async with _steering() as (_, steering):
            mode = "drain" if drain else "pause"
            made = await steering.pause(source=source, entity_type=entity, mode=mode, note=note, actor=user())
        if as_json:
            print_json(pause_as_json(made))
            return
        what = "Draining" if drain else "Paused"
        typer.echo(f"{what}: {_named(made)}. To go on: {_resuming(made)}")

    run(work())


def resume(source: Source, entity: Entity = "*", *, as_json: AsJson = False) -> None:
    """Take up what was paused or is being drained; what was kept meanwhile is worked off.

    Examples:

    - tds resume zoho product
    - tds resume zoho
    """

    async def work() -> None:
        async with _steering() as (opened, steering):
            awake = await steering.resume(source=source, entity_type=entity, actor=user())
            left = await _still(steering, source)
            for bell in ("queue", "runs"):
                opened.doorbell.ring(bell)
            await opened.doorbell.close()
        if as_json:
            print_json({"source": source, "entity_type": entity, "awake": awake})
        else:
            typer.echo(f"Resumed: {_what(source, entity)}, {awake} laid-aside items are awake.")
        for one in left:
            warn(f"Still paused: {_named(one)}. To go on with it: {_resuming(one)}")

    run(work())


async def _still(steering: Steering, source: str) -> list[TDSPause]:
    from app.tds.core.pauses import list_pauses

    return [one for one in await list_pauses(steering.db) if one.source == source]


def pauses(*, as_json: AsJson = False) -> None:
    """What is paused or being drained, since when, by whom and why.

    Examples:

    - tds pauses
    - tds pauses --json
    """

    async def look() -> None:
        from app.tds.core.pauses import list_pauses

        async with _steering() as (_, steering):
            found = await list_pauses(steering.db)
        print_json([pause_as_json(one) for one in found]) if as_json else _print(found)

    run(look())


def _print(found: Sequence[TDSPause]) -> None:
    from app.cli.pauses_screen import pauses_table
    from app.cli.terminal import console
    from app.core.clock import utc_now

    console().print(pauses_table(found, utc_now()) if found else "Nothing is paused.")


def pause_as_json(one: TDSPause) -> dict[str, Any]:
    """A pause in JSON values."""
    return {name: getattr(one, name) for name in ("source", "entity_type", "mode", "note", "created_by", "created_at")}


def _what(source: str, entity: str) -> str:
    return f"{source}, all of it" if entity == "*" else f"{source} {entity}"


def _named(one: TDSPause) -> str:
    return _what(one.source, one.entity_type)


def _resuming(one: TDSPause) -> str:
    return f"tds resume {one.source}{'' if one.entity_type == '*' else f' {one.entity_type}'}"
