"""Dead letters, printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from app.cli.terminal import ago, console, count, dim, short_id, state, table, visible
from app.core.clock import utc_now
from app.tds.core.errors import FieldError
from app.tds.core.letter_groups import LetterGroup
from app.tds.models import TDSDeadLetterQueue

__all__ = [
    "errors_table",
    "group_as_json",
    "letter_as_json",
    "print_groups",
    "print_letter",
    "print_letters",
    "print_problems",
    "why",
]

_BRIEF: Final = (
    *("id", "source", "entity_type", "source_entity_id", "operation_type", "error_code", "failure_reason"),
    *("fingerprint", "total_attempts", "priority", "created_at", "resolved", "resolved_at", "resolved_by"),
    *("resolution", "resolution_notes", "reprocessed_as"),
)
_LINKS: Final = ("received_at", "version_time", "sync_queue_id", "inbox_event_id", "run_id")
_WHOLE: Final = (*_BRIEF, *_LINKS, "arrival", "errors", "stack", "original_payload", "last_payload")


def letter_as_json(letter: TDSDeadLetterQueue, *, whole: bool = False) -> dict[str, Any]:
    """A letter in JSON values; its payloads, errors and links with ``whole``."""
    return {name: getattr(letter, name) for name in (_WHOLE if whole else _BRIEF)}


def print_letters(letters: Sequence[TDSDeadLetterQueue], *, every: bool, more: int = 0) -> None:
    """A line each; ``every`` if not just the open ones were asked for, ``more`` are not shown."""
    out = console()
    if not letters:
        out.print("There are no such dead letters." if every else "No dead letter is open.")
        return
    now = utc_now()
    made = table("id", "entity", "source id", "tries", "why", "since", "fingerprint", right=("tries",))
    for letter in letters:
        made.add_row(
            short_id(letter.id),
            state("resolved" if letter.resolved else "dead letter", label=visible(letter.entity_type)),
            visible(letter.source_entity_id),
            count(letter.total_attempts),
            why(letter),
            ago(letter.created_at, now),
            dim(letter.fingerprint),
        )
    out.print(made)
    if more:
        out.print(dim(f"and {count(more)} more (--limit)"))
    out.print()
    out.print(f"-> tds dead-letter show {short_id(letters[0].id)}")
    if len(letters) > 1:
        out.print("-> tds dead-letter groups")


def why(letter: TDSDeadLetterQueue) -> str:
    """The reason in short: of several errors the first."""
    if not letter.errors:
        return visible(letter.failure_reason)
    first, more = letter.errors[0], len(letter.errors) - 1
    field = f"{first['field']}: " if first.get("field") else ""
    return visible(f"{field}{first.get('message')}") + (f" (and {more} more)" if more else "")


def print_letter(letter: TDSDeadLetterQueue) -> None:
    """All of one."""
    out = console()
    out.print(state("resolved" if letter.resolved else "dead letter"), f"{letter.entity_type} {_named(letter)}")
    out.print(f"  {visible(letter.failure_reason)}", soft_wrap=True)
    out.print()
    out.print(_facts(letter))
    if letter.errors:
        out.print()
        out.print(errors_table(letter.errors))
    for title, payload in (("Payload", letter.last_payload), ("As it came", letter.original_payload)):
        if payload is not None and (title == "Payload" or payload != letter.last_payload):
            out.print()
            out.print(dim(title))
            out.print("\n".join(map(visible, json.dumps(payload, ensure_ascii=False, indent=2).splitlines())))
    if letter.stack:
        out.print()
        out.print(dim("Stack"))
        out.print("\n".join(map(visible, letter.stack.splitlines())), soft_wrap=True)
    if not letter.resolved:
        out.print()
        out.print(f"-> tds dead-letter edit {short_id(letter.id)}")
        out.print(f"-> tds dead-letter dry-run {short_id(letter.id)} [--payload mended.json]")
        out.print(f"-> tds dead-letter reprocess {short_id(letter.id)} [--payload mended.json]")
        out.print(f'-> tds dead-letter resolve {short_id(letter.id)} --note "..."')


def _named(letter: TDSDeadLetterQueue) -> str:
    return visible(letter.source_entity_id) if letter.source_entity_id else "(no source id)"


def _facts(letter: TDSDeadLetterQueue) -> Any:
    made = table("Letter", "")
    for name in (*_BRIEF, *_LINKS):
        value = getattr(letter, name)
        if value is not None and name not in {"failure_reason", "resolved"}:
            made.add_row(name.replace("_", " "), visible(value))
    return made


def errors_table(errors: Sequence[Mapping[str, Any]]) -> Any:
    """A line for each error, by field."""
    made = table("Field", "what is wrong", "code")
    for error in errors:
        made.add_row(
            visible(error.get("field") or "(whole body)"), visible(error.get("message")), visible(error.get("code"))
        )
    return made


def group_as_json(group: LetterGroup) -> dict[str, Any]:
    """A group in JSON values."""
    return asdict(group)


def print_groups(groups: Sequence[LetterGroup]) -> None:
    """A line each."""
    out = console()
    if not groups:
        out.print("No dead letter is open.")
        return
    now = utc_now()
    made = table("letters", "entity", "code", "why, for one", "first", "last", "fingerprint", right=("letters",))
    for group in groups:
        made.add_row(
            count(group.count),
            state("dead letter", label=visible(group.entity_type)),
            visible(group.error_code),
            visible(group.sample_reason),
            ago(group.first, now),
            ago(group.last, now),
            dim(group.fingerprint),
        )
    out.print(made)
    out.print()
    out.print(f"-> tds dead-letter show {short_id(groups[0].sample_id)}")
    out.print(f"-> tds dead-letter reprocess --all-matching --fingerprint {groups[0].fingerprint}")


def print_problems(letter: TDSDeadLetterQueue, problems: Sequence[FieldError]) -> None:
    """What is still wrong with a document that was kept, and what to do next."""
    out = console()
    if problems:
        out.print("Kept. It would be given up again:")
        out.print(errors_table([one.as_dict() for one in problems]))
    else:
        out.print("Kept.")
    out.print()
    out.print(f"-> tds dead-letter {'edit' if problems else 'dry-run'} {short_id(letter.id)}")
