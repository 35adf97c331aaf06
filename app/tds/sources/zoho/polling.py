"""Reading an entity's list page by page: where a poll stands, which rows are wanted, when it is over.

Zoho ignores what it does not know, so neither a filter nor an order is believed: every row is looked at.
Pages are cut when they are asked for; a row that moves between two requests is seen twice, or not before the
overlap of a later poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

from msgspec import Raw

from app.core.clock import as_utc
from app.tds.core.errors import SourceError, SourceUnavailableError
from app.tds.core.ports import Page, RawRecord
from app.tds.sources.zoho.client import Api, ZohoClient
from app.tds.sources.zoho.failures import ZohoNotFoundError
from app.tds.sources.zoho.mapping.convert import RefusedError, identifier, moment
from app.tds.sources.zoho.schemas import ContactAnswer, ContactsAnswer, ItemAnswer, ItemsAnswer, Stub, decode
from app.tds.types import EntityType

__all__ = ["OVERLAP", "PER_PAGE", "Position", "contacts", "items", "one"]

OVERLAP: Final = timedelta(minutes=5)
PER_PAGE: Final = 200
_MAX_PAGES: Final = 10_000
# Details of a page are handed on in portions: a limit that is hit among them then costs one portion, not the page.
_PORTION: Final = 50
_BY_CHANGE: Final = "last_modified_time"
_BY_AGE: Final = "created_time"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a poll stands: the page to read next, how many of its rows are done, the newest modification time seen,
    and, of a list ordered by it downwards, the last one seen as long as the order has held.
    """

    page: int = 1
    offset: int = 0
    watermark: datetime | None = None
    tail: datetime | None = None
    ordered: bool = True

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any] | None) -> Position:
        """A position from a page's checkpoint; the beginning where there is none."""
        told = checkpoint or {}
        return cls(
            page=int(told.get("page", 1)),
            offset=int(told.get("offset", 0)),
            watermark=_moment_or_none(told.get("watermark")),
            tail=_moment_or_none(told.get("tail")),
            ordered=bool(told.get("ordered", True)),
        )

    def is_before(self, threshold: datetime) -> bool:
        """Whether all that follows in a list that is ordered downwards is older than ``threshold``."""
        return self.ordered and self.tail is not None and self.tail < threshold

    def checkpoint(self) -> dict[str, Any]:
        """The position in JSON values."""
        return {
            "page": self.page,
            "offset": self.offset,
            "watermark": self.watermark.isoformat() if self.watermark else None,
            "tail": self.tail.isoformat() if self.tail else None,
            "ordered": self.ordered,
        }


class _Row(NamedTuple):
    """A list row: its bytes, and what polling knows of it."""

    body: bytes
    id: str | None
    modified: datetime | None
    stub: Stub

    def since(self, threshold: datetime | None) -> bool:
        """Whether it may have changed; a row that does not say when it did, may."""
        return threshold is None or self.modified is None or self.modified >= threshold


class _List(NamedTuple):
    """What to read."""

    api: Api
    path: str
    answer: type[ItemsAnswer | ContactsAnswer]
    query: Mapping[str, str]


class _Sheet(NamedTuple):
    """A page of a list."""

    number: int
    rows: Sequence[_Row]
    last: bool
    sort_column: str | None


async def items(
    client: ZohoClient, *, since: datetime | None, checkpoint: Mapping[str, Any] | None
) -> AsyncIterator[Page]:
    """Items, from Zoho Inventory, which filters them by their last change; the rows hold all that is wanted."""
    threshold = as_utc(since) - OVERLAP if since else None
    query = {"filter_by": "Status.All", "sort_order": "A", "sort_column": _BY_CHANGE if threshold else _BY_AGE}
    if threshold:
        query[_BY_CHANGE] = _written(threshold)
    position = Position.of(checkpoint)
    async for sheet in _sheets(client, _List(Api.INVENTORY, "/items", ItemsAnswer, query), position.page):
        position = replace(position, page=sheet.number + 1, watermark=_newest(position.watermark, sheet.rows))
        records = [_record(EntityType.PRODUCT, row, row.body) for row in sheet.rows if row.since(threshold)]
        yield _page(records, position, last=sheet.last)


async def contacts(
    client: ZohoClient, *, since: datetime | None, checkpoint: Mapping[str, Any] | None
) -> AsyncIterator[Page]:
    """Customers, from Zoho Books. Its list has no filter by change, but an order: newest first, until what is
    known already. Rows know neither addresses nor persons, so each that is wanted is read by itself.
    """
    threshold = as_utc(since) - OVERLAP if since else None
    order = {"sort_column": _BY_CHANGE, "sort_order": "D"} if threshold else {"sort_column": _BY_AGE, "sort_order": "A"}
    query = {"contact_type": "customer", "filter_by": "Status.All", **order}
    position = Position.of(checkpoint)
    async for sheet in _sheets(client, _List(Api.BOOKS, "/contacts", ContactsAnswer, query), position.page):
        after = _after(sheet, position)
        wanted = [row for row in sheet.rows if row.since(threshold) and _is_customer(row)]
        for done in range(position.offset + _PORTION, len(wanted), _PORTION):
            records = await _details(client, wanted[position.offset : done])
            position = replace(position, page=sheet.number, offset=done, watermark=after.watermark)
            yield _page(records, position, last=False)
        records = await _details(client, wanted[position.offset :])
        position = after
        yield _page(records, position, last=sheet.last or (threshold is not None and after.is_before(threshold)))
        if threshold is not None and after.is_before(threshold):
            return


