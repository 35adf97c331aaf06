"""``tds dead-letter``: look at what was given up, mend it, try it again, or close it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.bulk import one_or_all, work_on_all
from app.cli.editor import edit_document, read_document
from app.cli.failures import UsageError
from app.cli.letter_desk import letter_service
from app.cli.letter_filters import Entity, ErrorCode, Filters, Fingerprint, NewerThan, OlderThan, Source, Text
from app.cli.running import run
from app.cli.sync import user, warn_without_worker
from app.cli.terminal import print_json, short_id

if TYPE_CHECKING:
    from app.tds.models import TDSDeadLetterQueue

__all__ = ["letters"]

letters = typer.Typer(help="Changes that were given up: look, mend, try again, close.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(help="Its id, or the beginning or end of it: 6 digits or more.")]
OneLetter = Annotated[
    str | None, typer.Argument(metavar="[LETTER]", help="Its id, or the beginning or end of it: 6 digits or more.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
Payload = Annotated[str | None, typer.Option(help="A file that holds the mended document, - for standard input.")]
AllMatching = Annotated[bool, typer.Option("--all-matching", help="All open ones that match, by a job of the workers.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not show the count and ask.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not follow the job to its end.")]


@letters.callback()
def _letters() -> None:
    """Holds the subcommands."""


@letters.command("list")
def list_letters(
    *,
    entity: Entity = None,
    source: Source = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    text: Text = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first; open ones unless --all is given.

    Examples:

    - tds dead-letter list
    - tds dead-letter list --entity product --newer-than 2h
    - tds dead-letter list --text "credit limit" --all --json
    """
    from app.cli.letters_screen import letter_as_json, print_letters

    filters = Filters(
        entity=entity,
        source=source,
        error_code=error_code,
        fingerprint=fingerprint,
        text=text,
        older_than=older_than,
        newer_than=newer_than,
    )

    async def look() -> None:
        async with letter_service() as (_, service):
            criteria = filters.criteria(resolved=None if every else False)
            found = await service.find(criteria, limit=limit)
            more = await service.count(criteria) - len(found) if len(found) == limit else 0
        if as_json:
            print_json([letter_as_json(one) for one in found])
        else:
            print_letters(found, every=every or filters.given, more=more)

    run(look())


