"""Turns a change into the webhook that tells of it: body, URL, signature, and what is done wrong on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from app.sandbox.zoho import times
from app.sandbox.zoho.contract import Delivery, SendSwitches
from app.sandbox.zoho.signature import FORM_TYPE, sign
from app.sandbox.zoho.wire import Data, encode

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance
    from app.sandbox.zoho.contract import Event, Module, SignatureKind, WebhookRules

__all__ = ["Message", "compose", "draw_switches"]

_JSON_TYPE: Final = "application/json;charset=UTF-8"
_UNMAPPABLE: Final[Data] = {"status": "???", "rate": "twelve", "outstanding_receivable_amount": "lots"}
_SWITCHES: Final = tuple(name for name in SendSwitches.model_fields if name != "delay_seconds")


@dataclass(frozen=True, slots=True)
class Message:
    """A change to tell of: ``payload`` is the detail, or the id alone for a delete."""

    module: Module
    record_id: str
    event: Event
    id_field: str
    name_field: str
    key: str
    payload: Data = field(repr=False)


def draw_switches(switches: SendSwitches, rng: Chance) -> list[str]:
    """The switches that are on for one webhook."""
    return [name for name in _SWITCHES if rng.random() < getattr(switches, name)]


def compose(number: int, message: Message, rules: WebhookRules, switches: list[str]) -> Delivery:
    """The delivery as it goes over the wire."""
    url = _url(message, rules)
    json_body = encode({message.key: _payload(message, switches)})
    form = "form" in switches
    body = urlencode({"JSONString": json_body.decode()}).encode() if form else json_body
    content_type = FORM_TYPE if form else _JSON_TYPE
    kind = _signature_kind(rules, switches)
    signature = None
    if rules.secret is not None and kind != "none":
        secret = rules.secret if kind == "good" else f"not{rules.secret}"
        signature = sign(secret, urlsplit(url).query, body, content_type)
    return Delivery(
        id=number,
        module=message.module,
        record_id=message.record_id,
        event=message.event,
        queued_at=times.stamp(times.now()),
        url=url,
        content_type=content_type,
        body=body.decode(),
        signature=signature,
        signature_kind=kind,
        switches=switches,
    )


def _url(message: Message, rules: WebhookRules) -> str:
    template = rules.url or ""
    if query := rules.queries.get(message.event, ""):
        template = f"{template}{'&' if '?' in template else '?'}{query}"
    return template.replace("{module}", message.module).replace("{event}", message.event)


def _payload(message: Message, switches: list[str]) -> Data:
    payload = dict(message.payload)
    if "numeric_id" in switches:
        payload[message.id_field] = int(message.record_id)
    if "invalid" in switches:
        known = payload if len(payload) > 1 else {}  # a delete's body is its id alone: it is spoilt by losing it
        return {**known, message.name_field: None, **_UNMAPPABLE}
    return payload


def _signature_kind(rules: WebhookRules, switches: list[str]) -> SignatureKind:
    if rules.secret is None or "unsigned" in switches:
        return "none"
    return "wrong" if "wrong_signature" in switches else "good"