async def one(client: ZohoClient, entity: EntityType, source_entity_id: str) -> RawRecord | None:
    """One record by its id, whole; None if there is none."""
    identifier = quote(source_entity_id, safe="")
    try:
        if entity is EntityType.PRODUCT:
            body = bytes((await client.get(Api.INVENTORY, f"/items/{identifier}", ItemAnswer)).item)
        else:
            body = bytes((await client.get(Api.BOOKS, f"/contacts/{identifier}", ContactAnswer)).contact)
    except ZohoNotFoundError:
        return None
    return RawRecord(body=body, entity_type=entity.value, source_entity_id=source_entity_id)


async def _sheets(client: ZohoClient, what: _List, first: int) -> AsyncIterator[_Sheet]:
    before: list[bytes] = []
    for number in range(first, _MAX_PAGES + 1):
        answer = await client.get(
            what.api, what.path, what.answer, {"page": number, "per_page": PER_PAGE, **what.query}
        )
        rows, context = [_row(raw) for raw in answer.rows], answer.page_context
        bodies = [row.body for row in rows]
        if rows and bodies == before:
            raise SourceUnavailableError(f"Zoho's list {what.path} does not page: page {number} is the one before it.")
        more = context.has_more_page if context else len(rows) >= PER_PAGE
        last = not more or not rows
        yield _Sheet(number, rows, last, context.sort_column if context else None)
        if last:
            return
        before = bodies
    raise SourceUnavailableError(f"Zoho's list {what.path} does not end after {_MAX_PAGES} pages.")


def _row(raw: Raw) -> _Row:
    stub = decode(raw, Stub) or Stub()
    return _Row(bytes(raw), _id_or_none(stub), _moment_or_none(stub.last_modified_time), stub)


def _record(entity: EntityType, row: _Row, body: bytes) -> RawRecord:
    return RawRecord(body=body, entity_type=entity.value, source_entity_id=row.id)


def _page(records: Sequence[RawRecord], position: Position, *, last: bool) -> Page:
    return Page(records=records, checkpoint=position.checkpoint(), watermark=position.watermark, last=last)


def _after(sheet: _Sheet, before: Position) -> Position:
    """The position after a sheet. The order has held if Zoho does not name another, and no row is newer than
    the one before it.
    """
    times = [row.modified for row in sheet.rows if row.modified]
    falling = all(earlier >= later for earlier, later in pairwise([before.tail, *times] if before.tail else times))
    return Position(
        page=sheet.number + 1,
        watermark=_newest(before.watermark, sheet.rows),
        tail=times[-1] if times else before.tail,
        ordered=before.ordered and falling and sheet.sort_column in (None, _BY_CHANGE),
    )


def _newest(watermark: datetime | None, rows: Sequence[_Row]) -> datetime | None:
    return max((time for time in (watermark, *(row.modified for row in rows)) if time), default=None)


def _is_customer(row: _Row) -> bool:
    return row.stub.contact_type in (None, "", "customer")


async def _details(client: ZohoClient, rows: Sequence[_Row]) -> list[RawRecord]:
    """The contacts of rows, whole and in order, without those that have vanished since the list was cut."""
    found = await _all([_detail(client, row) for row in rows])
    return [record for record in found if record]


async def _detail(client: ZohoClient, row: _Row) -> RawRecord | None:
    if row.id is None:  # whatever it is, the mapping says so
        return _record(EntityType.CUSTOMER, row, row.body)
    try:
        answer = await client.get(Api.BOOKS, f"/contacts/{quote(row.id, safe='')}", ContactAnswer)
    except ZohoNotFoundError:
        return None
    return _record(EntityType.CUSTOMER, row, bytes(answer.contact))


async def _all(work: Sequence[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """The results in order; at the first failure the others are given up, and the failure is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except* SourceError as failures:
        failed: BaseException = failures
        while isinstance(failed, BaseExceptionGroup):
            failed = failed.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise failed


def _id_or_none(stub: Stub) -> str | None:
    try:
        return identifier(stub.item_id) or identifier(stub.contact_id)
    except RefusedError:
        return None


def _moment_or_none(value: Any) -> datetime | None:
    try:
        return moment(value)
    except RefusedError:
        return None


def _written(threshold: datetime) -> str:
    """As Zoho wants it: an offset without a colon, whole seconds."""
    return threshold.strftime("%Y-%m-%dT%H:%M:%S%z")
