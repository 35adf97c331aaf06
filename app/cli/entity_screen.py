"""One entity, printed: what it is, and how it came to be that way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from app.cli.entity import Entity
from app.cli.terminal import ago, console, dim, short_id, state, table, visible
from app.core.clock import utc_now

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from app.tds.models import TDSAuditTrail, TDSInboxEvent, TDSSyncQueue

__all__ = ["print_entity"]

_HIDDEN: Final = frozenset({"id", "name", "created_at", "updated_at"})
_LONG: Final = 60


def print_entity(found: Entity) -> None:
    """Print all that is known."""
    out = console()
    _head(out, found)
    _section(out, _fields(found))
    for title, rows in found.parts.items():
        _section(out, _part(title, rows))
    _section(out, _received(found.received))
    _section(out, _queue(found.queue))
    _section(out, _audit(found.audit))
    _section(out, _events(found))
    if found.letters:
        _section(out, _letters(found))


def _section(out: Console, made: Table | None) -> None:
    if made is not None:
        out.print()
        out.print(made)


def _head(out: Console, found: Entity) -> None:
    name = visible(found.row["name"]) if found.row else ""
    out.print(Text.assemble(_standing(found), f"  {found.kind}  ", (name, "bold")))
    if found.ledger is None:
        out.print("  never applied: see what became of it below")
        return
    ledger, now = found.ledger, utc_now()
    out.print(f"  here {ledger.local_id or '-'}, at {ledger.source} {visible(ledger.source_entity_id)}")
    changed = visible(ledger.version_time) if ledger.version_time else "not told"
    out.print(f"  changed at the source {changed}; applied {ago(ledger.last_applied_at, now)}")


def _standing(found: Entity) -> Text:
    if found.ledger is not None and found.ledger.deleted:
        return state("deleted")
    if any(not letter.resolved for letter in found.letters):
        return state("not in step")
    if any(item.completed_at is None for item in found.queue):
        return state("pending", label="a change is on its way")
    return state("in step") if found.row else state("not in step")


def _fields(found: Entity) -> Table | None:
    if found.row is None:
        return None
    made = table("Row", "", "", "")
    shown = [(name, value) for name, value in found.row.items() if name not in _HIDDEN and value not in (None, {})]
    half = (len(shown) + 1) // 2
    for left, right in zip(shown[:half], [*shown[half:], ("", "")], strict=False):
        made.add_row(*_field(*left), *_field(*right))
    return made


def _field(name: str, value: Any) -> tuple[Text, str]:
    return dim(name.replace("_", " ")), visible(value) if name else ""


def _part(title: str, rows: Sequence[Mapping[str, Any]]) -> Table | None:
    if not rows:
        return None
    made = table(title.capitalize(), "")
    for row in rows:
        lead = str(row.get("kind") or ("primary" if row.get("is_primary") else "other"))
        skipped = {"kind", "is_primary", "source_id"}
        made.add_row(
            dim(lead), ", ".join(visible(value) for name, value in row.items() if value and name not in skipped)
        )
    return made


def _received(events: Sequence[TDSInboxEvent]) -> Table | None:
    how: Callable[[TDSInboxEvent], str] = lambda one: "poll" if one.signature.value == "not_applicable" else "webhook"  # noqa: E731
    return _list(
        ("Received", "by", "signature", "bytes", "state", "id"),
        events,
        lambda one: (
            _when(one.created_at),
            how(one),
            one.signature.value.replace("_", " "),
            str(len(one.body)),
            state(one.status.value),
            dim(short_id(one.id)),
        ),
    )


def _queue(items: Sequence[TDSSyncQueue]) -> Table | None:
    return _list(
        ("Queue", "asks for", "state", "outcome", "failed tries", "took", "id"),
        items,
        lambda one: (
            _when(one.created_at),
            one.operation_type.value,
            state(one.status.value),
            one.outcome.value if one.outcome else "-",
            str(one.attempts),
            _span(one.created_at, one.completed_at),
            dim(short_id(one.id)),
        ),
    )


def _audit(rows: Sequence[TDSAuditTrail]) -> Table | None:
    return _list(
        ("Changes", "what", "by", "before -> after"),
        rows,
        lambda one: (_when(one.created_at), one.operation.value, visible(one.change_source), _changes(one)),
    )


def _changes(row: TDSAuditTrail) -> str:
    if row.before is None or row.after is None:
        return f"{len(row.changed_fields)} fields"
    told = [f"{name}: {_brief(row.before.get(name))} -> {_brief(row.after.get(name))}" for name in row.changed_fields]
    return "\n".join(told)


def _brief(value: Any) -> str:
    text = visible(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _events(found: Entity) -> Table | None:
    return _list(
        ("Announced", "event", "id"),
        found.events,
        lambda one: (_when(one.occurred_at), one.event_type, dim(short_id(one.event_id))),
    )


def _letters(found: Entity) -> Table | None:
    return _list(
        ("Dead letters", "state", "why", "id"),
        found.letters,
        lambda one: (
            _when(one.created_at),
            state("resolved" if one.resolved else "dead letter", label=one.resolution if one.resolved else "open"),
            visible(one.failure_reason),
            short_id(one.id),
        ),
    )


def _list(columns: Sequence[str], rows: Iterable[Any], cells: Callable[[Any], Sequence[Any]]) -> Table | None:
    made = table(*columns)
    for row in rows:
        made.add_row(*cells(row))
    return made if made.rows else None


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _span(start: datetime, end: datetime | None) -> str:
    if end is None:
        return "-"
    passed = (end - start).total_seconds()
    return f"{passed * 1000:.0f} ms" if passed < 1 else f"{passed:.1f} s"
