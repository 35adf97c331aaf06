"""Webhooks as they go over the wire."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from app.sandbox.zoho.chance import chance
from app.sandbox.zoho.contract import Event, SendSwitches, WebhookRules
from app.sandbox.zoho.messages import Message, compose, draw_switches
from app.sandbox.zoho.signature import sign
from app.sandbox.zoho.wire import decode

SECRET = "examplesecret123"
RULES = WebhookRules(url="http://127.0.0.1:1/hooks?source=zoho", secret=SECRET)
ITEM = "481500000000012007"


def _message(event: Event = "updated") -> Message:
    payload = {"item_id": ITEM, "name": "كيبل", "rate": Decimal("12.50")}
    shown = {"item_id": ITEM} if event == "deleted" else payload
    return Message("items", ITEM, event, "item_id", "name", "item", shown)


class TestCompose:
    """Body, URL and signature."""

    def test_default_body_is_compact_and_signed_with_the_query(self) -> None:
        """The entity under its name, UTF-8, numbers as they are; the query takes part in the signature."""
        sent = compose(1, _message(), RULES, [])
        assert sent.body == '{"item":{"item_id":"481500000000012007","name":"كيبل","rate":12.50}}'
        assert sent.url == "http://127.0.0.1:1/hooks?source=zoho&event=updated"
        assert sent.signature == sign(SECRET, "source=zoho&event=updated", sent.body.encode(), "application/json")

    def test_deletes_carry_the_id_alone(self) -> None:
        """The query tells that it is a delete."""
        sent = compose(1, _message("deleted"), RULES, [])
        assert sent.body == '{"item":{"item_id":"481500000000012007"}}'
        assert urlsplit(sent.url).query == "source=zoho&event=deleted"

    def test_urls_are_templates(self) -> None:
        """Module and event can stand in the path."""
        rules = WebhookRules(url="http://h/{module}/{event}", queries={})
        assert compose(1, _message("created"), rules, []).url == "http://h/items/created"

    def test_form_bodies_hold_the_json(self) -> None:
        """A form is signed by its decoded pairs."""
        sent = compose(1, _message(), RULES, ["form"])
        assert decode(parse_qs(sent.body)["JSONString"][0].encode())["item"]["item_id"] == ITEM
        assert sent.signature == sign(SECRET, urlsplit(sent.url).query, sent.body.encode(), sent.content_type)

    def test_numeric_ids_are_whole(self) -> None:
        """Digit for digit."""
        assert '{"item":{"item_id":481500000000012007,' in compose(1, _message(), RULES, ["numeric_id"]).body

    @pytest.mark.parametrize("event", ["updated", "deleted"])
    def test_invalid_bodies_are_genuinely_signed(self, event: Event) -> None:
        """Nothing can map it, and nobody can blame the signature."""
        sent = compose(1, _message(event), RULES, ["invalid"])
        item = decode(sent.body.encode())["item"]
        assert (item["name"], item["rate"]) == (None, "twelve")
        assert ("item_id" in item) is (event == "updated")
        assert sent.signature == sign(SECRET, urlsplit(sent.url).query, sent.body.encode(), sent.content_type)

    def test_forgeries(self) -> None:
        """A wrong signature looks like one; an unsigned webhook has none; so has one without a secret."""
        good, wrong, none = (
            compose(1, _message(), RULES, switches) for switches in ([], ["wrong_signature"], ["unsigned"])
        )
        assert wrong.signature != good.signature
        assert len(wrong.signature or "") == 64
        assert none.signature is None
        assert compose(1, _message(), WebhookRules(url="http://h"), []).signature_kind == "none"


class TestDrawSwitches:
    """Which switches are on."""

    def test_never_and_always(self) -> None:
        """0 is never, 1 is always."""
        rng = chance(1, "test")
        send = SendSwitches(duplicate=1, form=1)
        assert all(draw_switches(send, rng) == ["duplicate", "form"] for _ in range(50))

    def test_sometimes(self) -> None:
        """A probability is met about as often as it says."""
        rng = chance(1, "test")
        hits = sum(draw_switches(SendSwitches(drop=0.25), rng) == ["drop"] for _ in range(1000))
        assert 180 < hits < 320
