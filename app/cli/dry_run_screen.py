"""Dry runs, printed."""

from __future__ import annotations

import shlex
from typing import Any, Final

from app.cli.letters_screen import errors_table
from app.cli.terminal import console, short_id, state, table, visible
from app.tds.core.dry_run import DryRun
from app.tds.models import TDSDeadLetterQueue

__all__ = ["dry_run_as_json", "print_dry_run"]

_WORDS: Final = {
    "created": "it would be created",
    "updated": "it would be changed",
    "deleted": "it would be deleted",
    "unchanged": "nothing would change: the same is here already",
    "superseded": "nothing would change: something newer has been applied",
    "waits": "it would have to wait",
    "retry": "it would fail for now, and be tried again",
    "dead_letter": "it would be given up again",
}
_STATES: Final = {"created": "create", "updated": "update", "deleted": "delete", "waits": "pending"}
_PLAIN: Final = frozenset({"created", "updated", "deleted", "unchanged", "superseded"})


def dry_run_as_json(result: DryRun) -> dict[str, Any]:
    """A dry run's result in JSON values."""
    names = ("outcome", "entity_type", "source_entity_id", "local_id", "before", "after", "code", "reason", "paused")
    told: dict[str, Any] = {name: getattr(result, name) for name in names}
    return {**told, "changed": list(result.changed), "errors": [one.as_dict() for one in result.errors]}


def print_dry_run(letter: TDSDeadLetterQueue, result: DryRun, *, payload: str | None = None) -> None:
    """What would change, field by field, and what to do next; ``payload`` is the file that was tried."""
    out = console()
    name = f"{visible(result.entity_type)} {visible(result.source_entity_id)}"
    out.print(state(_STATES.get(result.outcome, result.outcome), label=f"{name}: {_WORDS[result.outcome]}"))
    if result.paused:
        out.print("  its entity type is paused: it would wait for the end of the pause (tds pauses)")
    if result.reason:
        out.print(f"  {visible(result.code)}: {visible(result.reason)}", soft_wrap=True)
    if result.errors:
        out.print()
        out.print(errors_table([one.as_dict() for one in result.errors]))
    if result.changed:
        out.print()
        out.print(_changes(result))
    out.print()
    out.print("Nothing was changed.")
    if not letter.resolved:
        step = "reprocess" if result.outcome in _PLAIN else "edit"
        given = f" --payload {shlex.quote(payload)}" if payload and step == "reprocess" else ""
        out.print(f"-> tds dead-letter {step} {short_id(letter.id)}{given}", soft_wrap=True)


def _changes(result: DryRun) -> Any:
    before, after = result.before or {}, result.after or {}
    made = table("Field", "now", "would be")
    for name in result.changed:
        made.add_row(visible(name), visible(before.get(name)), visible(after.get(name)))
    return made
