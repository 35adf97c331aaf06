"""Webhook deliveries as Zoho sends them: item bodies with Arabic and English names, signed with the secret below."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from app.sandbox.zoho import times
from app.sandbox.zoho.chance import chance
from app.sandbox.zoho.contract import Behaviour
from app.sandbox.zoho.items import ItemShape, make_item
from app.sandbox.zoho.records import Record
from app.sandbox.zoho.wire import encode
from app.tds.core.ports import Delivery

__all__ = ["PATH", "SECRET", "delivery", "http_request", "item_bodies", "item_id", "sku"]

SECRET: Final = "benchmarksecret1"  # noqa: S105 - the source is made up, and so is its secret
PATH: Final = "/api/tds/webhooks/zoho"
_TEMPLATES: Final = 500
_FIRST_ID: Final = 481_500_000_100_000_001
_HEADER: Final = "X-Zoho-Webhook-Signature"
_JSON: Final = "application/json;charset=UTF-8"


def item_id(number: int) -> str:
    """The source's id of item ``number``."""
    return str(_FIRST_ID + 2 * number)


def sku(number: int) -> str:
    """The stock-keeping unit of item ``number``: no two are alike."""
    return f"BEN-{number:08d}"


def item_bodies(total: int, *, first: int = 0, edit: int = 0) -> Iterator[bytes]:
    """``total`` bodies, each of another item; ``edit`` gives the same items a later state: another
    level at which to order more, as the most frequent changes are those of numbers.
    """
    templates = _templates(min(total, _TEMPLATES))
    moment = times.now() - timedelta(hours=1) + timedelta(seconds=edit)
    for number in range(first, first + total):
        yield encode({"item": _body(templates[number % len(templates)], number, edit, moment)})


def _templates(total: int) -> list[dict[str, Any]]:
    rng, shape, moment = chance(5, "benchmark"), ItemShape(Behaviour()), times.now()
    drafts = (make_item(rng, number) for number in range(total))
    return [shape.detail(Record("", draft.data, moment, moment, timed=draft.timed)) for draft in drafts]


def _body(template: dict[str, Any], number: int, edit: int, moment: datetime) -> dict[str, Any]:
    return {
        **template,
        "item_id": item_id(number),
        "sku": sku(number),
        "name": f"{template['name']} {number}",
        "reorder_level": edit % 1000,
        "last_modified_time": times.stamp(moment),
    }


def _signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, sha256).hexdigest()


def delivery(body: bytes) -> Delivery:
    """A delivery as the web server hands it on."""
    return Delivery(body=body, headers={_HEADER.lower(): _signature(body), "content-type": _JSON})


def http_request(body: bytes, host: str) -> bytes:
    """The same as bytes on the wire, HTTP/1.1, the connection kept."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {_JSON}\r\n{_HEADER}: {_signature(body)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