@letters.command("groups")
def groups(
    *,
    entity: Entity = None,
    source: Source = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many at most, the largest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Open dead letters that failed in the same way, together: one mend usually serves a whole group.

    Examples:

    - tds dead-letter groups
    - tds dead-letter groups --entity product --json
    """
    from app.cli.letters_screen import group_as_json, print_groups

    async def look() -> None:
        async with letter_service() as (_, service):
            criteria = Filters(entity=entity, source=source, newer_than=newer_than).criteria()
            found = await service.groups(criteria, limit=limit)
        print_json([group_as_json(one) for one in found]) if as_json else print_groups(found)

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
        async with letter_service() as (_, service):
            found = await find_letter(service.db, letter)
        print_json(letter_as_json(found, whole=True)) if as_json else print_letter(found)

    run(look())


@letters.command("edit")
def edit(letter: LetterId, *, payload: Payload = None, as_json: AsJson = False) -> None:
    """Mend its document, in $EDITOR or from a file, and keep it; it is not queued yet.

    Examples:

    - tds dead-letter edit 3f9a01cc
    - tds dead-letter edit 3f9a01cc --payload mended.json
    """
    from app.cli.letters_screen import letter_as_json, print_problems

    seen, revision = run(_seen(letter))
    if seen.resolved:
        raise UsageError(f"dead letter {short_id(seen.id)} has been resolved already")
    document = edit_document(seen.last_payload or {}) if payload is None else read_document(payload)

    async def work() -> None:
        async with letter_service() as (_, service):
            kept = await service.edit(seen.id, document, actor=user(), expected=revision)
            problems = service.validate(kept)
        if as_json:
            told = [one.as_dict() for one in problems]
            print_json({**letter_as_json(kept, whole=True), "problems": told})
        else:
            print_problems(kept, problems)

    run(work())


async def _seen(letter: str) -> tuple[TDSDeadLetterQueue, str]:
    from app.cli.letter_lookup import find_letter
    from app.tds.core.dead_letter_service import revision

    async with letter_service() as (_, service):
        found = await find_letter(service.db, letter)
    return found, revision(found)


@letters.command("dry-run")
def dry_run(letter: LetterId, *, payload: Payload = None, as_json: AsJson = False) -> None:
    """What reprocessing it would change, field by field. Nothing is changed.

    Examples:

    - tds dead-letter dry-run 3f9a01cc
    - tds dead-letter dry-run 3f9a01cc --payload mended.json --json
    """
    from app.cli.dry_run_screen import dry_run_as_json, print_dry_run
    from app.cli.letter_lookup import find_letter

    document = None if payload is None else read_document(payload)

    async def look() -> None:
        async with letter_service() as (_, service):
            found = await find_letter(service.db, letter)
            result = await service.dry_run(found.id, document)
        print_json(dry_run_as_json(result)) if as_json else print_dry_run(found, result, payload=payload)

    run(look())


@letters.command("reprocess")
def reprocess(
    letter: OneLetter = None,
    *,
    payload: Payload = None,
    every: AllMatching = False,
    entity: Entity = None,
    source: Source = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    text: Text = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Queue it again, first in line, and close the letter; if something newer was applied meanwhile, that stays.

    Examples:

    - tds dead-letter reprocess 3f9a01cc
    - tds dead-letter reprocess 3f9a01cc --payload mended.json
    - tds dead-letter reprocess --all-matching --fingerprint 5d41402abc4b2a76
    """
    filters = Filters(
        entity=entity,
        source=source,
        error_code=error_code,
        fingerprint=fingerprint,
        text=text,
        older_than=older_than,
        newer_than=newer_than,
    )
    one_or_all(letter, filters, every=every)
    if letter is None:
        if payload is not None:
            raise UsageError("--payload mends one letter: name it")
        work_on_all(filters, note=None, agreed=yes, wait=not no_wait, as_json=as_json)
        return
    run(_reprocess_one(letter, None if payload is None else read_document(payload), as_json=as_json))


async def _reprocess_one(letter: str, document: dict[str, Any] | None, *, as_json: bool) -> None:
    from app.cli.letter_lookup import find_letter

    async with letter_service() as (opened, service):
        found = await find_letter(service.db, letter)
        item = await service.reprocess(found.id, payload=document, actor=user())
        opened.doorbell.ring("queue")
        await opened.doorbell.close()
        await warn_without_worker(opened)
    if as_json:
        print_json({"dead_letter_id": found.id, "queue_id": item.id, "status": item.status.value})
        return
    typer.echo(f"Queued again as {item.id}. What comes of it: tds show {item.entity_type} {item.source_entity_id}")


@letters.command("resolve")
def resolve(
    letter: OneLetter = None,
    *,
    note: Annotated[str, typer.Option(help="Why nothing has to be done: whoever looks later wants to know.")],
    every: AllMatching = False,
    entity: Entity = None,
    source: Source = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    text: Text = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Close it and do nothing else.

    Examples:

    - tds dead-letter resolve 3f9a01cc --note "a test record, deleted at Zoho"
    - tds dead-letter resolve --all-matching --older-than 30d --note "before the new mapping"
    """
    filters = Filters(
        entity=entity,
        source=source,
        error_code=error_code,
        fingerprint=fingerprint,
        text=text,
        older_than=older_than,
        newer_than=newer_than,
    )
    one_or_all(letter, filters, every=every)
    if letter is None:
        work_on_all(filters, note=note, agreed=yes, wait=not no_wait, as_json=as_json)
        return
    run(_resolve_one(letter, note, as_json=as_json))


async def _resolve_one(letter: str, note: str, *, as_json: bool) -> None:
    from app.cli.letter_lookup import find_letter
    from app.cli.letters_screen import letter_as_json

    async with letter_service() as (_, service):
        found = await find_letter(service.db, letter)
        closed = await service.resolve(found.id, note=note, actor=user())
    print_json(letter_as_json(closed)) if as_json else typer.echo(f"Closed {closed.id}.")
