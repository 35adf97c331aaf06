"""Changes at the source, and what arrives: a line for each, as it is committed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.text import Text
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.terminal import count, state, visible
from app.core.database import Database
from app.core.events import event_log
from app.core.events.event import DomainEvent
from app.core.events.models import EventLogEntry
from app.core.ids import new_id
from app.sandbox.zoho.contract import SendSwitches
from app.sandbox.zoho.control import SandboxControl

__all__ = ["live"]

_CHANGE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_SUMMARY_SECONDS: Final = 10.0
_MOST_AT_ONCE: Final = 3
_SEND: Final = SendSwitches(delay=0.15, delay_seconds=2.5, duplicate=0.2, invalid=0.06)
_TYPES: Final = (
    *("tds.entity.create", "tds.entity.update", "tds.entity.delete", "tds.entity.failed"),
    *("tds.deadletter.added", "tds.deadletter.resolved"),
)
_NAMES: Final = text("""
    SELECT CAST(id AS text), name FROM erp_products WHERE id = ANY (CAST(:ids AS uuid[]))
    UNION ALL
    SELECT CAST(id AS text), name FROM erp_customers WHERE id = ANY (CAST(:ids AS uuid[]))
    UNION ALL
    SELECT entity_id, before ->> 'name' FROM tds_audit_trail
    WHERE operation = 'delete' AND entity_id = ANY (CAST(:ids AS text[]))
""")
_TALLY: Final = text("""
    SELECT count(*) FILTER (WHERE duplicate_of IS NOT NULL), count(*) FILTER (WHERE status IN ('pending', 'queued'))
    FROM tds_inbox_events WHERE id > CAST(:since AS uuid)
""")
_LONGEST: Final = 44


@dataclass(slots=True)
class _Feed:
    """What has been seen so far; ``changed`` holds when each record was last changed at the source."""

    position: int
    since: str
    changes: int = 0
    seen: Counter[str] = field(default_factory=Counter[str])
    changed: dict[str, float] = field(default_factory=dict[str, float])


async def live(control: SandboxControl, database: Database, out: Console) -> None:
    """Change and show until cancelled."""
    async with database.session() as session:
        newest = await session.scalar(select(func.max(EventLogEntry.position)))
    feed = _Feed(newest or 0, str(new_id()))
    async with asyncio.TaskGroup() as group:
        group.create_task(_change(control, feed))
        group.create_task(_show(database, feed, out))
        group.create_task(_sum_up(database, feed, out))


async def _change(control: SandboxControl, feed: _Feed) -> None:
    while True:
        wanted = random.randint(1, _MOST_AT_ONCE)  # noqa: S311 - a demo's liveliness is no secret
        begun = time.monotonic()
        for change in await control.random(wanted, send=_SEND):
            feed.changes += 1
            feed.changed[change.id] = begun
        await asyncio.sleep(_CHANGE_SECONDS)


async def _show(database: Database, feed: _Feed, out: Console) -> None:
    while True:
        async with database.session() as session:
            found = await event_log.read(session, after_position=feed.position, event_types=_TYPES)
            names = await _names(session, [one.event for one in found])
        for one in found:
            feed.position = one.position
            feed.seen[one.event.event_type] += 1
            out.print(_line(one.event, names, feed), no_wrap=True, overflow="ellipsis", crop=True)
        await asyncio.sleep(_LOOK_SECONDS)


async def _names(session: AsyncSession, events: Sequence[DomainEvent]) -> Mapping[str, str]:
    ids = [one.aggregate_id for one in events if one.aggregate_type in {"product", "customer"}]
    if not ids:
        return {}
    return {identifier: name for identifier, name in await session.execute(_NAMES, {"ids": ids})}  # noqa: C416 - rows are no pairs


def _line(event: DomainEvent, names: Mapping[str, str], feed: _Feed) -> Text:
    data, word = event.data, event.event_type.rpartition(".")[2]
    begun = feed.changed.get(str(data.get("source_entity_id")))
    after = f"{time.monotonic() - begun:4.1f} s" if begun is not None else "      "
    shown = {"added": "given up", "create": "create", "failed": "failed"}.get(word, word)
    name = names.get(event.aggregate_id or "") or str(data.get("source_entity_id") or "")
    return Text.assemble(
        f"{event.occurred_at:%H:%M:%S}  {after}  ",
        state(shown),
        f"{'':{max(1, 10 - len(shown))}}{data.get('entity_type', ''):<9} ",
        f"{_cut(visible(name)):<{_LONGEST}}  " if name else "",
        _told(word, data),
    )


def _told(word: str, data: Mapping[str, Any]) -> str:
    if word == "update":
        (name, value), *more = data["changes"].items()
        return f"{name} = {_cut(visible(value))}" + (f" (+{len(more)})" if more else "")
    if word == "added":
        return visible(data["failure_reason"])
    if word == "resolved":
        return "a newer version was applied" if data["resolution"] == "superseded" else visible(data["resolution"])
    return visible(data["error"]) if word == "failed" else ""


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."


async def _sum_up(database: Database, feed: _Feed, out: Console) -> None:
    while True:
        await asyncio.sleep(_SUMMARY_SECONDS)
        async with database.session() as session:
            twice, waiting = (await session.execute(_TALLY, {"since": feed.since})).one()
        applied = sum(feed.seen[name] for name in _TYPES[:3])
        given_up = feed.seen["tds.deadletter.added"] - feed.seen["tds.deadletter.resolved"]
        out.print(
            f"          so far: {count(feed.changes)} changes at Zoho, {count(applied)} applied here, {count(twice)} "
            f"duplicates ignored, {count(given_up)} given up, {count(waiting)} waiting",
            style="dim",
        )
