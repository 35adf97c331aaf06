"""The pure parts of single benchmarks: what is compared with what, and how answers are read."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

import pytest
from pydantic import SecretStr

from app.cli.children import ChildError
from app.core.config import ZohoSettings
from app.tds.core.errors import SignatureError
from app.tds.core.ports import Delivery, StoredEvent
from app.tds.sources.zoho import ZohoSource
from app.tds.types import EntityType
from benchmarks.bff import paired_ratio
from benchmarks.churn import quarters
from benchmarks.deliveries import SECRET, delivery, http_request, item_bodies, item_id, sku
from benchmarks.generator import AnswerError, answer_length
from benchmarks.growth import ratios
from benchmarks.load import get
from benchmarks.peers import best
from benchmarks.processes import address_in


class TestDeliveries:
    """What is sent."""

    def test_the_source_takes_and_understands_them(self) -> None:
        """The real source verifies the signature, and its mapping makes a product of the body."""
        source = ZohoSource(ZohoSettings(webhook_secret=SecretStr(SECRET)))
        (body,) = item_bodies(1, first=7)
        record = source.receive(delivery(body))
        change = source.map(
            StoredEvent(body=record.body, headers={}, entity_type=None, source_entity_id=None, operation=None)
        )
        assert (change.entity_type, change.source_entity_id) == (EntityType.PRODUCT, item_id(7))
        assert json.loads(change.payload)["sku"] == sku(7)

    def test_a_changed_body_is_refused(self) -> None:
        """The signature is of this body."""
        source = ZohoSource(ZohoSettings(webhook_secret=SecretStr(SECRET)))
        first, second = (delivery(body) for body in item_bodies(2))
        with pytest.raises(SignatureError):
            source.receive(Delivery(body=second.body, headers=first.headers))

    def test_bodies_are_of_different_items_with_arabic_among_the_names(self) -> None:
        """Nothing is deduplicated away, and text is not ASCII only."""
        bodies = list(item_bodies(1_000))
        items = [json.loads(body)["item"] for body in bodies]
        assert len({item["item_id"] for item in items}) == len(set(bodies)) == 1_000
        assert any("\u0600" <= letter <= "\u06ff" for item in items for letter in item["name"])

    def test_an_edit_changes_the_item_and_makes_it_newer(self) -> None:
        """Else churn would apply nothing."""
        (before,), (after,) = (
            [json.loads(body)["item"] for body in item_bodies(1, first=3, edit=edit)] for edit in (1, 2)
        )
        assert before["item_id"] == after["item_id"]
        assert before["reorder_level"] != after["reorder_level"]
        assert before["last_modified_time"] < after["last_modified_time"]

    def test_a_request_carries_length_and_signature_of_its_body(self) -> None:
        """As bytes on the wire."""
        body = '{"item":{"name":"هاتف"}}'.encode()
        head, _, rest = http_request(body, "localhost").partition(b"\r\n\r\n")
        assert rest == body
        assert f"Content-Length: {len(body)}".encode() in head
        assert hmac.new(SECRET.encode(), body, sha256).hexdigest().encode() in head


class TestAnswers:
    """What comes back, byte by byte."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello"

    @pytest.mark.parametrize("cut", range(len(ANSWER)))
    def test_an_answer_may_come_in_pieces(self, cut: int) -> None:
        """Its length is known once the head is there, wherever the piece ends."""
        found = answer_length(self.ANSWER[:cut])
        head = self.ANSWER.index(b"\r\n\r\n") + 4
        assert found == ((200, len(self.ANSWER)) if cut >= head else None)

    def test_a_304_has_no_body_whatever_it_says(self) -> None:
        """The next answer begins right behind its head."""
        head = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"
        assert answer_length(head + b"HTTP/1.1") == (304, len(head))

    def test_an_answer_of_unknown_length_is_an_error(self) -> None:
        """Never a guess."""
        with pytest.raises(AnswerError, match="without Content-Length"):
            answer_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n")

    def test_header_names_of_a_request_have_hyphens(self) -> None:
        """Python's names cannot."""
        assert b"\r\nif-none-match: W/1\r\n" in get("/x", "localhost", if_none_match="W/1")


class TestComparisons:
    """What is set against what."""

    def test_pairs_are_compared_before_they_are_averaged(self) -> None:
        """A machine that was twice as slow in one round does not shift the ratio."""
        assert paired_ratio([80, 40, 82], [100, 50, 100]) == 0.8
        assert paired_ratio([], []) is None

    def test_pairs_that_do_not_match_are_an_error(self) -> None:
        """A round without its other half is no pair."""
        with pytest.raises(ValueError, match="zip"):
            paired_ratio([1.0], [])

    def test_growth_compares_the_most_with_the_least(self) -> None:
        """Above one is slower."""
        assert ratios({"claim": 2.0, "nothing": 0.0}, {"claim": 3.0, "nothing": 1.0}) == {"claim": 1.5, "nothing": None}

    def test_quarters_are_the_first_and_the_last(self) -> None:
        """Ten a second at first, five at last."""
        totals = [0, 10, 20, 30, 40, 45, 50, 55, 60]
        assert quarters([(float(second), total) for second, total in enumerate(totals)]) == (10.0, 5.0)

    def test_quarters_of_too_little_are_refused(self) -> None:
        """Three samples have none."""
        with pytest.raises(ValueError, match="at least four"):
            quarters([(0.0, 0), (1.0, 1), (2.0, 2)])

    def test_the_best_peer_is_the_fastest(self) -> None:
        """And without peers there is none."""
        assert best({"one": 1.0, "other": 2.0}) == ("other", 2.0)
        assert best({}) == (None, 0.0)


class TestAddress:
    """Where a server listens."""

    def test_is_read_out_of_what_a_server_says(self) -> None:
        """Whatever stands around it."""
        assert address_in("TDS listens on http://127.0.0.1:4711, without workers") == ("127.0.0.1", 4711)

    def test_is_missed_with_what_was_said_instead(self) -> None:
        """So that one sees why."""
        with pytest.raises(ChildError, match="no room"):
            address_in("no room")
