"""Webhooks in: check, store, commit, and only then acknowledge."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import TdsError
from app.core.problems import request_id_of
from app.core.security.openapi import refusals
from app.tds.core import inbox
from app.tds.core.errors import UnknownSourceError
from app.tds.core.ports import Delivery, Source

__all__ = ["BodyTooLargeError", "WebhookReceipt", "webhook_router"]

_REFUSALS = refusals(401, 403, 404, 408, 413, 422, 503)


class BodyTooLargeError(TdsError):
    """The body is larger than TDS_WEBHOOK_MAX_BYTES allows."""

    status = 413


class WebhookReceipt(BaseModel):
    """The answer to a stored delivery. A duplicate has no further effect."""

    event_id: UUID
    status: Literal["accepted", "duplicate"]
    duplicate_of: UUID | None = None


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body, up to ``limit`` bytes.

    Raises:
        BodyTooLargeError: it is larger; reading stops there.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLargeError(f"The body is larger than {limit} bytes (TDS_WEBHOOK_MAX_BYTES).")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(f"The body is larger than {limit} bytes (TDS_WEBHOOK_MAX_BYTES).")
        chunks.append(chunk)
    return b"".join(chunks)


def _delivery(request: Request, body: bytes) -> Delivery:
    return Delivery(
        body=body,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=parse_qsl(request.url.query, keep_blank_values=True),
    )


def webhook_router(
    *, database: Database, doorbell: Doorbell, sources: dict[str, Source], max_bytes: int, window: timedelta
) -> APIRouter:
    """The route that sources call: ``POST /api/tds/webhooks/{source}``."""
    router = APIRouter(prefix="/api/tds/webhooks", tags=["webhooks"])

    @router.post("/{source}", status_code=202, operation_id="receiveWebhook", responses=_REFUSALS)
    async def receive_webhook(source: str, request: Request) -> WebhookReceipt:
        """Store one delivery; 202 means that it is committed."""
        known = sources.get(source)
        if known is None:
            raise UnknownSourceError(f"There is no source named {source[:100]!r}.")
        delivery = _delivery(request, await read_body(request, max_bytes))
        record = known.receive(delivery)
        # Committed when it returns, before the reply: a yield dependency would commit after it.
        async with database.single() as session:
            receipt = await inbox.receive(
                session,
                record,
                source=source,
                headers=delivery.headers,
                window=window,
                trace_id=request_id_of(request),
            )
        if receipt.duplicate_of is not None:
            return WebhookReceipt(event_id=receipt.event_id, status="duplicate", duplicate_of=receipt.duplicate_of)
        doorbell.ring("inbox")
        return WebhookReceipt(event_id=receipt.event_id, status="accepted")

    return router
