"""``tds dead-letter``: look at what was given up, mend it, try it again, or close it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from app.cli.failures import UsageError
from app.cli.running import load_settings, run, runtime
from app.cli.sync import user, warn_without_worker
from app.cli.terminal import print_json

if TYPE_CHECKING:
    from app.bootstrap import Runtime
    from app.tds.core.dead_letter_service import DeadLetterService

__all__ = ["letters"]

letters = typer.Typer(help="Changes that were given up: look, mend, try again, close.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(help="Its id, or the beginning or end of it: 6 digits or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]


@letters.callback()
def _letters() -> None:
    """Holds the subcommands."""


@letters.command("list")
def list_letters(
    *,
    entity: Annotated[str | None, typer.Option("--entity", "-e", help="Of this entity type only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    fingerprint: Annotated[str | None, typer.Option(help="Those that failed in this same way.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first; open ones unless --all is given.

    Examples:

    - tds dead-letter list
    - tds dead-letter list --entity product --limit 10
    - tds dead-letter list --fingerprint 5d41402abc4b2a76 --all --json
    """
    from app.cli.letters_screen import letter_as_json, print_letters

    async def look() -> None:
        async with _service() as (_, service):
            found = await service.find(
                entity_type=entity, resolved=None if every else False, fingerprint=fingerprint, limit=limit
            )
        print_json([letter_as_json(one) for one in found]) if as_json else print_letters(found, every=every)

    run(look())


@letters.command("show")
def show(letter: LetterId, *, as_json: AsJson = False) -> None:
    """Everything about one: why, every error by field, attempts, the payload.

    Examples:

    - tds dead-letter show 3f9a01cc
    - tds dead-letter show 3f9a01cc --json
    """
    from app.cli.letter_lookup import find_letter
    from app.cli.letters_screen import letter_as_json, print_letter

    async def look() -> None:
        async with _service() as (_, service):
            found = await find_letter(service.db, letter)
        print_json(letter_as_json(found, whole=True)) if as_json else print_letter(found)

    run(look())


@letters.command("reprocess")
def reprocess(
    letter: LetterId,
    *,
    payload: Annotated[
        str | None, typer.Option(help="A file that holds the mended document, - for standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Queue it again, first in line, and close the letter; if something newer was applied meanwhile, that stays.

    Examples:

    - tds dead-letter reprocess 3f9a01cc
    - tds dead-letter show 3f9a01cc --json | jq .last_payload > mended.json
    - tds dead-letter reprocess 3f9a01cc --payload mended.json
    """
    from app.cli.letter_lookup import find_letter

    document = None if payload is None else _document(payload)

    async def work() -> None:
        async with _service() as (opened, service):
            found = await find_letter(service.db, letter)
            item = await service.reprocess(found.id, payload=document, actor=user())
            opened.doorbell.ring("queue")
            await opened.doorbell.close()
            await warn_without_worker(opened)
        if as_json:
            print_json({"dead_letter_id": found.id, "queue_id": item.id, "status": item.status.value})
            return
        typer.echo(f"Queued again as {item.id}. What comes of it: tds show {item.entity_type} {item.source_entity_id}")

    run(work())


@letters.command("resolve")
def resolve(
    letter: LetterId,
    *,
    note: Annotated[str, typer.Option(help="Why nothing has to be done: whoever looks later wants to know.")],
    as_json: AsJson = False,
) -> None:
    """Close it and do nothing else.

    Example: tds dead-letter resolve 3f9a01cc --note "a test record, deleted at Zoho"
    """
    from app.cli.letter_lookup import find_letter
    from app.cli.letters_screen import letter_as_json

    async def work() -> None:
        async with _service() as (_, service):
            found = await find_letter(service.db, letter)
            closed = await service.resolve(found.id, note=note, actor=user())
        print_json(letter_as_json(closed)) if as_json else typer.echo(f"Closed {closed.id}.")

    run(work())


@asynccontextmanager
async def _service() -> AsyncGenerator[tuple[Runtime, DeadLetterService]]:
    from app.tds.core.dead_letter_service import DeadLetterService

    async with runtime(load_settings()) as opened, opened.database.session() as session:
        yield opened, DeadLetterService(session, opened.sources)


def _document(path: str) -> dict[str, Any]:
    where = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        given = json.loads(text)
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{where} does not hold JSON: {error}") from error
    if not isinstance(given, dict):
        raise UsageError(f"{where} must hold a JSON object: the document")
    return cast("dict[str, Any]", given)
